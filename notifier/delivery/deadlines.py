"""When exchanges have to be over: one timer for all of them, as one for each would cost too much."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Exchange(Protocol):
    """What has to be over in time."""

    def expire(self) -> None:
        """Stop waiting."""


class Deadlines:
    """Ends what takes too long.

    Most exchanges end long before, and nearly all have the same time-out: the timer that is set for one is
    left to ring, and is set again then for the earliest of those that are there.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ends: dict[Exchange, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._fires_at = 0.0

    def watch(self, exchange: Exchange, end: float) -> None:
        """Have an exchange expire at ``end``, by the loop's clock."""
        self._ends[exchange] = end
        if self._timer is None or end < self._fires_at:
            self._set(end)

    def shorten(self, exchange: Exchange, end: float) -> None:
        """Have an exchange that is watched expire at ``end``, unless it would before."""
        if end < self._ends[exchange]:
            self.watch(exchange, end)

    def forget(self, exchange: Exchange) -> None:
        """Let an exchange be."""
        del self._ends[exchange]

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, end: float) -> None:
        self.close()
        self._fires_at = end
        self._timer = self._loop.call_at(end, self._fire)

    def _fire(self) -> None:
        self._timer = None
        # uvloop's timers go by whole milliseconds and may ring a little early.
        now = max(self._loop.time(), self._fires_at)
        for exchange, end in self._ends.items():
            if end <= now:
                exchange.expire()
        later = [end for end in self._ends.values() if end > now]
        if later:
            self._set(min(later))
