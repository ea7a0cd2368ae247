"""``/v1/endpoints/{id}/recover``: sending an endpoint everything that it missed."""

from typing import Any, Final

from pydantic import BaseModel, Field, RootModel

from notifier.api.bodies import Body
from notifier.api.models import Time, random_tail, time_or_none
from notifier.api.operations import Call, hint, operation
from notifier.api.paging import PageQuery, PageView, page_of, page_reply
from notifier.core.delivery.endpoint import Endpoint, EndpointStatus
from notifier.core.delivery.recovery import Recovery, RecoveryStatus, Span
from notifier.core.model.api_key import Scope
from notifier.core.model.ids import RecoveryId
from notifier.core.model.instants import rfc3339
from notifier.errors import ConflictError
from notifier.http.access import key
from notifier.http.reply import Reply
from notifier.runtime import Runtime
from notifier.store import Job

ENDPOINT: Final = "/v1/endpoints/{endpoint_id}"
PATH: Final = ENDPOINT + "/recoveries"
ONE: Final = PATH + "/{recovery_id}"


class RecoverBody(Body):
    """Which events to send again, by when they were committed."""

    since: Time
    until: Time | None = Field(None, description="Now if not given.")
    dry_run: bool = Field(default=False, description="Only count.")


class MissedCountView(BaseModel):
    """What an endpoint missed in some time."""

    endpoint_id: str
    since: Time
    until: Time
    clamped: bool = Field(
        description="A longer period was requested, but nothing older than `since` is kept."
    )
    count: int = Field(description="How many events there were to send again.")


class RecoveryView(MissedCountView):
    """The work of sending an endpoint what it missed."""

    id: str
    status: RecoveryStatus
    considered: int = Field(description="How many events of that time have been examined.")
    queued: int = Field(description="How many of them were made due.")
    skipped: int = Field(description="How many were delivered before, on their way anyway, or not wanted.")
    reason: str | None = Field(description="Why it ended early.")
    created_at: Time
    updated_at: Time
    finished_at: Time | None


class RecoverView(RootModel[RecoveryView | MissedCountView]):
    """The work that has begun, or with `dry_run` the count alone."""


class MissedView(BaseModel):
    """What an endpoint missed while it was disabled, and how to have it sent."""

    since: Time
    events: int
    recover: str = Field(description="The call that sends them again, with this `since`.")


async def recover_endpoint(call: Call[RecoverBody, None]) -> Reply[RecoverView]:
    """Send again what an endpoint missed.

    With `dry_run` it is only counted.
    """
    store = call.runtime.store
    endpoint = await store.endpoints.get(call.path["endpoint_id"])
    span = await store.recoveries.read_span(call.body.since, call.body.until)
    if call.body.dry_run:
        count = await store.recoveries.count(endpoint, span)
        return Reply.of(RecoverView(MissedCountView(**_span_fields(endpoint.id, span, count))))
    if endpoint.awaits_verification:
        raise ConflictError(f"{endpoint.id} has yet to answer its challenge; recover once it has.")
    if endpoint.status is not EndpointStatus.ENABLED:
        raise ConflictError(
            f"{endpoint.id} is disabled; enable it first: POST /v1/endpoints/{endpoint.id}/enable"
        )
    recovery = await store.recoveries.start(
        RecoveryId("rec_" + random_tail()),
        endpoint,
        span,
        count=await store.recoveries.count(endpoint, span),
    )
    await hint(call.runtime.wakeup.ring(Job.RECOVER))
    location = f"{PATH.format(endpoint_id=endpoint.id)}/{recovery.id}"
    return Reply.of(RecoverView(_view(recovery)), location=location)


async def list_recoveries(call: Call[None, PageQuery]) -> Reply[PageView[RecoveryView]]:
    """List the recoveries of an endpoint.

    The newest comes first.
    """
    store = call.runtime.store
    endpoint = await store.endpoints.get(call.path["endpoint_id"])
    page = await store.recoveries.page(endpoint.id, **page_of(call))
    views = [_view(recovery) for recovery in page.items]
    return page_reply(call, RecoveryView, views, page.next_cursor)


async def get_recovery(call: Call[None, None]) -> Reply[RecoveryView]:
    """Get a recovery.

    It shows how far the work is.
    """
    return Reply.of(_view(await _recovery(call)))


async def cancel_recovery(call: Call[None, None]) -> Reply[RecoveryView]:
    """Cancel a recovery.

    What it has made due goes out all the same.
    """
    recovery = await _recovery(call)
    before = await call.runtime.store.recoveries.cancel(recovery.id)
    if before in (RecoveryStatus.DONE, RecoveryStatus.FAILED):
        raise ConflictError(f"{recovery.id} is {before} already; there is nothing left to cancel.")
    return Reply.of(_view(await _recovery(call)))


async def missed_since(runtime: Runtime, endpoint: Endpoint, since: float) -> MissedView:
    """Count what an endpoint has missed since an epoch second."""
    recoveries = runtime.store.recoveries
    count = await recoveries.count(endpoint, await recoveries.span_since(since))
    return MissedView(
        since=rfc3339(since), events=count, recover=f"POST {ENDPOINT.format(endpoint_id=endpoint.id)}/recover"
    )


async def _recovery(call: Call[Any, Any]) -> Recovery:
    store = call.runtime.store
    endpoint = await store.endpoints.get(call.path["endpoint_id"])
    return await store.recoveries.get(endpoint.id, call.path["recovery_id"])


def _span_fields(endpoint_id: str, span: Span, count: int) -> dict[str, Any]:
    return {
        "endpoint_id": endpoint_id,
        "since": rfc3339(span.since),
        "until": rfc3339(span.until),
        "clamped": span.is_clamped,
        "count": count,
    }


def _view(recovery: Recovery) -> RecoveryView:
    return RecoveryView(
        **_span_fields(recovery.endpoint_id, recovery.span, recovery.count),
        id=recovery.id,
        status=recovery.status,
        considered=recovery.considered,
        queued=recovery.queued,
        skipped=recovery.skipped,
        reason=recovery.reason,
        created_at=rfc3339(recovery.created_at),
        updated_at=rfc3339(recovery.updated_at),
        finished_at=time_or_none(recovery.finished_at),
    )


OPERATIONS: Final = (
    operation("POST", ENDPOINT + "/recover", recover_endpoint, key(Scope.ENDPOINTS_WRITE), status=202),
    operation("GET", PATH, list_recoveries, key(Scope.ENDPOINTS_READ)),
    operation("GET", ONE, get_recovery, key(Scope.ENDPOINTS_READ)),
    operation("POST", ONE + "/cancel", cancel_recovery, key(Scope.ENDPOINTS_WRITE)),
)
