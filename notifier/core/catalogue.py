"""The event catalogue: one model per event type, and the list that users are given of them.

A model's docstring says when the event is sent; ``type`` tells the models apart.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

from pydantic import BaseModel, Field

from notifier.core.catalogue_examples import example
from notifier.core.events import EventType
from notifier.core.payload_data import (
    BaselineDetails,
    CanceledDetails,
    CorrectedDetails,
    EndedDetails,
    HostsChangedDetails,
    NoDetails,
    PlainData,
    RescheduledDetails,
    SpaceData,
    SpeakersAddedDetails,
    StartedDetails,
    TestDetails,
)


class EventPayload(BaseModel):
    """What every body has."""

    timestamp: str = Field(description="When it happened where X tells it, else when we saw it (RFC 3339).")


class SpaceScheduled(EventPayload):
    """Sent when a Space that is planned for later is seen for the first time."""

    type: Literal[EventType.SCHEDULED]
    data: SpaceData[NoDetails]


class SpaceRescheduled(EventPayload):
    """Sent when the planned start of a Space moves before it has begun."""

    type: Literal[EventType.RESCHEDULED]
    data: SpaceData[RescheduledDetails]


class SpaceStarted(EventPayload):
    """Sent when a Space goes live, or is already live when it is first seen."""

    type: Literal[EventType.STARTED]
    data: SpaceData[StartedDetails]


class SpaceEnded(EventPayload):
    """Sent when a live Space ends, or X repeatedly no longer knows it."""

    type: Literal[EventType.ENDED]
    data: SpaceData[EndedDetails]


class SpaceCanceled(EventPayload):
    """Sent when a planned Space will not take place."""

    type: Literal[EventType.CANCELED]
    data: SpaceData[CanceledDetails]


class SpaceTitleChanged(EventPayload):
    """Sent when a Space gets another title before it is over."""

    type: Literal[EventType.TITLE_CHANGED]
    data: SpaceData[NoDetails]


class SpaceHostsChanged(EventPayload):
    """Sent when people become hosts of a Space or are no longer hosts of it."""

    type: Literal[EventType.HOSTS_CHANGED]
    data: SpaceData[HostsChangedDetails]


class SpaceSpeakersAdded(EventPayload):
    """Sent when people speak in a Space who have not spoken in it before; once per look, for all of them."""

    type: Literal[EventType.SPEAKERS_ADDED]
    data: SpaceData[SpeakersAddedDetails]


class SpaceUpdated(EventPayload):
    """Sent when anything else about a Space changes: language, tickets, topics, invitations."""

    type: Literal[EventType.UPDATED]
    data: SpaceData[NoDetails]


class SpaceCorrected(EventPayload):
    """Sent when a Space whose end or cancellation we had inferred is seen alive again."""

    type: Literal[EventType.CORRECTED]
    data: SpaceData[CorrectedDetails]


class WatchBaseline(EventPayload):
    """Sent when a new watch has had its first look: all that is there already, in one event."""

    type: Literal[EventType.WATCH_BASELINE]
    data: PlainData[BaselineDetails]


class WebhookTest(EventPayload):
    """Sent when somebody asks for a test of an endpoint, to that endpoint alone."""

    type: Literal[EventType.WEBHOOK_TEST]
    data: PlainData[TestDetails]


AnyPayload: TypeAlias = Annotated[
    SpaceScheduled
    | SpaceRescheduled
    | SpaceStarted
    | SpaceEnded
    | SpaceCanceled
    | SpaceTitleChanged
    | SpaceHostsChanged
    | SpaceSpeakersAdded
    | SpaceUpdated
    | SpaceCorrected
    | WatchBaseline
    | WebhookTest,
    Field(discriminator="type"),
]
"""The body of any event."""

PAYLOAD_MODELS: Final[Mapping[EventType, type[EventPayload]]] = {
    get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(get_args(AnyPayload)[0])
}


@dataclass(frozen=True, slots=True)
class EventTypeInfo:
    """One entry of the catalogue; ``schema`` is JSON Schema 2020-12 for the body, ``example`` a full body."""

    name: str
    description: str
    schema: dict[str, Any]
    example: dict[str, Any]


@cache
def event_types() -> tuple[EventTypeInfo, ...]:
    """Give the catalogue in the order of :class:`EventType`."""
    return tuple(
        EventTypeInfo(
            name=event_type.value,
            description=inspect.getdoc(PAYLOAD_MODELS[event_type]) or "",
            schema=PAYLOAD_MODELS[event_type].model_json_schema(),
            example=example(event_type),
        )
        for event_type in EventType
    )
