"""When to look again (spec: cadence). All figures are settings; these are their meanings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from notifier.core.instants import instant
from notifier.core.known import KnownSpace
from notifier.core.merging import Patience
from notifier.core.space import Phase

NEAR_AFTER_SECONDS: Final = 1800.0
"""How long after its scheduled start a Space that has not begun is still looked at closely."""

AFTERLOOKS_SECONDS: Final = (60.0, 86_400.0)
"""A Space that is over is looked at again this long after, then forgotten."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """Seconds between two looks, by what is looked at."""

    discovery: float = 60.0
    near: float = 10.0
    live: float = 30.0
    scheduled: float = 600.0
    near_window: float = 600.0


def next_look(known: KnownSpace, *, now: float, cadence: Cadence, patience: Patience) -> float | None:
    """Give the epoch second at which to look at a Space again; None when it can be forgotten.

    A doubt is never left waiting for longer than it takes to confirm it; what is over is forgotten with its
    doubts, or a claim that is never heard again would be waited for without end.
    """
    afterlook = next((at for after in AFTERLOOKS_SECONDS if (at := known.phase_since + after) > now), None)
    if known.phase.is_over and (afterlook is None or not known.doubts):
        return afterlook
    wait = cadence.scheduled
    if known.phase is Phase.LIVE:
        wait = cadence.live
    elif known.phase is Phase.SCHEDULED:
        wait = _until_start(known, now, cadence)
    confirmations = [doubt.last_at + patience.apart - now for doubt in known.doubts.values()]
    return now + min([wait, *(max(left, cadence.near) for left in confirmations)])


def _until_start(known: KnownSpace, now: float, cadence: Cadence) -> float:
    start = instant(known.space.scheduled_start)
    if start is None or now > start + NEAR_AFTER_SECONDS:
        return cadence.scheduled
    near_from = start - cadence.near_window
    if now >= near_from:
        return cadence.near
    return max(min(cadence.scheduled, near_from - now), cadence.near)
