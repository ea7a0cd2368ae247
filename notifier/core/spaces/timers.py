"""What happens at a set time without a poll: reminders of starts, and erasing what X no longer has.

The store keeps a timer for each, and every commit of a Space sets its timers again from the new known state:
a reminder moves with its start, and a Space that starts or comes back drops its timers.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Final

from notifier.core.events.event import Event, EventType, Sighting, routing_of, space_event
from notifier.core.events.occasion import REMINDER, occasion
from notifier.core.model.ids import WatchId
from notifier.core.model.space import Space
from notifier.core.spaces import plan
from notifier.core.spaces.decide import Decision
from notifier.core.spaces.known import KnownSpace
from notifier.core.spaces.merging import Patience
from notifier.core.spaces.next_poll import FORGOTTEN_SECONDS

ERASE_AFTER_SECONDS: Final = 43_200.0
"""How long the content of a Space that is gone is kept: long enough for late deliveries, and half of the day
that X allows, so that receivers have the other half."""

ON_TIME_SECONDS: Final = 30.0
"""A reminder that is no later than this states the configured number of minutes."""


class TimerKind(StrEnum):
    """What a timer is for."""

    REMINDER = "reminder"
    ERASURE = "erasure"


def timers_of(known: KnownSpace, *, patience: Patience) -> dict[TimerKind, float]:
    """Return the timers of a followed Space, and when each fires, in epoch seconds.

    While the state of the Space is unclear there is no reminder; one that is late afterwards fires at once.
    """
    moments = {
        TimerKind.REMINDER: None if known.is_unclear else plan.reminder_at(known, lead=patience.reminder),
        TimerKind.ERASURE: _erasure_at(known),
    }
    return {kind: at for kind, at in moments.items() if at is not None}


def fire(
    known: KnownSpace,
    kind: TimerKind,
    *,
    now: float,
    patience: Patience,
    watch_ids: tuple[WatchId, ...],
    mentioned: bool = False,
) -> Decision:
    """Return what a timer that fires means for a Space; one that is obsolete means nothing.

    Args:
        known: The Space.
        kind: What the timer is for.
        now: Epoch seconds.
        patience: How long before a start to remind of it.
        watch_ids: The watches that follow the Space.
        mentioned: Whether an event that is not the Space's own, a baseline, reported it.
    """
    if kind is TimerKind.ERASURE:
        erases = is_to_erase(known, now=now, watch_ids=watch_ids)
        return _erase(known, now, watch_ids, mentioned=mentioned) if erases else Decision(known)
    at = plan.reminder_at(known, lead=patience.reminder)
    if at is None or at > now or known.is_unclear or not watch_ids:
        return Decision(known)
    return _remind(known, now, at, patience, watch_ids)


def is_to_erase(known: KnownSpace, *, now: float, watch_ids: tuple[WatchId, ...]) -> bool:
    """Return whether the content of a Space has to be erased and has not been yet.

    So is that of a Space that no watch follows, because nobody would learn that X no longer has it.
    """
    at = _erasure_at(known)
    return not known.erased and (not watch_ids or (at is not None and at <= now))


def _remind(
    known: KnownSpace, now: float, at: float, patience: Patience, watch_ids: tuple[WatchId, ...]
) -> Decision:
    """Return the reminder of a start, unless it is so late that the start has passed."""
    start = at + patience.reminder
    reminded = plan.note_announced(known, REMINDER)
    if start <= now:
        return Decision(reminded)
    lead = patience.reminder if now - at <= ON_TIME_SECONDS else start - now
    minutes = round(lead / 60, 2)
    event = space_event(
        EventType.REMINDER,
        sequence=known.sequence + 1,
        before=known.space,
        after=known.space,
        changed=(),
        details={"minutes_before": int(minutes) if minutes.is_integer() else minutes},
        users=known.users,
        sighting=_sighting(known, now, watch_ids),
        occasion=occasion(REMINDER, start),
    )
    return Decision(replace(reminded, sequence=known.sequence + 1), (event,))


def _erasure_at(known: KnownSpace) -> float | None:
    """Return when the content must be erased: some time after X lost it, or when we stop polling."""
    if known.erased or not known.phase.is_over:
        return None
    forgotten = known.phase_since + FORGOTTEN_SECONDS
    return forgotten if known.gone_since is None else min(forgotten, known.gone_since + ERASE_AFTER_SECONDS)


def _erase(known: KnownSpace, now: float, watch_ids: tuple[WatchId, ...], *, mentioned: bool) -> Decision:
    """Return the state without content, with an event if X is known to no longer have the Space.

    There is no event for a Space that no event ever reported, like one first seen after its end.
    """
    blank = known.without_content()
    if known.gone_since is None or not (known.sequence or mentioned):
        return Decision(blank)
    event = _redacted(known, now, watch_ids)
    return Decision(replace(blank, sequence=known.sequence + 1), (event,))


def _redacted(known: KnownSpace, now: float, watch_ids: tuple[WatchId, ...]) -> Event:
    event = space_event(
        EventType.REDACTED,
        sequence=known.sequence + 1,
        before=None,
        after=Space(id=known.space.id),
        changed=(),
        details={},
        users={},
        sighting=_sighting(known, now, watch_ids),
    )
    # Everyone who received the events of the Space receives this one too, although it contains no people.
    return replace(event, routing=routing_of(known.space, watch_ids))


def _sighting(known: KnownSpace, now: float, watch_ids: tuple[WatchId, ...]) -> Sighting:
    return Sighting(now, (min(known.observed_at, now), now), first_sighting=False, watch_ids=watch_ids)
