"""From believed changes to events: which event tells of which field, in which order, with which details.

Every change is told exactly once, so that replaying the events gives the state as known (law 2). Order within
one observation: going live, then metadata, hosts, speakers, listeners; when ending, metadata and people
first, then the end. A field without an event of its own that becomes known rides on the event that moves the
phase, and where there is none it is told by ``space.updated``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from notifier.core.events.event import Event, EventType, Sighting, space_event
from notifier.core.events.occasion import OVERDUE, occasion
from notifier.core.model.ids import WatchId
from notifier.core.model.instants import instant, rfc3339, seconds_between, sensible
from notifier.core.model.observation import Evidence, Presence
from notifier.core.model.space import Phase, Space, Value
from notifier.core.spaces.known import KnownSpace
from notifier.core.spaces.transitions import BEFORE_THE_MISTAKE, PHASE_AFTER, TIME_OF, Sight, Step

OWN_EVENT: Final[Mapping[str, EventType]] = {
    "scheduled_start": EventType.RESCHEDULED,
    "title": EventType.TITLE_CHANGED,
    "host_ids": EventType.HOSTS_CHANGED,
    "speaker_ids": EventType.SPEAKERS_ADDED,
}
"""Fields whose change is an event of its own; the order is the order of the events."""

RIDES_WITH_PHASE: Final = frozenset({"scheduled_start", "created_at", "started_at", "ended_at", "creator_id"})
"""Fields whose change says nothing that a move of the phase in the same poll does not say already."""

ENDINGS: Final = frozenset({EventType.ENDED, EventType.CANCELED})

OCCURRED_AT: Final[Mapping[EventType, str]] = {
    EventType.SCHEDULED: "created_at",
    EventType.STARTED: "started_at",
    EventType.ENDED: "ended_at",
}
"""The field in which X tells when an event happened."""


@dataclass(frozen=True, slots=True)
class Poll:
    """The poll that is being told: the step it proves, if any, and where it comes from.

    Attributes:
        milestones: The numbers of listeners that were reached since the last poll.
        overdue_since: The planned start, in epoch seconds, long after which it found a Space still waiting.
    """

    step: Step | None
    sight: Sight
    evidence: Evidence
    watch_ids: tuple[WatchId, ...]
    first: bool = False
    milestones: tuple[int, ...] = ()
    overdue_since: float | None = None

    @property
    def inferred(self) -> bool:
        """Whether the step is concluded from silence rather than from X's word."""
        return self.evidence.presence in (Presence.NOT_FOUND, Presence.INACCESSIBLE)


@dataclass(frozen=True, slots=True)
class Chapter:
    """One event to come, the fields that it tells, and the facts of one that tells no field.

    A value of None takes a field back: it is unknown again.
    """

    type: EventType
    values: Mapping[str, Value | None] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    occasion: str = ""


def narrate(
    known: KnownSpace, changes: Mapping[str, Value | None], poll: Poll
) -> tuple[KnownSpace, tuple[Event, ...]]:
    """Tell the changes as events, in order, and give the state that they lead to.

    Args:
        known: The state before, with its silent fields already brought up to date.
        changes: The believed new values of every other field but ``state``; None for a time that a
            correction takes back.
        poll: What was seen.
    """
    events: list[Event] = []
    space = known.space
    for chapter in _chapters(known, changes, poll):
        after = space.with_values(chapter.values)
        sequence = known.sequence + len(events) + 1
        events.append(_event(chapter, space, after, sequence=sequence, known=known, poll=poll))
        space = after
    is_seen = poll.evidence.presence is Presence.SEEN
    told = replace(
        known,
        space=space,
        sequence=known.sequence + len(events),
        observed_at=poll.evidence.answered_at if is_seen else known.observed_at,
    )
    if poll.step is not None:
        told = _moved(told, poll.step.to, events, poll)
    return told, tuple(events)


def _moved(told: KnownSpace, phase: Phase, events: list[Event], poll: Poll) -> KnownSpace:
    """Note what follows from a move to another phase, and what may turn out wrong about it."""
    started = [event.id for event in events if event.type is EventType.STARTED]
    return replace(
        told,
        phase=phase,
        phase_since=poll.evidence.answered_at,
        unclear_since=None,
        doubts={} if phase.is_over else told.doubts,
        listed={} if phase.is_over else told.listed,
        started_event=None if phase is Phase.SCHEDULED else (*started, told.started_event)[0],
        retractable=events[-1].id if phase.is_over else None,
        is_over_by_word=phase.is_over and not poll.inferred,
        gone_since=_gone_since(told, poll),
    )


def _chapters(known: KnownSpace, changes: Mapping[str, Value | None], poll: Poll) -> Iterator[Chapter]:
    """Deal the changed fields out to the events of this poll."""
    moves = poll.step.events if poll.step else ()
    rest = {name: value for name, value in changes.items() if value is not None}
    end_time = _take(rest, "ended_at") if EventType.ENDED in moves else {}
    riders = [name for name in rest if moves and (poll.first or _rides(known.space, name))]
    riding = _take(rest, *riders)
    openers = [move for move in moves if move not in ENDINGS]
    endings = [move for move in moves if move in ENDINGS]
    yield from _openers(known.phase, openers, riding, changes)
    yield from _metadata(known, rest)
    for threshold in poll.milestones:
        yield Chapter(
            EventType.PARTICIPANTS_MILESTONE, facts={"threshold": threshold}, occasion=str(threshold)
        )
    if poll.overdue_since is not None:
        yield _overdue(poll.overdue_since, poll.evidence.answered_at)
    for move in endings:
        yield Chapter(move, {"state": PHASE_AFTER[move]} | end_time | ({} if openers else riding))


def _openers(
    phase: Phase,
    moves: Sequence[EventType],
    riding: Mapping[str, Value],
    changes: Mapping[str, Value | None],
) -> Iterator[Chapter]:
    """Tell what comes first: corrections, with the times that each takes back, and the start.

    What becomes known with a move rides on the last of them.
    """
    for number, move in enumerate(moves, start=1):
        values: dict[str, Value | None] = dict(riding) if number == len(moves) else {}
        if move is EventType.CORRECTED:
            wrong, phase = TIME_OF[phase], BEFORE_THE_MISTAKE[phase]
            values |= {wrong: None} if changes.get(wrong, "") is None else {}
        else:
            phase = PHASE_AFTER[move]
        yield Chapter(move, {"state": phase} | values)


def _overdue(start: float, now: float) -> Chapter:
    return Chapter(
        EventType.START_OVERDUE,
        facts={"overdue_seconds": round(now - start, 3)},
        occasion=occasion(OVERDUE, start),
    )


def _gone_since(known: KnownSpace, poll: Poll) -> float | None:
    """Return since when X has not had the Space: what it calls canceled counts as gone from that word on."""
    if poll.inferred:
        return known.unclear_since if poll.sight is Sight.INACCESSIBLE else known.missing_since
    return poll.evidence.answered_at if poll.sight is Sight.CANCELED else None


def _metadata(known: KnownSpace, rest: dict[str, Value]) -> Iterator[Chapter]:
    """Deal out what is not told by a move of the phase."""
    own = {
        name: _take(rest, name)
        for name in OWN_EVENT
        if name in rest and _has_own_event(known, name, rest[name])
    }
    for name in ("scheduled_start", "title"):
        if name in own:
            yield Chapter(OWN_EVENT[name], own[name])
    if rest:
        yield Chapter(EventType.UPDATED, rest)
    for name in ("host_ids", "speaker_ids"):
        if name in own:
            yield Chapter(OWN_EVENT[name], own[name])


def _has_own_event(known: KnownSpace, name: str, value: Value) -> bool:
    """Return whether the field changed from one known value to another, where its event means just that."""
    if name == "speaker_ids":
        return True
    before = known.space.value(name)
    if name == "scheduled_start":
        # It moved by so many seconds, which takes two starts that can be read.
        starts = [instant(start) for start in (before, value) if isinstance(start, str)]
        return known.phase is Phase.SCHEDULED and len(starts) > 1 and None not in starts
    return before is not None


def _rides(space: Space, name: str) -> bool:
    return name != "speaker_ids" and (name in RIDES_WITH_PHASE or space.value(name) is None)


def _take(values: dict[str, Value], *names: str) -> dict[str, Value]:
    return {name: values.pop(name) for name in names if name in values}


def _event(
    chapter: Chapter, before: Space, after: Space, *, sequence: int, known: KnownSpace, poll: Poll
) -> Event:
    missed_start = chapter.type is EventType.STARTED and poll.sight is Sight.ENDED
    occurred_at = _occurred_at(chapter.type, after, now=poll.evidence.answered_at)
    details = DETAILS.get(chapter.type)
    return space_event(
        chapter.type,
        sequence=sequence,
        before=None if poll.first else before,
        after=after,
        changed=tuple(chapter.values),
        details=details(Facts(before, after, known, poll)) if details else chapter.facts,
        users=known.users,
        sighting=_sighting(known, poll, occurred_at),
        occurred_at=occurred_at,
        inferred=poll.inferred or missed_start,
        occasion=chapter.occasion,
    )


def _occurred_at(event_type: EventType, space: Space, *, now: float) -> str | None:
    """Return X's own time of the event, where it gives one that makes sense."""
    given = space.value(OCCURRED_AT[event_type]) if event_type in OCCURRED_AT else None
    if not isinstance(given, str) or sensible(given, now=now) is None:
        return None
    return None if event_type is EventType.ENDED and _ends_before_its_start(space) else given


def _ends_before_its_start(space: Space) -> bool:
    start, end = instant(space.started_at), instant(space.ended_at)
    return start is not None and end is not None and end < start


def _sighting(known: KnownSpace, poll: Poll, occurred_at: str | None) -> Sighting:
    now = poll.evidence.answered_at
    since = instant(occurred_at) if poll.first else known.observed_at
    # An answer that overtook this one was taken in first, so "since" may lie later.
    return Sighting(now, (now if since is None else min(since, now), now), poll.first, poll.watch_ids)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the details of an event are made from."""

    before: Space
    after: Space
    known: KnownSpace
    poll: Poll

    @property
    def now(self) -> float:
        """When the poll was answered, in epoch seconds."""
        return self.poll.evidence.answered_at

    def between(self, earlier: str | None, later: str | None) -> float | None:
        """Return the seconds between two of X's times, whole ones as an int; None without sense."""
        seconds = seconds_between(earlier, later, now=self.now)
        return int(seconds) if seconds is not None and seconds.is_integer() else seconds


def _started(facts: Facts) -> dict[str, Any]:
    return {
        "late_by_seconds": facts.between(facts.after.scheduled_start, facts.after.started_at),
        "unscheduled": facts.after.scheduled_start is None,
    }


def _rescheduled(facts: Facts) -> dict[str, Any]:
    return {"delta_seconds": facts.between(facts.before.scheduled_start, facts.after.scheduled_start)}


def _ended(facts: Facts) -> dict[str, Any]:
    duration = facts.between(facts.after.started_at, facts.after.ended_at)
    details: dict[str, Any] = {
        "duration_seconds": None if duration is not None and duration < 0 else duration,
        "peak_participant_count": facts.known.peak_participant_count,
    }
    if _occurred_at(EventType.ENDED, facts.after, now=facts.now) is None:
        latest = facts.known.missing_since or facts.known.unclear_since or facts.now
        details["ended_between"] = [rfc3339(min(facts.known.observed_at, latest)), rfc3339(latest)]
    if facts.poll.sight is Sight.INACCESSIBLE:
        details["reason"] = "inaccessible"
    return details


def _canceled(facts: Facts) -> dict[str, Any]:
    reasons = {
        Sight.CANCELED: "explicit",
        Sight.MISSING: "not_found",
        Sight.INACCESSIBLE: "inaccessible",
    }
    return {"reason": reasons.get(facts.poll.sight, "never_started")}


def _hosts_changed(facts: Facts) -> dict[str, Any]:
    before, after = facts.before.host_ids or (), facts.after.host_ids or ()
    return {
        "added": [host for host in after if host not in before],
        "removed": [host for host in before if host not in after],
    }


def _speakers_added(facts: Facts) -> dict[str, Any]:
    before, after = set(facts.before.speaker_ids or ()), facts.after.speaker_ids or ()
    return {"added": [speaker for speaker in after if speaker not in before], "total": len(after)}


def _corrected(facts: Facts) -> dict[str, Any]:
    """Name the event that turned out wrong; null where none did tell of it, but a baseline perhaps."""
    was_live = facts.before.state == Phase.LIVE
    return {"retracts": facts.known.started_event if was_live else facts.known.retractable}


DETAILS: Final[Mapping[EventType, Callable[[Facts], dict[str, Any]]]] = {
    EventType.STARTED: _started,
    EventType.RESCHEDULED: _rescheduled,
    EventType.ENDED: _ended,
    EventType.CANCELED: _canceled,
    EventType.HOSTS_CHANGED: _hosts_changed,
    EventType.SPEAKERS_ADDED: _speakers_added,
    EventType.CORRECTED: _corrected,
}
