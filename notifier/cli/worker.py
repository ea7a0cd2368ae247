"""What a worker process owes to the process that supervises it."""

from __future__ import annotations

import os
import signal
from threading import Thread
from typing import Final

STANDARD_INPUT: Final = 0


def end_with_supervisor() -> None:
    """End this process when the supervisor is gone: its end of our standard input closes, even by SIGKILL."""
    Thread(target=_wait_for_end, name="supervisor", daemon=True).start()


def _wait_for_end() -> None:
    # Not by sys.stdin, whose lock a daemon thread would hold when the interpreter ends.
    while os.read(STANDARD_INPUT, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
