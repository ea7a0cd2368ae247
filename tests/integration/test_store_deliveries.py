"""Lists of deliveries: pages join without gaps, and each reads a limited part of the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from notifier.core.delivery.delivery import Delivery, DeliveryStatus
from notifier.core.model.ids import delivery_id
from notifier.runtime import open_runtime
from notifier.store import Store, deliveries
from tests.support.pipeline import quick_settings
from tests.support.queue import add, claim, queue_events, settle, settled

pytestmark = pytest.mark.server

AT_MOST: Final = 10
AT_ONCE: Final = 4


@pytest.fixture
async def store(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    monkeypatch.setattr(deliveries, "EXAMINED_AT_MOST", AT_MOST)
    monkeypatch.setattr(deliveries, "WALKED_AT_ONCE", AT_ONCE)
    async with open_runtime(quick_settings(redis_url, delivery_partitions=1)) as runtime:
        yield runtime.store


async def calls_of(store: Store, command: str) -> int:
    """Return how often the server has run a command."""
    stats = await store.database.redis.info("commandstats")
    return int(stats.get(f"cmdstat_{command}", {}).get("calls", 0))


async def pages_of(store: Store, **query: Any) -> list[tuple[Delivery, ...]]:
    """List to the end, and check the number of records read per page; each is one HMGET."""
    pages: list[tuple[Delivery, ...]] = []
    cursor = None
    while True:
        before = await calls_of(store, "hmget")
        page = await store.deliveries.page(cursor=cursor, **query)
        assert await calls_of(store, "hmget") - before < AT_MOST + AT_ONCE
        pages.append(page.items)
        assert len(pages) < 100, "the cursor does not get on"
        if page.next_cursor is None:
            return pages
        cursor = page.next_cursor


@pytest.mark.parametrize("owed_to", [1, 2, 3, 25])
async def test_a_page_is_cut_short_where_few_deliveries_match(store: Store, owed_to: int) -> None:
    endpoints = [await add(store, f"e{number}") for number in range(owed_to)]
    await queue_events(store, endpoints[:1], 0)
    claims = await claim(store)
    await settle(store, *[settled(each, DeliveryStatus.EXHAUSTED) for each in claims])
    await queue_events(store, endpoints, *range(1, 12))
    pages = await pages_of(store, limit=4, status=DeliveryStatus.EXHAUSTED)
    assert [each.event_id for page in pages for each in page] == [claims[0].event_id]
    assert len(pages) > 1
    assert pages[0] == ()


@pytest.mark.parametrize("limit", [1, 3, 250])
async def test_short_pages_join_without_gap_or_overlap(store: Store, limit: int) -> None:
    endpoints = [await add(store, f"e{number}") for number in range(3)]
    events = await queue_events(store, endpoints, *range(9))
    every = [delivery_id(event, each.id) for event in reversed(events) for each in endpoints]
    claims = await claim(store)
    await settle(store, *[settled(each) for each in claims if each.endpoint_id == endpoints[1].id])
    for query, wanted in (
        ({}, every),
        ({"status": DeliveryStatus.DELIVERED}, every[1::3]),
        ({"status": DeliveryStatus.PENDING, "endpoint_id": endpoints[2].id}, every[2::3]),
        ({"status": DeliveryStatus.PENDING, "event_id": events[4]}, [every[12], every[14]]),
    ):
        pages = await pages_of(store, limit=limit, **query)
        assert [each.id for page in pages for each in page] == wanted


async def test_events_without_deliveries_count_as_well(store: Store) -> None:
    endpoint = await add(store, "a")
    (oldest,) = await queue_events(store, [endpoint], 0)
    await queue_events(store, [], *range(1, 3 * AT_MOST))
    pages = await pages_of(store, limit=1)
    assert [each.event_id for page in pages for each in page] == [oldest]
    assert len(pages) >= 1 + 3


@pytest.mark.parametrize("owed_to", [1, 2, 3, 25])
async def test_the_recipients_of_an_event_are_read_only_as_far_as_needed(store: Store, owed_to: int) -> None:
    await queue_events(store, [await add(store, f"e{number}") for number in range(owed_to)], *range(12))
    before = await calls_of(store, "smembers")
    await store.deliveries.page(limit=4, cursor=None, status=DeliveryStatus.EXHAUSTED)
    assert (await calls_of(store, "smembers") - before) * owed_to <= max(AT_MOST, owed_to)
