"""Deadlines of exchanges: one timer for all of them, because one for each would cost too much."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Exchange(Protocol):
    """Something with a deadline."""

    def expire(self) -> None:
        """Stop waiting."""


class Deadlines:
    """Expires exchanges that take too long.

    Most exchanges end long before their deadline, and nearly all have the same time-out: so a timer, once
    set, is left to fire, and is then set again for the earliest deadline.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ends: dict[Exchange, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._fires_at = 0.0

    def watch(self, exchange: Exchange, end: float) -> None:
        """Expire an exchange at ``end``, by the loop's clock."""
        self._ends[exchange] = end
        if self._timer is None or end < self._fires_at:
            self._set(end)

    def shorten(self, exchange: Exchange, end: float) -> None:
        """Expire a watched exchange at ``end``, unless its deadline is earlier."""
        if end < self._ends[exchange]:
            self.watch(exchange, end)

    def forget(self, exchange: Exchange) -> None:
        """Stop watching an exchange."""
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
        # uvloop's timers have whole milliseconds and may fire slightly early.
        now = max(self._loop.time(), self._fires_at)
        for exchange, end in self._ends.items():
            if end <= now:
                exchange.expire()
        later = [end for end in self._ends.values() if end > now]
        if later:
            self._set(min(later))
