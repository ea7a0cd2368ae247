"""When exchanges have to be over: one timer for all of them, as one for each would cost too much."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from notifier.delivery.wire import Connection


class Deadlines:
    """Ends what takes too long.

    Most exchanges end long before, and nearly all have the same time-out: the timer that is set for one is
    left to ring, and is set anew then for the earliest of those that are there.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ends: dict[Connection, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0

    def watch(self, connection: Connection, end: float) -> None:
        """Have a connection expire at ``end``, by the loop's clock."""
        self._ends[connection] = end
        if self._timer is None or end < self._rings_at:
            self._set(end)

    def shorten(self, connection: Connection, end: float) -> None:
        """Have a connection that is watched expire at ``end``, unless it would before."""
        if end < self._ends[connection]:
            self.watch(connection, end)

    def forget(self, connection: Connection) -> None:
        """Let a connection be."""
        del self._ends[connection]

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, end: float) -> None:
        self.close()
        self._rings_at = end
        self._timer = self._loop.call_at(end, self._ring)

    def _ring(self) -> None:
        self._timer = None
        # uvloop's timers go by whole milliseconds and may ring a little early.
        now = max(self._loop.time(), self._rings_at)
        for connection, end in self._ends.items():
            if end <= now:
                connection.expire()
        later = [end for end in self._ends.values() if end > now]
        if later:
            self._set(min(later))
