"""What was noticed in a simulated week, how late, and how long polls waited."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from benchmarks.simulated_spaces import Change, Ending, Kind, SimulatedSpace


class Sightings:
    """When each change was first noticed.

    Attributes:
        untrue: How many changes were announced that had not happened.
        repeated: How many changes were announced more than once.
    """

    def __init__(self, simulated_spaces: Iterable[SimulatedSpace]) -> None:
        self._spaces = {space.space_id: space for space in simulated_spaces}
        self._seen: dict[tuple[str, Change, float], float] = {}
        self.untrue = self.repeated = 0

    def note(self, space_id: str, change: Change, now: float) -> None:
        """Record that a change of a Space was announced."""
        at = self._spaces[space_id].latest(change, now)
        if at is None:
            self.untrue += 1
        else:
            self.repeated += (space_id, change, at) in self._seen
            self._seen.setdefault((space_id, change, at), now)

    def lags(self, *, since: float, until: float, failing: frozenset[str] = frozenset()) -> list[Lag]:
        """Return how late each change in a period was noticed.

        Changes of failing Spaces are left out; ``failing`` contains ids of Spaces and of creators.
        """
        return [
            Lag(change, space.kind, space.ending, None if seen_at is None else seen_at - at)
            for space in self._spaces.values()
            if failing.isdisjoint((space.space_id, space.creator_id))
            for change, at in space.changes()
            if since <= at < until
            for seen_at in [self._seen.get((space.space_id, change, at))]
        ]


@dataclass(frozen=True, slots=True)
class Lag:
    """A change, and how many seconds later it was noticed; None if it never was."""

    change: Change
    kind: Kind
    ending: Ending
    seconds: float | None


class PollReason(StrEnum):
    """Why something is polled again."""

    NEAR = "near its start"
    LIVE = "live"
    DOUBT = "in doubt"
    MOMENT = "about to be near"
    SCHEDULED = "scheduled for later"
    OVER = "over, once more"
    GONE = "over, a day later"
    DISCOVERY = "discovery, by creator"


@dataclass(slots=True)
class Waits:
    """The intervals between polls, in seconds, in order of the polls."""

    planned: array[float] = field(default_factory=lambda: array("d"))
    actual: array[float] = field(default_factory=lambda: array("d"))


WaitsByReason: TypeAlias = defaultdict[PollReason, Waits]


def no_waits() -> WaitsByReason:
    """Return an empty record of waits."""
    return defaultdict(Waits)
