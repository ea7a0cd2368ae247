"""A simulated week with our cadence and with fixed intervals, with equally many requests."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from benchmarks.cadence_poller import CadencePoller
from benchmarks.fixed import FixedPoller, Pace
from benchmarks.sightings import Lag, PollReason, Sightings, Waits
from benchmarks.simulated_spaces import BEGIN, DAY, MINUTE, SimulatedSpace, generate
from benchmarks.simulated_x import LIMIT, NO_FAULTS, Faults, SimulatedX
from notifier.core.model.observation import Call
from notifier.core.model.poll import Cadence
from notifier.core.polling.buckets import WINDOW_SECONDS
from notifier.core.polling.spending import price
from notifier.source import BATCH

REPLICA_LAG: Final = 2 * MINUTE
REPLICA_TURN: Final = 3
"""On bad days, every n-th answer comes from a replica that is this many seconds behind."""

MIN_APART: Final = (WINDOW_SECONDS + 1) / LIMIT
"""Seconds between requests that just stay within X's limit; resets are in whole seconds."""


@dataclass(frozen=True, slots=True)
class Week:
    """What is simulated.

    Attributes:
        shared: Whether X counts all calls in one bucket, or each by itself.
        settle: Seconds at the beginning, while everything is seen for the first time, and at the end, in
            which nothing is counted.
        bad: Whether one creator and one Space make every request fail that names them, and a replica of X
            lags.
    """

    days: float = 7.0
    creators: int = 5_000
    spaces_a_day: int = 400
    seed: int = 1
    shared: bool = False
    settle: float = 3_600.0
    bad: bool = False

    @property
    def end(self) -> float:
        """Epoch seconds; slightly early, so that no answer is billed to the next day."""
        return BEGIN + self.days * DAY - 1

    @property
    def creator_ids(self) -> list[str]:
        """The ids of all creators."""
        return [str(10_000_000 + number) for number in range(self.creators)]

    def simulated_spaces(self) -> list[SimulatedSpace]:
        """Return the Spaces of the week."""
        return generate(self.seed, days=self.days, creators=self.creators, spaces_a_day=self.spaces_a_day)

    def faults(self, simulated_spaces: Sequence[SimulatedSpace]) -> Faults:
        """Return the faults of X: on bad days, the Space that exists longest makes requests fail."""
        if not self.bad:
            return NO_FAULTS
        longest = max(
            simulated_spaces, key=lambda space: min(space.over_at, self.end) - max(space.created_at, BEGIN)
        )
        creator = next(each for each in self.creator_ids if each != longest.creator_id)
        return Faults(frozenset({longest.space_id, creator}), lag=REPLICA_LAG, every=REPLICA_TURN)

    def mean_alive(self) -> float:
        """Return how many Spaces X has at a time, on average."""
        simulated = sum(
            min(space.over_at, self.end) - max(space.created_at, BEGIN) for space in self.simulated_spaces()
        )
        return simulated / (self.days * DAY)


@dataclass(frozen=True, slots=True)
class Wait:
    """How long one class of polls waited, in seconds; ``overdue`` is the longest delay."""

    polls: int
    planned: float
    actual: float
    p95: float
    longest: float
    overdue: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a week for one poller.

    Attributes:
        busiest: The most requests in a quarter of an hour, of all calls together.
        counts: Further counts of ours.
    """

    lags: list[Lag]
    requests: dict[Call, int]
    busiest: int
    refused: int
    untrue: int
    space_reads: int
    user_reads: int
    waits: dict[PollReason, Wait] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def spaces_usd(self) -> float:
        """The cost of the Spaces alone."""
        return price(self.space_reads, 0)

    @property
    def usd(self) -> float:
        """The cost of the Spaces and their people."""
        return price(self.space_reads, self.user_reads)


def run_ours(week: Week) -> Outcome:
    """Simulate a week with our cadence."""
    simulated_spaces = week.simulated_spaces()
    faults = week.faults(simulated_spaces)
    x, sightings = (
        SimulatedX(simulated_spaces, shared=week.shared, faults=faults),
        Sightings(simulated_spaces),
    )
    ours = CadencePoller(x, sightings, week.creator_ids, now=BEGIN, cadence=Cadence(), failing=faults.failing)
    ours.run(until=week.end)
    counts = {
        "requests held back after they were chosen": ours.held_back,
        "lookups brought forward because a Space was absent": ours.forwarded,
        "answers in a mass vanish": ours.vanishings,
        "polls of a Space": ours.decided + ours.settled,
    }
    if week.bad:
        counts |= {
            "requests that failed": x.failed,
            "announced again": sightings.repeated,
            "seconds overdue, the longest waiting healthy subject at the end": round(
                ours.longest_open_wait()
            ),
        }
    waits = {reason: _summary(ours.waits[reason]) for reason in PollReason if reason in ours.waits}
    return _outcome(week, x, sightings, waits, counts)


def run_fixed(week: Week, pace: Pace) -> Outcome:
    """Simulate a week with fixed intervals."""
    simulated_spaces = week.simulated_spaces()
    x, sightings = SimulatedX(simulated_spaces, shared=week.shared), Sightings(simulated_spaces)
    FixedPoller(x, sightings, week.creator_ids, now=BEGIN, pace=pace).run(until=week.end)
    return _outcome(week, x, sightings, {}, {})


def equal_paces(week: Week, ours: Outcome) -> dict[str, Pace]:
    """Return the fixed intervals with as many requests as ours, or as X's limit allows.

    - one interval: every creator and every known Space once in the same time.
    - two intervals: for each call as many requests as ours, evenly spaced.
    - creators only: all requests by creator, and no lookup.
    """
    seconds = week.days * DAY
    lookups, by_creator = ours.requests[Call.LOOKUP], ours.requests[Call.CREATORS]
    rounds = math.ceil(week.creators / BATCH)
    in_all = rounds + math.ceil(week.mean_alive() / BATCH)
    once = max(seconds * in_all / (lookups + by_creator), rounds * MIN_APART)
    return {
        "one interval": Pace(once / rounds, cycle=once),
        "two intervals": Pace(seconds / by_creator, lookups=seconds / lookups),
        "creators only": Pace(max(seconds / (lookups + by_creator), MIN_APART)),
    }


def _outcome(
    week: Week, x: SimulatedX, sightings: Sightings, waits: dict[PollReason, Wait], counts: dict[str, int]
) -> Outcome:
    requests: Counter[Call] = Counter()
    quarters: Counter[int] = Counter()
    for (call, quarter), count in x.requests.items():
        requests[call] += count
        quarters[quarter] += count
    return Outcome(
        lags=sightings.lags(
            since=BEGIN + week.settle, until=week.end - week.settle, failing=x.faults.failing
        ),
        requests=dict(requests),
        busiest=max(quarters.values()),
        refused=x.refused,
        untrue=sightings.untrue,
        space_reads=x.space_reads,
        user_reads=x.user_reads,
        waits=waits,
        counts=counts,
    )


def _summary(waits: Waits) -> Wait:
    actual = sorted(waits.actual)
    return Wait(
        polls=len(actual),
        planned=median(waits.planned),
        actual=median(actual),
        p95=actual[int(len(actual) * 0.95)],
        longest=actual[-1],
        overdue=max(is_at - planned for is_at, planned in zip(waits.actual, waits.planned, strict=True)),
    )
