"""A poller that asks about everything at fixed intervals, and believes every answer at once.

That is an advantage for not-founds: it takes the first one for an end, and our cadence does not.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.cadence_poller import LATENCY_SECONDS
from benchmarks.sightings import Sightings
from benchmarks.simulated_spaces import Change
from benchmarks.simulated_x import Answer, SimulatedX
from notifier.core.model.ids import SpaceId
from notifier.core.model.observation import Call, Snapshot
from notifier.source import BATCH

BEGINNINGS: Final[Mapping[str | None, Change]] = {"scheduled": Change.ANNOUNCED, "live": Change.STARTED}


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a poller asks.

    Attributes:
        creators: Seconds from one question for the Spaces of a hundred creators to the next.
        lookups: The same for a hundred Spaces that it knows of; infinite if it never looks one up.
        cycle: Seconds in which it looks up everything that it knows of, however many requests that takes;
            replaces ``lookups`` if given.
    """

    creators: float
    lookups: float = math.inf
    cycle: float | None = None

    def lookups_apart(self, known: int) -> float:
        """Return the seconds to the next lookup."""
        return self.lookups if self.cycle is None else self.cycle / max(math.ceil(known / BATCH), 1)


class FixedPoller:
    """Asks for all creators in turn, and for all Spaces that it knows of in turn."""

    def __init__(
        self, x: SimulatedX, sightings: Sightings, creators: Sequence[str], *, now: float, pace: Pace
    ) -> None:
        self._x = x
        self._sightings = sightings
        self._pace = pace
        self._alive: dict[str, Snapshot] = {}
        self._by_creator: dict[str, set[str]] = defaultdict(set)
        self._over: set[str] = set()
        self._creators = _rounds(creators)
        self._spaces = _rounds(self._alive)
        self._creators_at = now
        self._lookup_at = now + pace.lookups_apart(0)

    def run(self, *, until: float) -> None:
        """Run until an epoch second."""
        while (now := min(self._creators_at, self._lookup_at)) < until:
            if now == self._creators_at:
                self._creators_at += self._pace.creators
                creators = next(self._creators)
                answer = self._ask(Call.CREATORS, creators, now)
                listed = {each for creator in creators for each in self._by_creator.get(creator, ())}
                self._take(answer, listed, now + LATENCY_SECONDS[Call.CREATORS])
            else:
                self._lookup_at += self._pace.lookups_apart(len(self._alive))
                space_ids = next(self._spaces)
                if space_ids:
                    answer = self._ask(Call.LOOKUP, space_ids, now)
                    self._take(answer, space_ids, now + LATENCY_SECONDS[Call.LOOKUP])

    def _ask(self, call: Call, subjects: Sequence[str], now: float) -> Answer:
        return self._x.ask(call, subjects, now + LATENCY_SECONDS[call] / 2)

    def _take(self, answer: Answer, expected: Collection[str], now: float) -> None:
        """Apply an answer; expected Spaces that are missing from it are over."""
        if answer.refused:
            return
        for space_id, snapshot in answer.snapshots.items():
            before = self._alive.get(space_id)
            if snapshot is not before and space_id not in self._over:
                self._see(space_id, before, snapshot, now)
        for missing in set(expected).difference(answer.snapshots):
            last = self._alive.get(missing)
            if last is not None:
                is_live = last.space.state == "live"
                self._end(missing, last, Change.ENDED if is_live else Change.CANCELED, now)

    def _see(self, space_id: SpaceId, before: Snapshot | None, snapshot: Snapshot, now: float) -> None:
        space, was = snapshot.space, before.space if before else None
        if space.state not in BEGINNINGS:
            if was is not None and was.state == "scheduled" and space.started_at is not None:
                self._sightings.note(space_id, Change.STARTED, now)
            self._end(space_id, snapshot, Change.ENDED if space.started_at else Change.CANCELED, now)
            return
        if was is None or was.state != space.state:
            self._sightings.note(space_id, BEGINNINGS[space.state], now)
        elif space.state == "scheduled" and was.scheduled_start != space.scheduled_start:
            self._sightings.note(space_id, Change.RESCHEDULED, now)
        self._alive[space_id] = snapshot
        self._by_creator[space.creator_id or ""].add(space_id)

    def _end(self, space_id: str, snapshot: Snapshot, change: Change, now: float) -> None:
        self._sightings.note(space_id, change, now)
        self._over.add(space_id)
        self._alive.pop(space_id, None)
        self._by_creator[snapshot.space.creator_id or ""].discard(space_id)


def _rounds(subjects: Collection[str]) -> Iterator[list[str]]:
    """Yield a collection a hundred at a time, over and over, as it is when each round begins."""
    while True:
        these = list(subjects)
        for start in range(0, max(len(these), 1), BATCH):
            yield these[start : start + BATCH]
