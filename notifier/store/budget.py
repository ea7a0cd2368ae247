"""What X lets us ask, shared between all workers: rate buckets, and whether the source is paused."""

from __future__ import annotations

from dataclasses import dataclass

from notifier.core.observation import Call, FailureKind
from notifier.store import keys
from notifier.store.database import Database


@dataclass(frozen=True, slots=True)
class SourcePause:
    """Why nothing is asked, since when and until when (epoch seconds)."""

    kind: FailureKind
    detail: str
    since: float
    until: float


class SharedBudget:
    """Rate buckets as X's headers describe them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, call: Call, *, now: float, kept_back: float, apart: float) -> float:
        """Take one request; gives 0, or the seconds to wait for one.

        Args:
            call: The bucket.
            now: Epoch seconds.
            kept_back: The share of the window's requests that is never used.
            apart: The least seconds between two requests.
        """
        wait: int = await self._database.run(
            "take_request", keys=[keys.bucket(call)], args=[int(now * 1000), kept_back, int(apart * 1000)]
        )
        return wait / 1000

    async def note(self, call: Call, *, limit: int, remaining: int, reset: float) -> int:
        """Take over what X's headers say; ``reset`` is epoch seconds. Gives what is left."""
        left: int = await self._database.run(
            "note_limits", keys=[keys.bucket(call)], args=[limit, remaining, int(reset * 1000)]
        )
        return left

    async def remaining(self) -> dict[Call, int]:
        """Give what is left in each bucket that X has described."""
        async with self._database.pipeline() as pipe:
            for call in Call:
                pipe.hget(keys.bucket(call), "remaining")
            figures = await pipe.execute()
        return {call: int(left) for call, left in zip(Call, figures, strict=True) if left is not None}

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
