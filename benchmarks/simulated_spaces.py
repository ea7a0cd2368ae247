"""Seeded histories of Spaces for a simulated week: plans, late starts, changes, ends.

The shares and distributions are our guesses at how people use Spaces; nobody publishes them. All times are
epoch seconds, all durations seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

BEGIN: Final = 1_760_054_400.0
"""The midnight (UTC) at which a week begins."""

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86_400.0

LONGEST_LEAD: Final = 7 * DAY
LONGEST_LIFE: Final = 6 * HOUR
QUARTERS: Final = ((0, 60), (15, 8), (30, 24), (45, 8))
"""The minutes of the hour at which people plan to start, weighted: whole hours are common."""

BUSY_HOURS: Final = (8, 8, 7, 5, 4, 3, 2, 2, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12, 11, 10, 9)
"""How many Spaces start in each hour of the UTC day, as a weight."""

CANCELED_SHARE: Final = 0.08
NEVER_STARTED_SHARE: Final = 0.04
RESCHEDULED_SHARE: Final = 0.15
RETITLED_SHARE: Final = 0.1
EARLY_SHARE: Final = 0.1


class Kind(StrEnum):
    """How far ahead a Space is planned."""

    DAY_AHEAD = "planned a day ahead"
    HOUR_AHEAD = "planned an hour ahead"
    SPONTANEOUS = "spontaneous"


KINDS: Final = {Kind.DAY_AHEAD: 35, Kind.HOUR_AHEAD: 25, Kind.SPONTANEOUS: 40}


class Ending(StrEnum):
    """How X answers for a Space that is over."""

    REPORTED = "X says so"
    GONE = "not found"


class Change(StrEnum):
    """A change of a Space."""

    ANNOUNCED = "announced"
    RESCHEDULED = "rescheduled"
    STARTED = "started"
    ENDED = "ended"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Plan:
    """A planned start, and when it was announced."""

    made_at: float
    start: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedSpace:
    """One Space from beginning to end.

    Attributes:
        people: Its hosts and speakers, the creator first.
        plans: None for a spontaneous one; after the first, each is a reschedule.
        started_at: None if it was canceled or never started.
        over_at: When it ended or was canceled, or X gave it up.
        listeners: Their maximum number.
    """

    space_id: str
    people: tuple[str, ...]
    kind: Kind
    plans: tuple[Plan, ...]
    started_at: float | None
    over_at: float
    ending: Ending
    retitled_at: float | None
    listeners: int

    @property
    def creator_id(self) -> str:
        """The creator."""
        return self.people[0]

    @property
    def created_at(self) -> float:
        """When it appears at X."""
        return self.plans[0].made_at if self.plans else self.started_at or self.over_at

    def changes(self) -> Iterator[tuple[Change, float]]:
        """Yield what happens, in order, and when."""
        for number, plan in enumerate(self.plans):
            yield (Change.RESCHEDULED if number else Change.ANNOUNCED), plan.made_at
        if self.started_at is None:
            yield Change.CANCELED, self.over_at
        else:
            yield Change.STARTED, self.started_at
            yield Change.ENDED, self.over_at

    def latest(self, change: Change, now: float) -> float | None:
        """Return when this last happened before ``now``; None if it never did."""
        return max((at for each, at in self.changes() if each is change and at <= now), default=None)


def generate(seed: int, *, days: float, creators: int, spaces_a_day: int) -> list[SimulatedSpace]:
    """Return every Space that exists at some time in the days from :data:`BEGIN`, in order of creation.

    They include those planned before and those planned for later.
    """
    random = Random(seed)  # noqa: S311  a simulation, guards nothing
    end = BEGIN + days * DAY
    simulated_spaces = []
    for day in range(-1, math.ceil(days + LONGEST_LEAD / DAY)):
        for number in range(spaces_a_day):
            space = _simulated_space(random, f"1s{day + 1:03}n{number:05}", BEGIN + day * DAY, creators)
            if space.created_at < end and space.over_at > BEGIN:
                simulated_spaces.append(space)
    return sorted(simulated_spaces, key=lambda space: space.created_at)


def _simulated_space(random: Random, space_id: str, midnight: float, creators: int) -> SimulatedSpace:
    kind = random.choices(list(KINDS), list(KINDS.values()))[0]
    people = tuple(str(10_000_000 + each) for each in random.sample(range(creators), min(4, creators)))
    hour = midnight + HOUR * random.choices(range(24), BUSY_HOURS)[0]
    plans: tuple[Plan, ...] = ()
    started_at: float | None = hour + random.uniform(0, HOUR)
    over_at = 0.0
    if kind is not Kind.SPONTANEOUS:
        minutes, weights = zip(*QUARTERS, strict=True)
        plans = _plans(random, kind, hour + MINUTE * random.choices(minutes, weights)[0])
        started_at, over_at = _outcome(random, plans[-1])
    if started_at is not None:
        length = random.lognormvariate(math.log(45 * MINUTE), 0.9)
        over_at = started_at + min(max(length, MINUTE), LONGEST_LIFE)
    first_at = plans[0].made_at if plans else started_at or over_at
    is_retitled = random.random() < RETITLED_SHARE
    return SimulatedSpace(
        space_id=space_id,
        people=people,
        kind=kind,
        plans=plans,
        started_at=started_at,
        over_at=over_at,
        ending=random.choice(list(Ending)),
        retitled_at=random.uniform(first_at, over_at) if is_retitled else None,
        listeners=int(random.lognormvariate(math.log(80), 1.2)) + 1,
    )


def _plans(random: Random, kind: Kind, start: float) -> tuple[Plan, ...]:
    """Return the plans of a start: most often unchanged or a little later, sometimes on another day."""
    if kind is Kind.HOUR_AHEAD:
        lead = random.uniform(20 * MINUTE, 2 * HOUR)
        shifts = [15 * MINUTE, 30 * MINUTE]
    else:
        lead = min(12 * HOUR + random.expovariate(1 / DAY), LONGEST_LEAD)
        shifts = [-2 * HOUR, 30 * MINUTE, HOUR, 2 * HOUR, DAY]
    first = Plan(start - lead, start)
    if random.random() >= RESCHEDULED_SHARE:
        return (first,)
    shift = random.choice(shifts)
    made_at = random.uniform(first.made_at, start + min(shift, 0) - 5 * MINUTE)
    return first, Plan(made_at, start + shift)


def _outcome(random: Random, plan: Plan) -> tuple[float | None, float]:
    """Return when a planned Space starts, or else when it is canceled or given up."""
    chance = random.random()
    if chance < CANCELED_SHARE:
        return None, random.uniform(plan.made_at, plan.start)
    if chance < CANCELED_SHARE + NEVER_STARTED_SHARE:
        return None, plan.start + random.uniform(30 * MINUTE, 3 * HOUR)
    if random.random() < EARLY_SHARE:
        return max(plan.start - random.uniform(0, 5 * MINUTE), plan.made_at + 1), 0.0
    return plan.start + random.lognormvariate(math.log(2.5 * MINUTE), 0.9), 0.0
