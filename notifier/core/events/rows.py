"""A row of the catalogue: everything about one event type, in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, create_model

from notifier.core.events.event import EventType
from notifier.core.events.payload import EventPayload, PlainData, SpaceData
from notifier.core.model.space import Space, Value

Data = Mapping[str, Any]
"""The ``data`` of a full payload."""


@dataclass(frozen=True, slots=True)
class ExampleChange:
    """The example of an event about a Space: the Space before, what changes, and the details."""

    before: Space | None
    changes: Mapping[str, Value]
    details: Mapping[str, Any] = field(default_factory=dict)
    occurred_at: str | None = None


def _changes_fields(_data: Data) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class SpaceEvent:
    """The type of an event about one Space.

    Attributes:
        name: The type itself.
        description: When it is sent.
        details: The model of the facts that are special to it.
        example: What its example shows.
        occasion: Reads from its ``data`` what its id depends on besides the changed fields; None if that is
            no longer in the payload.
    """

    name: EventType
    description: str
    details: type[BaseModel]
    example: ExampleChange
    occasion: Callable[[Data], str | None] = _changes_fields

    @property
    def data(self) -> Any:  # noqa: ANN401  a model that is created here
        """The model of its ``data``."""
        generic: Any = SpaceData
        return generic[self.details]


@dataclass(frozen=True, slots=True)
class PlainEvent:
    """The type of an event that is not about one Space.

    Attributes:
        name: The type itself.
        description: When it is sent.
        details: The model of the facts that are special to it.
        example: The details of its example.
        content: Reads from its ``data`` what its id is derived from; None if the id is random.
    """

    name: EventType
    description: str
    details: type[BaseModel]
    example: Mapping[str, Any]
    content: Callable[[Data], Sequence[str]] | None

    @property
    def data(self) -> Any:  # noqa: ANN401  a model that is created here
        """The model of its ``data``."""
        generic: Any = PlainData
        return generic[self.details]


EventRow: TypeAlias = SpaceEvent | PlainEvent


def payload_model(row: EventRow) -> type[EventPayload]:
    """Return the model of the whole body; ``space.title_changed`` becomes ``SpaceTitleChanged``."""
    model_name = "".join(part.capitalize() for part in row.name.replace(".", "_").split("_"))
    its_type: Any = Literal.__getitem__(row.name)
    return create_model(
        model_name, __base__=EventPayload, __doc__=row.description, type=(its_type, ...), data=(row.data, ...)
    )
