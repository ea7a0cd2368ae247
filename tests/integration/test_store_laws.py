"""Laws of the store for any sequence of operations on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pytest
import redis as blocking_redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifier.core.delivery.delivery import DeliveryStatus
from notifier.core.delivery.endpoint import Endpoint, EndpointStatus
from notifier.core.model.ids import EventId, delivery_id
from notifier.errors import ConflictError, NotFoundError
from notifier.runtime import open_runtime
from notifier.store import Claim, Store, schema
from tests.support.dispatching import dispatch_events
from tests.support.pipeline import quick_settings
from tests.support.queue import add, claim, queue_events, settle, settled

pytestmark = pytest.mark.server

OPERATIONS: Final = st.one_of(
    st.tuples(st.just("owe"), st.integers(0, 5)),
    st.tuples(st.just("owe again"), st.integers(0, 5)),
    st.tuples(st.just("claim"), st.integers(1, 4)),
    st.tuples(st.just("lose the lease"), st.integers(0, 3)),
    st.tuples(st.just("deliver"), st.integers(0, 3)),
    st.tuples(st.just("retry"), st.integers(0, 3)),
    st.tuples(st.just("exhaust"), st.integers(0, 3)),
    st.tuples(st.just("redeliver"), st.integers(0, 5)),
    st.tuples(st.just("toggle"), st.integers(0, 1)),
)

ENDS: Final = {
    "deliver": DeliveryStatus.DELIVERED,
    "lose the lease": DeliveryStatus.DELIVERED,
    "retry": DeliveryStatus.PENDING,
    "exhaust": DeliveryStatus.EXHAUSTED,
}
"""How each way to end an attempt settles its delivery."""


class QueueHistory:
    """A history of operations on a queue of two endpoints."""

    def __init__(self, store: Store, endpoints: list[Endpoint]) -> None:
        self.store = store
        self.endpoints = endpoints
        self.events: dict[int, EventId] = {}
        self.claims: list[Claim] = []

    async def do(self, operation: str, number: int) -> None:
        deliveries = self.store.deliveries
        ids = [endpoint.id for endpoint in self.endpoints]
        if operation == "owe" and number not in self.events:
            (self.events[number],) = await queue_events(self.store, self.endpoints, number)
        elif operation == "owe again" and number in self.events:
            await dispatch_events(self.store, [(self.events[number], self.endpoints)])
        elif operation == "claim":
            self.claims += await claim(self.store, limit=number)
        elif operation == "redeliver" and number in self.events:
            try:
                await deliveries.redeliver(delivery_id(self.events[number], ids[number % 2]))
            except (ConflictError, NotFoundError):
                return
        elif operation == "toggle":
            await self._toggle(number)
        elif operation in ENDS and number < len(self.claims):
            await self._end(operation, self.claims.pop(number))

    async def _toggle(self, number: int) -> None:
        before = self.endpoints[number]
        enabled = before.status is EndpointStatus.ENABLED
        status = EndpointStatus.DISABLED if enabled else EndpointStatus.ENABLED
        self.endpoints[number] = replace(before, status=status)
        await self.store.endpoints.save(self.endpoints[number], replacing=before)

    async def _end(self, operation: str, claimed: Claim) -> None:
        if operation == "lose the lease":
            await self.store.database.redis.zadd(
                self.store.partitions.key(schema.LEASED, claimed.endpoint_id), {claimed.event_id: 1}
            )
            self.claims += await claim(self.store, limit=1)
        await settle(self.store, settled(claimed, ENDS[operation]))

    async def places_of(self, event: EventId, endpoint: Endpoint) -> list[str]:
        redis = self.store.database.redis
        status = await redis.hget(self.store.partitions.delivery(event, endpoint.id), "status")
        places = {
            "due": await redis.zscore(self.store.partitions.key(schema.DUE, endpoint.id), event) is not None,
            "leased": await redis.zscore(self.store.partitions.key(schema.LEASED, endpoint.id), event)
            is not None,
            "terminal": status is not None and status != DeliveryStatus.PENDING,
        }
        return [place for place, is_there in places.items() if is_there]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=st.lists(OPERATIONS, max_size=25))
def test_law_5_a_delivery_is_in_exactly_one_of_due_leased_and_terminal(
    redis_url: str, operations: Sequence[tuple[str, int]]
) -> None:
    async def run() -> None:
        async with open_runtime(quick_settings(redis_url, delivery_partitions=1)) as runtime:
            history = QueueHistory(runtime.store, [await add(runtime.store, name) for name in ("a", "b")])
            for operation, number in operations:
                await history.do(operation, number)
                for event in history.events.values():
                    for endpoint in history.endpoints:
                        assert len(await history.places_of(event, endpoint)) == 1, (operation, number)

    with blocking_redis.Redis.from_url(redis_url) as client:
        client.flushall()
    asyncio.run(run())
