"""A change of an endpoint takes two steps; a process that dies in between loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from notifier.core.delivery.endpoint import Endpoint, EndpointStatus
from notifier.core.model.ids import EndpointId
from notifier.runtime import Runtime
from notifier.store import Store, schema
from notifier.store.doctor import findings
from notifier.store.endpoint_state import StateField
from notifier.store.endpoints import Endpoints
from tests.support.pipeline import numbered_event, quick_settings
from tests.support.queue import add, claim, queue_events
from tests.support.two_workers import WorkerCrashedError
from tests.support.wait import wait_until
from tests.support.worker import running_worker
from workers.clients import delivery_client
from workers.context import Worker
from workers.dispatch import empty_outbox

pytestmark = pytest.mark.server


@contextmanager
def dying_before_it_is_applied(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    async def die(_: Endpoints, __: str) -> bool:
        raise WorkerCrashedError

    with monkeypatch.context() as patch:
        patch.setattr(Endpoints, "apply", die)
        with pytest.raises(WorkerCrashedError):
            yield


async def state_of(store: Store, endpoint: Endpoint, field: StateField) -> str | None:
    value: str | None = await store.database.redis.hget(
        store.partitions.key(schema.STATE, endpoint.id), field
    )
    return value


async def disable(store: Store, endpoint: Endpoint) -> Endpoint:
    after = replace(endpoint, status=EndpointStatus.DISABLED)
    await store.endpoints.save(after, replacing=endpoint)
    return after


async def test_an_unapplied_change_is_applied_later(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = await add(store, "a")
    await queue_events(store, [endpoint], 1)
    with dying_before_it_is_applied(monkeypatch):
        await disable(store, endpoint)
    assert await store.endpoints.apply_changes() == 1
    assert await claim(store) == []
    assert await store.endpoints.apply_changes() == 0


async def test_a_repaired_mark_is_not_lost(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = await add(store, "a")
    state = store.partitions.key(schema.STATE, endpoint.id)
    await store.database.redis.hset(state, StateField.FAILURES, 7)
    moved = replace(endpoint, url="https://y.example/")
    with dying_before_it_is_applied(monkeypatch):
        await store.endpoints.save(moved, replacing=endpoint)
    await store.endpoints.save(replace(moved, description="later"), replacing=moved)
    assert await state_of(store, endpoint, StateField.FAILURES) == "0"


async def test_a_worker_applies_an_unapplied_change(
    runtime: Runtime, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = runtime.store
    endpoint = await add(store, "a")
    with dying_before_it_is_applied(monkeypatch):
        await disable(store, endpoint)

    async def is_paused() -> bool:
        return await state_of(store, endpoint, StateField.PAUSED) == "1"

    async with running_worker(quick_settings(redis_url, delivery_partitions=1)):
        await wait_until(is_paused, message="the sweep applies the change")


async def test_an_endpoint_not_yet_known_in_its_partition_gets_its_first_event(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = runtime.store
    with dying_before_it_is_applied(monkeypatch):
        await add(store, "a", event_types=("*",))
    event = numbered_event(1)
    await store.events.commit(event)
    async with delivery_client(runtime, max_connections=1) as client:
        await empty_outbox(Worker("worker", runtime, None, client))
    assert [each.event_id for each in await claim(store)] == [event.id]


async def test_a_deleted_endpoint_still_known_in_its_partition_leaves_nothing(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = runtime.store
    endpoint = await add(store, "a")
    await queue_events(store, [endpoint], 1)
    with dying_before_it_is_applied(monkeypatch):
        await store.endpoints.delete(endpoint.id)
    await store.endpoints.apply_changes()
    assert await findings(store) == []
    assert await state_of(store, endpoint, StateField.MAX_CONCURRENCY) is None


async def test_an_endpoint_deleted_while_a_change_is_applied_leaves_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = await add(store, "a")
    take_over = Endpoints._take_over  # noqa: SLF001 - between reading the record and applying it

    async def too_late(self: Endpoints, endpoint: Endpoint, change: int, *, repaired: bool) -> None:
        monkeypatch.setattr(Endpoints, "_take_over", take_over)
        await self.delete(endpoint.id)
        await take_over(self, endpoint, change, repaired=repaired)

    monkeypatch.setattr(Endpoints, "_take_over", too_late)
    await store.endpoints.save(replace(endpoint, description="changed"), replacing=endpoint)
    assert await findings(store) == []
    assert await state_of(store, endpoint, StateField.MAX_CONCURRENCY) is None


async def test_an_older_change_applied_later_does_not_win(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = await add(store, "a")
    take_over = Endpoints._take_over  # noqa: SLF001 - between reading the record and applying it

    async def overtaken(self: Endpoints, endpoint: Endpoint, change: int, *, repaired: bool) -> None:
        monkeypatch.setattr(Endpoints, "_take_over", take_over)
        await disable(store, endpoint)
        await take_over(self, endpoint, change, repaired=repaired)

    monkeypatch.setattr(Endpoints, "_take_over", overtaken)
    await store.endpoints.save(replace(endpoint, description="changed"), replacing=endpoint)
    assert await state_of(store, endpoint, StateField.PAUSED) == "1"


async def test_a_change_of_an_unknown_endpoint_applies_nothing(store: Store) -> None:
    assert not await store.endpoints.apply(EndpointId("ep_nobody"))
    assert await findings(store) == []
