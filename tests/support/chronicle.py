"""What X was heard to say of each Space, what was told of it, and whether the one follows from the other."""

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
from tests.support.space_builders import replay, told_part
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

TOLD_BY_SUMS: Final = frozenset({"state", "host_ids", "speaker_ids"})
"""Fields whose new value no single answer need have shown."""


@dataclass(frozen=True, slots=True)
class Word:
    """What one answer that a worker applied said of one Space.

    Attributes:
        record: None where it was not found.
        heeded: Whether it was the latest word at that time, by when its request began (E4).
        is_older: Whether X's mark on it is older than the one that was known then (E4).
        in_a_crowd: Whether so many others had vanished that a not-found proves nothing (E2).
    """

    record: Record | None
    began_at: float
    answered_at: float
    heeded: bool
    is_older: bool = False
    in_a_crowd: bool = False

    def value(self, name: str) -> Any:
        value = None if self.record is None else self.record.get(name)
        return value.lower() if name == "state" and value else value

    @property
    def says_over(self) -> bool:
        if self.record is None:
            return not self.in_a_crowd
        is_clear = self.value("state") in ("scheduled", "live")
        return self.value("state") in ("ended", "canceled") or bool(not is_clear and self.value("ended_at"))

    @property
    def says_alive(self) -> bool:
        return self.record is not None and not self.says_over


@dataclass(frozen=True, slots=True)
class Trial:
    """An event, and everything that may speak for it.

    Attributes:
        believed: The Space as the events before have told it.
        since: How many of the earlier events lie before the last erasure.
        now: The moment at which it was committed.
    """

    event: Event
    words: Sequence[Word]
    earlier: Sequence[Event]
    believed: Space
    now: float
    since: int = 0

    def detail(self, name: str) -> Any:
        return self.event.data["details"][name]

    def shown(self, name: str) -> Any:
        return self.event.data["space"].get(name)

    def was_said(self, **values: Any) -> bool:
        """Return whether one answer said all of this at once."""
        return any(all(word.value(name) == value for name, value in values.items()) for word in self.words)

    def was_said_twice(self, claim: Claim, against: Claim) -> bool:
        """Return whether a claim was heard two times far enough apart, with nothing against it between."""
        claims = sorted(filter(claim, self.words), key=lambda word: word.began_at)
        return any(
            other.answered_at - one.answered_at >= APART
            and not any(
                word.heeded and one.began_at < word.began_at < other.began_at and against(word)
                for word in self.words
            )
            for one, other in combinations(claims, 2)
        )

    def is_proven(self, name: str) -> bool:
        """Return whether a field may be what it is now: a return to what it was lately takes a proof (E4)."""
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
            word.value(name) == value and self._is_newest(word) for word in self.words
        ) or self.was_said_twice(
            lambda word: word.value(name) == value,
            lambda word: (
                word.value("state") == self.believed.state
                and not word.is_older
                and word.value(name) not in (None, value)
            ),
        )

    def _is_newest(self, word: Word) -> bool:
        mark = instant(word.value("updated_at"))
        before = [instant(each.value("updated_at")) for each in self.words if each.began_at < word.began_at]
        return mark is not None and all(each is None or each < mark for each in before)

    def is_new(self, *details: str) -> bool:
        """Return whether no event of this type came before with the same start, and these details."""
        told = [event for event in self.earlier if event.type is self.event.type]
        same = [
            event
            for event in told
            if all(event.data["details"][name] == self.detail(name) for name in details)
        ]
        if details:
            return not same
        start = instant(self.believed.scheduled_start)
        return start not in [instant(event.data["space"].get("scheduled_start")) for event in told]


Claim: TypeAlias = Callable[[Word], bool]


def _started(trial: Trial) -> bool:
    signs = ("started_at", "participant_count", "speaker_ids")
    was_ended = any(word.says_over for word in trial.words)
    return trial.was_said(state="live") or (
        was_ended and any(word.value(sign) for word in trial.words for sign in signs)
    )


def _ended(trial: Trial) -> bool:
    if trial.event.data["details"].get("reason") == "inaccessible":
        return _was_inaccessible(trial)
    if any(word.value("state") == "ended" and word.value("ended_at") for word in trial.words):
        return True
    return _is_surely_over(trial)


def _was_inaccessible(trial: Trial) -> bool:
    """Return whether for hours nothing was heard of a Space, neither a sighting nor a not-found."""
    heard = [word.answered_at for word in trial.words if word.heeded]
    return trial.now - max(heard) >= INACCESSIBLE


def _canceled(trial: Trial) -> bool:
    match trial.detail("reason"):
        case "explicit":
            return trial.was_said(state="canceled")
        case "never_started":
            return any(
                word.value("state") == "ended" and word.value("ended_at") for word in trial.words
            ) or _is_surely_over(trial)
        case "inaccessible":
            return _was_inaccessible(trial)
    return _is_surely_over(trial)


def _is_surely_over(trial: Trial) -> bool:
    return trial.was_said_twice(lambda word: word.says_over, lambda word: word.says_alive)


def _hosts_changed(trial: Trial) -> bool:
    state = trial.believed.state

    def left(host: str) -> bool:
        return trial.was_said_twice(
            lambda word: word.value("host_ids") is not None and host not in word.value("host_ids"),
            lambda word: (
                word.value("state") == state and not word.is_older and host in (word.value("host_ids") or ())
            ),
        )

    return all(map(left, trial.detail("removed"))) and all(
        any(host in (word.value("host_ids") or ()) for word in trial.words) for host in trial.detail("added")
    )


def _speakers_added(trial: Trial) -> bool:
    heard = {each for word in trial.words for each in word.value("speaker_ids") or ()}
    before = set(trial.believed.speaker_ids or ())
    added = set(trial.detail("added"))
    return added <= heard - before and trial.detail("total") == len(before | added)


def _rescheduled(trial: Trial) -> bool:
    before, after = instant(trial.believed.scheduled_start), instant(trial.shown("scheduled_start"))
    assert before is not None
    assert after is not None
    return (
        trial.believed.state == "scheduled" and trial.detail("delta_seconds") == round(after - before, 3) != 0
    )


def _milestone(trial: Trial) -> bool:
    threshold = trial.detail("threshold")
    reached = any((word.value("participant_count") or 0) >= threshold for word in trial.words)
    return threshold in THRESHOLDS and reached and trial.is_new("threshold")


def _reminder(trial: Trial) -> bool:
    start = instant(trial.believed.scheduled_start)
    if start is None or trial.believed.state != "scheduled" or not trial.is_new():
        return False
    late = trial.now - (start - REMINDER)
    minutes = REMINDER / 60 if late <= ON_TIME else round((start - trial.now) / 60, 2)
    return 0 <= late < REMINDER and trial.detail("minutes_before") == minutes


def _overdue(trial: Trial) -> bool:
    start = instant(trial.believed.scheduled_start)
    if start is None or trial.believed.state != "scheduled" or not trial.is_new():
        return False
    return any(
        word.value("state") == "scheduled" and word.began_at >= start + OVERDUE for word in trial.words
    )


def _corrected(trial: Trial) -> bool:
    """Two polls that show the Space scheduled take a start back; two that show it going on, an end."""
    if trial.believed.state == "live":
        wrong = [each for each in trial.earlier if each.type is EventType.STARTED]
        is_shown = trial.was_said_twice(
            lambda word: word.value("state") == "scheduled", lambda word: word.value("state") == "live"
        )
    else:
        wrong = [each for each in trial.earlier if each.type in (EventType.ENDED, EventType.CANCELED)]
        is_inferred = bool(wrong) and wrong[-1].data["inferred"]
        is_shown = trial.was_said_twice(
            lambda word: word.record is not None,
            lambda word: not is_inferred and word.value("state") in ("ended", "canceled"),
        )
    return is_shown and trial.detail("retracts") == (wrong[-1].id if wrong else None)


def _redacted(trial: Trial) -> bool:
    lost = [
        word.answered_at for word in trial.words if word.record is None or word.value("state") == "canceled"
    ]
    is_over = trial.believed.state in ("ended", "canceled")
    return is_over and min(lost) <= trial.now - ERASURE and trial.event.data["space"].keys() == {"id"}


CAUSES: Final[Mapping[EventType, Callable[[Trial], bool]]] = {
    EventType.SCHEDULED: lambda trial: trial.was_said(state="scheduled"),
    EventType.STARTED: _started,
    EventType.ENDED: _ended,
    EventType.CANCELED: _canceled,
    EventType.TITLE_CHANGED: lambda trial: trial.believed.title != trial.shown("title"),
    EventType.RESCHEDULED: _rescheduled,
    EventType.HOSTS_CHANGED: _hosts_changed,
    EventType.SPEAKERS_ADDED: _speakers_added,
    EventType.UPDATED: lambda trial: bool(trial.event.data["changed"]),
    EventType.PARTICIPANTS_MILESTONE: _milestone,
    EventType.REMINDER: _reminder,
    EventType.START_OVERDUE: _overdue,
    EventType.CORRECTED: _corrected,
    EventType.REDACTED: _redacted,
}
"""What must have been heard for an event to be told. Beyond this, each new value must have been said."""


@dataclass
class Chronicle:
    """Every word and every event so far, by Space, and each Space as its events tell it."""

    words: dict[str, list[Word]] = field(default_factory=lambda: defaultdict(list))
    events: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    told: dict[str, Space] = field(default_factory=dict)
    erased_after: dict[str, int] = field(default_factory=dict)
    crowd_missing_since: float | None = None

    def hear(self, answer: Answer, before: Known, after: Known) -> None:
        """Note what an answer said of each Space, by what was known before it was applied and after."""
        shown, missing = answer.seen(), answer.missing()
        if set(CROWD) <= missing | answer.left_open():
            self.crowd_missing_since = self.crowd_missing_since or answer.answered_at
        elif answer.question.call is Call.LOOKUP and set(CROWD) & shown.keys():
            self.crowd_missing_since = None
        for space_id in map(SpaceId, (*shown, *missing)):
            was, known = before[space_id], after[space_id]
            is_latest = was is None or answer.began_at >= was.began_at
            word = Word(
                shown.get(space_id),
                answer.began_at,
                answer.answered_at,
                heeded=is_latest and known is not None and known.began_at == answer.began_at,
                is_older=_is_older(shown.get(space_id), known),
                in_a_crowd=self._crowd_is_missing(answer.answered_at, before),
            )
            self.words[space_id].append(word)

    def _crowd_is_missing(self, now: float, before: Known) -> bool:
        known = [before[SpaceId(each)] for each in CROWD]
        is_alive = all(each and not each.phase.is_over for each in known)
        return is_alive and self.crowd_missing_since is not None and self.crowd_missing_since > now - HOLD

    def check(self, event: Event, *, now: float) -> None:
        """Hold a new event of a Space against what was heard, and take it in."""
        space_id = event.data["space"]["id"]
        earlier = self.events[space_id]
        assert event.sequence == len(earlier) + 1, "sequences have a gap"
        believed = self.told.get(space_id) or _before(event)
        since = self.erased_after.get(space_id, 0)
        trial = Trial(event, self.words[space_id], earlier, believed, now, since)
        assert CAUSES[event.type](trial), f"{event.type} has no cause: {event.data}"
        for name in set(event.data["changed"]) - TOLD_BY_SUMS:
            assert trial.was_said(**{name: trial.shown(name)}), f"nobody said {name} {trial.shown(name)!r}"
            assert trial.is_proven(name), f"{name} went back to {trial.shown(name)!r} without a proof"
        if event.type is EventType.REDACTED:
            believed = believed.without_content()
        is_forward = ORDER[believed.state] <= ORDER[event.data["space"].get("state", believed.state)]
        assert is_forward or event.type is EventType.CORRECTED, "a phase went back"
        earlier.append(event)
        self.told[space_id] = replay([event], believed)

    def agree(self, known: Known) -> None:
        """Hold the known states against what the events tell; a Space taken in silently begins as it is."""
        for space_id, each in known.items():
            if each is None:
                assert space_id not in self.told
                continue
            believed = self.told.setdefault(space_id, each.space)
            if each.erased:
                self.erased_after[space_id] = len(self.events[space_id])
                believed = self.told[space_id] = believed.without_content()
            assert told_part(each.space) == told_part(believed), "the state is not what the events tell"
            assert each.space.state == each.phase
            assert each.sequence == len(self.events[space_id])


def _is_older(record: Record | None, known: KnownSpace | None) -> bool:
    marks = [(record or {}).get("updated_at"), known.space.updated_at if known else None]
    said, believed = map(instant, marks)
    return said is not None and believed is not None and said < believed


def _before(event: Event) -> Space:
    """Return the Space ahead of its first event; one that was taken in silently had what this event shows."""
    changed: dict[str, Any] = dict.fromkeys(event.data["changed"]) | event.data["previous"]
    shown: dict[str, Any] = {} if event.data["first_sighting"] else event.data["space"]
    values = {name: value for name, value in (shown | changed).items() if name != "id"}
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return Space(id=SpaceId(event.data["space"]["id"])).with_values(values | lists)
