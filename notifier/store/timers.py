"""The timers of Spaces in Redis: one sorted set per kind. Every commit of a Space sets its timers again."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from notifier.core.model.ids import SpaceId
from notifier.core.spaces.timers import ERASE_AFTER_SECONDS, TimerKind
from notifier.store import schema
from notifier.store.database import Database
from notifier.store.scripts import Script, script

UNTRACK_SPACES: Final[Script[None]] = script("untrack_spaces")


class Timers:
    """What is to happen to which Space, and when."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, kind: TimerKind, *, now: float, limit: int) -> list[SpaceId]:
        """List the Spaces whose timer is due, the oldest first; it stays due until a commit sets it again."""
        async with self._database.translated():
            return [
                SpaceId(space_id)
                for space_id in await self._database.redis.zrangebyscore(
                    schema.TIMERS(kind), "-inf", int(now * 1000), start=0, num=limit
                )
            ]

    async def drop(self, kind: TimerKind, space_ids: Collection[str]) -> None:
        """Remove the timers of Spaces that are no longer known."""
        if space_ids:
            async with self._database.translated():
                await self._database.redis.zrem(schema.TIMERS(kind), *space_ids)

    async def untrack(self, space_ids: Collection[str], *, now: float) -> None:
        """End the polls of Spaces that are not followed; their content is erased soon."""
        if space_ids:
            erase_at = int((now + ERASE_AFTER_SECONDS) * 1000)
            await self._database.run(UNTRACK_SPACES, keys=[schema.SPACES()], args=[erase_at, *space_ids])
