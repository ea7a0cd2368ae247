"""Leases: renewed while their worker is alive, released when it is dead."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import pytest

from notifier.core.delivery.delivery import Attempt, DeliveryStatus, Trigger
from notifier.core.delivery.endpoint import Endpoint
from notifier.core.model.ids import AttemptId, EndpointId, delivery_id
from notifier.runtime import Runtime, open_runtime
from notifier.store import Claim, Settlement, Store, schema
from tests.support.dispatching import allow_full_concurrency, dispatch_events
from tests.support.pipeline import add_endpoint, numbered_event, quick_settings
from tests.support.receiver import Receiver
from tests.support.wait import wait_until
from tests.support.worker import running_worker
from workers.siblings import new_worker_id

pytestmark = pytest.mark.server

ENDPOINT = Endpoint(
    id=EndpointId("ep_0000000000000001"), url="https://x.example/", created_at=1.0, updated_at=1.0
)
HOLDER = "elsewhere/1:1:abcdef"


@pytest.fixture
async def store(runtime: Runtime) -> Store:
    await runtime.store.endpoints.create(ENDPOINT)
    await allow_full_concurrency(runtime.store, ENDPOINT)
    return runtime.store


async def queue_events(store: Store, *numbers: int) -> None:
    events = [numbered_event(number) for number in numbers]
    for event in events:
        await store.events.commit(event)
    await dispatch_events(store, [(event.id, [ENDPOINT]) for event in events])


async def claim(store: Store, *, lease_seconds: float = 30, holder: str | None = HOLDER) -> list[Claim]:
    turn = await store.queue.turn(0, [], limit=100, lease_seconds=lease_seconds, holder=holder)
    return list(turn.claims)


async def settle(store: Store, claims: Sequence[Claim], status: DeliveryStatus) -> int:
    """Settle claims after one attempt each; return how many leases were lost."""
    settlements = [
        Settlement(
            each,
            status,
            Attempt(
                id=AttemptId(f"att_{each.event_id}"),
                number=1,
                trigger=Trigger.SCHEDULED,
                started_at=1.0,
                outcome="delivered" if status is DeliveryStatus.DELIVERED else "retry",
                reason="the receiver failed",
            ),
            1,
            delay=60.0,
            succeeded=status is DeliveryStatus.DELIVERED,
        )
        for each in claims
    ]
    turn = await store.queue.turn(0, settlements, limit=0, lease_seconds=30, holder=HOLDER)
    return turn.stale


async def held(store: Store) -> dict[str, str]:
    found: dict[str, str] = await store.database.redis.hgetall(schema.LEASES(0, HOLDER))
    return found


async def test_a_renewed_lease_outlives_its_first_end(store: Store) -> None:
    await queue_events(store, 1)
    claims = await claim(store, lease_seconds=0.2)
    renewal = await store.queue.renew(0, claims, lease_seconds=30, holder=HOLDER)
    assert renewal.claims[0].lease_end - claims[0].lease_end > 29_000

    async def has_passed() -> bool:
        seconds, _ = await store.database.redis.time()
        return bool(seconds * 1000 > claims[0].lease_end)

    await wait_until(has_passed, message="the first end has passed")
    assert await claim(store) == []
    assert await settle(store, renewal.claims, DeliveryStatus.DELIVERED) == 0
    assert await held(store) == {}


async def test_the_next_renewal_makes_up_for_one_whose_answer_was_lost(store: Store) -> None:
    await queue_events(store, 1)
    claims = await claim(store)
    await store.queue.renew(0, claims, lease_seconds=40, holder=HOLDER)
    renewal = await store.queue.renew(0, claims, lease_seconds=50, holder=HOLDER)
    assert await settle(store, renewal.claims, DeliveryStatus.DELIVERED) == 0


async def test_a_lost_lease_is_not_renewed(store: Store) -> None:
    await queue_events(store, 1)
    late = await claim(store, lease_seconds=0.05)
    found: list[Claim] = []

    async def is_due_again() -> bool:
        found.extend(await claim(store, holder=None))
        return bool(found)

    await wait_until(is_due_again, message="the lease runs out")
    renewal = await store.queue.renew(0, late, lease_seconds=30, holder=HOLDER)
    assert renewal.released == 0
    assert await settle(store, renewal.claims, DeliveryStatus.DELIVERED) == 1
    assert await settle(store, found, DeliveryStatus.DELIVERED) == 0


async def test_a_renewal_releases_claims_whose_answer_was_lost(store: Store) -> None:
    await queue_events(store, 1, 2, 3)
    in_hand, *lost = await claim(store)
    renewal = await store.queue.renew(0, [in_hand], lease_seconds=30, holder=HOLDER)
    assert renewal.released == 2
    assert {each.event_id for each in await claim(store)} == {each.event_id for each in lost}
    assert await settle(store, renewal.claims, DeliveryStatus.DELIVERED) == 0


async def test_only_the_claims_of_a_dead_worker_are_released(store: Store) -> None:
    await queue_events(store, 1)
    await claim(store, lease_seconds=0.01)
    await queue_events(store, 2)

    async def is_taken_over() -> bool:
        return any(each.event_id == numbered_event(1).id for each in await claim(store, holder=None))

    await wait_until(is_taken_over, message="another worker has the first one")
    await queue_events(store, 3)
    await claim(store)
    assert await store.queue.release(HOLDER) == 1
    assert [each.event_id for each in await claim(store, holder=None)] == [numbered_event(3).id]


async def test_an_outcome_recorded_twice_is_not_a_lost_lease(store: Store) -> None:
    await queue_events(store, 1)
    claims = await claim(store)
    assert await settle(store, claims, DeliveryStatus.DELIVERED) == 0
    assert await settle(store, claims, DeliveryStatus.DELIVERED) == 0


@pytest.mark.parametrize(
    ("outcome", "recorded"),
    [
        (DeliveryStatus.DELIVERED, DeliveryStatus.DELIVERED),
        (DeliveryStatus.PENDING, DeliveryStatus.DISCARDED),
        (DeliveryStatus.EXHAUSTED, DeliveryStatus.EXHAUSTED),
    ],
)
async def test_an_attempt_of_a_deleted_endpoint_is_kept(
    store: Store, outcome: DeliveryStatus, recorded: DeliveryStatus
) -> None:
    await queue_events(store, 1)
    claims = await claim(store)
    await store.endpoints.delete(ENDPOINT.id)
    assert await settle(store, claims, outcome) == 0
    name = delivery_id(claims[0].event_id, ENDPOINT.id)
    delivery = await store.deliveries.get(name)
    assert (delivery.status, delivery.attempts_made) == (recorded, 1)
    assert delivery.settled_at is not None
    assert len(await store.deliveries.attempts(name)) == 1
    assert not await store.database.redis.exists(
        store.partitions.key(schema.STATE, ENDPOINT.id), store.partitions.key(schema.DUE, ENDPOINT.id)
    )


async def test_a_request_longer_than_the_lease_is_sent_once(redis_url: str) -> None:
    settings = quick_settings(redis_url, request_timeout_seconds=10, lease_seconds=5)
    async with Receiver() as receiver, open_runtime(settings) as runtime:
        await add_endpoint(runtime, receiver, "/slow", event_types=("*",))
        receiver.answer("/slow", delay=5.5)
        async with running_worker(settings), running_worker(settings):
            event = numbered_event(1)
            await runtime.store.events.commit(event)
            name = delivery_id(event.id, EndpointId("ep_000000000000slow"))

            async def is_delivered() -> bool:
                pending = (await runtime.store.gauges(now=0)).deliveries_pending
                return bool(receiver.received("/slow")) and pending == 0

            await wait_until(is_delivered, timeout=20, message="it is delivered")
        assert len(receiver.received("/slow")) == 1
        assert (await runtime.store.deliveries.get(name)).attempts_made == 1


async def test_a_worker_takes_over_the_claims_of_a_dead_one_on_its_machine(redis_url: str) -> None:
    settings = quick_settings(redis_url, lease_seconds=60)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await process.wait()
    dead = f"{new_worker_id().partition(':')[0]}:{process.pid}:abcdef"
    alive_elsewhere = f"elsewhere/1:{process.pid}:abcdef"
    async with Receiver() as receiver, open_runtime(settings) as runtime:
        store = runtime.store
        mine = await add_endpoint(runtime, receiver, "/mine", event_types=("*",))
        other = await add_endpoint(runtime, receiver, "/other", event_types=("*",))
        for number, (endpoint, holder) in enumerate([(mine, dead), (other, alive_elsewhere)]):
            event = numbered_event(number)
            await store.events.commit(event)
            await dispatch_events(store, [(event.id, [endpoint])])
            partition = store.partitions.of(endpoint.id)
            turn = await store.queue.turn(partition, [], limit=1, lease_seconds=60, holder=holder)
            assert len(turn.claims) == 1
            await store.workers.report(holder, now=runtime.clock())
        async with running_worker(settings):
            await receiver.wait_for("/mine", 1)
            assert receiver.received("/other") == []
            assert alive_elsewhere in await store.workers.registered()
            assert dead not in await store.workers.registered()
