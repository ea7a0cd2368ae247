"""The budget that the client takes requests from, as an interface that the store implements."""

from __future__ import annotations

from typing import Protocol

from notifier.core.model.observation import Call
from notifier.core.model.poll import Urgency


class Budget(Protocol):
    """X's rate buckets, which all workers share; times are epoch seconds by our clock."""

    async def take(self, call: Call, urgency: Urgency, *, now: float) -> float:
        """Take one request; return 0, or the seconds to wait for one."""
        ...

    async def note(self, call: Call, *, limit: int, remaining: int, reset: float, now: float) -> None:
        """Record what the headers of an answer say about the bucket that a request was taken from."""
        ...

    async def close(self, call: Call, *, until: float, now: float) -> None:
        """Close a call until an epoch second, because a window of 24 hours is used up."""
        ...

    async def note_nothing(self, call: Call, *, now: float) -> None:
        """Record that a request ended without information about its bucket."""
        ...
