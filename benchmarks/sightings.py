"""What was noticed in a simulated week, how long after the fact, and how long everything waited."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from benchmarks.lives import Ending, Kind, Life, Turn


class Sightings:
    """Who noticed what, when first.

    Attributes:
        untrue: How many things were told that had not happened.
        repeated: How many things were announced that had been announced before.
    """

    def __init__(self, lives: Iterable[Life]) -> None:
        self._lives = {life.space_id: life for life in lives}
        self._seen: dict[tuple[str, Turn, float], float] = {}
        self.untrue = self.repeated = 0

    def note(self, space_id: str, turn: Turn, now: float) -> None:
        """Note that something was told of a Space."""
        at = self._lives[space_id].latest(turn, now)
        if at is None:
            self.untrue += 1
        else:
            self.repeated += (space_id, turn, at) in self._seen
            self._seen.setdefault((space_id, turn, at), now)

    def lags(self, *, since: float, until: float, poison: frozenset[str] = frozenset()) -> list[Lag]:
        """Hold everything that happened within a time against what was noticed.

        What happened to the Spaces of ``poison``, which has ids of Spaces and of creators, is left out.
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
    """Something that happened, and how many seconds later it was noticed; None where it never was."""

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
