"""Whether so many Spaces vanished at once that the fault must be X's (E2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

FLOOR: Final = 5
SHARE: Final = 0.3

CYCLE_SECONDS: Final = 60.0
"""The length of a cycle: by default, every live Space is polled twice in it."""

HOLD_SECONDS: Final = 600.0
"""How long a missing Space counts towards a mass vanish: a shorter outage ends no Space."""

BLACKOUT_HOLD_SECONDS: Final = 3600.0
"""The same when nothing at all is found, which no number of ends explains."""


@dataclass(frozen=True, slots=True)
class Vanished:
    """A Space that is not over and not found: since which epoch second, and its creator, if known."""

    since: float
    creator: str | None


def is_mass_vanish(missing_since: Sequence[float], polled: int, *, now: float) -> bool:
    """Return whether more vanished in a cycle than ends can explain: over max(5, 30 % of those polled).

    Args:
        missing_since: For each Space that was not over and is not found, since when: epoch seconds.
        polled: How many Spaces that were not over were polled in the last cycle, with any result.
        now: Epoch seconds.
    """
    vanished = _within(missing_since, now - BLACKOUT_HOLD_SECONDS)
    if vanished < polled:
        vanished = _within(missing_since, now - HOLD_SECONDS)
    return vanished > max(FLOOR, SHARE * polled)


def may_be_blackout(missing: int, found: int) -> bool:
    """Return whether to look up the creators of the missing Spaces: several are missing and none is found."""
    return found == 0 and missing > 1


def is_blackout(vanished: Sequence[Vanished], *, now: float) -> bool:
    """Return whether the few followed Spaces vanished together although they have different creators.

    One creator may end two Spaces at once. Two creators are unlikely to do so in one cycle if those are all
    the Spaces there are. Spaces without a known creator are ignored.

    Args:
        vanished: Every Space that is not over and not found, when none is found.
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
