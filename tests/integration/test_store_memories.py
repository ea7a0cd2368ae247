"""Memories of kinds: stored with the outcome, returned with the claim, erased in time."""

from __future__ import annotations

import pytest

from notifier.core.delivery.delivery import DeliveryStatus
from notifier.core.delivery.endpoint import Endpoint, Ordering, SealedTarget
from notifier.core.delivery.kinds.kind import FORGET
from notifier.core.model.ids import EventId, SpaceId
from notifier.store import Claim, Store, schema
from notifier.store.doctor import findings
from notifier.store.redaction import LAST_WORD_SECONDS
from tests.support.dispatching import dispatch_events
from tests.support.pipeline import commit_space_events
from tests.support.queue import add, claim, settle, settled

pytestmark = pytest.mark.server

TARGET = SealedTarget("test.AAAA", {}, 0.0)
HOUR_MS = 3_600_000


async def add_remembering(store: Store, name: str = "a") -> Endpoint:
    return await add(store, name, url="", target=TARGET, ordering=Ordering.SPACE)


async def queue_events(store: Store, endpoint: Endpoint, space: str, *sequences: int) -> list[EventId]:
    events = await commit_space_events(store, space, *sequences)
    await dispatch_events(store, [(event, [endpoint]) for event in events])
    return events


async def claim_one(store: Store) -> Claim:
    (claimed,) = await claim(store, limit=1)
    return claimed


async def remember(store: Store, endpoint: Endpoint, space: str, sequence: int, memory: str) -> None:
    await queue_events(store, endpoint, space, sequence)
    await settle(store, settled(await claim_one(store), memory=memory))


async def left(store: Store, endpoint: Endpoint) -> tuple[dict[str, str], set[str]]:
    redis = store.database.redis
    ends = await redis.zrange(store.partitions.key(schema.MEMORY_ENDS, endpoint.id), 0, -1)
    return await redis.hgetall(store.partitions.key(schema.MEMORIES, endpoint.id)), set(ends)


async def test_a_claim_includes_the_memory_of_its_space_and_later_events(store: Store) -> None:
    endpoint = await add_remembering(store)
    _, second, third = await queue_events(store, endpoint, "A", 1, 2, 3)
    first = await claim_one(store)
    assert (first.space_id, first.memory, first.newest) == ("A", "", third)
    await settle(store, settled(first, memory='{"id": 1}'))
    after = await claim_one(store)
    assert (after.event_id, after.memory, after.newest) == (second, '{"id": 1}', third)
    await settle(store, settled(after))
    last = await claim_one(store)
    assert (last.event_id, last.memory, last.newest) == (third, '{"id": 1}', "")
    await settle(store, settled(last))
    (await queue_events(store, endpoint, "B", 1))
    other = await claim_one(store)
    assert (other.space_id, other.memory) == ("B", "")
    await settle(store, settled(other))
    assert await findings(store) == []


async def test_a_memory_is_stored_with_any_outcome_but_not_under_a_lost_lease(
    store: Store,
) -> None:
    endpoint = await add_remembering(store)
    await queue_events(store, endpoint, "A", 1)
    lost = await claim_one(store)
    await settle(store, settled(lost, DeliveryStatus.PENDING, memory="1", succeeded=False))
    again = await claim_one(store)
    assert again.memory == "1"
    assert await settle(store, settled(again._replace(lease_end=again.lease_end + 1), memory="2")) == 0
    assert (await left(store, endpoint))[0] == {"A": "1"}
    await settle(store, settled(again, DeliveryStatus.DISCARDED, memory="3"))
    assert await left(store, endpoint) == ({"A": "3"}, {"A"})


async def test_a_memory_can_be_deleted(store: Store) -> None:
    endpoint = await add_remembering(store)
    await remember(store, endpoint, "A", 1, "1")
    await remember(store, endpoint, "B", 1, "2")
    await remember(store, endpoint, "A", 2, FORGET)
    assert await left(store, endpoint) == ({"B": "2"}, {"B"})


async def test_a_webhook_has_no_memory(store: Store) -> None:
    endpoint = await add(store, "w", ordering=Ordering.SPACE)
    await queue_events(store, endpoint, "A", 1, 2)
    claimed = await claim_one(store)
    assert (claimed.space_id, claimed.memory, claimed.newest) == ("", "", "")
    await settle(store, settled(claimed, memory="1"))
    assert await left(store, endpoint) == ({}, set())


async def test_memories_are_deleted_with_their_endpoint(store: Store) -> None:
    endpoint = await add_remembering(store)
    await remember(store, endpoint, "A", 1, "1")
    await queue_events(store, endpoint, "A", 2)
    claimed = await claim_one(store)
    await store.endpoints.delete(endpoint.id)
    await settle(store, settled(claimed, memory="2"))
    assert await left(store, endpoint) == ({}, set())


async def test_the_memory_of_an_erased_space_lasts_half_a_day_longer_at_most(store: Store) -> None:
    endpoint, other = await add_remembering(store), await add_remembering(store, "b")
    redis = store.database.redis
    for each in (endpoint, other):
        await remember(store, each, "A", 1, "1")
        await remember(store, each, "B", 1, "2")
    now = (await redis.time())[0]
    await store.redaction.redact(SpaceId("A"))
    end = await redis.zscore(store.partitions.key(schema.MEMORY_ENDS, endpoint.id), "A")
    assert end == pytest.approx((now + LAST_WORD_SECONDS) * 1000, abs=10_000)
    assert await redis.zscore(store.partitions.key(schema.MEMORY_ENDS, endpoint.id), "B") > end + HOUR_MS
    await redis.zadd(store.partitions.key(schema.MEMORY_ENDS, endpoint.id), {"A": 1})
    await store.redaction.redact(SpaceId("A"))
    await store.endpoints.trim()
    assert await left(store, endpoint) == ({"B": "2"}, {"B"})
    assert await left(store, other) == ({"A": "1", "B": "2"}, {"A", "B"})


async def test_old_memories_are_erased_however_many_there_are(store: Store) -> None:
    endpoint = await add_remembering(store)
    await remember(store, endpoint, "A", 1, "1")
    redis = store.database.redis
    old = {f"S{number}": "x" for number in range(250)}
    await redis.hset(store.partitions.key(schema.MEMORIES, endpoint.id), mapping=old)
    await redis.zadd(store.partitions.key(schema.MEMORY_ENDS, endpoint.id), dict.fromkeys(old, 1))
    await store.endpoints.trim()
    assert await left(store, endpoint) == ({"A": "1"}, {"A"})


async def test_unused_memories_expire(store: Store) -> None:
    endpoint = await add_remembering(store)
    await remember(store, endpoint, "A", 1, "1")
    redis = store.database.redis
    for key in (
        store.partitions.key(schema.MEMORIES, endpoint.id),
        store.partitions.key(schema.MEMORY_ENDS, endpoint.id),
    ):
        assert 0 < await redis.ttl(key) <= store.retention_seconds


async def test_the_doctor_finds_an_endpoint_whose_memory_is_not_read(store: Store) -> None:
    endpoint = await add_remembering(store)
    await store.database.redis.hset(store.partitions.key(schema.STATE, endpoint.id), "remembers", 0)
    (finding,) = await findings(store)
    assert "remembers is 0, and by the endpoint's record 1" in str(finding)
