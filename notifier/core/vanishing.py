"""Whether so many Spaces vanished at once that X, and not the Spaces, is to blame (E2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

FLOOR: Final = 5
SHARE: Final = 0.3

CYCLE_SECONDS: Final = 60.0
"""What counts as one cycle: within it, by default, everything that is live has been looked at twice."""

HOLD_SECONDS: Final = 600.0
"""How long a vanishing counts as part of a mass vanish: an outage shorter than this ends no Space."""

BLACKOUT_HOLD_SECONDS: Final = 3600.0
"""The same where nothing at all is found any more, which no number of ends explains."""


def is_mass_vanish(missing_since: Sequence[float], looked: int, *, now: float) -> bool:
    """Tell whether more vanished in a cycle than ends can explain: over max(5, 30 % of those looked at).

    Args:
        missing_since: For each Space that was alive and is now not found, since when: epoch seconds.
        looked: How many Spaces that were alive were looked at in the last cycle, whatever came of it.
        now: Epoch seconds.
    """
    vanished = _within(missing_since, now - BLACKOUT_HOLD_SECONDS)
    if vanished < looked:
        vanished = _within(missing_since, now - HOLD_SECONDS)
    return vanished > max(FLOOR, SHARE * looked)


def _within(moments: Sequence[float], since: float) -> int:
    return sum(moment > since for moment in moments)
