"""The details of events: facts special to a type, computed from the change that it announces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from notifier.core.events.event import EventType
from notifier.core.model.instants import instant, rfc3339, seconds_between, sensible
from notifier.core.model.space import Phase, Space
from notifier.core.spaces.decision import Finding
from notifier.core.spaces.known import KnownSpace
from notifier.core.spaces.transitions import ObservedPhase

OCCURRED_AT: Final[Mapping[EventType, str]] = {
    EventType.SCHEDULED: "created_at",
    EventType.STARTED: "started_at",
    EventType.ENDED: "ended_at",
}
"""The field in which X states when an event happened."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the details of an event are made from."""

    before: Space
    after: Space
    known: KnownSpace
    finding: Finding

    @property
    def now(self) -> float:
        """When the poll was answered, in epoch seconds."""
        return self.finding.evidence.answered_at

    def between(self, earlier: str | None, later: str | None) -> float | None:
        """Return the seconds between two of X's times, an int if whole; None if they make no sense."""
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
    if occurred_at_of(EventType.ENDED, facts.after, now=facts.now) is None:
        latest = facts.known.missing_since or facts.known.unclear_since or facts.now
        details["ended_between"] = [rfc3339(min(facts.known.observed_at, latest)), rfc3339(latest)]
    if facts.finding.observed is ObservedPhase.INACCESSIBLE:
        details["reason"] = "inaccessible"
    return details


def _canceled(facts: Facts) -> dict[str, Any]:
    reasons = {
        ObservedPhase.CANCELED: "explicit",
        ObservedPhase.MISSING: "not_found",
        ObservedPhase.INACCESSIBLE: "inaccessible",
    }
    return {"reason": reasons.get(facts.finding.observed, "never_started")}


def _hosts_changed(facts: Facts) -> dict[str, Any]:
    before, after = facts.before.host_ids or (), facts.after.host_ids or ()
    stayed = {*before} & {*after}
    return {
        "added": [host for host in after if host not in stayed],
        "removed": [host for host in before if host not in stayed],
    }


def _speakers_added(facts: Facts) -> dict[str, Any]:
    before, after = set(facts.before.speaker_ids or ()), facts.after.speaker_ids or ()
    return {"added": [speaker for speaker in after if speaker not in before], "total": len(after)}


def _corrected(facts: Facts) -> dict[str, Any]:
    """Return the event that turned out to be wrong; null if none announced it, except perhaps a baseline."""
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


def occurred_at_of(event_type: EventType, space: Space, *, now: float) -> str | None:
    """Return X's own time of the event, if it states one that makes sense."""
    given = space.value(OCCURRED_AT[event_type]) if event_type in OCCURRED_AT else None
    if not isinstance(given, str) or sensible(given, now=now) is None:
        return None
    return None if event_type is EventType.ENDED and _ends_before_its_start(space) else given


def _ends_before_its_start(space: Space) -> bool:
    start, end = instant(space.started_at), instant(space.ended_at)
    return start is not None and end is not None and end < start
