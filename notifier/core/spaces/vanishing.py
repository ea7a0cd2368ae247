"""Whether so many Spaces vanished at once that X, and not the Spaces, is to blame (E2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

FLOOR: Final = 5
SHARE: Final = 0.3

CYCLE_SECONDS: Final = 60.0
"""What counts as one cycle: within it, by default, everything that is live has been polled twice."""

HOLD_SECONDS: Final = 600.0
"""How long a vanishing counts as part of a mass vanish: an outage shorter than this ends no Space."""

BLACKOUT_HOLD_SECONDS: Final = 3600.0
"""The same where nothing at all is found any more, which no number of ends explains."""


@dataclass(frozen=True, slots=True)
class Vanished:
    """A living Space that is not found: since which epoch second, and whose it is, where that is known."""

    since: float
    creator: str | None


def is_mass_vanish(missing_since: Sequence[float], polled: int, *, now: float) -> bool:
    """Return whether more vanished in a cycle than ends can explain: over max(5, 30 % of those polled).

    Args:
        missing_since: For each Space that was alive and is now not found, since when: epoch seconds.
        polled: How many Spaces that were alive were polled in the last cycle, whatever came of it.
        now: Epoch seconds.
    """
    vanished = _within(missing_since, now - BLACKOUT_HOLD_SECONDS)
    if vanished < polled:
        vanished = _within(missing_since, now - HOLD_SECONDS)
    return vanished > max(FLOOR, SHARE * polled)


def may_be_blackout(missing: int, found: int) -> bool:
    """Return whether it is worth asking whose the missing Spaces are: of a few, none is found any more."""
    return found == 0 and missing > 1


def is_blackout(vanished: Sequence[Vanished], *, now: float) -> bool:
    """Return whether the few Spaces that are followed vanished together, though no two by the same hand.

    One creator may end two Spaces at once. Two creators hardly do so in one cycle, when those are all there
    are. Where X does not say whose a Space is, nothing follows from it.

    Args:
        vanished: Every Space that is alive and not found, where none is found.
        now: Epoch seconds.
    """
    lately = sorted(
        (each for each in vanished if each.creator and each.since > now - BLACKOUT_HOLD_SECONDS),
        key=lambda each: each.since,
    )
    return any(
        later.since - earlier.since <= CYCLE_SECONDS and later.creator != earlier.creator
        for earlier, later in pairwise(lately)
    )


def _within(moments: Sequence[float], since: float) -> int:
    return sum(moment > since for moment in moments)
