"""X's bill: the resources per UTC day, the counts per hour, and the amounts held."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from notifier.core.model.instants import rfc3339
from notifier.core.polling.spending import DAY_SECONDS, HOURS, Bill, Ledger, hour_of, price
from notifier.core.polling.worst_case import MILLS, SPACE_MILLS, USER_MILLS, Paid
from notifier.store import schema
from notifier.store.database import Database
from notifier.store.scripts import Script, script

HOLD: Final[Script[tuple[int, int, int]]] = script("hold")
BILL: Final[Script[tuple[int, int]]] = script("bill")

TTL_SECONDS: Final = 3 * DAY_SECONDS
"""Yesterday is read until today ends."""


HOLD_SECONDS: Final = 30.0
"""How long money stays held for a question whose worker has died: longer than a call to X can take."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What came of holding money; sums are thousandths of a US dollar.

    Attributes:
        id: By which the hold is released; None where there was not enough left.
        spent: On the day.
        held: For the questions of others.
    """

    id: str | None
    spent: int
    held: int


class Spending:
    """The record of a day's reads; ``now`` is epoch seconds throughout."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def hold(self, mills: int, *, limit: int, now: float) -> Holding:
        """Hold money for a question, if the total spent and held stays within ``limit``.

        It stays held until :meth:`bill` releases it or :data:`HOLD_SECONDS` have passed, also over midnight.
        Sums are thousandths of a US dollar.
        """
        hold_id = f"{mills}:{secrets.token_hex(8)}"
        is_held, spent, held = await self._database.run(
            HOLD,
            keys=[schema.HELD(), schema.SPENT(_day(now))],
            args=[
                hold_id,
                int(now * 1000),
                int((now + HOLD_SECONDS) * 1000),
                limit,
                SPACE_MILLS,
                USER_MILLS,
            ],
        )
        return Holding(hold_id if is_held else None, spent, held)

    async def bill(
        self,
        spaces: Collection[str],
        users: Collection[str],
        *,
        now: float,
        hold: str | None = None,
        with_people: bool = False,
    ) -> Bill:
        """Note what an answer showed, and release what was held for it.

        Args:
            spaces: Ids of Spaces.
            users: Ids of users.
            now: Epoch seconds.
            hold: The id of what was held; None where nothing was.
            with_people: Whether the people of those Spaces were asked for.

        Returns:
            What of it was not paid for yet today.
        """
        day = _day(now)
        space_reads, user_reads = await self._database.run(
            BILL,
            keys=[schema.BILLED(day), schema.SPENT(day), schema.HELD()],
            args=[hour_of(now), TTL_SECONDS, hold or "", int(with_people), len(spaces), *spaces, *users],
        )
        return Bill(space_reads, user_reads)

    async def paid(self, space_ids: Collection[str], user_ids: Collection[str], *, now: float) -> Paid:
        """Return what of these costs nothing more for as long as a hold that begins now may last.

        In the last seconds of a day that is nothing: the answer may come, and be billed, after midnight.
        """
        asked = [(kind, each) for kind in "sp" for each in space_ids] + [("u", each) for each in user_ids]
        found: dict[str, set[str]] = {"s": set(), "p": set(), "u": set()}
        if asked:
            async with self._database.translated():
                marks = await self._database.redis.smismember(
                    schema.BILLED(_day(now + HOLD_SECONDS)), [f"{kind}:{each}" for kind, each in asked]
                )
            for (kind, each), is_billed in zip(asked, marks, strict=True):
                if is_billed:
                    found[kind].add(each)
        return Paid(spaces=found["s"], users=found["u"], with_people=found["p"])

    async def ledger(self, *, now: float) -> Ledger:
        """Return the sums of today and yesterday, and the amount held."""
        async with self._database.pipeline() as pipe:
            pipe.hgetall(schema.SPENT(_day(now)))
            pipe.hgetall(schema.SPENT(_day(now - DAY_SECONDS)))
            pipe.zrangebyscore(schema.HELD(), f"({int(now * 1000)}", "+inf")
            today, yesterday, held = await pipe.execute()
        return Ledger(
            space_reads=sum(_reads(today, "spaces", hour) for hour in range(HOURS)),
            user_reads=sum(_reads(today, "users", hour) for hour in range(HOURS)),
            hourly=_hourly(today),
            yesterday=_hourly(yesterday),
            held=sum(int(each.partition(":")[0]) for each in held) / MILLS,
        )


def _day(now: float) -> str:
    return rfc3339(now)[: len("2026-08-07")]


def _reads(record: Mapping[str, str], kind: str, hour: int) -> int:
    return int(record.get(f"{kind}:{hour}", 0))


def _hourly(record: Mapping[str, str]) -> tuple[float, ...]:
    return tuple(
        price(_reads(record, "spaces", hour), _reads(record, "users", hour)) for hour in range(HOURS)
    )
