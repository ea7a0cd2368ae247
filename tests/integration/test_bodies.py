"""The workers' cache of event bodies, and when it is invalidated."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection

import pytest

from notifier.core.model.ids import EventId, SpaceId
from notifier.runtime import open_runtime
from notifier.store import Owed, Store
from notifier.store.bodies import MAX_KEPT_BYTES, Bodies, Body
from tests.support.pipeline import commit_space_events, quick_settings
from tests.support.queue import add, claim, settle, settled

pytestmark = pytest.mark.server


@pytest.fixture
async def stores(redis_url: str) -> AsyncIterator[tuple[Store, Store]]:
    """The stores of two processes: one dispatches and delivers, the other erases."""
    settings = quick_settings(redis_url, delivery_partitions=1)
    async with open_runtime(settings) as one, open_runtime(settings) as other:
        yield one.store, other.store


async def dispatched(store: Store, count: int) -> list[EventId]:
    """Dispatch events of a Space as a worker does, to an endpoint with a concurrency of 1."""
    endpoint = await add(store, "a", max_concurrency=1)
    await claim(store)  # The worker knows that the endpoint was added.
    events = await commit_space_events(store, "A", *range(1, count + 1))
    entries, _ = await store.events.undispatched(limit=count, with_bodies=True)
    async for _ in store.queue.owe([Owed(entry, [endpoint]) for entry in entries]):
        pass
    return events


async def test_the_bodies_of_dispatched_events_are_not_read_again(
    stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = stores
    await dispatched(store, 2)
    read = Bodies._read  # noqa: SLF001 - where it asks the database
    asked: list[Collection[EventId]] = []

    async def note(self: Bodies, event_ids: Collection[EventId]) -> dict[EventId, Body]:
        asked.append(event_ids)
        return await read(self, event_ids)

    monkeypatch.setattr(Bodies, "_read", note)
    (first,) = await claim(store)
    await settle(store, settled(first))
    (second,) = await claim(store)
    assert (b"number 1" in first.body, b"number 2" in second.body) == (True, True)
    assert asked == []


async def test_a_claim_after_an_erasure_has_the_erased_body(stores: tuple[Store, Store]) -> None:
    store, other = stores
    await dispatched(store, 3)
    (first,) = await claim(store)
    assert b"number 1" in first.body
    await settle(store, settled(first))
    (second,) = await claim(store)
    assert b"number 2" in second.body
    await other.redaction.redact(SpaceId("A"))
    await settle(store, settled(second))
    (third,) = await claim(store)
    assert third.body
    assert b"number 3" not in third.body


async def test_a_read_that_started_before_an_erasure_is_not_cached(stores: tuple[Store, Store]) -> None:
    store, _ = stores
    bodies = Bodies(store.database)
    asked = bodies.forgotten
    assert await bodies.of([], partition=0, generation="1") == {}
    bodies.keep(EventId("evt_1"), (b"old", 1.0), asked=asked)
    assert await bodies.of([EventId("evt_1")], partition=0, generation="1") == {EventId("evt_1"): (b"", 0.0)}


async def test_a_body_larger_than_the_cache_is_not_kept(stores: tuple[Store, Store]) -> None:
    store, _ = stores
    bodies = Bodies(store.database)
    await bodies.of([], partition=0, generation="1")
    bodies.keep(EventId("evt_1"), (b"x" * MAX_KEPT_BYTES, 1.0), asked=bodies.forgotten)
    assert await bodies.of([EventId("evt_1")], partition=0, generation="1") == {EventId("evt_1"): (b"", 0.0)}
