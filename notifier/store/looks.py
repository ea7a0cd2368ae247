"""The schedule of looks: what to ask X about, by which call, and when.

Subjects are Space ids (lookup), user ids (creators), and watch ids (search, and users for names).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from notifier.core.model.observation import Call
from notifier.core.model.poll import DuePoll, NextPoll, Urgency
from notifier.core.model.watch import WatchKind
from notifier.core.polling.standing import Standing
from notifier.store import keys
from notifier.store.database import Argument, Database
from notifier.store.standings import STANDING

LOOK_CALLS: Final[Mapping[WatchKind, Call]] = {
    WatchKind.CREATOR: Call.CREATORS,
    WatchKind.SPACE: Call.LOOKUP,
    WatchKind.SEARCH: Call.SEARCH,
}

LEASE_SECONDS: Final = 30.0
"""How long a claimed look stays with its worker: longer than a call to X can take."""


@dataclass(frozen=True, slots=True)
class LookQueue:
    """How many looks of a call there are, how many are due, and the epoch second of the first one."""

    waiting: int
    due: int
    under_way: int
    first_at: float | None


@dataclass(frozen=True, slots=True)
class FirstLooks:
    """The first polls of a call.

    Attributes:
        standings: Of their subjects, those that have one.
        has_standings: Whether any subject of the call has one.
    """

    urgent: list[DuePoll]
    patient: list[DuePoll]
    standings: Mapping[str, Standing]
    has_standings: bool


class Looks:
    """Three sorted sets per call: urgent, patient, and leased."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def first(self, call: Call, *, now: float, limit: int) -> FirstLooks:
        """Show the first urgent and the first patient looks, ``limit`` of each, due or not."""
        urgent, patient, standings, count = await self._database.run(
            "due_looks",
            keys=[*keys.looks_of(call), keys.standings(call)],
            args=[int(now * 1000), limit],
        )
        return FirstLooks(
            _read(urgent, Urgency.URGENT),
            _read(patient, Urgency.PATIENT),
            {
                subject: STANDING.validate_json(text)
                for subject, text in zip(standings[::2], standings[1::2], strict=True)
            },
            count > 0,
        )

    async def claim(self, call: Call, looks: Sequence[DuePoll], *, now: float) -> list[DuePoll]:
        """Claim these looks; gives those that no other worker was quicker to claim."""
        lease_end = int((now + LEASE_SECONDS) * 1000)
        claimed = set(
            await self._database.run(
                "claim_looks", keys=keys.looks_of(call), args=[lease_end, *(look.subject for look in looks)]
            )
        )
        return [look for look in looks if look.subject in claimed]

    async def schedule(self, call: Call, due: Mapping[str, NextPoll | None]) -> None:
        """Set when subjects are looked at next; None stops looking.

        A subject that was taken off the schedule meanwhile stays off.
        """
        args: list[Argument] = [call]
        for subject, look in due.items():
            args += [subject, "", ""] if look is None else [subject, int(look.at * 1000), look.urgency]
        if due:
            await self._database.run("schedule_looks", args=args)

    async def add(self, call: Call, subjects: Collection[str], *, at: float) -> None:
        """Have subjects looked at by an epoch second, whether or not they are on the schedule."""
        if subjects:
            await self._database.run("add_looks", args=[call, int(at * 1000), *subjects])

    async def queues(self, *, now: float) -> dict[Call, LookQueue]:
        """Measure the schedule."""
        async with self._database.pipeline() as pipe:
            for call in Call:
                for key in keys.looks_of(call):
                    pipe.zcard(key)
                    pipe.zcount(key, "-inf", int(now * 1000))
                    pipe.zrange(key, 0, 0, withscores=True)
            rows = iter(await pipe.execute())
        return {call: _queue([(next(rows), next(rows), next(rows)) for _ in range(3)]) for call in Call}


def _queue(parts: Sequence[tuple[int, int, list[tuple[str, float]]]]) -> LookQueue:
    *waiting, leased = parts
    firsts = [first[0][1] / 1000 for _, _, first in waiting if first]
    return LookQueue(
        waiting=sum(count for count, _, _ in waiting),
        due=sum(due for _, due, _ in waiting),
        under_way=leased[0],
        first_at=min(firsts, default=None),
    )


def _read(flat: Sequence[Any], urgency: Urgency) -> list[DuePoll]:
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return [DuePoll(subject, float(at) / 1000, urgency) for subject, at in pairs]
