"""What follows from a planned start: the reminder before it, and the event if it was missed.

Each is announced once per planned start. What was announced, or came too late for that, is recorded in
:attr:`KnownSpace.announced` under the name of the occasion.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from notifier.core.events.occasion import OVERDUE, REMINDER, occasion
from notifier.core.model.instants import YEAR_SECONDS, sensible
from notifier.core.model.space import Phase
from notifier.core.spaces.known import KnownSpace

MAX_ANNOUNCED: Final = 32
"""How many occasions a record keeps, so that one that is postponed forever does not grow forever."""


def planned_start(known: KnownSpace) -> float | None:
    """Return the epoch second at which a Space is to start; None if it is not scheduled.

    A start more than a year away from the last poll is ignored as invalid.
    """
    if known.phase is not Phase.SCHEDULED:
        return None
    start = sensible(known.space.scheduled_start, now=known.began_at)
    return start if start is not None and start >= known.began_at - YEAR_SECONDS else None


def reminder_at(known: KnownSpace, *, lead: float) -> float | None:
    """Return when to remind of the start, ``lead`` seconds ahead; None if that is done or not due."""
    start = planned_start(known)
    return None if start is None or _is_announced(known, REMINDER, start) else start - lead


def overdue_at(known: KnownSpace, *, overdue: float) -> float | None:
    """Return when a start counts as missed, ``overdue`` seconds after its time; None if announced."""
    start = planned_start(known)
    return None if start is None or _is_announced(known, OVERDUE, start) else start + overdue


def note_announced(known: KnownSpace, what: str) -> KnownSpace:
    """Return the state after the reminder or the overdue start of the planned start was announced."""
    start = planned_start(known)
    if start is None or _is_announced(known, what, start):
        return known
    return replace(known, announced=(*known.announced, occasion(what, start))[-MAX_ANNOUNCED:])


def skip_passed_reminder(known: KnownSpace, *, now: float, lead: float) -> KnownSpace:
    """Return the state without the reminder of a start that became known too late for it."""
    at = reminder_at(known, lead=lead)
    return note_announced(known, REMINDER) if at is not None and at <= now else known


def _is_announced(known: KnownSpace, what: str, start: float) -> bool:
    return occasion(what, start) in known.announced
