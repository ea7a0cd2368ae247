"""``/v1/deliveries``: deliveries, their attempts, and redelivery."""

from typing import Any, Final

from pydantic import BaseModel

from notifier.api.models import Time, time_or_none
from notifier.api.operations import Call, hint, operation
from notifier.api.paging import PageQuery, PageView, page_of, page_reply
from notifier.core.delivery.delivery import Attempt, Delivery, DeliveryStatus, Trigger
from notifier.core.model.api_key import Scope
from notifier.core.model.instants import rfc3339
from notifier.http.access import key
from notifier.http.reply import Reply

PATH: Final = "/v1/deliveries"
ONE: Final = PATH + "/{delivery_id}"


class DeliveryListQuery(PageQuery):
    """Which deliveries to list."""

    endpoint_id: str | None = None
    event_id: str | None = None
    space_id: str | None = None
    status: DeliveryStatus | None = None


class DeliveryView(BaseModel):
    """One event owed to one endpoint."""

    id: str
    event_id: str
    endpoint_id: str
    status: DeliveryStatus
    attempts_made: int
    created_at: Time
    next_attempt_at: Time | None
    settled_at: Time | None
    last_reason: str | None


class AttemptView(BaseModel):
    """One POST and its answer."""

    id: str
    number: int
    trigger: Trigger
    started_at: Time
    outcome: str
    reason: str
    status_code: int | None
    error: str | None
    duration_ms: float
    headers: dict[str, str]
    body: str


class DeliveryWithAttemptsView(DeliveryView):
    """A delivery and all of its attempts, oldest first."""

    attempts: list[AttemptView]


class RedeliveryView(BaseModel):
    """The delivery that is due again."""

    id: str
    status: DeliveryStatus


def _fields(delivery: Delivery) -> dict[str, Any]:
    same = {name: getattr(delivery, name) for name in DeliveryView.model_fields}
    return same | {
        "created_at": rfc3339(delivery.created_at),
        "next_attempt_at": time_or_none(delivery.next_attempt_at),
        "settled_at": time_or_none(delivery.settled_at),
    }


def _attempt_view(attempt: Attempt) -> AttemptView:
    same = {name: getattr(attempt, name) for name in AttemptView.model_fields}
    return AttemptView(**same | {"started_at": rfc3339(attempt.started_at), "headers": dict(attempt.headers)})


async def list_deliveries(call: Call[None, DeliveryListQuery]) -> Reply[PageView[DeliveryView]]:
    """List deliveries.

    The newest comes first.
    """
    query = call.query
    page = await call.runtime.store.deliveries.page(
        **page_of(call),
        endpoint_id=query.endpoint_id,
        event_id=query.event_id,
        space_id=query.space_id,
        status=query.status,
    )
    views = [DeliveryView(**_fields(delivery)) for delivery in page.items]
    return page_reply(call, DeliveryView, views, page.next_cursor)


async def get_delivery(call: Call[None, None]) -> Reply[DeliveryWithAttemptsView]:
    """Get a delivery with its attempts."""
    deliveries, delivery_id = call.runtime.store.deliveries, call.path["delivery_id"]
    delivery = await deliveries.get(delivery_id)
    attempts = [_attempt_view(attempt) for attempt in await deliveries.attempts(delivery_id)]
    return Reply.of(DeliveryWithAttemptsView(**_fields(delivery), attempts=attempts))


async def redeliver(call: Call[None, None]) -> Reply[RedeliveryView]:
    """Send a delivery again.

    It goes out now, whatever became of it before.
    """
    deliveries, delivery_id = call.runtime.store.deliveries, call.path["delivery_id"]
    partition = await deliveries.redeliver(delivery_id)
    await hint(call.runtime.wakeup.deliver([partition]))
    delivery = await deliveries.get(delivery_id)
    return Reply.of(RedeliveryView(id=delivery.id, status=delivery.status))


OPERATIONS: Final = (
    operation("GET", PATH, list_deliveries, key(Scope.DELIVERIES_READ)),
    operation("GET", ONE, get_delivery, key(Scope.DELIVERIES_READ)),
    operation("POST", ONE + "/redeliver", redeliver, key(Scope.DELIVERIES_WRITE), status=202),
)
