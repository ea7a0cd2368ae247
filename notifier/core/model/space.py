"""A Space as X describes it: every field of X's Space data dictionary, plus ``creator_id``.

A field that is None is unknown: not requested, left out and null all mean the same (rule E5). The tables at
the top say how each field is read and compared; no other code lists the fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, Final, TypeAlias

from notifier.core.model.ids import SpaceId, UserId
from notifier.core.model.instants import MAX_LENGTH, instant

Value: TypeAlias = str | int | bool | tuple[str, ...]


class FieldKind(StrEnum):
    """How a field's value is read and compared."""

    TEXT = "text"
    TIME = "time"  # kept as X wrote it, compared as an instant
    FLAG = "flag"
    COUNT = "count"  # changes constantly; never causes an event
    IDS = "ids"  # a set written as a list; the order has no meaning


FIELD_KINDS: Final[Mapping[str, FieldKind]] = {
    "state": FieldKind.TEXT,
    "title": FieldKind.TEXT,
    "lang": FieldKind.TEXT,
    "creator_id": FieldKind.TEXT,
    "created_at": FieldKind.TIME,
    "scheduled_start": FieldKind.TIME,
    "started_at": FieldKind.TIME,
    "ended_at": FieldKind.TIME,
    "updated_at": FieldKind.TIME,
    "is_ticketed": FieldKind.FLAG,
    "participant_count": FieldKind.COUNT,
    "subscriber_count": FieldKind.COUNT,
    "host_ids": FieldKind.IDS,
    "speaker_ids": FieldKind.IDS,
    "invited_user_ids": FieldKind.IDS,
    "topic_ids": FieldKind.IDS,
}

SILENT_FIELDS: Final = frozenset({"participant_count", "subscriber_count", "updated_at"})
"""Fields without an event of their own (law 2 excludes them)."""


LONGEST_ODD_STATE: Final = 32

MAX_COUNT: Final = 2**53 - 1
"""The highest count that every reader of JSON keeps exactly."""


class Phase(StrEnum):
    """The phase of a Space as we know it. Phases go scheduled < live < ended or canceled (E6)."""

    SCHEDULED = "scheduled"
    LIVE = "live"
    ENDED = "ended"
    CANCELED = "canceled"

    @property
    def is_over(self) -> bool:
        """Whether the Space has ended or was canceled."""
        return self in (Phase.ENDED, Phase.CANCELED)


@dataclass(frozen=True, slots=True)
class User:
    """A person as X names them in ``includes.users``."""

    id: UserId
    name: str
    username: str

    def as_json(self) -> dict[str, str]:
        """Return the user under X's field names."""
        return {"id": self.id, "name": self.name, "username": self.username}


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """One Space with X's own field names; None means unknown."""

    id: SpaceId
    state: str | None = None
    title: str | None = None
    lang: str | None = None
    creator_id: str | None = None
    created_at: str | None = None
    scheduled_start: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    updated_at: str | None = None
    is_ticketed: bool | None = None
    participant_count: int | None = None
    subscriber_count: int | None = None
    host_ids: tuple[str, ...] | None = None
    speaker_ids: tuple[str, ...] | None = None
    invited_user_ids: tuple[str, ...] | None = None
    topic_ids: tuple[str, ...] | None = None

    def value(self, field: str) -> Value | None:
        """Return one field by its name."""
        value: Value | None = getattr(self, field)
        return value

    def with_values(self, values: Mapping[str, Value | None]) -> Space:
        """Return the Space with these fields set."""
        changes: dict[str, Any] = dict(values)
        return replace(self, **changes) if changes else self

    def known(self) -> dict[str, Value]:
        """Return every known field but the id."""
        return {name: value for name in FIELD_KINDS if (value := self.value(name)) is not None}

    def as_json(self) -> dict[str, Any]:
        """Return the Space as X writes it: the id and every known field, lists as lists."""
        return {"id": self.id, **{name: jsonable(value) for name, value in self.known().items()}}

    def without_content(self) -> Space:
        """Return what may be kept of a Space that X no longer has: ids, times and the state."""
        kept = {
            name: self.value(name)
            for name, kind in FIELD_KINDS.items()
            if kind is FieldKind.TIME or name in ("state", "creator_id")
        }
        return Space(id=self.id).with_values(kept)

    def people(self) -> tuple[str, ...]:
        """Return the ids of the users that the Space names, each once: creator, hosts, speakers, guests."""
        creator = (self.creator_id,) if self.creator_id else ()
        named = (*creator, *(self.host_ids or ()), *(self.speaker_ids or ()), *(self.invited_user_ids or ()))
        return tuple(dict.fromkeys(named))


def jsonable(value: Value) -> str | int | bool | list[str]:
    """Return a field's value as JSON has it."""
    return list(value) if isinstance(value, tuple) else value


def meaning(field: str, value: Value | None) -> str | float | list[str] | None:
    """Return a value in a JSON form that is equal for values that mean the same.

    Valid times become instants, and lists are sorted.
    """
    if isinstance(value, tuple):
        return sorted(set(value))
    if FIELD_KINDS[field] is FieldKind.TIME and isinstance(value, str):
        moment = instant(value)
        return value if moment is None else moment
    return value


def same(field: str, one: Value | None, other: Value | None) -> bool:
    """Return whether two values of a field mean the same."""
    return one == other or meaning(field, one) == meaning(field, other)


def read_space(space_id: SpaceId, raw: Mapping[str, Any]) -> Space:
    """Return a Space read from X's JSON; never raises: a value of the wrong form is unknown.

    The older contract (2.166) has ``topics`` as objects where the newer one (2.167) has ``topic_ids``.
    """
    values: dict[str, Any] = {
        name: READERS[kind](raw[name]) for name, kind in FIELD_KINDS.items() if name in raw
    }
    if raw.get("state") is not None:
        values["state"] = _read_state(raw["state"])
    topics = raw.get("topics")
    if values.get("topic_ids") is None and isinstance(topics, list):
        values["topic_ids"] = _read_ids(
            [topic.get("id") if isinstance(topic, dict) else None for topic in topics]
        )
    return Space(id=space_id, **values)


def read_user(raw: object) -> User | None:
    """Return a user read from X's JSON, or None without an id."""
    if not isinstance(raw, dict):
        return None
    user_id = _read_text(raw.get("id"))
    if user_id is None:
        return None
    return User(UserId(user_id), _read_text(raw.get("name")) or "", _read_text(raw.get("username")) or "")


def _read_text(raw: object) -> str | None:
    if not isinstance(raw, str) or not raw:
        return None
    # A lone surrogate is legal in JSON but cannot be sent as UTF-8.
    return raw.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _read_state(raw: object) -> str:
    """Return a state; anything but a non-empty text becomes an unknown state (rule E6)."""
    return _read_text(raw) or repr(raw)[:LONGEST_ODD_STATE]


def _read_time(raw: object) -> str | None:
    text = _read_text(raw)
    return text if text is not None and len(text) <= MAX_LENGTH else None


def _read_flag(raw: object) -> bool | None:
    return raw if isinstance(raw, bool) else None


def _read_count(raw: object) -> int | None:
    return raw if isinstance(raw, int) and not isinstance(raw, bool) and 0 <= raw <= MAX_COUNT else None


def _read_ids(raw: object) -> tuple[str, ...] | None:
    """Return a list of ids. One malformed item makes it unknown, or hosts would seem to leave."""
    if not isinstance(raw, list):
        return None
    ids = [_read_text(item) for item in raw]
    return None if None in ids else tuple(dict.fromkeys(text for text in ids if text))


READERS: Final[Mapping[FieldKind, Callable[[object], Value | None]]] = {
    FieldKind.TEXT: _read_text,
    FieldKind.TIME: _read_time,
    FieldKind.FLAG: _read_flag,
    FieldKind.COUNT: _read_count,
    FieldKind.IDS: _read_ids,
}

if {field.name for field in fields(Space)} != {"id", *FIELD_KINDS}:  # pragma: no cover - a programming error
    raise AssertionError("Space and FIELD_KINDS list different fields")
