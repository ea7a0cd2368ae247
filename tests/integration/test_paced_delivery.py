"""Whole workers and rate-limited receivers: everything arrives, with few refusals on the way.

The retry schedule has two attempts, so a refusal that used up a step of it would soon exhaust a delivery.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from notifier.core.delivery.delivery import DeliveryStatus
from notifier.core.delivery.endpoint import Endpoint, Ordering, SealedSecret
from notifier.core.model.ids import EndpointId, EventId, delivery_id
from notifier.runtime import Runtime, open_runtime
from notifier.store import Job
from notifier.store.endpoint_stats import BreakerState
from tests.support.limited_receiver import Bucket, Closed, Limit, LimitedReceiver, Places, limited
from tests.support.pipeline import SECRET, commit_space_events, numbered_event, quick_settings
from tests.support.wait import wait_until
from tests.support.worker import running_worker

pytestmark = pytest.mark.server

TWO_ATTEMPTS: Final = (0.05,)


async def register(runtime: Runtime, receiver: LimitedReceiver, **changes: Any) -> Endpoint:
    endpoint = Endpoint(
        id=EndpointId("ep_" + "limited".rjust(16, "0")),
        url=receiver.url,
        event_types=("*",),
        secrets=(SealedSecret(runtime.secrets.seal(SECRET)),),
        created_at=1.0,
        updated_at=1.0,
        **changes,
    )
    await runtime.store.endpoints.create(endpoint)
    return endpoint


async def commit(runtime: Runtime, count: int) -> list[EventId]:
    events = [numbered_event(number) for number in range(count)]
    for event in events:
        await runtime.store.events.commit(event)
    return [event.id for event in events]


async def until_all_are_delivered(runtime: Runtime, endpoint: Endpoint, events: list[EventId]) -> None:
    async def is_done() -> bool:
        return (await runtime.store.stats_of(endpoint.id)).delivered == len(events)

    await runtime.wakeup.ring(Job.DISPATCH)
    await wait_until(is_done, timeout=30, interval=0.05, message="every delivery has arrived")
    for event in events:
        delivery = await runtime.store.deliveries.get(delivery_id(event, endpoint.id))
        assert delivery.status is DeliveryStatus.DELIVERED


@dataclass(frozen=True, slots=True)
class Case:
    """A receiver, and the number of events that it gets at once."""

    limit: Callable[[], Limit]
    count: int
    refusal: int = 429
    headers: Mapping[str, str] = field(default_factory=dict)


ONE_SECOND: Final = {"Retry-After": "1"}
CASES: Final = {
    "20 a second": Case(lambda: Bucket(20, 5), 40),
    "20 a second, with Retry-After": Case(lambda: Bucket(20, 20), 40, headers=ONE_SECOND),
    "20 a second, by 503": Case(lambda: Bucket(20, 20), 40, refusal=503, headers=ONE_SECOND),
    "two at a time": Case(lambda: Places(2, 0.1), 24),
    "one at a time, with Retry-After": Case(lambda: Places(1, 0.05), 12, headers=ONE_SECOND),
    "closed at first": Case(lambda: Closed(3), 30, refusal=503, headers=ONE_SECOND),
}


@pytest.mark.parametrize(("name", "workers"), [(name, 1) for name in CASES] + [("20 a second", 2)])
async def test_everything_arrives_at_a_rate_limited_receiver(redis_url: str, name: str, workers: int) -> None:
    case = CASES[name]
    settings = quick_settings(redis_url, retry_schedule_seconds=TWO_ATTEMPTS, delivery_partitions=1)
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(
            limited(case.limit(), refusal=case.refusal, headers=case.headers)
        )
        runtime = await stack.enter_async_context(open_runtime(settings))
        endpoint = await register(runtime, receiver)
        events = await commit(runtime, case.count)
        for _ in range(workers):
            await stack.enter_async_context(running_worker(settings))
        await until_all_are_delivered(runtime, endpoint, events)
        stats = await runtime.store.stats_of(endpoint.id)
    assert sorted(receiver.taken) == sorted(events)
    assert 0 < stats.refused == receiver.refused <= case.count / 2
    assert (stats.breaker, stats.failed, stats.consecutive_failures) == (BreakerState.CLOSED, 0, 0)
    assert stats.failing_since is None


async def test_a_refused_delivery_records_every_attempt_and_uses_one_step(redis_url: str) -> None:
    settings = quick_settings(redis_url, retry_schedule_seconds=TWO_ATTEMPTS)
    async with (
        limited(Closed(4)) as receiver,
        open_runtime(settings) as runtime,
        running_worker(settings),
    ):
        endpoint = await register(runtime, receiver)
        (event,) = await commit(runtime, 1)
        await until_all_are_delivered(runtime, endpoint, [event])
        attempts = await runtime.store.deliveries.attempts(delivery_id(event, endpoint.id))
    assert [(each.number, each.status_code) for each in attempts] == [
        (1, 429),
        (2, 429),
        (3, 429),
        (4, 429),
        (5, 204),
    ]


async def test_events_of_a_space_keep_their_order_at_a_receiver_that_refuses(redis_url: str) -> None:
    settings = quick_settings(redis_url, retry_schedule_seconds=TWO_ATTEMPTS)
    async with (
        limited(Bucket(20, 3)) as receiver,
        open_runtime(settings) as runtime,
        running_worker(settings),
    ):
        endpoint = await register(runtime, receiver, ordering=Ordering.SPACE)
        events = await commit_space_events(runtime.store, "1abc", *range(1, 16))
        await until_all_are_delivered(runtime, endpoint, events)
    assert receiver.taken == events
    assert receiver.refused > 0
