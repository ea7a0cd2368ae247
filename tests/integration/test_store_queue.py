from __future__ import annotations

import json
from dataclasses import replace

import pytest

from notifier.core.delivery.delivery import DeliveryStatus, Trigger
from notifier.core.delivery.endpoint import EndpointStatus
from notifier.core.model.ids import delivery_id
from notifier.core.model.reasons import DisabledReason
from notifier.errors import ConflictError, NotFoundError, VersionConflictError
from notifier.runtime import open_runtime
from notifier.store import Claim, Store, schema
from tests.support.dispatching import dispatch_events
from tests.support.pipeline import numbered_event as make_event
from tests.support.pipeline import quick_settings
from tests.support.queue import ATTEMPT, add, claim, queue_events, settle, settled
from tests.support.wait import wait_until

pytestmark = pytest.mark.server


async def test_dispatching_an_event_repeatedly_makes_one_delivery(store: Store) -> None:
    endpoint = await add(store, "a")
    events = await queue_events(store, [endpoint], 1)
    await dispatch_events(store, [(events[0], [endpoint])])
    assert [each.event_id for each in await claim(store)] == events
    assert await claim(store) == []
    assert (await store.events.undispatched(limit=10)).entries == []


async def test_a_dispatch_wakes_each_partition_once_until_it_is_drained(store: Store) -> None:
    endpoint = await add(store, "a")
    first, second, third = make_event(1), make_event(2), make_event(3)
    for event in (first, second, third):
        await store.events.commit(event)
    assert await dispatch_events(store, [(first.id, [endpoint])]) == {0}
    assert await dispatch_events(store, [(second.id, [endpoint])]) == set()
    await claim(store)
    assert await dispatch_events(store, [(third.id, [endpoint])]) == {0}


async def test_endpoints_take_turns(store: Store) -> None:
    busy, quiet = await add(store, "busy", max_concurrency=100), await add(store, "quiet")
    await queue_events(store, [busy], *range(50))
    await queue_events(store, [quiet], 100)
    first = await claim(store, limit=4)
    assert {each.endpoint_id for each in first} == {busy.id, quiet.id}


async def test_a_new_endpoint_is_served_soon_despite_other_backlogs(store: Store) -> None:
    crowd = [await add(store, f"e{number}", max_concurrency=4) for number in range(30)]
    await queue_events(store, crowd, *range(40))
    backlog = [await claim(store, limit=8) for _ in range(3)]
    newcomer = await add(store, "new")
    await queue_events(store, [newcomer], 1000)
    for _ in range(6):
        await settle(store, *[settled(each) for each in backlog.pop(0)])
        backlog.append(await claim(store, limit=8))
        if any(each.endpoint_id == newcomer.id for each in backlog[-1]):
            break
    else:
        # Eight are claimed at a time, and thirty are ahead of it in the line.
        pytest.fail("the newcomer had no turn within six rounds")


async def test_an_endpoint_whose_record_an_older_version_wrote_can_be_changed(store: Store) -> None:
    endpoint = await add(store, "a")
    key = schema.ENDPOINT(endpoint.id)
    older = json.loads(await store.database.redis.get(key))
    del older["metadata"], older["rate_limit_per_second"]
    await store.database.redis.set(key, json.dumps(older))
    read = await store.endpoints.get(endpoint.id)
    await store.endpoints.save(replace(read, description="mine"), replacing=read)
    assert (await store.endpoints.get(endpoint.id)).description == "mine"


async def test_expired_events_leave_the_indexes(store: Store) -> None:
    endpoint = await add(store, "a")
    (event,) = await queue_events(store, [endpoint], 1)
    await store.database.redis.delete(schema.EVENT(event))
    assert await store.events.trim() == 2
    assert await store.endpoints.trim() == 1
    assert await store.database.redis.zcard(schema.EVENTS()) == 0
    assert await store.database.redis.exists(store.partitions.key(schema.HISTORY, endpoint.id)) == 0


async def test_at_most_max_concurrency_deliveries_are_claimed_at_once(store: Store) -> None:
    endpoint = await add(store, "a", max_concurrency=2)
    await queue_events(store, [endpoint], 1, 2, 3)
    first = await claim(store)
    assert len(first) == 2
    assert await claim(store) == []
    await settle(store, settled(first[0]))
    assert len(await claim(store)) == 1


async def test_at_most_a_second_of_the_rate_limit_is_claimed_at_once(store: Store) -> None:
    endpoint = await add(store, "a", rate_limit_per_second=5)
    await queue_events(store, [endpoint], *range(12))
    first = await claim(store)
    assert len(first) == 5
    await settle(store, *[settled(each) for each in first])
    assert len(await claim(store)) <= 1


async def test_an_expired_lease_makes_the_delivery_due_and_its_outcome_stale(
    store: Store,
) -> None:
    endpoint = await add(store, "a")
    await queue_events(store, [endpoint], 1)
    (late,) = await claim(store, lease_seconds=0.05)
    second: list[Claim] = []

    async def is_due_again() -> bool:
        second.extend(await claim(store))
        return bool(second)

    await wait_until(is_due_again, message="the lease runs out")
    assert await settle(store, settled(late)) == 1
    assert (await store.deliveries.get(delivery_id(late.event_id, endpoint.id))).status == "pending"
    assert await settle(store, settled(second[0])) == 0
    assert (await store.deliveries.get(delivery_id(late.event_id, endpoint.id))).status == "delivered"


async def test_a_failed_attempt_comes_back_after_its_delay_with_its_count(store: Store) -> None:
    endpoint = await add(store, "a")
    await queue_events(store, [endpoint], 1)
    (first,) = await claim(store)
    again = settled(first, DeliveryStatus.PENDING, delay=0.05, succeeded=False)
    await settle(store, again)
    assert await claim(store) == []
    delivery = await store.deliveries.get(delivery_id(first.event_id, endpoint.id))
    assert (delivery.status, delivery.attempts_made, delivery.last_reason) == ("pending", 1, ATTEMPT.reason)
    assert delivery.next_attempt_at is not None
    assert await store.deliveries.attempts(delivery.id) == (ATTEMPT,)
    assert (await store.endpoints.health(endpoint.id)).consecutive_failures == 1
    second: list[Claim] = []

    async def is_due_again() -> bool:
        second.extend(await claim(store))
        return bool(second)

    await wait_until(is_due_again, message="the delay passes")
    assert second[0].attempts_made == 1


async def test_an_exhausted_delivery_is_redelivered_with_a_full_schedule(store: Store) -> None:
    endpoint = await add(store, "a")
    await queue_events(store, [endpoint], 1)
    (first,) = await claim(store)
    await settle(store, settled(first, DeliveryStatus.EXHAUSTED, attempts_made=10))
    delivery = delivery_id(first.event_id, endpoint.id)
    assert (await store.deliveries.get(delivery)).status == "exhausted"
    await store.deliveries.redeliver(delivery)
    (second,) = await claim(store)
    assert (second.attempts_made, second.base, second.trigger) == (10, 10, Trigger.MANUAL)
    with pytest.raises(ConflictError, match="in flight"):
        await store.deliveries.redeliver(delivery)


@pytest.mark.parametrize(
    ("status", "reason"), [(DeliveryStatus.EXHAUSTED, ATTEMPT.reason), (DeliveryStatus.DELIVERED, None)]
)
async def test_a_redelivery_shows_why_it_failed_until_it_arrives(
    store: Store, status: DeliveryStatus, reason: str | None
) -> None:
    endpoint = await add(store, "a")
    await queue_events(store, [endpoint], 1)
    (first,) = await claim(store)
    await settle(store, settled(first, status))
    again = delivery_id(first.event_id, endpoint.id)
    await store.deliveries.redeliver(again)
    delivery = await store.deliveries.get(again)
    assert (delivery.status, delivery.last_reason, delivery.settled_at) == ("pending", reason, None)
    assert len(await store.deliveries.attempts(again)) == 1


async def test_a_disabled_endpoint_keeps_its_deliveries_until_it_is_enabled(store: Store) -> None:
    endpoint = await add(store, "a")
    await queue_events(store, [endpoint], 1, 2)
    disabled = replace(endpoint, status=EndpointStatus.DISABLED, disabled_reason=DisabledReason.GONE)
    await store.endpoints.save(disabled, replacing=endpoint)
    assert await claim(store) == []
    assert (await store.endpoints.health(endpoint.id)).pending == 2
    await store.endpoints.save(endpoint, replacing=disabled)
    assert len(await claim(store)) == 2


async def test_deleting_an_endpoint_discards_its_deliveries(store: Store) -> None:
    endpoint = await add(store, "a")
    (event,) = await queue_events(store, [endpoint], 1)
    await store.endpoints.delete(endpoint.id)
    assert await claim(store) == []
    assert (await store.deliveries.get(delivery_id(event, endpoint.id))).status == "discarded"
    with pytest.raises(NotFoundError):
        await store.deliveries.redeliver(delivery_id(event, endpoint.id))
    late = make_event(2)
    await store.events.commit(late)
    await dispatch_events(store, [(late.id, [endpoint])])
    with pytest.raises(NotFoundError):
        await store.deliveries.get(delivery_id(late.id, endpoint.id))


async def test_an_endpoint_is_replaced_only_if_it_is_unchanged_since_the_read(store: Store) -> None:
    endpoint = await add(store, "a")
    changed = replace(endpoint, description="mine")
    await store.endpoints.save(changed, replacing=endpoint)
    with pytest.raises(VersionConflictError):
        await store.endpoints.save(replace(endpoint, description="late"), replacing=endpoint)
    assert (await store.endpoints.get(endpoint.id)).description == "mine"


async def test_deliveries_are_listed_in_pages_without_gap_or_overlap(store: Store) -> None:
    endpoints = [await add(store, f"e{number}") for number in range(7)]
    await queue_events(store, endpoints, 1, 2, 3)
    seen: list[str] = []
    cursor = None
    while True:
        page = await store.deliveries.page(limit=4, cursor=cursor)
        assert len(page.items) <= 4
        seen += [delivery.id for delivery in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 21
    only = await store.deliveries.page(limit=50, cursor=None, endpoint_id=endpoints[0].id)
    assert {delivery.endpoint_id for delivery in only.items} == {endpoints[0].id}
    assert len(only.items) == 3


async def test_deliveries_are_filtered_by_event_and_status(store: Store) -> None:
    endpoints = [await add(store, "a"), await add(store, "b")]
    events = await queue_events(store, endpoints, 1, 2)
    claims = await claim(store)
    await settle(store, *[settled(each) for each in claims if each.endpoint_id == endpoints[0].id])
    delivered = await store.deliveries.page(limit=50, cursor=None, status=DeliveryStatus.DELIVERED)
    assert {each.endpoint_id for each in delivered.items} == {endpoints[0].id}
    one = await store.deliveries.page(limit=50, cursor=None, event_id=events[0])
    assert {each.event_id for each in one.items} == {events[0]}
    assert len(one.items) == 2


async def test_changing_the_number_of_partitions_loses_no_endpoint(redis_url: str) -> None:
    async with open_runtime(quick_settings(redis_url, delivery_partitions=1)) as runtime:
        endpoints = [await add(runtime.store, f"e{number}") for number in range(20)]
        await queue_events(runtime.store, endpoints, 1)
    async with open_runtime(quick_settings(redis_url, delivery_partitions=3)) as runtime:
        claimed = [
            each
            for partition in range(3)
            for each in (await runtime.store.queue.turn(partition, [], limit=100, lease_seconds=30)).claims
        ]
    assert {each.endpoint_id for each in claimed} == {endpoint.id for endpoint in endpoints}


async def test_the_sweep_wakes_each_partition_with_work_once_in_a_while(store: Store) -> None:
    assert await store.waiting_work(now=1.0) == []
    endpoint = await add(store, "a")
    event = make_event(1)
    await store.events.commit(event)
    assert await store.waiting_work(now=1.0) == ["dispatch"]
    await dispatch_events(store, [(event.id, [endpoint])])
    assert (await store.events.undispatched(limit=1, complete=[event.id])).entries == []
    await store.database.redis.delete(schema.PARTITION_WAKEUP(0))
    assert await store.waiting_work(now=1.0) == ["deliver:0"]
    assert await store.waiting_work(now=1.0) == []


async def test_scripts_are_loaded_again_after_a_server_restart(store: Store) -> None:
    endpoint = await add(store, "a")
    await store.database.redis.script_flush()
    await queue_events(store, [endpoint], 1, 2)
    (first,) = await claim(store, limit=1)
    # The claim script is loaded but the settle script is not: the claim must not run twice.
    turn = await store.queue.turn(0, [settled(first)], limit=1, lease_seconds=30)
    assert [each.event_id for each in turn.claims] != [first.event_id]
    assert len(turn.claims) == 1
