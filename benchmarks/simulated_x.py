"""X in a simulated week: its answers, its rate limits and its bill.

No clock and no network: the caller passes the time, which never runs backwards, except in a lagging replica.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.simulated_spaces import DAY, SimulatedSpace
from benchmarks.x_space import XSpace
from notifier.core.model.ids import SpaceId
from notifier.core.model.observation import Call, Snapshot
from notifier.core.polling.buckets import WINDOW_SECONDS
from notifier.core.polling.spending import price

LIMIT: Final = 300
"""Requests in a window."""

CREATORS_APART: Final = 1.0
"""Seconds between two requests by creator."""

BOTH: Final = frozenset({Call.LOOKUP, Call.CREATORS})


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of X; a refused or failed request has only the figures of its bucket.

    Attributes:
        reset: Epoch seconds.
        unavailable: Whether it is a 503.
    """

    refused: bool
    remaining: int
    reset: float
    snapshots: Mapping[SpaceId, Snapshot]
    not_found: frozenset[str]
    unavailable: bool = False


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with X.

    Attributes:
        failing: Creators and Spaces; every request that names one of them fails with 503.
        lag: By how many seconds a replica is behind.
        every: Every n-th answer comes from that replica.
    """

    failing: frozenset[str] = frozenset()
    lag: float = 0.0
    every: int = 1


NO_FAULTS: Final = Faults()


class Windows:
    """X's limits: a window begins with its first request."""

    def __init__(self, *, shared: bool) -> None:
        self._shared = shared
        self._used: dict[object, tuple[int, float]] = {}
        self._creators_at = -math.inf

    def take(self, call: Call, now: float) -> tuple[bool, int, float]:
        """Count a request; return whether it is refused, what remains, and the reset."""
        bucket = BOTH if self._shared else call
        used, reset = self._used.get(bucket, (0, 0.0))
        if now >= reset:
            used, reset = 0, math.ceil(now + WINDOW_SECONDS)
        is_too_soon = call is Call.CREATORS and now < self._creators_at + CREATORS_APART
        if used >= LIMIT or is_too_soon:
            return True, LIMIT - used, reset
        if call is Call.CREATORS:
            self._creators_at = now
        self._used[bucket] = used + 1, reset
        return False, LIMIT - used - 1, reset


class SimulatedX:
    """X.

    Attributes:
        requests: How many were granted, by call and quarter of an hour.
        refused: How many were not.
        failed: How many of those that were granted failed.
        space_reads: The billed Spaces, each once per UTC day.
        user_reads: The same for the people who come with them.
        faults: What is wrong.
    """

    def __init__(
        self, simulated_spaces: Sequence[SimulatedSpace], *, shared: bool, faults: Faults = NO_FAULTS
    ) -> None:
        self.requests: Counter[tuple[Call, int]] = Counter()
        self.refused = self.failed = 0
        self.space_reads = 0
        self.user_reads = 0
        self.faults = faults
        self._answered = 0
        self._windows = Windows(shared=shared)
        self._spaces = {space.space_id: XSpace(space) for space in simulated_spaces}
        self._to_come = [self._spaces[space.space_id] for space in reversed(simulated_spaces)]
        self._by_creator: dict[str, list[XSpace]] = defaultdict(list)
        self._billed_users: set[tuple[int, str]] = set()

    @property
    def usd(self) -> float:
        """The bill, people included."""
        return price(self.space_reads, self.user_reads)

    def ask(self, call: Call, subjects: Sequence[str], now: float) -> Answer:
        """Return the answer to a lookup of Spaces, or to a question about creators."""
        refused, remaining, reset = self._windows.take(call, now)
        if refused:
            self.refused += 1
            return Answer(refused, remaining, reset, {}, frozenset())
        self.requests[call, int(now // WINDOW_SECONDS)] += 1
        if not self.faults.failing.isdisjoint(subjects):
            self.failed += 1
            return Answer(refused, remaining, reset, {}, frozenset(), unavailable=True)
        as_of = self._replica_time(now)
        found = self._look_up(subjects, as_of) if call is Call.LOOKUP else self._list(subjects, as_of)
        self._bill(found, now)
        not_found = frozenset(subjects).difference(found) if call is Call.LOOKUP else frozenset()
        return Answer(refused, remaining, reset, found, not_found)

    def _replica_time(self, now: float) -> float:
        """Return the time of the state that the next replica answers with."""
        self._answered += 1
        return now - self.faults.lag if self._answered % self.faults.every == 0 else now

    def _look_up(self, space_ids: Sequence[str], now: float) -> dict[SpaceId, Snapshot]:
        seen = ((space_id, self._spaces[space_id].snapshot(now)) for space_id in space_ids)
        return {SpaceId(space_id): snapshot for space_id, snapshot in seen if snapshot is not None}

    def _list(self, creators: Sequence[str], now: float) -> dict[SpaceId, Snapshot]:
        while self._to_come and self._to_come[-1].simulated.created_at <= now:
            listed = self._to_come.pop()
            self._by_creator[listed.simulated.creator_id].append(listed)
        found = {}
        for creator in creators:
            spaces = self._by_creator.get(creator)
            if not spaces:
                continue
            # A lagging replica still lists one that is over now.
            forgotten_at = now - self.faults.lag
            self._by_creator[creator] = spaces = [
                each for each in spaces if each.simulated.over_at > forgotten_at
            ]
            for each in spaces:
                snapshot = each.snapshot(now) if each.is_listed(now) else None
                if snapshot is not None:
                    found[snapshot.space.id] = snapshot
        return found

    def _bill(self, found: Mapping[SpaceId, Snapshot], now: float) -> None:
        today = int(now // DAY)
        for space_id in found:
            listed = self._spaces[space_id]
            if listed.billed_on != today:
                listed.billed_on = today
                self.space_reads += 1
                users = {(today, each) for each in listed.simulated.people} - self._billed_users
                self.user_reads += len(users)
                self._billed_users |= users
