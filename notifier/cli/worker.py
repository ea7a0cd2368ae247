"""Start and end of a worker process."""

from __future__ import annotations

import os
import signal
from threading import Thread
from typing import Final

from notifier.config import Settings
from notifier.runtime import open_runtime

STANDARD_INPUT: Final = 0


def end_with_supervisor() -> None:
    """Exit when the supervisor is gone: that closes our standard input, even after a SIGKILL."""
    Thread(target=_wait_for_end, name="supervisor", daemon=True).start()


async def check_start(settings: Settings) -> None:
    """Make sure that the worker can start: the keys can be read, and Redis answers.

    Raises:
        ConfigError: There is no Redis URL, or a key cannot be read.
        UnavailableError: Redis does not answer.
    """
    async with open_runtime(settings):
        pass


def _wait_for_end() -> None:
    # Not sys.stdin, whose lock a daemon thread would hold when the interpreter exits.
    while os.read(STANDARD_INPUT, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
