"""What X has billed: which resources on which UTC day, and how many in each hour."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from notifier.core.instants import rfc3339
from notifier.core.spending import DAY_SECONDS, HOURS, Bill, Ledger, hour_of, price
from notifier.store import keys
from notifier.store.database import Database

TTL_SECONDS: Final = 3 * DAY_SECONDS
"""Yesterday is looked at until today ends."""


class Spending:
    """The record of a day's reads; ``now`` is epoch seconds throughout."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def bill(self, spaces: Collection[str], users: Collection[str], *, now: float) -> Bill:
        """Note what an answer showed; gives what of it was not paid for yet today."""
        day = _day(now)
        space_reads, user_reads = await self._database.run(
            "bill",
            keys=[keys.billed(day), keys.spent(day)],
            args=[hour_of(now), TTL_SECONDS, len(spaces), *spaces, *users],
        )
        return Bill(space_reads, user_reads)

    async def paid(self, space_ids: Collection[str], *, now: float) -> set[str]:
        """Give those of the Spaces that are paid for today, so that to look at them is free."""
        if not space_ids:
            return set()
        members = [f"s:{space_id}" for space_id in space_ids]
        async with self._database.translated():
            found = await self._database.redis.smismember(keys.billed(_day(now)), members)
        return {space_id for space_id, is_paid in zip(space_ids, found, strict=True) if is_paid}

    async def ledger(self, *, now: float) -> Ledger:
        """Sum up today, beside yesterday."""
        async with self._database.pipeline() as pipe:
            pipe.hgetall(keys.spent(_day(now)))
            pipe.hgetall(keys.spent(_day(now - DAY_SECONDS)))
            today, yesterday = await pipe.execute()
        return Ledger(
            space_reads=sum(_reads(today, "spaces", hour) for hour in range(HOURS)),
            user_reads=sum(_reads(today, "users", hour) for hour in range(HOURS)),
            hourly=_hourly(today),
            yesterday=_hourly(yesterday),
        )


def _day(now: float) -> str:
    return rfc3339(now)[: len("2026-08-07")]


def _reads(record: Mapping[str, str], kind: str, hour: int) -> int:
    return int(record.get(f"{kind}:{hour}", 0))


def _hourly(record: Mapping[str, str]) -> tuple[float, ...]:
    return tuple(
        price(_reads(record, "spaces", hour), _reads(record, "users", hour)) for hour in range(HOURS)
    )
