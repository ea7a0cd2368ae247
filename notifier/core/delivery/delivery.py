"""Deliveries: one event owed to one endpoint, and its attempts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from notifier.core.model.ids import AttemptId, DeliveryId, EndpointId, EventId


class DeliveryStatus(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"  # the schedule is used up
    DISCARDED = "discarded"  # will not be sent; the reason says why


class Trigger(StrEnum):
    """What set an attempt off."""

    SCHEDULED = "scheduled"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request and its answer, or why none was sent.

    ``started_at`` is epoch seconds, ``body`` the first 4 KiB as text.
    """

    id: AttemptId
    number: int
    trigger: Trigger
    started_at: float
    outcome: str
    reason: str
    status_code: int | None = None
    error: str | None = None
    duration_ms: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event owed to one endpoint. Times are epoch seconds."""

    id: DeliveryId
    event_id: EventId
    endpoint_id: EndpointId
    status: DeliveryStatus
    created_at: float
    attempts_made: int = 0
    next_attempt_at: float | None = None
    settled_at: float | None = None
    last_reason: str | None = None
