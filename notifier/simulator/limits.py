"""X's rate limits: requests per bucket and window, and for one call also per second."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

SECOND: Final = 0.9
"""The length of a second in :class:`Pace`: jitter must not fail a client that asks once a second."""


QUARTER_HEADERS: Final = "x-rate-limit"
"""The prefix of the headers for the window of 15 minutes, which every answer has."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many ``requests`` one bucket grants per window of ``window_seconds`` real seconds."""

    requests: int = 300
    window_seconds: float = 900.0


@dataclass(frozen=True, slots=True)
class RateState:
    """A bucket as the headers of an answer show it; ``reset`` is in Unix seconds.

    Attributes:
        name: The prefix of the header names.
    """

    limit: int
    remaining: int
    reset: int
    name: str = QUARTER_HEADERS

    @property
    def headers(self) -> dict[str, str]:
        """The three headers of the bucket."""
        return {
            f"{self.name}-limit": str(self.limit),
            f"{self.name}-remaining": str(self.remaining),
            f"{self.name}-reset": str(self.reset),
        }


@dataclass(slots=True)
class _Window:
    reset: int
    used: int = 0


class RateBuckets:
    """The windows of one stand-in, by bucket name; with ``shared`` all names are one bucket."""

    def __init__(self, limits: Limits, *, shared: bool = False) -> None:
        self._limits = limits
        self._shared = shared
        self._windows: dict[str, _Window] = {}

    def take(self, bucket: str, now: float) -> bool:
        """Use one request at ``now`` (Unix seconds); return False if the window has none left."""
        window = self._window(bucket, now)
        if window.used >= self._limits.requests:
            return False
        window.used += 1
        self._windows[self._key(bucket)] = window
        return True

    def state(self, bucket: str, now: float) -> RateState:
        """Return the bucket at ``now`` (Unix seconds) without using a request."""
        window = self._window(bucket, now)
        limit = self._limits.requests
        return RateState(limit=limit, remaining=limit - window.used, reset=window.reset)

    def _window(self, bucket: str, now: float) -> _Window:
        """Return the current window, or a new one that is only stored once a request is taken from it."""
        window = self._windows.get(self._key(bucket))
        if window is not None and now < window.reset:
            return window
        return _Window(reset=math.ceil(now + self._limits.window_seconds))

    def _key(self, bucket: str) -> str:
        return "" if self._shared else bucket


class Pace:
    """A limit of requests per second, independent of the window; ``per_second`` of 0 means no limit."""

    def __init__(self, per_second: int) -> None:
        self._limited = per_second > 0
        self._granted: deque[float] = deque(maxlen=per_second)

    def take(self, now: float) -> bool:
        """Use one request at ``now`` (Unix seconds); return False if it comes too soon."""
        is_full = self._limited and len(self._granted) == self._granted.maxlen
        if is_full and 0 <= now - self._granted[0] < SECOND:
            return False
        self._granted.append(now)
        return True
