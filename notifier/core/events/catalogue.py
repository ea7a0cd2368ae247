"""The event catalogue: one model per event type, and the list that users are given of them.

A model's docstring says when the event is sent; ``type`` tells the models apart.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

from pydantic import BaseModel, Field

from notifier.core.events.event import EventType
from notifier.core.events.examples import example
from notifier.core.events.payload_data import (
    BaselineDetails,
    CanceledDetails,
    CorrectedDetails,
    DegradedDetails,
    DisabledDetails,
    EndedDetails,
    FailedDetails,
    HostsChangedDetails,
    MilestoneDetails,
    NoDetails,
    OverdueDetails,
    PlainData,
    RecoveredDetails,
    ReminderDetails,
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
    """Sent when an end, a cancellation or a start turns out wrong: X shows the Space as it was before."""

    type: Literal[EventType.CORRECTED]
    data: SpaceData[CorrectedDetails]


class SpaceParticipantsMilestone(EventPayload):
    """Sent when the listeners of a Space reach 100, 500, 1000, 5000, 10000 and so on, once for each number.

    Numbers that were reached before the Space was first seen are not told.
    """

    type: Literal[EventType.PARTICIPANTS_MILESTONE]
    data: SpaceData[MilestoneDetails]


class SpaceReminder(EventPayload):
    """Sent some minutes before the planned start of a Space, once for each planned start.

    A start that is learned of later than that has no reminder.
    """

    type: Literal[EventType.REMINDER]
    data: SpaceData[ReminderDetails]


class SpaceStartOverdue(EventPayload):
    """Sent when a Space still waits some minutes after its planned start, once for each planned start."""

    type: Literal[EventType.START_OVERDUE]
    data: SpaceData[OverdueDetails]


class SpaceRedacted(EventPayload):
    """Sent when X does not have a Space any more: what you keep of its content should go.

    We have erased it from our own records, also from the earlier events of the Space.
    """

    type: Literal[EventType.REDACTED]
    data: SpaceData[NoDetails]


class WatchBaseline(EventPayload):
    """Sent when a new watch has had its first look: all that is there already, in one event."""

    type: Literal[EventType.WATCH_BASELINE]
    data: PlainData[BaselineDetails]


class WatchFailed(EventPayload):
    """Sent when X has repeatedly refused what a watch follows. It is tried again once a day."""

    type: Literal[EventType.WATCH_FAILED]
    data: PlainData[FailedDetails]


class SourceDegraded(EventPayload):
    """Sent when X stops answering in some way; until it recovers, changes may be told late."""

    type: Literal[EventType.SOURCE_DEGRADED]
    data: PlainData[DegradedDetails]


class SourceRecovered(EventPayload):
    """Sent when a kind of trouble with X is over."""

    type: Literal[EventType.SOURCE_RECOVERED]
    data: PlainData[RecoveredDetails]


class EndpointDisabled(EventPayload):
    """Sent to other endpoints when one is disabled, by hand or because its receiver is gone."""

    type: Literal[EventType.ENDPOINT_DISABLED]
    data: PlainData[DisabledDetails]


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
    | SpaceParticipantsMilestone
    | SpaceReminder
    | SpaceStartOverdue
    | SpaceRedacted
    | WatchBaseline
    | WatchFailed
    | SourceDegraded
    | SourceRecovered
    | EndpointDisabled
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
