"""Checks that every announced event follows from what X's answers said about its Space."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final, TypeAlias

from notifier.core.events.event import Event, EventType
from notifier.core.model.ids import SpaceId
from notifier.core.model.instants import instant
from notifier.core.model.observation import Call
from notifier.core.model.space import Space
from notifier.core.spaces.known import KnownSpace
from tests.support.space_builders import announced_fields, replay
from tests.support.space_machine import CROWD, Answer, Record

APART: Final = 30.0
REMINDER: Final = 900.0
OVERDUE: Final = 600.0
ERASURE: Final = 43_200.0
ON_TIME: Final = 30.0
INACCESSIBLE: Final = 7200.0
FORMER: Final = 4
HOLD: Final = 600.0
ORDER: Final = {None: 0, "scheduled": 1, "live": 2, "ended": 3, "canceled": 3}
THRESHOLDS: Final = (100, 500, 1000, 5000, 10_000)
Known: TypeAlias = Mapping[SpaceId, KnownSpace | None]

ACCUMULATED_FIELDS: Final = frozenset({"state", "host_ids", "speaker_ids"})
"""Fields whose new value need not appear in a single answer."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What an applied answer said about one Space.

    Attributes:
        record: None if it was not found.
        applied: Whether it was the latest statement at that time, by the start of its request (E4).
        is_older: Whether its ``updated_at`` is older than the known one (E4).
        in_mass_vanish: Whether so many others had vanished that a not-found proves nothing (E2).
    """

    record: Record | None
    began_at: float
    answered_at: float
    applied: bool
    is_older: bool = False
    in_mass_vanish: bool = False

    def value(self, name: str) -> Any:
        value = None if self.record is None else self.record.get(name)
        return value.lower() if name == "state" and value else value

    @property
    def says_over(self) -> bool:
        if self.record is None:
            return not self.in_mass_vanish
        is_clear = self.value("state") in ("scheduled", "live")
        return self.value("state") in ("ended", "canceled") or bool(not is_clear and self.value("ended_at"))

    @property
    def says_alive(self) -> bool:
        return self.record is not None and not self.says_over


@dataclass(frozen=True, slots=True)
class Candidate:
    """A new event with the evidence that may justify it.

    Attributes:
        expected: The Space according to the earlier events.
        since: How many of the earlier events precede the last erasure.
        now: When it was committed.
    """

    event: Event
    statements: Sequence[Statement]
    earlier: Sequence[Event]
    expected: Space
    now: float
    since: int = 0

    def detail(self, name: str) -> Any:
        return self.event.data["details"][name]

    def shown(self, name: str) -> Any:
        return self.event.data["space"].get(name)

    def was_stated(self, **values: Any) -> bool:
        """Return whether a single answer stated all of these values."""
        return any(
            all(statement.value(name) == value for name, value in values.items())
            for statement in self.statements
        )

    def was_confirmed(self, claim: Claim, against: Claim) -> bool:
        """Return whether two answers far enough apart made a claim, with none against it in between."""
        claims = sorted(filter(claim, self.statements), key=lambda statement: statement.began_at)
        return any(
            other.answered_at - one.answered_at >= APART
            and not any(
                statement.applied
                and one.began_at < statement.began_at < other.began_at
                and against(statement)
                for statement in self.statements
            )
            for one, other in combinations(claims, 2)
        )

    def is_proven(self, name: str) -> bool:
        """Return whether a field may have its value: a return to a recent value needs proof (E4)."""
        value = self.shown(name)
        earlier = [
            event.data["previous"][name]
            for event in self.earlier[self.since :]
            if name in event.data["previous"]
        ]
        lately = list(dict.fromkeys(map(str, reversed(earlier))))[:FORMER]
        is_return = name in self.event.data["previous"] and str(value) in lately
        if not is_return:
            return True
        return any(
            statement.value(name) == value and self._is_newest(statement) for statement in self.statements
        ) or self.was_confirmed(
            lambda statement: statement.value(name) == value,
            lambda statement: (
                statement.value("state") == self.expected.state
                and not statement.is_older
                and statement.value(name) not in (None, value)
            ),
        )

    def _is_newest(self, statement: Statement) -> bool:
        mark = instant(statement.value("updated_at"))
        before = [
            instant(each.value("updated_at"))
            for each in self.statements
            if each.began_at < statement.began_at
        ]
        return mark is not None and all(each is None or each < mark for each in before)

    def is_new(self, *details: str) -> bool:
        """Return whether no earlier event of this type had the same details, or the same start if none."""
        announced = [event for event in self.earlier if event.type is self.event.type]
        same = [
            event
            for event in announced
            if all(event.data["details"][name] == self.detail(name) for name in details)
        ]
        if details:
            return not same
        start = instant(self.expected.scheduled_start)
        return start not in [instant(event.data["space"].get("scheduled_start")) for event in announced]


Claim: TypeAlias = Callable[[Statement], bool]


def _started(candidate: Candidate) -> bool:
    signs = ("started_at", "participant_count", "speaker_ids")
    was_ended = any(statement.says_over for statement in candidate.statements)
    return candidate.was_stated(state="live") or (
        was_ended and any(statement.value(sign) for statement in candidate.statements for sign in signs)
    )


def _ended(candidate: Candidate) -> bool:
    if candidate.event.data["details"].get("reason") == "inaccessible":
        return _was_inaccessible(candidate)
    if any(
        statement.value("state") == "ended" and statement.value("ended_at")
        for statement in candidate.statements
    ):
        return True
    return _is_surely_over(candidate)


def _was_inaccessible(candidate: Candidate) -> bool:
    """Return whether X said nothing about a Space for hours, neither a sighting nor a not-found."""
    seen = [statement.answered_at for statement in candidate.statements if statement.applied]
    return candidate.now - max(seen) >= INACCESSIBLE


def _canceled(candidate: Candidate) -> bool:
    match candidate.detail("reason"):
        case "explicit":
            return candidate.was_stated(state="canceled")
        case "never_started":
            return any(
                statement.value("state") == "ended" and statement.value("ended_at")
                for statement in candidate.statements
            ) or _is_surely_over(candidate)
        case "inaccessible":
            return _was_inaccessible(candidate)
    return _is_surely_over(candidate)


def _is_surely_over(candidate: Candidate) -> bool:
    return candidate.was_confirmed(
        lambda statement: statement.says_over, lambda statement: statement.says_alive
    )


def _hosts_changed(candidate: Candidate) -> bool:
    state = candidate.expected.state

    def left(host: str) -> bool:
        return candidate.was_confirmed(
            lambda statement: (
                statement.value("host_ids") is not None and host not in statement.value("host_ids")
            ),
            lambda statement: (
                statement.value("state") == state
                and not statement.is_older
                and host in (statement.value("host_ids") or ())
            ),
        )

    return all(map(left, candidate.detail("removed"))) and all(
        any(host in (statement.value("host_ids") or ()) for statement in candidate.statements)
        for host in candidate.detail("added")
    )


def _speakers_added(candidate: Candidate) -> bool:
    seen = {each for statement in candidate.statements for each in statement.value("speaker_ids") or ()}
    before = set(candidate.expected.speaker_ids or ())
    added = set(candidate.detail("added"))
    return added <= seen - before and candidate.detail("total") == len(before | added)


def _rescheduled(candidate: Candidate) -> bool:
    before, after = instant(candidate.expected.scheduled_start), instant(candidate.shown("scheduled_start"))
    assert before is not None
    assert after is not None
    return (
        candidate.expected.state == "scheduled"
        and candidate.detail("delta_seconds") == round(after - before, 3) != 0
    )


def _milestone(candidate: Candidate) -> bool:
    threshold = candidate.detail("threshold")
    reached = any(
        (statement.value("participant_count") or 0) >= threshold for statement in candidate.statements
    )
    return threshold in THRESHOLDS and reached and candidate.is_new("threshold")


def _reminder(candidate: Candidate) -> bool:
    start = instant(candidate.expected.scheduled_start)
    if start is None or candidate.expected.state != "scheduled" or not candidate.is_new():
        return False
    late = candidate.now - (start - REMINDER)
    minutes = REMINDER / 60 if late <= ON_TIME else round((start - candidate.now) / 60, 2)
    return 0 <= late < REMINDER and candidate.detail("minutes_before") == minutes


def _overdue(candidate: Candidate) -> bool:
    start = instant(candidate.expected.scheduled_start)
    if start is None or candidate.expected.state != "scheduled" or not candidate.is_new():
        return False
    return any(
        statement.value("state") == "scheduled" and statement.began_at >= start + OVERDUE
        for statement in candidate.statements
    )


def _corrected(candidate: Candidate) -> bool:
    """Two polls that show the Space scheduled retract a start; two that show it alive retract an end."""
    if candidate.expected.state == "live":
        wrong = [each for each in candidate.earlier if each.type is EventType.STARTED]
        is_shown = candidate.was_confirmed(
            lambda statement: statement.value("state") == "scheduled",
            lambda statement: statement.value("state") == "live",
        )
    else:
        wrong = [each for each in candidate.earlier if each.type in (EventType.ENDED, EventType.CANCELED)]
        is_inferred = bool(wrong) and wrong[-1].data["inferred"]
        is_shown = candidate.was_confirmed(
            lambda statement: statement.record is not None,
            lambda statement: not is_inferred and statement.value("state") in ("ended", "canceled"),
        )
    return is_shown and candidate.detail("retracts") == (wrong[-1].id if wrong else None)


def _redacted(candidate: Candidate) -> bool:
    lost = [
        statement.answered_at
        for statement in candidate.statements
        if statement.record is None or statement.value("state") == "canceled"
    ]
    is_over = candidate.expected.state in ("ended", "canceled")
    return is_over and min(lost) <= candidate.now - ERASURE and candidate.event.data["space"].keys() == {"id"}


CAUSES: Final[Mapping[EventType, Callable[[Candidate], bool]]] = {
    EventType.SCHEDULED: lambda candidate: candidate.was_stated(state="scheduled"),
    EventType.STARTED: _started,
    EventType.ENDED: _ended,
    EventType.CANCELED: _canceled,
    EventType.TITLE_CHANGED: lambda candidate: candidate.expected.title != candidate.shown("title"),
    EventType.RESCHEDULED: _rescheduled,
    EventType.HOSTS_CHANGED: _hosts_changed,
    EventType.SPEAKERS_ADDED: _speakers_added,
    EventType.UPDATED: lambda candidate: bool(candidate.event.data["changed"]),
    EventType.PARTICIPANTS_MILESTONE: _milestone,
    EventType.REMINDER: _reminder,
    EventType.START_OVERDUE: _overdue,
    EventType.CORRECTED: _corrected,
    EventType.REDACTED: _redacted,
}
"""The evidence that each event type needs. In addition, an answer must have stated each new value."""


@dataclass
class EventOracle:
    """All statements and events so far, by Space, and each Space according to its events."""

    statements: dict[str, list[Statement]] = field(default_factory=lambda: defaultdict(list))
    events: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    announced: dict[str, Space] = field(default_factory=dict)
    erased_after: dict[str, int] = field(default_factory=dict)
    crowd_missing_since: float | None = None

    def record(self, answer: Answer, before: Known, after: Known) -> None:
        """Record what an answer said about each Space, given what was known before and after it."""
        shown, missing = answer.seen(), answer.missing()
        if set(CROWD) <= missing | answer.unaccounted_for():
            self.crowd_missing_since = self.crowd_missing_since or answer.answered_at
        elif answer.question.call is Call.LOOKUP and set(CROWD) & shown.keys():
            self.crowd_missing_since = None
        for space_id in map(SpaceId, (*shown, *missing)):
            was, known = before[space_id], after[space_id]
            is_latest = was is None or answer.began_at >= was.began_at
            statement = Statement(
                shown.get(space_id),
                answer.began_at,
                answer.answered_at,
                applied=is_latest and known is not None and known.began_at == answer.began_at,
                is_older=_is_older(shown.get(space_id), known),
                in_mass_vanish=self._is_crowd_missing(answer.answered_at, before),
            )
            self.statements[space_id].append(statement)

    def _is_crowd_missing(self, now: float, before: Known) -> bool:
        known = [before[SpaceId(each)] for each in CROWD]
        is_alive = all(each and not each.phase.is_over for each in known)
        return is_alive and self.crowd_missing_since is not None and self.crowd_missing_since > now - HOLD

    def check(self, event: Event, *, now: float) -> None:
        """Check a new event of a Space against the evidence, and record it."""
        space_id = event.data["space"]["id"]
        earlier = self.events[space_id]
        assert event.sequence == len(earlier) + 1, "sequences have a gap"
        expected = self.announced.get(space_id) or _before(event)
        since = self.erased_after.get(space_id, 0)
        candidate = Candidate(event, self.statements[space_id], earlier, expected, now, since)
        assert CAUSES[event.type](candidate), f"{event.type} has no cause: {event.data}"
        for name in set(event.data["changed"]) - ACCUMULATED_FIELDS:
            assert candidate.was_stated(**{name: candidate.shown(name)}), (
                f"no answer stated {name} {candidate.shown(name)!r}"
            )
            assert candidate.is_proven(name), f"{name} went back to {candidate.shown(name)!r} without a proof"
        if event.type is EventType.REDACTED:
            expected = expected.without_content()
        is_forward = ORDER[expected.state] <= ORDER[event.data["space"].get("state", expected.state)]
        assert is_forward or event.type is EventType.CORRECTED, "a phase went back"
        earlier.append(event)
        self.announced[space_id] = replay([event], expected)

    def check_known(self, known: Known) -> None:
        """Check the known states against the events; a Space from a baseline starts as it was known."""
        for space_id, each in known.items():
            if each is None:
                assert space_id not in self.announced
                continue
            expected = self.announced.setdefault(space_id, each.space)
            if each.erased:
                self.erased_after[space_id] = len(self.events[space_id])
                expected = self.announced[space_id] = expected.without_content()
            assert announced_fields(each.space) == announced_fields(expected), (
                "the state differs from the events"
            )
            assert each.space.state == each.phase
            assert each.sequence == len(self.events[space_id])


def _is_older(record: Record | None, known: KnownSpace | None) -> bool:
    marks = [(record or {}).get("updated_at"), known.space.updated_at if known else None]
    said, expected = map(instant, marks)
    return said is not None and expected is not None and said < expected


def _before(event: Event) -> Space:
    """Return the Space before its first event; a Space from a baseline had what this event shows."""
    changed: dict[str, Any] = dict.fromkeys(event.data["changed"]) | event.data["previous"]
    shown: dict[str, Any] = {} if event.data["first_sighting"] else event.data["space"]
    values = {name: value for name, value in (shown | changed).items() if name != "id"}
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return Space(id=SpaceId(event.data["space"]["id"])).with_values(values | lists)
