"""What follows from a planned start: the reminder before it, and the news that it was missed.

Each is told once per planned start. What was told, or came too late to be told, is noted in
:attr:`KnownSpace.told` under the name of the occasion.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from notifier.core.events.occasion import OVERDUE, REMINDER, occasion
from notifier.core.model.instants import YEAR_SECONDS, sensible
from notifier.core.model.space import Phase
from notifier.core.spaces.known import KnownSpace

MOST_TOLD: Final = 32
"""How many occasions a record remembers, or one that is put off for ever would grow for ever."""


def planned_start(known: KnownSpace) -> float | None:
    """Return the epoch second at which a Space is to start; None where it is not, or not any more.

    A start more than a year away from the last poll makes no sense: nothing follows from it.
    """
    if known.phase is not Phase.SCHEDULED:
        return None
    start = sensible(known.space.scheduled_start, now=known.began_at)
    return start if start is not None and start >= known.began_at - YEAR_SECONDS else None


def reminder_at(known: KnownSpace, *, lead: float) -> float | None:
    """Return when to remind of the start, ``lead`` seconds ahead; None where that is done with."""
    start = planned_start(known)
    return None if start is None or _is_told(known, REMINDER, start) else start - lead


def overdue_at(known: KnownSpace, *, overdue: float) -> float | None:
    """Return when a start counts as missed, ``overdue`` seconds after its time; None if announced."""
    start = planned_start(known)
    return None if start is None or _is_told(known, OVERDUE, start) else start + overdue


def told(known: KnownSpace, what: str) -> KnownSpace:
    """Note that the reminder or the overdue start has been told for the present planned start."""
    start = planned_start(known)
    if start is None or _is_told(known, what, start):
        return known
    return replace(known, told=(*known.told, occasion(what, start))[-MOST_TOLD:])


def skip_passed_reminder(known: KnownSpace, *, now: float, lead: float) -> KnownSpace:
    """Drop the reminder of a start that was learned of too late for it: the news itself is the reminder."""
    at = reminder_at(known, lead=lead)
    return told(known, REMINDER) if at is not None and at <= now else known


def _is_told(known: KnownSpace, what: str, start: float) -> bool:
    return occasion(what, start) in known.told
