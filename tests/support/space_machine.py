"""A model of X for the state machine over Spaces: valid and invalid histories, and X's answers."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeAlias

from notifier.core.model.answers import read_answer
from notifier.core.model.instants import instant, rfc3339
from notifier.core.model.observation import Call, Failure, Observation, Question, failed
from notifier.core.model.problems import FailureKind
from notifier.core.model.space import Phase
from notifier.core.spaces.known import KnownSpace
from tests.support.api_runtime import Clock

Record: TypeAlias = dict[str, Any]

SPACES: Final = ("SpaceA", "spaceA", "SpaceB")
"""The Spaces with histories; two ids that differ only in case are two Spaces."""

CROWD: Final = tuple(f"Crowd{number}" for number in range(6))
"""Spaces that are always live, so that enough can vanish at once for a mass vanish (E2)."""

CREATORS: Final = {"SpaceA": "11", "spaceA": "22", "SpaceB": "11"} | dict.fromkeys(CROWD, "99")
HOURS: Final = 3600.0
LIVE_FIELDS: Final = {"participant_count": 0, "speaker_ids": [], "topic_ids": ["5"], "lang": "en"}


class Fault(StrEnum):
    """What is wrong with one answer."""

    NONE = "none"
    FAILED = "failed"
    EMPTY = "empty"  # a healthy answer that names no Space
    VANISH_ALL = "vanish_all"  # everything is suddenly not found
    STALE = "stale"  # from a lagging replica
    STALE_UNMARKED = "stale_unmarked"  # the same, without ``updated_at``
    STALE_MARKED_AS_NEW = "stale_marked_as_new"  # the same, with the newest ``updated_at``
    NULLS = "nulls"  # null wherever a field could be left out
    INNER_ERROR = "inner_error"  # a 200 with nothing but an error
    INACCESSIBLE = "inaccessible"  # lookups are not authorized for any Space
    UPPERCASE = "shouted"  # states in capitals
    BARE = "bare"  # X's default fields: id and state
    STATELESS = "stateless"
    UNLISTED = "unlisted"  # no lists of ids and no creator, so matching needs the known state
    CONTRADICTORY = "contradictory"  # data and errors name the same Space
    USER_ERRORS = "user_errors"  # errors about people only


@dataclass(frozen=True, slots=True)
class Answer:
    """X's answer to a worker; ``subjects`` are those of the polls."""

    question: Question
    subjects: tuple[str, ...]
    body: str
    began_at: float
    answered_at: float

    def observation(self) -> Observation:
        """Return the answer as the client reads it; an empty body is a failed call."""
        if not self.body:
            failure = Failure(FailureKind.UNAVAILABLE, "503")
            return failed(self.question, failure, self.began_at, self.answered_at)
        return read_answer(self.question, json.loads(self.body), self.began_at, self.answered_at)

    def seen(self) -> dict[str, Record]:
        """Return the records in the answer, by Space."""
        return {record["id"]: record for record in self._part("data")}

    def missing(self) -> set[str]:
        """Return the Spaces reported as not found and not shown (E7)."""
        named = {
            each["resource_id"]
            for each in self._part("errors")
            if each.get("resource_type") == "space" and each["title"] == NOT_FOUND
        }
        return named - self.seen().keys()

    def unaccounted_for(self) -> set[str]:
        """Return the Spaces that were looked up by id but not mentioned (E7)."""
        if self.question.call is not Call.LOOKUP or self.observation().failure is not None:
            return set()
        return {*self.question.subjects} - self.seen().keys() - self.missing()

    def _part(self, name: str) -> list[Record]:
        found: list[Record] = json.loads(self.body).get(name) if self.body else []
        return found or []


@dataclass
class X:
    """The true state at X: the Spaces it has, those it has lost, and earlier states."""

    clock: Clock
    has: dict[str, Record] = field(default_factory=dict)
    lost: dict[str, Record] = field(default_factory=dict)
    past: list[dict[str, Record]] = field(default_factory=lambda: [{}])
    edits: int = 0

    def move(self, space_id: str, move: str, number: int) -> None:
        """Apply a move to a Space; a Space that X does not have appears or reappears."""
        if space_id in self.has:
            MOVES[move](self, self.has[space_id], number)
        elif space_id in self.lost:
            self.has[space_id] = self.lost.pop(space_id)
        else:
            self.has[space_id] = self._blank(space_id)
            MOVES["start" if move == "start" else "plan"](self, self.has[space_id], number)
        self.remember()

    def remember(self) -> None:
        """Save the current state for lagging replicas."""
        self.past.append(copy.deepcopy(self.has))

    def refresh_timestamps(self) -> None:
        """Set every ``updated_at`` to now, after histories that may have broken it."""
        for record in self.has.values():
            record.update(updated_at=self.now())

    def now(self, seconds: float = 0.0) -> str:
        """Return the current time plus ``seconds``, in X's format."""
        return rfc3339(self.clock() + seconds)

    def edit(self, record: Record, **changes: Any) -> None:
        """Change fields that the owner of a Space can edit, which updates ``updated_at``."""
        record.update(changes, updated_at=self.now())

    def fresh_title(self, record: Record) -> str:
        self.edits += 1
        return f"title {self.edits} of {record['id']}"

    def lose(self, record: Record) -> None:
        self.lost[record["id"]] = self.has.pop(record["id"])

    def answer(self, call: Call, subjects: tuple[str, ...], fault: Fault, behind: int) -> str:
        """Return the body of X's current answer, empty for a failed call."""
        if fault is Fault.FAILED:
            return ""
        if fault is Fault.INNER_ERROR:
            return json.dumps({"errors": [{"code": 130, "message": "Over capacity"}]})
        has = self.past[-1 - behind % len(self.past)] if fault in OUTDATED else self.has
        shows_nothing = fault in (Fault.EMPTY, Fault.VANISH_ALL)
        shows_nothing |= fault is Fault.INACCESSIBLE and call is Call.LOOKUP
        shown = [] if shows_nothing else _asked_for(has, call, subjects)
        shown = [self._with_fault(record, fault) for record in shown]
        errors = []
        if call is Call.LOOKUP and fault is not Fault.EMPTY:
            known = set() if fault is Fault.CONTRADICTORY else {record["id"] for record in shown}
            title = FORBIDDEN if fault is Fault.INACCESSIBLE else NOT_FOUND
            errors = [_problem("space", each, title) for each in subjects if each not in known]
        if fault is Fault.USER_ERRORS:
            errors.append(_problem("user", "11", NOT_FOUND))
        people = [{"id": each, "name": f"Name {each}", "username": f"user_{each}"} for each in ("11", "22")]
        body: Record = {"data": shown, "errors": errors, "includes": {"users": people}}
        if fault is Fault.NULLS:
            body |= {name: None for name in ("errors", "includes") if not body[name] or name == "includes"}
        return json.dumps(body | ({} if call is Call.LOOKUP else {"meta": {"result_count": len(shown)}}))

    def _with_fault(self, record: Record, fault: Fault) -> Record:
        """Return a record as an answer with this fault shows it."""
        current = self.has.get(record["id"], {})
        if fault is Fault.STALE_MARKED_AS_NEW and "updated_at" in current:
            record = record | {"updated_at": current["updated_at"]}
        if fault is Fault.NULLS:
            return {
                name: value if name in ("id", "state", "title") else None for name, value in record.items()
            }
        if fault is Fault.UPPERCASE:
            return record | {"state": record["state"].upper()}
        return {name: value for name, value in record.items() if fault not in KEPT or KEPT[fault](name)}

    def _blank(self, space_id: str) -> Record:
        creator = CREATORS[space_id]
        record = {"id": space_id, "creator_id": creator, "host_ids": [creator], "created_at": self.now()}
        self.edit(record, title=self.fresh_title(record), **copy.deepcopy(LIVE_FIELDS))
        return record


def _asked_for(has: Mapping[str, Record], call: Call, subjects: tuple[str, ...]) -> list[Record]:
    """Return what a call shows: any Space for a lookup, live and scheduled ones for the others."""
    if call is Call.LOOKUP:
        return [copy.deepcopy(has[each]) for each in subjects if each in has]
    alive = [record for record in has.values() if record["state"] in ("live", "scheduled")]
    if call is Call.CREATORS:
        alive = [record for record in alive if record["creator_id"] in subjects]
    return copy.deepcopy([record for record in alive if call is Call.CREATORS or record["id"] in SPACES])


OUTDATED: Final = frozenset({Fault.STALE, Fault.STALE_UNMARKED, Fault.STALE_MARKED_AS_NEW})
"""The faults of a lagging replica."""

NOT_FOUND: Final = "Not Found Error"
FORBIDDEN: Final = "Authorization Error"
PROBLEM_TYPES: Final = {NOT_FOUND: "resource-not-found", FORBIDDEN: "not-authorized-for-resource"}

KEPT: Final[Mapping[Fault, Callable[[str], bool]]] = {
    Fault.BARE: lambda name: name in ("id", "state"),
    Fault.STALE_UNMARKED: lambda name: name != "updated_at",
    Fault.STATELESS: lambda name: name != "state",
    Fault.UNLISTED: lambda name: not name.endswith("_ids") and name != "creator_id",
}
"""The fields that a reduced answer still has."""


def _problem(resource: str, value: str, title: str) -> Record:
    return {
        "resource_type": resource,
        "resource_id": value,
        "parameter": "ids",
        "value": value,
        "title": title,
        "type": f"https://api.x.com/2/problems/{PROBLEM_TYPES[title]}",
    }


def _toggle(values: list[str], value: str) -> list[str]:
    return [each for each in values if each != value] if value in values else [*values, value]


def _plan(x: X, record: Record, number: int) -> None:
    if record.get("state") in (None, "scheduled"):
        seconds = (300, 1200, 2 * HOURS, 30 * HOURS, -60, 960)[number]
        x.edit(record, state="scheduled", scheduled_start=x.now(seconds))


CHANGES: Final[Mapping[str, Callable[[X, Record, int], None]]] = {
    "plan": _plan,
    "start": lambda x, record, _: record.update(state="live", started_at=x.now()),
    "retitle": lambda x, record, _: x.edit(record, title=x.fresh_title(record)),
    "change hosts": lambda x, record, n: x.edit(record, host_ids=_toggle(record["host_ids"], f"3{n % 2}")),
    "lose hosts": lambda x, record, _: x.edit(record, host_ids=[]),
    "change speakers": lambda x, record, n: x.edit(
        record, speaker_ids=_toggle(record["speaker_ids"], f"4{n % 2}")
    ),
    "change topics": lambda x, record, _: x.edit(record, topic_ids=_toggle(record["topic_ids"], "5")),
    "change language": lambda x, record, n: x.edit(record, lang=("en", "de")[n % 2]),
    "fill": lambda _x, record, n: record.update(participant_count=(0, 99, 100, 501, 1000, 20_000)[n]),
}
"""Changes of a live or scheduled Space."""

ENDS: Final[Mapping[str, Callable[[X, Record, int], None]]] = {
    "end": lambda x, record, _: record.update(state="ended", ended_at=x.now()),
    "end without a time": lambda _x, record, _: record.update(state="ended"),
    "cancel": lambda _x, record, _: record.update(state="canceled"),
    "lose": lambda x, record, _: x.lose(record),
}

INVALID_MOVES: Final[Mapping[str, Callable[[X, Record, int], None]]] = {
    "report an unknown state": lambda _x, record, _: record.update(state="paused"),
    "retract the start": lambda _x, record, _: record.update(state="scheduled"),
    "retract the end": lambda _x, record, _: record.update(state="live"),
    "turn the clock back": lambda x, record, _: record.update(updated_at=x.now(-24 * HOURS)),
}
"""Changes that X does not make, but that its answers may show."""

MOVES: Final = {**CHANGES, **ENDS, **INVALID_MOVES}

SETTLED: Final[Mapping[str, Mapping[Phase | None, Phase]]] = {
    "scheduled": dict.fromkeys((None, *Phase), Phase.SCHEDULED),
    "live": dict.fromkeys((None, *Phase), Phase.LIVE),
    "ended": {
        None: Phase.ENDED,
        Phase.SCHEDULED: Phase.ENDED,
        Phase.LIVE: Phase.ENDED,
        Phase.CANCELED: Phase.ENDED,
    },
    "never started": {None: Phase.ENDED, Phase.SCHEDULED: Phase.CANCELED, Phase.LIVE: Phase.ENDED},
    "canceled": {None: Phase.CANCELED, Phase.SCHEDULED: Phase.CANCELED, Phase.LIVE: Phase.ENDED},
    "missing": {Phase.SCHEDULED: Phase.CANCELED, Phase.LIVE: Phase.ENDED},
}
"""The phase that a Space settles in, by X's state and the known phase; it stays if not listed."""


def settled_phase(known: KnownSpace | None, record: Record | None) -> Phase | None:
    """Return the phase that an unchanging Space settles in under healthy polls (E6)."""
    phase = known.phase if known else None
    word = "missing" if record is None else record["state"]
    if word == "paused" and known and record and record.get("ended_at"):
        word = "ended"
    if known and known.phase.is_over and known.is_over_by_word and word not in ("live", "scheduled"):
        return phase
    was_on_air = any(map(_shows_a_start, (record or {}, known.space.as_json() if known else {})))
    return SETTLED.get("never started" if word == "ended" and not was_on_air else word, {}).get(phase, phase)


def _shows_a_start(record: Record) -> bool:
    speakers, at_home = record.get("speaker_ids") or (), ("11", "22", *(record.get("host_ids") or ()))
    return bool(record.get("started_at") or record.get("participant_count") or {*speakers} - {*at_home})


def matches_x(known: KnownSpace, record: Record) -> bool:
    """Return whether the known fields match X's record; speakers stay once seen."""
    space = known.space
    return (
        space.title == record["title"]
        and space.lang == record["lang"]
        and set(space.host_ids or ()) == set(record["host_ids"])
        and set(space.topic_ids or ()) == set(record["topic_ids"])
        and set(space.speaker_ids or ()) >= set(record["speaker_ids"])
        and instant(space.scheduled_start) == instant(record.get("scheduled_start"))
    )
