"""The event catalogue: every type's row, its model, and the list that users see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, Union

from pydantic import Field

from notifier.core.events.event import EventType
from notifier.core.events.examples import example
from notifier.core.events.payload import EventPayload
from notifier.core.events.plain_events import PLAIN_EVENTS
from notifier.core.events.rows import EventRow, payload_model
from notifier.core.events.space_events import SPACE_EVENTS

_ROWS: Final[Mapping[EventType, EventRow]] = {row.name: row for row in (*SPACE_EVENTS, *PLAIN_EVENTS)}

ROWS: Final[Mapping[EventType, EventRow]] = {event_type: _ROWS[event_type] for event_type in EventType}
"""Every type's row. A type without a row fails here, at import."""

PAYLOAD_MODELS: Final[Mapping[EventType, type[EventPayload]]] = {
    event_type: payload_model(row) for event_type, row in ROWS.items()
}

AnyPayload: Final[Any] = Annotated[Union[tuple(PAYLOAD_MODELS.values())], Field(discriminator="type")]  # noqa: UP007
"""The body of any event."""


@dataclass(frozen=True, slots=True)
class EventTypeInfo:
    """One entry of the catalogue; ``schema`` is JSON Schema 2020-12 for the body, ``example`` a full body."""

    name: str
    description: str
    schema: dict[str, Any]
    example: dict[str, Any]


@cache
def event_types() -> tuple[EventTypeInfo, ...]:
    """Return the catalogue in the order of :class:`EventType`."""
    return tuple(
        EventTypeInfo(
            name=event_type.value,
            description=row.description,
            schema=PAYLOAD_MODELS[event_type].model_json_schema(),
            example=example(row),
        )
        for event_type, row in ROWS.items()
    )
