"""Endpoints: a subscriber's destination, what it wants and how it wants it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, NewType

from notifier.core.events.event import Event, EventType, PayloadForm, plain_event
from notifier.core.model.ids import EndpointId
from notifier.core.model.instants import rfc3339
from notifier.core.model.reasons import DisabledReason

KindName = NewType("KindName", str)

WEBHOOK: Final = KindName("webhook")

DEFAULT_EVENT_TYPES: Final = ("space.*",)
DEFAULT_MAX_CONCURRENCY: Final = 16
DEFAULT_GRACE_SECONDS: Final = 86_400
MAX_GRACE_SECONDS: Final = 7 * 86_400


class PayloadFormat(StrEnum):
    """The envelope of the body."""

    STANDARD = "standard"
    CLOUDEVENTS = "cloudevents"  # CloudEvents 1.0, structured JSON


class Signing(StrEnum):
    """The signature scheme of Standard Webhooks: v1 with a shared secret, or v1a with a pair of keys."""

    HMAC = "hmac"
    ED25519 = "ed25519"


class Ordering(StrEnum):
    """What is promised about the order of deliveries."""

    NONE = "none"
    SPACE = "space"  # the events of one Space strictly by sequence; different Spaces concurrently


class EndpointStatus(StrEnum):
    """Whether deliveries go out."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class Verify(StrEnum):
    """How a receiver shows that it is meant to get events."""

    NONE = "none"
    CHALLENGE = "challenge"  # it answers with a token's HMAC under its secret


class VerificationStatus(StrEnum):
    """Whether the receiver has shown that it knows the secret."""

    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """How the challenges to an endpoint went. Times are epoch seconds.

    ``tries`` are those that counted since ``started_at``; ``next_try_at`` is set while it is pending.
    """

    status: VerificationStatus = VerificationStatus.PENDING
    started_at: float
    tries: int = 0
    next_try_at: float | None = None
    last_failure: str | None = None
    passed_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Narrow a subscription: an empty list lets everything through, several lists must all match."""

    space_ids: tuple[str, ...] = ()
    creator_ids: tuple[str, ...] = ()
    watch_ids: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SealedSecret:
    """A signing secret as it is stored: encrypted, with the second from which it no longer signs.

    ``public_key`` is the ``whpk_`` half of a pair, which is no secret; None for a shared secret.
    """

    sealed: str
    expires_at: float | None = None
    public_key: str | None = None


@dataclass(frozen=True, slots=True)
class SealedTarget:
    """Where an endpoint leads whose kind has a target, as it is stored: encrypted as a whole.

    ``shown`` is the same with its secrets masked, and ``set_at`` when it was chosen, in epoch seconds.
    """

    sealed: str
    shown: Mapping[str, Any]
    set_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint. Times are epoch seconds; the first of ``secrets`` is the current one.

    ``rate_limit_per_second`` is None for no limit, ``verification`` where none was asked for. A webhook has
    no ``target``; where there is one, ``url``, ``payload``, ``format``, ``signing``, ``headers`` and
    ``secrets`` mean nothing. Everything but the fields from ``status`` on is the subscriber's own choice.
    """

    id: EndpointId
    url: str = ""
    kind: KindName = WEBHOOK
    target: SealedTarget | None = None
    description: str | None = None
    event_types: tuple[str, ...] = DEFAULT_EVENT_TYPES
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
    disabled_at: float | None = None
    verification: Verification | None = None
    secrets: tuple[SealedSecret, ...] = ()
    created_at: float
    updated_at: float

    @property
    def destination(self) -> tuple[str, float | None]:
        """What changes when the endpoint is given another destination, and only then."""
        return self.url, None if self.target is None else self.target.set_at

    @property
    def sealed(self) -> tuple[str, ...]:
        """All that is sealed under a master key."""
        target = () if self.target is None else (self.target.sealed,)
        return (*(secret.sealed for secret in self.secrets), *target)

    @property
    def remembers(self) -> bool:
        """Whether its kind has a memory of each Space."""
        return self.target is not None

    @property
    def awaits_verification(self) -> bool:
        """Whether the receiver has yet to prove that it knows the secret; until then it gets nothing."""
        return self.verification is not None and self.verification.status is not VerificationStatus.PASSED

    @property
    def is_held(self) -> bool:
        """Whether its deliveries stay in its queue."""
        return self.status is EndpointStatus.DISABLED or self.awaits_verification

    @property
    def challenge_due_at(self) -> float | None:
        """When the next challenge goes out, epoch seconds; None for never."""
        if self.status is EndpointStatus.DISABLED or self.verification is None:
            return None
        return self.verification.next_try_at


def disabled(endpoint: Endpoint, reason: DisabledReason, *, now: float) -> Endpoint:
    """Disable an endpoint; one that is disabled already keeps its reason and its time."""
    if endpoint.status is EndpointStatus.DISABLED:
        return endpoint
    return replace(
        endpoint,
        status=EndpointStatus.DISABLED,
        disabled_reason=reason,
        disabled_at=now,
        updated_at=now,
    )


def enabled(endpoint: Endpoint, *, now: float) -> Endpoint:
    """Enable an endpoint; one that has yet to pass its verification is verified again first."""
    if endpoint.status is EndpointStatus.ENABLED:
        return endpoint
    open_again = replace(
        endpoint, status=EndpointStatus.ENABLED, disabled_reason=None, disabled_at=None, updated_at=now
    )
    return verified_again(open_again, now=now) if open_again.awaits_verification else open_again


def verified_again(endpoint: Endpoint, *, now: float) -> Endpoint:
    """Begin the verification from the start; where only its failure had disabled the endpoint, enable it."""
    pending = replace(endpoint, verification=Verification(started_at=now, next_try_at=now), updated_at=now)
    if endpoint.disabled_reason is not DisabledReason.NOT_VERIFIED:
        return pending
    return replace(pending, status=EndpointStatus.ENABLED, disabled_reason=None, disabled_at=None)


def disabled_event(before: Endpoint, after: Endpoint) -> Event | None:
    """Return the event for a disabled endpoint; None if it was disabled before, or is not."""
    if after.status is before.status or after.status is EndpointStatus.ENABLED:
        return None
    return plain_event(
        EventType.ENDPOINT_DISABLED,
        content=(after.id, rfc3339(after.updated_at)),
        details={"endpoint_id": after.id, "reason": after.disabled_reason or DisabledReason.BY_HAND},
        observed_at=after.updated_at,
    )
