"""The standings of subjects, by call: what X fails on, refuses or remarks on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from pydantic import TypeAdapter

from notifier.core.model.observation import Call
from notifier.core.polling.standing import Standing
from notifier.store import schema
from notifier.store.database import Database

STANDING: Final = TypeAdapter(Standing)


class Standings:
    """One hash per call. A standing goes with its subject's place on the schedule (``lib/polls.lua``)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, call: Call) -> dict[str, Standing]:
        """Return every standing of a call by subject; a subject in normal standing has none."""
        async with self._database.translated():
            found: dict[str, str] = await self._database.redis.hgetall(schema.STANDINGS(call))
        return {subject: STANDING.validate_json(text) for subject, text in found.items()}

    async def of(self, call: Call, subjects: Collection[str]) -> dict[str, Standing]:
        """Return the standings of those subjects that have one."""
        if not subjects:
            return {}
        async with self._database.translated():
            texts = await self._database.redis.hmget(schema.STANDINGS(call), list(subjects))
        return {
            subject: STANDING.validate_json(text)
            for subject, text in zip(subjects, texts, strict=True)
            if text is not None
        }

    async def change(self, call: Call, changes: Mapping[str, Standing | None]) -> None:
        """Set the standings of subjects; None is back to normal.

        Only the worker that has leased a subject's poll may do so.
        """
        gone = [subject for subject, standing in changes.items() if standing is None]
        kept = {
            subject: STANDING.dump_json(standing, exclude_defaults=True)
            for subject, standing in changes.items()
            if standing is not None
        }
        if not changes:
            return
        async with self._database.pipeline() as pipe:
            if gone:
                pipe.hdel(schema.STANDINGS(call), *gone)
            if kept:
                pipe.hset(schema.STANDINGS(call), mapping=kept)
            await pipe.execute()

    async def note_answer(self, call: Call, *, now: float) -> None:
        """Record that a call was answered, for the suspected subjects."""
        async with self._database.translated():
            await self._database.redis.hset(schema.ANSWERED(), call, now)

    async def answered_at(self, call: Call) -> float:
        """Return when that was noted last, in epoch seconds; 0 for never."""
        async with self._database.translated():
            at = await self._database.redis.hget(schema.ANSWERED(), call)
        return float(at or 0)
