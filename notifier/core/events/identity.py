"""Deriving an event's id from its payload alone (law 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from notifier.core.events.catalogue import ROWS
from notifier.core.events.event import EventType, canonical
from notifier.core.events.rows import PlainEvent
from notifier.core.model.ids import EventId, event_id
from notifier.core.model.space import meaning


def expected_id(payload: Mapping[str, Any]) -> EventId | None:
    """Return the id of a full payload; None if it lacks what the id is derived from."""
    row, data = ROWS[EventType(payload["type"])], payload["data"]
    if isinstance(row, PlainEvent):
        return None if row.content is None else event_id(row.name, *row.content(data))
    space, changed = data["space"], data["changed"]
    if data.get("truncated") or (changed and "state" not in space):
        return None
    # A changed field that is missing was withdrawn; a full payload always has the state.
    values = {name: meaning(name, _value(space.get(name))) for name in changed}
    occasion = row.occasion(data)
    if occasion is None:
        return None
    return event_id(space["id"], str(data["sequence"]), row.name, canonical(values) + occasion)


def _value(raw: Any) -> Any:  # noqa: ANN401  a value of a Space's field as JSON has it
    return tuple(raw) if isinstance(raw, list) else raw
