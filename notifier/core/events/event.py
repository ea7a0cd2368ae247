"""Events: immutable facts, and the bytes that a receiver gets for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from notifier.core.model.ids import EndpointId, EventId, SpaceId, WatchId, event_id
from notifier.core.model.instants import rfc3339
from notifier.core.model.space import FIELD_KINDS, FieldKind, Space, User, Value, jsonable, meaning

MAX_BODY_BYTES: Final = 20_000
"""Bodies stay under 20 kB; longer lists are cut."""

CUT_LISTS: Final = frozenset(
    {
        *(name for name, kind in FIELD_KINDS.items() if kind is FieldKind.IDS),
        *("users", "added", "removed", "spaces", "watch_ids"),
    }
)
"""The lists that may be cut, anywhere in the payload."""

SPACE_URL: Final = "https://x.com/i/spaces/"


class EventType(StrEnum):
    """Every type; ``space.*`` in a subscription means those of the first group."""

    SCHEDULED = "space.scheduled"
    RESCHEDULED = "space.rescheduled"
    STARTED = "space.started"
    ENDED = "space.ended"
    CANCELED = "space.canceled"
    TITLE_CHANGED = "space.title_changed"
    HOSTS_CHANGED = "space.hosts_changed"
    SPEAKERS_ADDED = "space.speakers_added"
    UPDATED = "space.updated"
    PARTICIPANTS_MILESTONE = "space.participants_milestone"
    REMINDER = "space.reminder"
    START_OVERDUE = "space.start_overdue"
    CORRECTED = "space.corrected"
    REDACTED = "space.redacted"
    WATCH_BASELINE = "watch.baseline"
    WATCH_FAILED = "watch.failed"
    SOURCE_DEGRADED = "source.degraded"
    SOURCE_RECOVERED = "source.recovered"
    ENDPOINT_DISABLED = "endpoint.disabled"
    WEBHOOK_TEST = "webhook.test"


class PayloadForm(StrEnum):
    """How much of the event a body holds."""

    FULL = "full"
    THIN = "thin"  # ids, type, times and plain facts; nothing that X requires us to erase


@dataclass(frozen=True, slots=True)
class Routing:
    """What filters read; stored in addition to the payload so that a redacted event can still be routed."""

    space_id: SpaceId | None = None
    creator_ids: tuple[str, ...] = ()
    watch_ids: tuple[WatchId, ...] = ()
    lang: str | None = None
    endpoint_id: EndpointId | None = None  # if set: only for this endpoint, whatever it subscribes to


@dataclass(frozen=True, slots=True)
class Event:
    """One fact. ``data`` is the payload's ``data`` object without what the transport adds."""

    id: EventId
    type: EventType
    timestamp: str
    data: Mapping[str, Any]
    routing: Routing = field(default_factory=Routing)
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """When and how the change that an event announces was seen. Times are epoch seconds."""

    observed_at: float
    observed_between: tuple[float, float]
    first_sighting: bool
    watch_ids: tuple[WatchId, ...]


def space_event(
    event_type: EventType,
    *,
    sequence: int,
    before: Space | None,
    after: Space,
    changed: Sequence[str],
    details: Mapping[str, Any],
    users: Mapping[str, User],
    sighting: Sighting,
    occurred_at: str | None = None,
    inferred: bool = False,
    occasion: str = "",
) -> Event:
    """Return an event about a Space.

    The id depends on the Space, the sequence, the type, the meaning of the new values, and the occasion of an
    event that changes no field. It depends on nothing that differs between two polls of the same transition
    (law 3).
    """
    values = {name: after.value(name) for name in sorted(changed)}
    content = canonical({name: meaning(name, value) for name, value in values.items()}) + occasion
    identity = event_id(after.id, str(sequence), event_type, content)
    observed_at = rfc3339(sighting.observed_at)
    data = {
        "id": identity,
        "sequence": sequence,
        "space": after.as_json(),
        "users": [user.as_json() for user in users.values()],
        "previous": _previous(before, values),
        "changed": list(values),
        "details": dict(details),
        "occurred_at": occurred_at,
        "observed_at": observed_at,
        "observed_between": [rfc3339(moment) for moment in sighting.observed_between],
        "inferred": inferred,
        "first_sighting": sighting.first_sighting,
        "watch_ids": list(sighting.watch_ids),
        "url": SPACE_URL + after.id,
    }
    routing = routing_of(after, sighting.watch_ids)
    return Event(identity, event_type, occurred_at or observed_at, data, routing, sequence)


def routing_of(space: Space, watch_ids: tuple[WatchId, ...]) -> Routing:
    """Return what filters read of a Space; hosts count as creators, as X may not name the creator."""
    creators = (space.creator_id, *(space.host_ids or ()))
    return Routing(
        space_id=space.id,
        creator_ids=tuple(dict.fromkeys(creator for creator in creators if creator)),
        watch_ids=watch_ids,
        lang=space.lang,
    )


def plain_event(
    event_type: EventType,
    *,
    content: Sequence[str],
    details: Mapping[str, Any],
    observed_at: float,
    watch_ids: tuple[WatchId, ...] = (),
    endpoint_id: EndpointId | None = None,
) -> Event:
    """Return an event that is not about one Space; its id is derived from ``content``."""
    identity = event_id(event_type, *content)
    moment = rfc3339(observed_at)
    data = {
        "id": identity,
        "details": dict(details),
        "occurred_at": moment,
        "observed_at": moment,
        "inferred": False,
        "watch_ids": list(watch_ids),
    }
    return Event(identity, event_type, moment, data, Routing(watch_ids=watch_ids, endpoint_id=endpoint_id))


def _previous(before: Space | None, values: Mapping[str, Value | None]) -> dict[str, Any]:
    if before is None:
        return {}
    known = {name: before.value(name) for name in values}
    return {name: jsonable(value) for name, value in known.items() if value is not None}


def canonical(document: Mapping[str, Any]) -> str:
    """Return JSON in the one form that ids and bodies use: compact, UTF-8, keys in the order given."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def encode(event: Event) -> bytes:
    """Return the full payload: the exact bytes that are logged, signed and sent, less than 20 kB."""
    return within_limit(event.data, lambda data: _payload(event, data))


def within_limit(data: Mapping[str, Any], write: Callable[[Mapping[str, Any]], bytes]) -> bytes:
    """Return a body of less than 20 kB with as much of ``data`` as fits.

    A body over 20 kB loses items from its longest lists first; texts are cut only if no list is left to cut.
    ``truncated`` says so and ``counts`` holds how long the lists of the Space and the details were.
    """
    body = write(data)
    if len(body) < MAX_BODY_BYTES:
        return body
    counts = data.get("counts") or _counts(data)

    def shortened(items: int, letters: int) -> bytes:
        return write({**_cut(data, items, letters), "truncated": True, "counts": counts})

    letters = MAX_BODY_BYTES
    while len(body := shortened(0, letters)) >= MAX_BODY_BYTES and letters > 0:
        letters //= 2
    if letters == MAX_BODY_BYTES:
        # From the shortest up, since writing what does not fit may take seconds.
        for items in _halvings(_longest(data)):
            longer = shortened(items, letters)
            if len(longer) >= MAX_BODY_BYTES:
                break
            body = longer
    return body


def _halvings(number: int) -> list[int]:
    """Return a half, a quarter and so on down to 1, the lowest first."""
    return [number >> times for times in range(number.bit_length() - 1, 0, -1)]


def thin(body: bytes) -> bytes:
    """Return a full payload reduced to ids, type and times, for receivers that must not get X's content."""
    payload = json.loads(body)
    data = payload["data"]
    if "space" in data:
        data["space"] = {"id": data["space"]["id"]}
    for content in ("users", "previous"):
        data.pop(content, None)
    if "spaces" in data["details"]:
        data["details"]["spaces"] = [{"id": space["id"]} for space in data["details"]["spaces"]]
    return canonical(payload).encode()


def is_redaction(body: bytes) -> bool:
    """Return whether a payload says that the content of its Space has to be erased."""
    return body.startswith(b'{"type":"%b"' % EventType.REDACTED.encode())


def redact(body: bytes, space_id: SpaceId) -> bytes:
    """Return a payload without the content of one Space, as X requires; ids, type and times stay."""
    payload = json.loads(body)
    data = payload["data"]
    if "space" in data:
        return thin(body) if data["space"]["id"] == space_id else body
    found = data["details"].get("spaces", ())
    if found:
        data["details"]["spaces"] = [{"id": space_id} if each["id"] == space_id else each for each in found]
    return canonical(payload).encode()


def _payload(event: Event, data: Mapping[str, Any]) -> bytes:
    # X's answers were sanitized when they were read; the text of a failure may hold half a surrogate pair.
    payload = {"type": event.type, "timestamp": event.timestamp, "data": data}
    return canonical(payload).encode(errors="replace")


def _counts(data: Mapping[str, Any]) -> dict[str, int]:
    parts = (data.get("space", {}), data.get("details", {}))
    return {name: len(value) for part in parts for name, value in part.items() if _may_be_cut(name, value)}


def _may_be_cut(name: str, value: object) -> bool:
    return name in CUT_LISTS and isinstance(value, list)


def _longest(value: object) -> int:
    """Return the length of the longest list that may be cut."""
    if isinstance(value, list):
        return max(map(_longest, value), default=0)
    if not isinstance(value, Mapping):
        return 0
    lengths = (len(inner) for name, inner in value.items() if _may_be_cut(name, inner))
    return max((*lengths, *map(_longest, value.values())), default=0)


def _cut(value: Any, items: int, letters: int) -> Any:  # noqa: ANN401  any part of a JSON document
    """Return the first items of every list that may be cut, and the first letters of every text."""
    if isinstance(value, Mapping):
        return {
            name: _cut(inner[:items] if _may_be_cut(name, inner) else inner, items, letters)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_cut(inner, items, letters) for inner in value]
    return value[:letters] if isinstance(value, str) else value
