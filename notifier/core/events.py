"""Events: immutable facts, and the bytes that a receiver gets for them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from notifier.core.ids import EndpointId, EventId, SpaceId, WatchId, event_id
from notifier.core.instants import rfc3339
from notifier.core.space import Space, User, Value, jsonable

MAX_BODY_BYTES: Final = 20_000
"""Bodies stay under 20 kB; lists of people are cut to get there (contract: the event)."""

PEOPLE_FIELDS: Final = ("invited_user_ids", "speaker_ids", "host_ids")
SPACE_URL: Final = "https://x.com/i/spaces/"


class EventType(StrEnum):
    """Every type that is sent today; ``space.*`` in a subscription names those of the first group."""

    SCHEDULED = "space.scheduled"
    RESCHEDULED = "space.rescheduled"
    STARTED = "space.started"
    ENDED = "space.ended"
    CANCELED = "space.canceled"
    TITLE_CHANGED = "space.title_changed"
    HOSTS_CHANGED = "space.hosts_changed"
    SPEAKERS_ADDED = "space.speakers_added"
    UPDATED = "space.updated"
    CORRECTED = "space.corrected"
    WATCH_BASELINE = "watch.baseline"
    WEBHOOK_TEST = "webhook.test"


class PayloadForm(StrEnum):
    """How much of the event a body holds."""

    FULL = "full"
    THIN = "thin"  # ids, type and times only


@dataclass(frozen=True, slots=True)
class Routing:
    """What filters look at; kept beside the payload so that a redacted event can still be routed."""

    space_id: SpaceId | None = None
    creator_ids: tuple[str, ...] = ()
    watch_ids: tuple[WatchId, ...] = ()
    lang: str | None = None
    endpoint_id: EndpointId | None = None  # set: for this endpoint alone, whatever it subscribes to


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
    """When and how the change that an event tells of was seen. Times are epoch seconds."""

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
) -> Event:
    """Build an event about a Space.

    The id depends on the Space, the sequence, the type and the new values of what changed, and on nothing
    that differs between two looks at the same transition (law 3).
    """
    values = {name: after.value(name) for name in sorted(changed)}
    content = canonical({name: None if value is None else jsonable(value) for name, value in values.items()})
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
    creators = (after.creator_id, *(after.host_ids or ()))
    routing = Routing(
        space_id=after.id,
        creator_ids=tuple(dict.fromkeys(creator for creator in creators if creator)),
        watch_ids=sighting.watch_ids,
        lang=after.lang,
    )
    return Event(identity, event_type, occurred_at or observed_at, data, routing, sequence)


def plain_event(
    event_type: EventType,
    *,
    content: Sequence[str],
    details: Mapping[str, Any],
    observed_at: float,
    watch_ids: tuple[WatchId, ...] = (),
    endpoint_id: EndpointId | None = None,
) -> Event:
    """Build an event that is not about one Space; ``content`` is what makes its id."""
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
    """Write JSON in the one form that ids and bodies use: compact, UTF-8, keys in the order given."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def encode(event: Event) -> bytes:
    """Write the full payload: the very bytes that are logged, signed and sent.

    A body over 20 kB loses people from its longest lists first; ``truncated`` says so and ``counts`` keeps
    how many there were.
    """
    body = _payload(event, event.data)
    if len(body) < MAX_BODY_BYTES:
        return body
    counts = {
        name: len(event.data["space"][name]) for name in PEOPLE_FIELDS if name in event.data.get("space", {})
    }
    keep = max((*counts.values(), len(event.data.get("users", ()))), default=0)
    while len(body) >= MAX_BODY_BYTES and keep > 0:
        keep //= 2
        body = _payload(event, _cut(event.data, keep) | {"truncated": True, "counts": counts})
    return body


def thin(body: bytes) -> bytes:
    """Reduce a full payload to ids, type and times, for receivers that may not be given X's content."""
    payload = json.loads(body)
    data = payload["data"]
    if "space" in data:
        data["space"] = {"id": data["space"]["id"]}
    for content in ("users", "previous", "truncated", "counts"):
        data.pop(content, None)
    data["details"] = {name: value for name, value in data["details"].items() if not isinstance(value, list)}
    return canonical(payload).encode()


def _payload(event: Event, data: Mapping[str, Any]) -> bytes:
    return canonical({"type": event.type, "timestamp": event.timestamp, "data": data}).encode()


def _cut(document: Mapping[str, Any], keep: int) -> dict[str, Any]:
    """Keep the first ``keep`` of every list of people, wherever in the payload it stands."""
    cut: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, Mapping):
            cut[name] = _cut(value, keep)
        elif isinstance(value, list) and name in {*PEOPLE_FIELDS, "users", "added", "removed", "spaces"}:
            cut[name] = value[:keep]
        else:
            cut[name] = value
    return cut
