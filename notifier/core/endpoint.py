"""Endpoints: a subscriber's URL, what it wants and how it wants it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from notifier.core.events import Event, EventType, PayloadForm, plain_event
from notifier.core.ids import EndpointId
from notifier.core.instants import rfc3339

DEFAULT_MAX_CONCURRENCY: Final = 16
DEFAULT_GRACE_SECONDS: Final = 86_400
MAX_GRACE_SECONDS: Final = 7 * 86_400


class EndpointKind(StrEnum):
    """What listens at the URL."""

    WEBHOOK = "webhook"


class PayloadFormat(StrEnum):
    """The envelope of the body."""

    STANDARD = "standard"


class Signing(StrEnum):
    """The signature scheme: Standard Webhooks v1."""

    HMAC = "hmac"


class Ordering(StrEnum):
    """What is promised about the order of deliveries."""

    NONE = "none"
    SPACE = "space"  # the events of one Space strictly by sequence; others go on meanwhile


class EndpointStatus(StrEnum):
    """Whether deliveries go out."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class DisabledReason(StrEnum):
    """Why an endpoint is disabled."""

    BY_HAND = "by_hand"
    GONE = "gone"  # the receiver answered 410
    FAILING = "failing"  # nothing but failures for days


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Narrow a subscription: an empty list lets everything through, several lists must all match."""

    space_ids: tuple[str, ...] = ()
    creator_ids: tuple[str, ...] = ()
    watch_ids: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SealedSecret:
    """A signing secret as it is stored: encrypted, with the second from which it no longer signs."""

    sealed: str
    expires_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint. Times are epoch seconds; the first of ``secrets`` is the current one.

    ``rate_limit_per_second`` is None for no limit. Everything but status, reason and secrets is the
    subscriber's own choice.
    """

    id: EndpointId
    url: str
    kind: EndpointKind = EndpointKind.WEBHOOK
    description: str | None = None
    event_types: tuple[str, ...] = ("space.*",)
    filters: Filters = field(default_factory=Filters)
    payload: PayloadForm = PayloadForm.FULL
    format: PayloadFormat = PayloadFormat.STANDARD
    signing: Signing = Signing.HMAC
    headers: Mapping[str, str] = field(default_factory=dict)
    ordering: Ordering = Ordering.NONE
    max_concurrency: int = DEFAULT_MAX_CONCURRENCY
    rate_limit_per_second: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    status: EndpointStatus = EndpointStatus.ENABLED
    disabled_reason: DisabledReason | None = None
    secrets: tuple[SealedSecret, ...] = ()
    created_at: float
    updated_at: float


def disabled_event(before: Endpoint, after: Endpoint) -> Event | None:
    """Tell that an endpoint has been disabled; None where it was before, or is not."""
    if after.status is before.status or after.status is EndpointStatus.ENABLED:
        return None
    return plain_event(
        EventType.ENDPOINT_DISABLED,
        content=(after.id, rfc3339(after.updated_at)),
        details={"endpoint_id": after.id, "reason": after.disabled_reason or DisabledReason.BY_HAND},
        observed_at=after.updated_at,
    )
