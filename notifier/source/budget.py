"""What the client asks before it asks X. The store keeps the figures; this room only knows the questions."""

from __future__ import annotations

from typing import Final, Protocol

from notifier.core.observation import Call

KEPT_BACK: Final = 0.1
"""The share of every window that is left for others who use the same credentials (spec: budget)."""

LEAST_SECONDS_APART: Final[dict[Call, float]] = {Call.CREATORS: 1.0}
"""``by/creator_ids`` takes one request a second."""


class Budget(Protocol):
    """Rate buckets that all workers share."""

    async def take(self, call: Call, *, now: float, kept_back: float, apart: float) -> float:
        """Take one request; gives 0, or the seconds to wait for one."""
        ...

    async def note(self, call: Call, *, limit: int, remaining: int, reset: float) -> int:
        """Take over what X's headers say of a bucket; gives what is left."""
        ...
