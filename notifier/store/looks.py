"""The schedule of looks: what to ask X about, by which call, and when.

Subjects are Space ids (lookup), user ids (creators), and watch ids (search, and users for names).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from notifier.core.observation import Call
from notifier.core.watch import WatchKind
from notifier.store import keys
from notifier.store.database import Database

LOOK_CALLS: Final[Mapping[WatchKind, Call]] = {
    WatchKind.CREATOR: Call.CREATORS,
    WatchKind.SPACE: Call.LOOKUP,
    WatchKind.SEARCH: Call.SEARCH,
}

LEASE_SECONDS: Final = 30.0
"""How long a claimed look stays with its worker: longer than a call to X can take."""

SOON_SECONDS: Final = 10.0
"""What is due this soon fills a request up."""


class Looks:
    """One sorted set per call."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, call: Call, *, now: float, limit: int) -> tuple[str, ...]:
        """Claim up to ``limit`` subjects if any is due, filled up with those that are due soon."""
        soon = 0.0 if call is Call.SEARCH else SOON_SECONDS
        subjects = await self._database.run(
            "claim_looks",
            keys=[keys.looks(call)],
            args=[int(now * 1000), limit, int((now + LEASE_SECONDS) * 1000), int((now + soon) * 1000)],
        )
        return tuple(subjects)

    async def schedule(self, call: Call, due: Mapping[str, float | None]) -> None:
        """Set when subjects are looked at next, in epoch seconds; None stops looking.

        A subject that was taken off the schedule meanwhile stays off.
        """
        later = {subject: int(at * 1000) for subject, at in due.items() if at is not None}
        stopped = [subject for subject, at in due.items() if at is None]
        async with self._database.pipeline() as pipe:
            if later:
                pipe.zadd(keys.looks(call), later, xx=True)
            if stopped:
                pipe.zrem(keys.looks(call), *stopped)
            await pipe.execute()

    async def add(self, call: Call, subjects: Mapping[str, float]) -> None:
        """Bring looks forward, or begin them."""
        if subjects:
            scores = {subject: int(at * 1000) for subject, at in subjects.items()}
            async with self._database.translated():
                await self._database.redis.zadd(keys.looks(call), scores, lt=True)

    async def next_due(self) -> float | None:
        """Give the epoch second of the first look of any call."""
        async with self._database.pipeline() as pipe:
            for call in Call:
                pipe.zrange(keys.looks(call), 0, 0, withscores=True)
            heads = await pipe.execute()
        return min((head[0][1] / 1000 for head in heads if head), default=None)
