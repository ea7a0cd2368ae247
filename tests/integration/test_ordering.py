"""Ordered endpoints: the events of one Space strictly by sequence, different Spaces concurrently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifier.core.delivery.delivery import DeliveryStatus
from notifier.core.delivery.endpoint import Endpoint, Ordering
from notifier.core.model.ids import EventId, delivery_id
from notifier.runtime import open_runtime
from notifier.store import Claim, Job, Store, schema
from tests.support.dispatching import dispatch_events
from tests.support.pipeline import add_endpoint, commit_space_events, quick_settings
from tests.support.queue import add, claim, settle, settled
from tests.support.receiver import Receiver
from tests.support.wait import wait_until
from tests.support.worker import running_worker

pytestmark = pytest.mark.server


async def add_ordered(store: Store, name: str = "a") -> Endpoint:
    return await add(store, name, ordering=Ordering.SPACE, max_concurrency=100)


async def queue_events(store: Store, endpoint: Endpoint, space: str, *sequences: int) -> list[EventId]:
    events = await commit_space_events(store, space, *sequences)
    await dispatch_events(store, [(event, [endpoint]) for event in events])
    return events


async def test_only_the_first_event_of_a_space_is_sent(store: Store) -> None:
    endpoint = await add_ordered(store)
    first, second, third = await queue_events(store, endpoint, "A", 1, 2, 3)
    (other,) = await queue_events(store, endpoint, "B", 1)
    claims = await claim(store)
    assert {each.event_id for each in claims} == {first, other}
    assert await claim(store) == []
    await settle(store, *[settled(each) for each in claims])
    (now,) = await claim(store)
    assert now.event_id == second
    await settle(store, settled(now))
    assert [each.event_id for each in await claim(store)] == [third]


async def test_a_head_that_keeps_failing_blocks_only_its_own_space(store: Store) -> None:
    endpoint = await add_ordered(store)
    head, *_ = await queue_events(store, endpoint, "A", 1, 2)
    others = await queue_events(store, endpoint, "B", 1, 2, 3)
    other_endpoint = await add_ordered(store, "b")
    await dispatch_events(store, [(head, [other_endpoint])])
    seen: list[EventId] = []
    for _ in range(4):
        for each in await claim(store):
            if each.event_id == head and each.endpoint_id == endpoint.id:
                await settle(store, settled(each, DeliveryStatus.PENDING, delay=60.0, succeeded=None))
            else:
                seen.append(each.event_id)
                await settle(store, settled(each))
    assert sorted(seen) == sorted([*others, head])


@pytest.mark.parametrize("end", [DeliveryStatus.EXHAUSTED, DeliveryStatus.DISCARDED])
async def test_a_given_up_delivery_makes_room_for_the_next(store: Store, end: DeliveryStatus) -> None:
    endpoint = await add_ordered(store)
    _, second = await queue_events(store, endpoint, "A", 1, 2)
    (head,) = await claim(store)
    await settle(store, settled(head, end))
    assert [each.event_id for each in await claim(store)] == [second]


async def test_an_expired_event_does_not_block_its_line(store: Store) -> None:
    endpoint = await add_ordered(store)
    first, second = await queue_events(store, endpoint, "A", 1, 2)
    await store.database.redis.delete(schema.EVENT(first))
    (head,) = await claim(store)
    assert (head.event_id, head.body) == (first, b"")
    await settle(store, settled(head, DeliveryStatus.DISCARDED))
    assert [each.event_id for each in await claim(store)] == [second]


async def test_a_redelivery_goes_ahead_of_later_events(store: Store) -> None:
    endpoint = await add_ordered(store)
    first, second, third = await queue_events(store, endpoint, "A", 1, 2, 3)
    (head,) = await claim(store)
    await settle(store, settled(head))
    await store.deliveries.redeliver(delivery_id(first, endpoint.id))
    order = []
    for _ in range(3):
        (head,) = await claim(store)
        order.append(head.event_id)
        await settle(store, settled(head))
    assert order == [first, second, third]


async def test_a_line_counts_as_pending_and_is_removed_with_its_endpoint(store: Store) -> None:
    endpoint = await add_ordered(store)
    await queue_events(store, endpoint, "A", 1, 2, 3)
    await queue_events(store, endpoint, "B", 1, 2)
    assert (await store.endpoints.health(endpoint.id)).pending == 5
    await claim(store, limit=1)
    assert (await store.endpoints.health(endpoint.id)).pending == 5
    await store.endpoints.delete(endpoint.id)
    left = [key async for key in store.database.redis.scan_iter("sn:*:line*")]
    assert left == []


async def test_lines_are_drained_in_order_after_ordering_is_turned_off(store: Store) -> None:
    endpoint = await add_ordered(store)
    first, second = await queue_events(store, endpoint, "A", 1, 2)
    await store.endpoints.save(replace(endpoint, ordering=Ordering.NONE), replacing=endpoint)
    for expected in (first, second):
        (head,) = await claim(store)
        assert head.event_id == expected
        await settle(store, settled(head))
    assert (await store.endpoints.health(endpoint.id)).pending == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choices=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=10, max_size=60))
async def test_first_attempts_ascend_whatever_fails(store: Store, choices: Sequence[tuple[int, int]]) -> None:
    await store.database.redis.flushall()
    endpoint = await add_ordered(store)
    for space in ("A", "B"):
        await queue_events(store, endpoint, space, 1, 2, 3, 4)
    sent: dict[str, list[int]] = {"A": [], "B": []}
    under_way: list[Claim] = []
    places = {}
    for space in sent:
        for event in await store.database.redis.zrange(schema.SPACE_EVENTS(space), 0, -1, withscores=True):
            places[event[0]] = (space, int(event[1]))
    for number, outcome in choices:
        if number == 3 or not under_way:
            for each in await claim(store):
                space, sequence = places[each.event_id]
                sent[space].append(sequence)
                under_way.append(each)
            continue
        claimed = under_way.pop(number % len(under_way))
        status = [DeliveryStatus.DELIVERED, DeliveryStatus.PENDING, DeliveryStatus.EXHAUSTED][outcome]
        await settle(store, settled(claimed, status))
    for sequences in sent.values():
        assert all(later >= earlier for earlier, later in pairwise(sequences))
    assert len(under_way) <= 2


async def test_an_ordered_endpoint_sees_ascending_sequences_despite_failures(redis_url: str) -> None:
    configured = quick_settings(redis_url, retry_schedule_seconds=(0.02,) * 20)
    async with Receiver() as receiver, open_runtime(configured) as runtime, running_worker(configured):
        await add_endpoint(runtime, receiver, "/hook", event_types=("*",), ordering=Ordering.SPACE)
        receiver.answer("/hook", statuses=[500, 200, 503, 200, 200, 404, 200])
        spaces = [f"S{number}" for number in range(5)]
        for space in spaces:
            await commit_space_events(runtime.store, space, *range(1, 9))
        await runtime.wakeup.ring(Job.DISPATCH)

        def is_done() -> bool:
            return len({each.event_id for each in receiver.received("/hook")}) == 40

        await wait_until(is_done, message="everything has come")
        payloads = [each.json["data"] for each in receiver.received("/hook")]
    for space in spaces:
        sequences = [data["sequence"] for data in payloads if data["space"]["id"] == space]
        assert sequences == sorted(sequences)
        assert set(sequences) == set(range(1, 9))
