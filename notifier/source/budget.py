"""What the client asks before it asks X. The store keeps the figures; this room only knows the questions."""

from __future__ import annotations

from typing import Protocol

from notifier.core.model.observation import Call
from notifier.core.model.poll import Urgency


class Budget(Protocol):
    """X's rate buckets, which all workers share; times are epoch seconds by our clock."""

    async def take(self, call: Call, urgency: Urgency, *, now: float) -> float:
        """Take one request; returns 0, or the seconds to wait for one."""
        ...

    async def note(self, call: Call, *, limit: int, remaining: int, reset: float, now: float) -> None:
        """Take over what the headers of an answer say of the bucket that a request was taken from."""
        ...

    async def close(self, call: Call, *, until: float, now: float) -> None:
        """Make no request of a call before a moment, because a window of 24 hours is used up."""
        ...

    async def note_nothing(self, call: Call, *, now: float) -> None:
        """Note that a request has ended without a word of its bucket."""
        ...
