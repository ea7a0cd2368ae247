"""A wall clock that a test can step while the process runs.

Python imports this module by itself at the start of a process that has this folder in ``PYTHONPATH``. What it
covers is what Python code reads: ``time.time`` and ``datetime.now``. The monotonic clock, by which event
loops count, goes on undisturbed, as it does when an operator or NTP steps a machine's clock.
"""

from __future__ import annotations

import datetime as dt
import mmap
import os
import time
from pathlib import Path

from tests.support.chaos_clock import OFFSET, OFFSET_VARIABLE

_machine_time = time.time
with Path(os.environ[OFFSET_VARIABLE]).open("rb") as _file:
    _offset = mmap.mmap(_file.fileno(), OFFSET.size, access=mmap.ACCESS_READ)


def _stepped_time() -> float:
    offset: float = OFFSET.unpack_from(_offset)[0]
    return _machine_time() + offset


class _AnyDatetime(type):
    """Takes every datetime for an instance, also those that C code makes."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _MachineDatetime)


_MachineDatetime = dt.datetime


class _SteppedDatetime(_MachineDatetime, metaclass=_AnyDatetime):
    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> _SteppedDatetime:
        return cls.fromtimestamp(_stepped_time(), tz)


time.time = _stepped_time
dt.datetime = _SteppedDatetime  # type: ignore[misc]  # replacing it is the point
