"""What X lets us ask, shared between all workers: rate buckets, and whether the source is paused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter

from notifier.core import buckets
from notifier.core.buckets import Buckets
from notifier.core.looking import Urgency
from notifier.core.observation import Call, FailureKind
from notifier.store import keys
from notifier.store.database import Database

BUCKETS = TypeAdapter(Buckets)

TTL_SECONDS: Final = 3600
"""Four windows: what was learned of shared buckets outlives a pause, and a record of no use goes away."""

TRIES: Final = 50
"""How often a change is tried; each failure means that another worker's has gone through."""

CONTENDED_SECONDS: Final = 1.0
"""The wait for a request that found the record busy all the time."""


@dataclass(frozen=True, slots=True)
class SourcePause:
    """Why nothing is asked, since when and until when (epoch seconds)."""

    kind: FailureKind
    detail: str
    since: float
    until: float


class SharedBudget:
    """Rate buckets as X's headers describe them: one record, changed by :mod:`notifier.core.buckets`.

    ``now`` and ``reset`` are epoch seconds throughout.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def wait(self, call: Call, urgency: Urgency, *, now: float) -> float:
        """Give the seconds to wait for a request, 0 where it may go now; takes none."""
        _, record = await self._read()
        return buckets.wait(record, call, urgency, now=now)

    async def take(self, call: Call, urgency: Urgency, *, now: float) -> float:
        """Take one request; gives 0, or the seconds to wait for one."""
        for _ in range(TRIES):
            text, record = await self._read()
            seconds = buckets.wait(record, call, urgency, now=now)
            if seconds > 0:
                return seconds
            if await self._replace(text, buckets.take(record, call, urgency, now=now)):
                return 0.0
        return CONTENDED_SECONDS

    async def note(self, call: Call, *, limit: int, remaining: int, reset: float, now: float) -> None:
        """Take over what the headers of an answer say."""
        await self._note(
            lambda record: buckets.learn(record, call, limit=limit, remaining=remaining, reset=reset, now=now)
        )

    async def note_nothing(self, call: Call, *, now: float) -> None:
        """Note that a request has ended without a word of its bucket."""
        await self._note(lambda record: buckets.learn_nothing(record, call, now=now))

    async def describe(self, *, now: float) -> Buckets:
        """Give what is known of all buckets."""
        _, record = await self._read()
        return record.at(now)

    async def remaining(self) -> dict[Call, int]:
        """Give what is left in each bucket that X has described."""
        _, record = await self._read()
        return {call: bucket.remaining for call, bucket in record.by_call.items()}

    async def _note(self, change: Callable[[Buckets], Buckets]) -> None:
        """Change the record. One that is busy all the time is left: the next answer tells the same."""
        for _ in range(TRIES):
            text, record = await self._read()
            if await self._replace(text, change(record)):
                return

    async def _read(self) -> tuple[str, Buckets]:
        async with self._database.translated():
            text: str | None = await self._database.redis.get(keys.BUCKETS)
        return text or "", BUCKETS.validate_json(text) if text else Buckets()

    async def _replace(self, text: str, record: Buckets) -> bool:
        replaced = await self._database.run(
            "replace", keys=[keys.BUCKETS], args=[BUCKETS.dump_json(record), text, TTL_SECONDS]
        )
        return bool(replaced)

    async def pause(self, kind: FailureKind, detail: str, *, now: float, until: float) -> bool:
        """Stop asking until a time; gives True when the trouble is new, so that it is told once."""
        async with self._database.pipeline() as pipe:
            pipe.hget(keys.SOURCE, "kind")
            pipe.hset(keys.SOURCE, mapping={"kind": kind, "detail": detail, "until": until})
            pipe.hsetnx(keys.SOURCE, "since", now)
            before, *_ = await pipe.execute()
        return bool(before != kind)

    async def resume(self) -> bool:
        """Note that X answers again; gives True when it was in trouble before."""
        async with self._database.translated():
            return bool(await self._database.redis.delete(keys.SOURCE))

    async def paused(self) -> SourcePause | None:
        """Give the present trouble, if any."""
        async with self._database.translated():
            kind, detail, since, until = await self._database.redis.hmget(
                keys.SOURCE, "kind", "detail", "since", "until"
            )
        if kind is None:
            return None
        return SourcePause(FailureKind(kind), detail, float(since), float(until))
