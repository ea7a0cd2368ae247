"""The schedule of polls: what to ask X about, by which call, and when.

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
from notifier.store import schema
from notifier.store.database import Database
from notifier.store.schema import Key
from notifier.store.scripts import POLL_PARTS, Argument, Script, script
from notifier.store.standings import STANDING

DUE_POLLS: Final[Script[tuple[list[Any], list[Any], list[str], int]]] = script("due_polls")
CLAIM_POLLS: Final[Script[list[str]]] = script("claim_polls")
SCHEDULE_POLLS: Final[Script[None]] = script("schedule_polls")
ADD_POLLS: Final[Script[None]] = script("add_polls")

POLL_CALLS: Final[Mapping[WatchKind, Call]] = {
    WatchKind.CREATOR: Call.CREATORS,
    WatchKind.SPACE: Call.LOOKUP,
    WatchKind.SEARCH: Call.SEARCH,
}

LEASE_SECONDS: Final = 30.0
"""How long a claimed poll stays with its worker: longer than a call to X can take."""


def sets_of(call: Call) -> tuple[Key, ...]:
    """Return the three sets of a call, in the order in which the scripts take them."""
    return tuple(schema.POLLS(call, part) for part in POLL_PARTS)


@dataclass(frozen=True, slots=True)
class PollQueue:
    """How many polls of a call there are, how many are due, and the epoch second of the first one."""

    waiting: int
    due: int
    in_flight: int
    first_at: float | None


@dataclass(frozen=True, slots=True)
class FirstPolls:
    """The first polls of a call.

    Attributes:
        standings: Of their subjects, those that have one.
        has_standings: Whether any subject of the call has one.
    """

    urgent: list[DuePoll]
    patient: list[DuePoll]
    standings: Mapping[str, Standing]
    has_standings: bool


class Polls:
    """Three sorted sets per call: urgent, patient, and leased."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def first(self, call: Call, *, now: float, limit: int) -> FirstPolls:
        """Show the first urgent and the first patient polls, ``limit`` of each, due or not."""
        urgent, patient, standings, count = await self._database.run(
            DUE_POLLS,
            keys=[*sets_of(call), schema.STANDINGS(call)],
            args=[int(now * 1000), limit],
        )
        return FirstPolls(
            _read(urgent, Urgency.URGENT),
            _read(patient, Urgency.PATIENT),
            {
                subject: STANDING.validate_json(text)
                for subject, text in zip(standings[::2], standings[1::2], strict=True)
            },
            count > 0,
        )

    async def claim(self, call: Call, polls: Sequence[DuePoll], *, now: float) -> list[DuePoll]:
        """Claim these polls; returns those that no other worker has claimed before."""
        lease_end = int((now + LEASE_SECONDS) * 1000)
        claimed = set(
            await self._database.run(
                CLAIM_POLLS, keys=sets_of(call), args=[lease_end, *(poll.subject for poll in polls)]
            )
        )
        return [poll for poll in polls if poll.subject in claimed]

    async def schedule(self, call: Call, due: Mapping[str, NextPoll | None]) -> None:
        """Set when subjects are polled next; None stops polling.

        A subject that was taken off the schedule meanwhile stays off.
        """
        args: list[Argument] = [call]
        for subject, poll in due.items():
            args += [subject, "", ""] if poll is None else [subject, int(poll.at * 1000), poll.urgency]
        if due:
            await self._database.run(SCHEDULE_POLLS, keys=sets_of(call)[:1], args=args)

    async def add(self, call: Call, subjects: Collection[str], *, at: float) -> None:
        """Have subjects polled by an epoch second, whether or not they are on the schedule."""
        if subjects:
            await self._database.run(
                ADD_POLLS, keys=sets_of(call)[:1], args=[call, int(at * 1000), *subjects]
            )

    async def queues(self, *, now: float) -> dict[Call, PollQueue]:
        """Measure the schedule."""
        async with self._database.pipeline() as pipe:
            for call in Call:
                for key in sets_of(call):
                    pipe.zcard(key)
                    pipe.zcount(key, "-inf", int(now * 1000))
                    pipe.zrange(key, 0, 0, withscores=True)
            rows = iter(await pipe.execute())
        return {call: _queue([(next(rows), next(rows), next(rows)) for _ in range(3)]) for call in Call}


def _queue(parts: Sequence[tuple[int, int, list[tuple[str, float]]]]) -> PollQueue:
    *waiting, leased = parts
    firsts = [first[0][1] / 1000 for _, _, first in waiting if first]
    return PollQueue(
        waiting=sum(count for count, _, _ in waiting),
        due=sum(due for _, due, _ in waiting),
        in_flight=leased[0],
        first_at=min(firsts, default=None),
    )


def _read(flat: Sequence[Any], urgency: Urgency) -> list[DuePoll]:
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return [DuePoll(subject, float(at) / 1000, urgency) for subject, at in pairs]
