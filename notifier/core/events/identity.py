"""Working out again, from the payload of an event alone, which id it must have (law 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from notifier.core.events.event import EventType, canonical
from notifier.core.model.ids import EventId, event_id
from notifier.core.model.instants import instant
from notifier.core.model.space import meaning

Details = Mapping[str, Any]


def _source(data: Details) -> tuple[str, ...]:
    return data["details"]["kind"], data["details"]["since"]


PLAIN_CONTENT: Final[Mapping[EventType, Callable[[Details], tuple[str, ...]]]] = {
    EventType.WATCH_BASELINE: lambda data: (data["details"]["watch"]["id"],),
    EventType.WATCH_FAILED: lambda data: (data["details"]["watch"]["id"], data["details"]["since"]),
    EventType.SOURCE_DEGRADED: _source,
    EventType.SOURCE_RECOVERED: _source,
    EventType.ENDPOINT_DISABLED: lambda data: (data["details"]["endpoint_id"], data["observed_at"]),
}
"""What makes the ids of events that are not about one Space. Tests are numbered at random."""

REMINDER: Final = "reminder"
OVERDUE: Final = "overdue"
STARTS: Final = {EventType.REMINDER: REMINDER, EventType.START_OVERDUE: OVERDUE}
"""The events that are told once per planned start."""


def occasion(what: str, start: float) -> str:
    """Name the one time at which something may be told of a planned start."""
    return f"{what}@{start:.3f}"


def expected_id(payload: Mapping[str, Any]) -> EventId | None:
    """Work out the id of a full payload; None where it has lost, or never had, what the id is made of."""
    event_type, data = EventType(payload["type"]), payload["data"]
    if "space" not in data:
        content = PLAIN_CONTENT.get(event_type)
        return None if content is None else event_id(event_type, *content(data))
    space, changed = data["space"], data["changed"]
    if data.get("truncated") or (changed and "state" not in space):
        return None
    # A field that changed and is not there was taken back; a full payload always has the state.
    values = {name: meaning(name, _value(space.get(name))) for name in changed}
    occasion = _occasion(event_type, data)
    if occasion is None:
        return None
    return event_id(space["id"], str(data["sequence"]), event_type, canonical(values) + occasion)


def _occasion(event_type: EventType, data: Details) -> str | None:
    """Give what tells an event that changes no field from others like it; None where it is not known."""
    if event_type is EventType.PARTICIPANTS_MILESTONE:
        return str(data["details"]["threshold"])
    if event_type in STARTS:
        start = instant(data["space"].get("scheduled_start"))
        return None if start is None else occasion(STARTS[event_type], start)
    return ""


def _value(raw: Any) -> Any:  # noqa: ANN401  a value of a Space's field as JSON has it
    return tuple(raw) if isinstance(raw, list) else raw
