"""The event types that are not about one Space: a row for each, with the model of its details."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, Field

from notifier.core.events.event import EventType
from notifier.core.events.payload import SpaceObject, left_out
from notifier.core.events.rows import PlainEvent
from notifier.core.events.space_events import PLANNED
from notifier.core.model.ids import EndpointId, WatchId
from notifier.core.model.reasons import DisabledReason, OutageKind

WATCH: Final = WatchId("wch_4cQ8mZ1rTgXw0sKd")
ENDPOINT: Final = EndpointId("ep_Yp3LkV7nBq2HjRxe")
SINCE: Final = "2021-07-14T08:00:09.000Z"


class SourceDetails(BaseModel):
    """What is wrong with X, or was."""

    kind: OutageKind = Field(
        description="X fails or cannot be reached; its rate limit, or its monthly cap, is used up; the"
        " credits are used up; the credentials are not accepted; X rejects the request; too many Spaces"
        " are suddenly not found."
    )
    since: str = Field(description="When it began; the same in the event that reports its end.")


class DegradedDetails(SourceDetails):
    """What is wrong with X."""

    detail: str = Field(description="The same for people, in X's own words where it has any.")


class RecoveredDetails(SourceDetails):
    """What was wrong with X."""

    after_seconds: float = Field(description="How long it lasted.")


class DisabledDetails(BaseModel):
    """Which endpoint, and why."""

    endpoint_id: str
    reason: DisabledReason = Field(
        description="By hand; the receiver answered 410 Gone; it has only failed for days; "
        "or it did not answer the challenge."
    )


class WatchSummary(BaseModel):
    """The watch that was added."""

    id: str
    kind: str
    target: str


class BaselineDetails(BaseModel):
    """What the watch found on its first poll."""

    watch: WatchSummary
    spaces: list[SpaceObject] | None = left_out()


class FailedDetails(BaseModel):
    """Which watch, and why."""

    watch: WatchSummary
    reason: str = Field(description="For people, in X's own words where it has any.")
    since: str = Field(description="When X refused its subject for the first time.")


class TestDetails(BaseModel):
    """Which endpoint was tested."""

    __test__ = False  # not a test class of pytest

    endpoint_id: str
    message: str


def _kind_and_since(data: Mapping[str, Any]) -> tuple[str, ...]:
    return data["details"]["kind"], data["details"]["since"]


PLAIN_EVENTS: Final = (
    PlainEvent(
        EventType.WATCH_BASELINE,
        "Sent when a new watch was polled for the first time: one event lists the Spaces that already exist.",
        BaselineDetails,
        {
            "watch": {"id": WATCH, "kind": "creator", "target": "@TwitterDev"},
            "spaces": [PLANNED.as_json()],
        },
        content=lambda data: (data["details"]["watch"]["id"],),
    ),
    PlainEvent(
        EventType.WATCH_FAILED,
        "Sent when X has repeatedly refused what a watch follows. It is tried again once a day.",
        FailedDetails,
        {
            "watch": {"id": WATCH, "kind": "search", "target": "from:("},
            "reason": "X does not accept from:(: HTTP 400: the query cannot be read",
            "since": SINCE,
        },
        content=lambda data: (data["details"]["watch"]["id"], data["details"]["since"]),
    ),
    PlainEvent(
        EventType.SOURCE_DEGRADED,
        "Sent when X stops answering in some way; until it recovers, changes may be reported late.",
        DegradedDetails,
        {
            "kind": "credits_depleted",
            "since": SINCE,
            "detail": "HTTP 402: no credits are left",
        },
        content=_kind_and_since,
    ),
    PlainEvent(
        EventType.SOURCE_RECOVERED,
        "Sent when an outage of X is over.",
        RecoveredDetails,
        {"kind": "credits_depleted", "since": SINCE, "after_seconds": 10.0},
        content=_kind_and_since,
    ),
    PlainEvent(
        EventType.ENDPOINT_DISABLED,
        "Sent to other endpoints when one is disabled, by hand or because its receiver is gone.",
        DisabledDetails,
        {"endpoint_id": ENDPOINT, "reason": "gone"},
        content=lambda data: (data["details"]["endpoint_id"], data["observed_at"]),
    ),
    PlainEvent(
        EventType.WEBHOOK_TEST,
        "Sent when somebody asks for a test of an endpoint, to that endpoint alone.",
        TestDetails,
        {"endpoint_id": ENDPOINT, "message": "A test of this endpoint."},
        content=None,  # the id is random
    ),
)
