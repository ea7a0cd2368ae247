"""What was noticed in a simulated week, how late, and how long polls waited."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from benchmarks.lives import Ending, Kind, Life, Turn


class Sightings:
    """When each change was first noticed.

    Attributes:
        untrue: How many changes were announced that had not happened.
        repeated: How many changes were announced more than once.
    """

    def __init__(self, lives: Iterable[Life]) -> None:
        self._lives = {life.space_id: life for life in lives}
        self._seen: dict[tuple[str, Turn, float], float] = {}
        self.untrue = self.repeated = 0

    def note(self, space_id: str, turn: Turn, now: float) -> None:
        """Record that a change of a Space was announced."""
        at = self._lives[space_id].latest(turn, now)
        if at is None:
            self.untrue += 1
        else:
            self.repeated += (space_id, turn, at) in self._seen
            self._seen.setdefault((space_id, turn, at), now)

    def lags(self, *, since: float, until: float, poison: frozenset[str] = frozenset()) -> list[Lag]:
        """Return how late each change in a period was noticed.

        Changes of the Spaces in ``poison``, which has ids of Spaces and of creators, are left out.
        """
        return [
            Lag(turn, life.kind, life.ending, None if seen_at is None else seen_at - at)
            for life in self._lives.values()
            if poison.isdisjoint((life.space_id, life.creator_id))
            for turn, at in life.turns()
            if since <= at < until
            for seen_at in [self._seen.get((life.space_id, turn, at))]
        ]


@dataclass(frozen=True, slots=True)
class Lag:
    """A change, and how many seconds later it was noticed; None if it never was."""

    turn: Turn
    kind: Kind
    ending: Ending
    seconds: float | None


class Wish(StrEnum):
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

    wished: array[float] = field(default_factory=lambda: array("d"))
    actual: array[float] = field(default_factory=lambda: array("d"))


WaitsByWish: TypeAlias = defaultdict[Wish, Waits]


def no_waits() -> WaitsByWish:
    """Return an empty record of waits."""
    return defaultdict(Waits)
