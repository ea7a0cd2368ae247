"""What a worker process does around its work."""

from __future__ import annotations

import os
import signal
from threading import Thread
from typing import Final

from notifier.config import Settings
from notifier.runtime import open_runtime

STANDARD_INPUT: Final = 0


def end_with_supervisor() -> None:
    """End this process when the supervisor is gone: its end of our standard input closes, even by SIGKILL."""
    Thread(target=_wait_for_end, name="supervisor", daemon=True).start()


async def check_start(settings: Settings) -> None:
    """Make sure that the work can begin: the keys can be read, and Redis answers.

    Raises:
        ConfigError: There is no Redis URL, or a key cannot be read.
        UnavailableError: Redis does not answer.
    """
    async with open_runtime(settings):
        pass


def _wait_for_end() -> None:
    # Not by sys.stdin, whose lock a daemon thread would hold when the interpreter ends.
    while os.read(STANDARD_INPUT, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
