"""What is to happen at a moment without a poll: reminding of a start, erasing what X does not have any more.

The store keeps a timer for each, and every commit of a Space sets its timers again from what is known then: a
start that moves takes its reminder along, and a Space that begins or comes back drops what was to happen.
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
"""A reminder that is no later than this says the minutes that were asked for."""


class TimerKind(StrEnum):
    """What a timer is for."""

    REMINDER = "reminder"
    ERASURE = "erasure"


def timers_of(known: KnownSpace, *, patience: Patience) -> dict[TimerKind, float]:
    """Return every timer of a Space that is followed, and when it rings, in epoch seconds.

    While it is unclear how the Space is doing, there is no reminder; one that is late by then rings at once.
    """
    moments = {
        TimerKind.REMINDER: None if known.is_unclear else plan.reminder_at(known, lead=patience.reminder),
        TimerKind.ERASURE: _erasure_at(known),
    }
    return {kind: at for kind, at in moments.items() if at is not None}


def ring(
    known: KnownSpace,
    kind: TimerKind,
    *,
    now: float,
    patience: Patience,
    watch_ids: tuple[WatchId, ...],
    mentioned: bool = False,
) -> Decision:
    """Conclude what a timer that rings means for a Space; one that should not ring any more means nothing.

    Args:
        known: The Space.
        kind: What the timer is for.
        now: Epoch seconds.
        patience: How long before a start to remind of it.
        watch_ids: The watches that follow the Space.
        mentioned: Whether an event that is not the Space's own, a baseline, told of it.
    """
    if kind is TimerKind.ERASURE:
        erases = is_to_erase(known, now=now, watch_ids=watch_ids)
        return _erase(known, now, watch_ids, mentioned=mentioned) if erases else Decision(known)
    at = plan.reminder_at(known, lead=patience.reminder)
    if at is None or at > now or known.is_unclear or not watch_ids:
        return Decision(known)
    return _remind(known, now, at, patience, watch_ids)


def is_to_erase(known: KnownSpace, *, now: float, watch_ids: tuple[WatchId, ...]) -> bool:
    """Return whether the content of a Space has to go, and still is there.

    That of a Space that no watch follows goes as well, for nobody would hear when X has it no more.
    """
    at = _erasure_at(known)
    return not known.erased and (not watch_ids or (at is not None and at <= now))


def _remind(
    known: KnownSpace, now: float, at: float, patience: Patience, watch_ids: tuple[WatchId, ...]
) -> Decision:
    """Remind of a start, unless it was held up for so long that the start has passed."""
    start = at + patience.reminder
    reminded = plan.told(known, REMINDER)
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
    """Return when the content must go: some time after X lost it, or when we stop asking whether it has."""
    if known.erased or not known.phase.is_over:
        return None
    forgotten = known.phase_since + FORGOTTEN_SECONDS
    return forgotten if known.gone_since is None else min(forgotten, known.gone_since + ERASE_AFTER_SECONDS)


def _erase(known: KnownSpace, now: float, watch_ids: tuple[WatchId, ...], *, mentioned: bool) -> Decision:
    """Keep ids, times and the state, and tell where X is known not to have the Space any more.

    Nobody has anything to erase of a Space of which no event ever told, as of one first seen at its end.
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
    # Everyone who got the events of the Space gets this one, too, though it names nobody.
    return replace(event, routing=routing_of(known.space, watch_ids))


def _sighting(known: KnownSpace, now: float, watch_ids: tuple[WatchId, ...]) -> Sighting:
    return Sighting(now, (min(known.observed_at, now), now), first_sighting=False, watch_ids=watch_ids)
