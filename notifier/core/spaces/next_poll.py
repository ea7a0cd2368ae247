"""When to poll a Space next, in terms of the settings.

docs/architecture.md, "Polling again", has the reasons.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from notifier.core.model.poll import Cadence, NextPoll, Urgency
from notifier.core.model.space import Phase
from notifier.core.spaces import plan
from notifier.core.spaces.known import KnownSpace
from notifier.core.spaces.merging import Patience

NEAR_AFTER_SECONDS: Final = 1800.0
"""How long after its scheduled start a Space that has not started is still polled frequently."""

LAST_POLLS_SECONDS: Final = (60.0, 86_400.0)
"""A Space that is over is polled again after each of these delays, then forgotten."""

FOLLOW_UP_SECONDS: Final = 600.0
"""How long a doubt that nothing settles makes polls more frequent than the phase alone requires."""

FORGOTTEN_SECONDS: Final = LAST_POLLS_SECONDS[-1] + 3600.0
"""How long after its end a Space is forgotten, even if a doubt is open."""


def unseen_poll(created_at: float, *, now: float, cadence: Cadence) -> NextPoll:
    """Return when to ask again about a Space that is watched by its id and that X does not know yet.

    The interval grows with the age of the watch, up to the interval for Spaces planned for later.
    """
    wait = min(max(now - created_at, cadence.near), cadence.scheduled)
    return NextPoll(now + wait, Urgency.URGENT if wait < cadence.scheduled else Urgency.PATIENT)


def next_poll(known: KnownSpace, *, now: float, cadence: Cadence, patience: Patience) -> NextPoll | None:
    """Return when to poll a Space again; None when it can be forgotten.

    A doubt is polled as soon as a sighting can confirm it.
    """
    routine = _routine(known, now, cadence)
    special = [at for at in _moments(known, now, cadence, patience) if routine is None or at < routine.at]
    return NextPoll(min(special), Urgency.URGENT) if special else routine


def _routine(known: KnownSpace, now: float, cadence: Cadence) -> NextPoll | None:
    """Return the next poll that the Space's phase alone requires."""
    if known.phase is Phase.LIVE:
        return NextPoll(now + cadence.live, Urgency.URGENT)
    if known.phase is Phase.SCHEDULED:
        start = plan.planned_start(known)
        is_near = start is not None and start - cadence.near_window <= now <= start + NEAR_AFTER_SECONDS
        if is_near:
            return NextPoll(now + cadence.near, Urgency.URGENT)
        return NextPoll(now + cadence.scheduled, Urgency.PATIENT)
    for after in LAST_POLLS_SECONDS:
        at = known.phase_since + after
        # A poll that filled another request shortly before counts as this one.
        if at - min(cadence.scheduled, after / 10) > now:
            return NextPoll(at, Urgency.PATIENT)
    return None


def _moments(known: KnownSpace, now: float, cadence: Cadence, patience: Patience) -> list[float]:
    """Return the moments at which there is something to see besides the routine."""
    if known.phase.is_over and now > known.phase_since + FORGOTTEN_SECONDS:
        return []
    moments = list(_confirmations(known, now, cadence, patience))
    start = plan.planned_start(known)
    reminder_at = plan.reminder_at(known, lead=patience.reminder)
    overdue_at = plan.overdue_at(known, overdue=patience.overdue)
    if start is not None:
        moments.append(start - cadence.near_window)
    if reminder_at is not None:
        # Shortly before a reminder, make sure that the Space is still to come.
        moments.append(reminder_at - cadence.near)
    if overdue_at is not None:
        moments.append(overdue_at)
    return [at for at in moments if at > now]


def _confirmations(known: KnownSpace, now: float, cadence: Cadence, patience: Patience) -> Iterator[float]:
    """Yield when to poll for a confirmation of each doubt.

    If the poll at that moment settles nothing, more follow closely for a while, except for a Space that is
    over: what contradicts its end is mostly shown by lists.
    """
    for doubt in known.doubts.values():
        at = doubt.last_at + patience.apart
        if at > now or (not known.phase.is_over and now - at < FOLLOW_UP_SECONDS):
            yield max(at, now + cadence.near)
