"""``/v1/endpoints/{id}/stats``: the delivery statistics of an endpoint."""

from typing import Final

from pydantic import BaseModel, Field

from notifier.api.models import Time, time_or_none
from notifier.api.operations import Call, operation
from notifier.core.delivery.endpoint import Endpoint, EndpointStatus
from notifier.core.model.api_key import Scope
from notifier.core.model.instants import rfc3339
from notifier.http.access import key
from notifier.http.reply import Reply
from notifier.store.endpoint_stats import BreakerState, EndpointStats


class PendingView(BaseModel):
    """Deliveries that are still to arrive."""

    total: int
    due: int = Field(description="They may go out now.")
    waiting: int = Field(
        description="They wait for their next attempt, or for an earlier event of their Space."
    )
    under_way: int = Field(description="They are being sent at this moment.")
    oldest_due_at: Time | None
    oldest_due_seconds: float = Field(description="How long the first of the due ones has been waiting.")


class DeliveredView(BaseModel):
    """The deliveries that are no longer pending, by status, since the endpoint was added."""

    delivered: int
    exhausted: int
    discarded: int


class AttemptsView(BaseModel):
    """The attempts since the endpoint was added."""

    total: int
    failed: int
    refused: int = Field(
        description="Answered 429, or 503 with Retry-After: the receiver asked for a slower pace."
    )
    success_rate: float | None = Field(description="0 to 1; null before the first attempt.")


class BreakerView(BaseModel):
    """The circuit breaker."""

    state: BreakerState
    open_until: Time | None


class EndpointStatsView(BaseModel):
    """The delivery statistics of an endpoint at one moment."""

    endpoint_id: str
    status: EndpointStatus
    at: Time
    pending: PendingView
    deliveries: DeliveredView
    attempts: AttemptsView
    breaker: BreakerView
    held_until: Time | None = Field(
        description="Nothing is sent before, by the receiver's wish or the breaker's."
    )
    consecutive_failures: int
    failing_since: Time | None
    last_success_at: Time | None
    last_failure_at: Time | None
    last_failure_reason: str | None


async def get_endpoint_stats(call: Call[None, None]) -> Reply[EndpointStatsView]:
    """Show how deliveries to an endpoint fare.

    All figures are of one moment.
    """
    endpoint = await call.runtime.store.endpoints.get(call.path["endpoint_id"])
    return Reply.of(_view(endpoint, await call.runtime.store.stats_of(endpoint.id)))


def _view(endpoint: Endpoint, stats: EndpointStats) -> EndpointStatsView:
    oldest = stats.oldest_due_at
    return EndpointStatsView(
        endpoint_id=endpoint.id,
        status=endpoint.status,
        at=rfc3339(stats.at),
        pending=PendingView(
            total=stats.pending,
            due=stats.due,
            waiting=stats.waiting,
            under_way=stats.in_flight,
            oldest_due_at=time_or_none(oldest),
            oldest_due_seconds=0.0 if oldest is None else round(max(stats.at - oldest, 0.0), 3),
        ),
        deliveries=DeliveredView(
            delivered=stats.delivered, exhausted=stats.exhausted, discarded=stats.discarded
        ),
        attempts=AttemptsView(
            total=stats.attempts,
            failed=stats.failed,
            refused=stats.refused,
            success_rate=stats.success_rate,
        ),
        breaker=BreakerView(state=stats.breaker, open_until=time_or_none(stats.open_until)),
        held_until=time_or_none(stats.held_until),
        consecutive_failures=stats.consecutive_failures,
        failing_since=time_or_none(stats.failing_since),
        last_success_at=time_or_none(stats.last_success_at),
        last_failure_at=time_or_none(stats.last_failure_at),
        last_failure_reason=stats.last_failure_reason,
    )


OPERATIONS: Final = (
    operation("GET", "/v1/endpoints/{endpoint_id}/stats", get_endpoint_stats, key(Scope.ENDPOINTS_READ)),
)
