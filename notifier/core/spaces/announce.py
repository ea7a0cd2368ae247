"""From believed changes to events: which event reports which field, in which order, with which details.

Every change is announced exactly once, so that replaying the events gives the known state (law 2). The order
within one observation: going live, then metadata, hosts, speakers and listeners; when a Space ends, metadata
and people first, then the end. A field without an event of its own that becomes known is part of the event
that moves the phase; without such an event, ``space.updated`` announces it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from notifier.core.events.event import Event, EventType, Sighting, space_event
from notifier.core.events.occasion import OVERDUE, occasion
from notifier.core.model.instants import instant
from notifier.core.model.observation import Presence
from notifier.core.model.space import Phase, Space, Value
from notifier.core.spaces.decision import Finding
from notifier.core.spaces.details import DETAILS, Facts, occurred_at_of
from notifier.core.spaces.known import KnownSpace
from notifier.core.spaces.transitions import PHASE_AFTER, PHASE_BEFORE, TIME_OF, ObservedPhase

OWN_EVENT: Final[Mapping[str, EventType]] = {
    "scheduled_start": EventType.RESCHEDULED,
    "title": EventType.TITLE_CHANGED,
    "host_ids": EventType.HOSTS_CHANGED,
    "speaker_ids": EventType.SPEAKERS_ADDED,
}
"""Fields whose change is an event of its own; the order is the order of the events."""

IMPLIED_BY_PHASE: Final = frozenset({"scheduled_start", "created_at", "started_at", "ended_at", "creator_id"})
"""Fields whose change is implied by a move of the phase in the same poll."""

ENDINGS: Final = frozenset({EventType.ENDED, EventType.CANCELED})


@dataclass(frozen=True, slots=True)
class Announcement:
    """An event to be: its type, the fields it reports, and the details of one that reports no field.

    A value of None withdraws a field: it is unknown again.
    """

    type: EventType
    values: Mapping[str, Value | None] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    occasion: str = ""


def announce(
    known: KnownSpace, changes: Mapping[str, Value | None], finding: Finding
) -> tuple[KnownSpace, tuple[Event, ...]]:
    """Return the state that the changes lead to, and the events that announce them, in order.

    Args:
        known: The state before, with its silent fields already brought up to date.
        changes: The believed new values of every other field but ``state``; None for a time that a
            correction withdraws.
        finding: What the poll established.
    """
    events: list[Event] = []
    space = known.space
    for announcement in _announcements(known, changes, finding):
        after = space.with_values(announcement.values)
        sequence = known.sequence + len(events) + 1
        events.append(_event(announcement, space, after, sequence=sequence, known=known, finding=finding))
        space = after
    is_seen = finding.evidence.presence is Presence.SEEN
    updated = replace(
        known,
        space=space,
        sequence=known.sequence + len(events),
        observed_at=finding.evidence.answered_at if is_seen else known.observed_at,
    )
    if finding.step is not None:
        updated = _moved(updated, finding.step.to, events, finding)
    return updated, tuple(events)


def _moved(updated: KnownSpace, phase: Phase, events: list[Event], finding: Finding) -> KnownSpace:
    """Return the state after a move to another phase, with the events that may turn out to be wrong."""
    started = [event.id for event in events if event.type is EventType.STARTED]
    return replace(
        updated,
        phase=phase,
        phase_since=finding.evidence.answered_at,
        unclear_since=None,
        doubts={} if phase.is_over else updated.doubts,
        listed={} if phase.is_over else updated.listed,
        started_event=None if phase is Phase.SCHEDULED else (*started, updated.started_event)[0],
        retractable=events[-1].id if phase.is_over else None,
        is_over_by_word=phase.is_over and not finding.inferred,
        gone_since=_gone_since(updated, finding),
    )


def _announcements(
    known: KnownSpace, changes: Mapping[str, Value | None], finding: Finding
) -> Iterator[Announcement]:
    """Yield the events of this poll, each with the changed fields that it reports."""
    moves = finding.step.events if finding.step else ()
    rest = {name: value for name, value in changes.items() if value is not None}
    end_time = _take(rest, "ended_at") if EventType.ENDED in moves else {}
    shared = [name for name in rest if moves and (finding.first or _joins_move(known.space, name))]
    with_move = _take(rest, *shared)
    first_moves = [move for move in moves if move not in ENDINGS]
    endings = [move for move in moves if move in ENDINGS]
    yield from _first_announcements(known.phase, first_moves, with_move, changes)
    yield from _metadata(known, rest)
    for threshold in finding.milestones:
        yield Announcement(
            EventType.PARTICIPANTS_MILESTONE, details={"threshold": threshold}, occasion=str(threshold)
        )
    if finding.overdue_since is not None:
        yield _overdue(finding.overdue_since, finding.evidence.answered_at)
    for move in endings:
        yield Announcement(move, {"state": PHASE_AFTER[move]} | end_time | ({} if first_moves else with_move))


def _first_announcements(
    phase: Phase,
    moves: Sequence[EventType],
    with_move: Mapping[str, Value],
    changes: Mapping[str, Value | None],
) -> Iterator[Announcement]:
    """Yield what comes first: corrections, with the times that each withdraws, and the start.

    What becomes known with a move is part of the last of them.
    """
    for number, move in enumerate(moves, start=1):
        values: dict[str, Value | None] = dict(with_move) if number == len(moves) else {}
        if move is EventType.CORRECTED:
            wrong, phase = TIME_OF[phase], PHASE_BEFORE[phase]
            values |= {wrong: None} if changes.get(wrong, "") is None else {}
        else:
            phase = PHASE_AFTER[move]
        yield Announcement(move, {"state": phase} | values)


def _overdue(start: float, now: float) -> Announcement:
    return Announcement(
        EventType.START_OVERDUE,
        details={"overdue_seconds": round(now - start, 3)},
        occasion=occasion(OVERDUE, start),
    )


def _gone_since(known: KnownSpace, finding: Finding) -> float | None:
    """Return since when X no longer has the Space; a canceled one counts as gone from that poll on."""
    if finding.inferred:
        return known.unclear_since if finding.observed is ObservedPhase.INACCESSIBLE else known.missing_since
    return finding.evidence.answered_at if finding.observed is ObservedPhase.CANCELED else None


def _metadata(known: KnownSpace, rest: dict[str, Value]) -> Iterator[Announcement]:
    """Yield the announcements of what no move of the phase reports."""
    own = {
        name: _take(rest, name)
        for name in OWN_EVENT
        if name in rest and _has_own_event(known, name, rest[name])
    }
    for name in ("scheduled_start", "title"):
        if name in own:
            yield Announcement(OWN_EVENT[name], own[name])
    if rest:
        yield Announcement(EventType.UPDATED, rest)
    for name in ("host_ids", "speaker_ids"):
        if name in own:
            yield Announcement(OWN_EVENT[name], own[name])


def _has_own_event(known: KnownSpace, name: str, value: Value) -> bool:
    """Return whether the change has its own event, for which most fields need a known value before."""
    if name == "speaker_ids":
        return True
    before = known.space.value(name)
    if name == "scheduled_start":
        # The event says by how many seconds it moved, which takes two valid starts.
        starts = [instant(start) for start in (before, value) if isinstance(start, str)]
        return known.phase is Phase.SCHEDULED and len(starts) > 1 and None not in starts
    return before is not None


def _joins_move(space: Space, name: str) -> bool:
    return name != "speaker_ids" and (name in IMPLIED_BY_PHASE or space.value(name) is None)


def _take(values: dict[str, Value], *names: str) -> dict[str, Value]:
    return {name: values.pop(name) for name in names if name in values}


def _event(
    announcement: Announcement,
    before: Space,
    after: Space,
    *,
    sequence: int,
    known: KnownSpace,
    finding: Finding,
) -> Event:
    missed_start = announcement.type is EventType.STARTED and finding.observed is ObservedPhase.ENDED
    occurred_at = occurred_at_of(announcement.type, after, now=finding.evidence.answered_at)
    details = DETAILS.get(announcement.type)
    return space_event(
        announcement.type,
        sequence=sequence,
        before=None if finding.first else before,
        after=after,
        changed=tuple(announcement.values),
        details=details(Facts(before, after, known, finding)) if details else announcement.details,
        users=known.users,
        sighting=_sighting(known, finding, occurred_at),
        occurred_at=occurred_at,
        inferred=finding.inferred or missed_start,
        occasion=announcement.occasion,
    )


def _sighting(known: KnownSpace, finding: Finding, occurred_at: str | None) -> Sighting:
    now = finding.evidence.answered_at
    since = instant(occurred_at) if finding.first else known.observed_at
    # An answer that overtook this one was applied first, so "since" may be later.
    return Sighting(now, (now if since is None else min(since, now), now), finding.first, finding.watch_ids)
