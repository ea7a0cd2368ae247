"""What callers send and get about endpoints; the models check form, the core's own checks run after them."""

from typing import Annotated, Any, ClassVar, Final, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic_core import PydanticCustomError

from notifier.api.bodies import Body
from notifier.api.models import BodyInteger, Time, time_or_none
from notifier.api.recoveries import MissedView
from notifier.core.delivery.endpoint import (
    DEFAULT_GRACE_SECONDS,
    DEFAULT_MAX_CONCURRENCY,
    MAX_GRACE_SECONDS,
    WEBHOOK,
    Endpoint,
    EndpointStatus,
    Filters,
    Ordering,
    PayloadFormat,
    Signing,
    VerificationStatus,
    Verify,
)
from notifier.core.delivery.kinds.table import KINDS
from notifier.core.events.event import PayloadForm
from notifier.core.model.instants import rfc3339
from notifier.core.model.reasons import DisabledReason
from notifier.core.model.watch import SPACE_ID, USER_ID
from notifier.store.endpoints import ENDPOINT, EndpointHealth

MAX_CONCURRENCY: Final = 256
MIN_RATE: Final = 0.00001  # a little less than one a day
MAX_RATE: Final = 10_000
MAX_FILTER_ITEMS: Final = 1_000
MAX_METADATA_PAIRS: Final = 50

OF_WEBHOOKS: Final = ("url", "payload", "format", "signing", "public_key", "headers", "verification")
"""The fields that only a webhook is shown with; an endpoint of another kind has a ``target`` instead."""


def _unique(items: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))


FILTER_LIST: Final[Any] = Field(strict=False, max_length=MAX_FILTER_ITEMS)

SpaceIdText: TypeAlias = Annotated[str, Field(pattern=f"^{SPACE_ID.pattern}$")]
UserIdText: TypeAlias = Annotated[str, Field(pattern=f"^{USER_ID.pattern}$")]
Word: TypeAlias = Annotated[str, Field(min_length=1, max_length=64)]
SpaceIds: TypeAlias = Annotated[tuple[SpaceIdText, ...], FILTER_LIST, AfterValidator(_unique)]
CreatorIds: TypeAlias = Annotated[tuple[UserIdText, ...], FILTER_LIST, AfterValidator(_unique)]
Words: TypeAlias = Annotated[tuple[Word, ...], FILTER_LIST, AfterValidator(_unique)]
EventTypes: TypeAlias = Annotated[
    tuple[str, ...], Field(strict=False, min_length=1, max_length=100), AfterValidator(_unique)
]
KindText: TypeAlias = Annotated[str, Field(json_schema_extra={"enum": list(KINDS)})]
Url: TypeAlias = Annotated[str, Field(min_length=1, examples=["https://example.com/hooks/spaces"])]
OwnSecret: TypeAlias = Annotated[
    str,
    Field(
        description="Your own secret, `whsec_` or, for ed25519, `whsk_`; generated if not given.",
        min_length=1,
    ),
]
Metadata: TypeAlias = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=64)], Annotated[str, Field(max_length=1_000)]],
    Field(max_length=MAX_METADATA_PAIRS),
]
Rate: TypeAlias = Annotated[float, Field(ge=MIN_RATE, le=MAX_RATE, allow_inf_nan=False)]


class FiltersBody(Body):
    """Narrows a subscription: an empty list lets everything through, several lists must all match."""

    space_ids: SpaceIds = ()
    creator_ids: CreatorIds = ()
    watch_ids: Words = ()
    languages: Words = ()


class EndpointChoices(Body):
    """What a subscriber chooses, at the start and at any time later."""

    description: Annotated[str, Field(max_length=1_000)] | None = None
    target: dict[str, Any] = Field(
        default_factory=dict,
        description="Where the endpoint leads, as its kind has it; a webhook has a `url`.",
    )
    event_types: EventTypes = ("space.*",)
    filters: FiltersBody = Field(default_factory=FiltersBody)
    payload: Annotated[PayloadForm, Field(strict=False)] = PayloadForm.FULL
    format: Annotated[PayloadFormat, Field(strict=False)] = PayloadFormat.STANDARD
    headers: dict[str, str] = Field(default_factory=dict, description="Sent with every attempt.")
    ordering: Annotated[Ordering, Field(strict=False)] = Ordering.NONE
    max_concurrency: Annotated[BodyInteger, Field(ge=1, le=MAX_CONCURRENCY)] = DEFAULT_MAX_CONCURRENCY
    rate_limit_per_second: Rate | None = Field(None, description="null for no limit")
    metadata: Metadata = Field(default_factory=dict)

    def chosen(self) -> dict[str, Any]:
        """Return what the caller set beside a target, as arguments of the core's Endpoint."""
        chosen = {name: getattr(self, name) for name in self.model_fields_set & SUBSCRIBERS_CHOICES}
        if "filters" in chosen:
            chosen["filters"] = Filters(**self.filters.model_dump())
        return chosen


def _for_a_webhook(schema: dict[str, Any], *required: str) -> None:
    """Say in a schema what only a webhook has to have."""
    for name in required:
        schema["properties"][name].pop("default", None)
    schema["if"] = {"properties": {"kind": {"const": WEBHOOK}}}
    schema["then"] = {"required": list(required)}
    schema["else"] = {"required": ["target"]}


class EndpointCreate(EndpointChoices):
    """An endpoint to add."""

    model_config = ConfigDict(json_schema_extra=lambda schema: _for_a_webhook(schema, "url"))

    kind: KindText = WEBHOOK
    url: Url = Field("", validate_default=True)
    signing: Annotated[Signing, Field(strict=False)] = Signing.HMAC
    secret: OwnSecret | None = None
    verify: Annotated[Verify, Field(strict=False)] = Field(
        Verify.NONE, description="With `challenge` nothing is delivered until the receiver has answered one."
    )

    @field_validator("url", mode="wrap")
    @classmethod
    def _need_url(cls, value: object, check: ValidatorFunctionWrapHandler, info: ValidationInfo) -> object:
        if value == "" and info.data.get("kind") != WEBHOOK:
            return value
        if value == "":
            raise PydanticCustomError("missing", "is required")
        return check(value)


def _without_defaults(schema: dict[str, Any]) -> None:
    """Take the defaults out of a patch's schema: a name that is left out stays as it is."""
    for field in schema["properties"].values():
        field.pop("default", None)


class EndpointPatch(EndpointChoices):
    """What can be changed about an endpoint; a name that is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    hints: ClassVar[dict[str, str]] = {
        "secret": "cannot be set here; use POST …/rotate-secret",
        "status": "cannot be set here; use POST …/enable or …/disable",
        "kind": "cannot be changed; add another endpoint",
        "signing": "cannot be changed, since receivers hold another kind of key then; add another endpoint",
        "verify": "cannot be changed; add another endpoint, or use POST …/verify where it was asked for",
        "verification": "cannot be set here; use POST …/verify",
    }

    url: Url = ""


SUBSCRIBERS_CHOICES: Final = frozenset(EndpointPatch.model_fields) - {"target"}
"""What is kept as it was chosen; a target is sealed."""


class SecretRotate(Body):
    """How to rotate the signing secret."""

    grace_seconds: Annotated[BodyInteger, Field(ge=0, le=MAX_GRACE_SECONDS)] = Field(
        DEFAULT_GRACE_SECONDS, description="How long the old secret is still used together with the new one."
    )
    secret: OwnSecret | None = None


class FiltersView(BaseModel):
    """Which events get through."""

    space_ids: list[str]
    creator_ids: list[str]
    watch_ids: list[str]
    languages: list[str]


class HealthView(BaseModel):
    """The health of an endpoint."""

    pending: int
    oldest_due_at: Time | None
    consecutive_failures: int
    last_success_at: Time | None
    last_failure_at: Time | None
    last_failure_reason: str | None
    learned_rate_per_second: float | None = Field(
        description="The rate that the receiver accepts, as learned; null if it has shown no limit."
    )
    learned_concurrency: int = Field(
        description="The concurrency that the receiver accepts, as learned; up to `max_concurrency`."
    )
    paused_until: Time | None = Field(
        description="Nothing is sent before, because of the receiver's `Retry-After` or the breaker."
    )


class VerificationView(BaseModel):
    """Whether the receiver has answered a challenge; nothing is delivered before."""

    status: VerificationStatus
    started_at: Time
    tries: int
    next_try_at: Time | None
    last_failure: str | None
    passed_at: Time | None


class EndpointView(BaseModel):
    """An endpoint; its secret is not shown."""

    model_config = ConfigDict(json_schema_extra=lambda schema: _for_a_webhook(schema, *OF_WEBHOOKS))

    id: str
    url: str = ""
    kind: KindText
    target: dict[str, Any] = Field(
        default_factory=dict, description="Its secrets are masked; a webhook has none, and a `url` instead."
    )
    description: str | None
    event_types: list[str]
    filters: FiltersView
    payload: PayloadForm = PayloadForm.FULL
    format: PayloadFormat = PayloadFormat.STANDARD
    signing: Signing = Signing.HMAC
    public_key: str | None = Field(
        None, description="What receivers verify ed25519 signatures with, `whpk_`; null for hmac."
    )
    headers: dict[str, str] = Field(default_factory=dict)
    ordering: Ordering
    max_concurrency: int
    rate_limit_per_second: float | None
    metadata: dict[str, str]
    status: EndpointStatus
    disabled_reason: DisabledReason | None
    disabled_at: Time | None
    verification: VerificationView | None = Field(None, description="null: none was asked for.")
    health: HealthView
    created_at: Time
    updated_at: Time


class CreatedEndpointView(EndpointView):
    """A new endpoint, with its secret where it has one."""

    model_config = ConfigDict(json_schema_extra=lambda schema: _for_a_webhook(schema, *OF_WEBHOOKS, "secret"))

    secret: str = ""


class EnabledEndpointView(EndpointView):
    """An endpoint that was enabled, with what it missed meanwhile."""

    missed: MissedView | None = Field(description="null: it was not disabled.")


class SecretView(BaseModel):
    """The secret that signs, and what receivers of ed25519 signatures verify with."""

    secret: str
    public_key: str | None


class RotatedSecretView(SecretView):
    """The new secret, and until when the old one signs beside it."""

    previous_expires_at: Time | None = Field(description="null if the old secret is no longer used.")


class TestView(BaseModel):
    """The test that is on its way."""

    __test__ = False  # not a test class of pytest

    event_id: str


def chosen_fields(endpoint: Endpoint) -> dict[str, Any]:
    """Return what a PATCH can change of an endpoint, as JSON."""
    document: dict[str, Any] = ENDPOINT.dump_python(endpoint, mode="json", include=set(SUBSCRIBERS_CHOICES))
    return document


def endpoint_fields(endpoint: Endpoint, health: EndpointHealth) -> dict[str, Any]:
    """Return the fields of an :class:`EndpointView`."""
    same = EndpointView.model_fields.keys() - {"health", "target", *OF_WEBHOOKS}
    rate = health.learned_rate_per_second
    return (
        {name: getattr(endpoint, name) for name in same}
        | _destination_fields(endpoint)
        | {
            "event_types": list(endpoint.event_types),
            "filters": FiltersView(
                **{name: list(getattr(endpoint.filters, name)) for name in FiltersView.model_fields}
            ),
            "health": HealthView(
                pending=health.pending,
                oldest_due_at=time_or_none(health.oldest_due_at),
                consecutive_failures=health.consecutive_failures,
                last_success_at=time_or_none(health.last_success_at),
                last_failure_at=time_or_none(health.last_failure_at),
                last_failure_reason=health.last_failure_reason,
                learned_rate_per_second=rate and round(rate, 3),
                learned_concurrency=health.learned_concurrency,
                paused_until=time_or_none(health.paused_until),
            ),
            "disabled_at": time_or_none(endpoint.disabled_at),
            "created_at": rfc3339(endpoint.created_at),
            "updated_at": rfc3339(endpoint.updated_at),
        }
    )


def _destination_fields(endpoint: Endpoint) -> dict[str, Any]:
    """Return where an endpoint leads, and how a webhook is sent to."""
    if endpoint.target is not None:
        return {"target": dict(endpoint.target.shown)}
    return {
        "url": endpoint.url,
        "payload": endpoint.payload,
        "format": endpoint.format,
        "signing": endpoint.signing,
        "public_key": endpoint.secrets[0].public_key,
        "headers": endpoint.headers,
        "verification": _verification_view(endpoint),
    }


def _verification_view(endpoint: Endpoint) -> VerificationView | None:
    verification = endpoint.verification
    if verification is None:
        return None
    return VerificationView(
        status=verification.status,
        started_at=rfc3339(verification.started_at),
        tries=verification.tries,
        next_try_at=time_or_none(endpoint.challenge_due_at),
        last_failure=verification.last_failure,
        passed_at=time_or_none(verification.passed_at),
    )
