"""Recoveries: what is counted, what is sent, and what happens after a crash."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from notifier.core.delivery.delivery import DeliveryStatus
from notifier.core.delivery.endpoint import Endpoint, EndpointStatus, Filters, Ordering
from notifier.core.delivery.recovery import MOST_WAITING, Recovery, RecoveryStatus
from notifier.core.events.event import Routing
from notifier.core.model.ids import EventId, RecoveryId, delivery_id
from notifier.errors import ConflictError, NotFoundError
from notifier.runtime import Runtime, open_runtime
from notifier.store import Store, schema
from notifier.store.doctor import findings
from notifier.store.events import read_routing
from notifier.store.recoveries import ADVANCE_RECOVERY, BATCH, Advance, Recoveries
from notifier.store.scripts import Script
from tests.support.dispatching import dispatch_events
from tests.support.pipeline import add_endpoint, commit_space_events, numbered_event, quick_settings
from tests.support.queue import add, claim, queue_events, settle, settled
from tests.support.receiver import Receiver
from tests.support.wait import wait_until
from tests.support.worker import running_worker
from workers.clients import delivery_client
from workers.context import Worker
from workers.recover import recover

pytestmark = pytest.mark.server

EVERYTHING = "2001-01-01T00:00:00Z"


class WorkerCrashedError(Exception):
    """A worker crashed."""


@pytest.fixture
async def runtime(redis_url: str) -> AsyncIterator[Runtime]:
    async with open_runtime(quick_settings(redis_url, delivery_partitions=1)) as opened:
        yield opened


@pytest.fixture
async def store(runtime: Runtime) -> AsyncIterator[Store]:
    """The store, which must be consistent after a test."""
    yield runtime.store
    assert await findings(runtime.store) == []


@pytest.fixture
async def worker(runtime: Runtime) -> AsyncIterator[Worker]:
    async with delivery_client(runtime, max_connections=1) as client:
        yield Worker("worker", runtime, None, client)


async def log(store: Store, *numbers: int) -> list[EventId]:
    """Commit events without dispatching them."""
    events = [numbered_event(number) for number in numbers]
    for event in events:
        await store.events.commit(event)
    await dispatch_events(store, [(event.id, []) for event in events])
    return [event.id for event in events]


async def start(store: Store, endpoint: Endpoint, name: str = "a", since: str = EVERYTHING) -> Recovery:
    span = await store.recoveries.read_span(since, None)
    count = await store.recoveries.count(endpoint, span)
    return await store.recoveries.start(RecoveryId("rec_" + name.rjust(16, "0")), endpoint, span, count=count)


async def run(worker: Worker) -> None:
    await recover(worker)


async def due(store: Store, endpoint: Endpoint) -> list[str]:
    found: list[str] = await store.database.redis.zrange(store.partitions.key(schema.DUE, endpoint.id), 0, -1)
    return found


async def drain(store: Store, worker: Worker, recovery: Recovery) -> list[str]:
    """Alternate between recovery and delivery; return what was sent, in order."""
    sent: list[str] = []
    while True:
        await store.database.redis.zadd(schema.RECOVERING(), {recovery.id: 0}, xx=True)
        await run(worker)
        while claims := await claim(store, limit=500):
            sent += [each.event_id for each in claims]
            await settle(store, *[settled(each) for each in claims])
        if (await store.recoveries.get(recovery.endpoint_id, recovery.id)).status != RecoveryStatus.RUNNING:
            return sent


async def subscriber(store: Store, name: str = "s", **changes: Any) -> Endpoint:
    """Create an endpoint that subscribes to every event."""
    return await add(store, name, event_types=("*",), **changes)


async def test_never_dispatched_events_are_sent_in_log_order(store: Store, worker: Worker) -> None:
    events = await log(store, *range(20))
    endpoint = await subscriber(store, max_concurrency=100)
    recovery = await start(store, endpoint)
    assert recovery.count == 20
    await run(worker)
    assert [each.event_id for each in await claim(store)] == events
    done = await store.recoveries.get(endpoint.id, recovery.id)
    assert (done.status, done.considered, done.queued, done.skipped) == ("done", 20, 20, 0)
    assert done.finished_at is not None


async def test_delivered_and_pending_deliveries_are_left_alone(store: Store, worker: Worker) -> None:
    endpoint = await subscriber(store, max_concurrency=100)
    delivered, exhausted, leased = await queue_events(store, [endpoint], 1, 2, 3)
    first, second, _ = await claim(store)
    await settle(store, settled(first), settled(second, DeliveryStatus.EXHAUSTED, attempts_made=10))
    (pending,) = await queue_events(store, [endpoint], 4)
    undispatched = numbered_event(5)
    await store.events.commit(undispatched)
    (never_owed,) = await log(store, 6)
    recovery = await start(store, endpoint)
    await run(worker)
    done = await store.recoveries.get(endpoint.id, recovery.id)
    assert (done.count, done.considered, done.queued, done.skipped) == (2, 6, 2, 4)
    assert set(await due(store, endpoint)) == {pending, exhausted, never_owed}
    assert await store.database.redis.zscore(store.partitions.key(schema.LEASED, endpoint.id), leased)
    assert (await store.deliveries.get(delivery_id(delivered, endpoint.id))).status == "delivered"
    claims = {each.event_id: each for each in await claim(store)}
    # Its schedule restarts; a delivery without an attempt has no record of it.
    assert (claims[exhausted].attempts_made, claims[exhausted].base) == (10, 10)
    assert (claims[exhausted].trigger, claims[never_owed].trigger) == ("manual", "scheduled")


async def test_only_currently_subscribed_events_are_recovered_and_no_tests(
    store: Store, worker: Worker
) -> None:
    await commit_space_events(store, "A", 1, 2)
    await commit_space_events(store, "B", 1)
    await log(store, 1)
    waiting = (await store.events.undispatched(limit=10)).entries
    await dispatch_events(store, [(event.id, []) for event in waiting])
    endpoint = await add(store, "f", filters=Filters(space_ids=("A",)))
    recovery = await start(store, endpoint)
    await run(worker)
    sequences = [
        await store.database.redis.hget(schema.EVENT(each), "space") for each in await due(store, endpoint)
    ]
    assert sequences == ["A", "A"]
    done = await store.recoveries.get(endpoint.id, recovery.id)
    assert (done.count, done.considered, done.queued) == (2, 4, 2)


async def test_only_events_committed_in_the_span_are_recovered(store: Store, worker: Worker) -> None:
    events = await log(store, *range(6))
    for number, event in enumerate(events):
        await store.database.redis.hset(schema.EVENT(event), "at", 1_900_000_000_000 + number * 100_000)
    await store.database.redis.hset(schema.EVENT(events[0]), "at", 1_000)
    endpoint = await subscriber(store)
    span = replace(await store.recoveries.span_since(0), since=1_900_000_100, until=1_900_000_300)
    assert await store.recoveries.count(endpoint, span) == 3
    await store.recoveries.start(RecoveryId("rec_1"), endpoint, span, count=3)
    await run(worker)
    assert await due(store, endpoint) == events[1:4]


async def test_counting_undispatched_events_routes_each_event_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred thousand events are counted while a caller waits for the response."""
    events = await commit_space_events(store, "A", *range(1, 401))
    endpoint = await subscriber(store)
    await dispatch_events(store, [(event, []) for event in events[:-1]])
    span = await store.recoveries.read_span(EVERYTHING, None)
    read: list[str] = []

    def note(routing: str) -> Routing:
        read.append(routing)
        return read_routing(routing)

    monkeypatch.setattr("notifier.store.recoveries.read_routing", note)
    redis = store.database.redis
    await redis.config_resetstat()
    assert await store.recoveries.count(endpoint, span) == 399
    asked = sum(each["calls"] for each in (await redis.info("commandstats")).values())
    assert len(events) <= asked < 1.2 * len(events)
    assert len(read) == 1


async def test_three_thousand_events_are_sent_once_without_flooding_the_queue(
    store: Store, worker: Worker
) -> None:
    events = await log(store, *range(3_000))
    endpoint = await subscriber(store, max_concurrency=1_000)
    recovery = await start(store, endpoint)
    assert recovery.count == 3_000
    await run(worker)
    assert MOST_WAITING < len(await due(store, endpoint)) <= MOST_WAITING + BATCH
    sent = await drain(store, worker, recovery)
    assert sorted(sent) == sorted(events)
    done = await store.recoveries.get(endpoint.id, recovery.id)
    assert (done.considered, done.queued) == (3_000, 3_000)


async def test_a_delivery_waiting_for_a_retry_does_not_delay_a_recovery(store: Store, worker: Worker) -> None:
    endpoint = await subscriber(store, max_concurrency=2 * MOST_WAITING)
    await queue_events(store, [endpoint], *range(MOST_WAITING + 1))
    tried = await claim(store, limit=2 * MOST_WAITING)
    await settle(store, *[settled(each, DeliveryStatus.PENDING, delay=3600.0) for each in tried])
    missed = await log(store, *range(5_000, 5_010))
    await start(store, endpoint)
    await run(worker)
    assert [each.event_id for each in await claim(store)] == missed


async def test_a_line_counts_as_waiting_if_its_first_delivery_waits(
    store: Store,
) -> None:
    endpoint = await subscriber(store, ordering=Ordering.SPACE)
    events = [await commit_space_events(store, space, 1, 2, 3) for space in "ABC"]
    await dispatch_events(store, [(event, [endpoint]) for line in events for event in line])
    recovery = await start(store, endpoint)

    async def waiting() -> int:
        return (await store.recoveries.next_batch(recovery, endpoint)).waiting

    assert await waiting() == 9
    first, second, _ = await claim(store)
    # A delivery in flight no longer waits, but those behind it do.
    assert await waiting() == 6
    await settle(store, settled(first, DeliveryStatus.PENDING, delay=3600.0))
    assert await waiting() == 4
    await settle(store, settled(second))
    assert await waiting() == 4


async def test_recoveries_take_turns(store: Store) -> None:
    await log(store, *range(2 * BATCH))
    endpoints = [await subscriber(store, name) for name in ("a", "b", "c")]
    recoveries = [await start(store, each, name) for each, name in zip(endpoints, "abc", strict=True)]
    for recovery, endpoint in zip(recoveries, endpoints, strict=True):
        batch = await store.recoveries.next_batch(recovery, endpoint)
        assert batch.considered == BATCH
    (first, *_) = await store.recoveries.due(limit=10)
    endpoint = await store.endpoints.get(first.endpoint_id)
    await store.recoveries.advance(first, await store.recoveries.next_batch(first, endpoint))
    assert (await store.recoveries.due(limit=10))[-1].id == first.id


@pytest.mark.parametrize("after", [False, True])
async def test_a_worker_that_dies_during_a_batch_repeats_and_loses_nothing(
    store: Store, worker: Worker, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """Either before the batch is stored, or after that but before the answer arrives."""
    events = await log(store, *range(3 * BATCH))
    endpoint = await subscriber(store)
    recovery = await start(store, endpoint)
    original = Recoveries.advance
    calls = []

    async def dies(self: Recoveries, *args: Any) -> Advance:
        calls.append(args)
        if len(calls) == 2:
            if after:
                await original(self, *args)
            raise WorkerCrashedError
        return await original(self, *args)

    monkeypatch.setattr(Recoveries, "advance", dies)
    with pytest.raises(WorkerCrashedError):
        await run(worker)
    halfway = await store.recoveries.get(endpoint.id, recovery.id)
    assert halfway.queued == (2 if after else 1) * BATCH
    assert halfway.status is RecoveryStatus.RUNNING
    # The same batch again, from a client that repeats an unanswered call, or from a second worker.
    await original(store.recoveries, *calls[0])
    await original(store.recoveries, *calls[1])
    await run(worker)
    assert await due(store, endpoint) == events
    done = await store.recoveries.get(endpoint.id, recovery.id)
    assert (done.status, done.considered, done.queued) == ("done", len(events), len(events))


async def test_events_that_expire_meanwhile_are_skipped(store: Store, worker: Worker) -> None:
    events = await log(store, *range(10))
    endpoint = await subscriber(store)
    recovery = await start(store, endpoint)
    for event in events[:4]:
        await store.database.redis.delete(schema.EVENT(event))
    await run(worker)
    assert await due(store, endpoint) == events[4:]
    done = await store.recoveries.get(endpoint.id, recovery.id)
    assert (done.count, done.considered, done.queued, done.status) == (10, 6, 6, "done")


async def test_a_deleted_endpoint_ends_its_recovery(store: Store, worker: Worker) -> None:
    await log(store, 1, 2)
    endpoint = await subscriber(store)
    recovery = await start(store, endpoint)
    await store.endpoints.delete(endpoint.id)
    await run(worker)
    ended = await store.recoveries.get(endpoint.id, recovery.id)
    assert (ended.status, ended.reason) == ("canceled", "the endpoint was deleted")
    assert await due(store, endpoint) == []
    assert await store.waiting_work(now=1.0) == []


async def test_a_disabled_endpoint_ends_its_recovery_and_another_finishes_it(
    store: Store, worker: Worker
) -> None:
    events = await log(store, 1, 2)
    endpoint = await subscriber(store)
    recovery = await start(store, endpoint)
    disabled = replace(endpoint, status=EndpointStatus.DISABLED)
    await store.endpoints.save(disabled, replacing=endpoint)
    await run(worker)
    ended = await store.recoveries.get(endpoint.id, recovery.id)
    assert ended.status is RecoveryStatus.FAILED
    assert "enable it" in str(ended.reason)
    await store.endpoints.save(endpoint, replacing=disabled)
    await start(store, endpoint, "b")
    await run(worker)
    assert await due(store, endpoint) == events
    page = await store.recoveries.page(endpoint.id, limit=10, cursor=None)
    assert [each.status for each in page.items] == ["done", "failed"]


async def test_an_endpoint_has_one_recovery_at_a_time_which_can_be_canceled(
    store: Store, worker: Worker
) -> None:
    await log(store, 1)
    endpoint = await subscriber(store)
    recovery = await start(store, endpoint)
    with pytest.raises(ConflictError) as refused:
        await start(store, endpoint, "b")
    assert refused.value.existing_id == recovery.id
    assert await store.recoveries.cancel(recovery.id) is RecoveryStatus.RUNNING
    await run(worker)
    assert await due(store, endpoint) == []
    assert await store.recoveries.cancel(recovery.id) is RecoveryStatus.CANCELED
    await start(store, endpoint, "b")
    with pytest.raises(NotFoundError):
        await store.recoveries.cancel("rec_none")
    other = await subscriber(store, "other")
    with pytest.raises(NotFoundError):
        await store.recoveries.get(other.id, recovery.id)


async def test_an_ordered_endpoint_gets_missed_events_by_sequence(store: Store, worker: Worker) -> None:
    endpoint = await subscriber(store, ordering=Ordering.SPACE, max_concurrency=100)
    expected: dict[str, list[EventId]] = {}
    for space in ("A", "B", "C"):
        expected[space] = await commit_space_events(store, space, *range(1, 8))
    missed = {space: events[:5] for space, events in expected.items()}
    later = {space: events[5:] for space, events in expected.items()}
    await dispatch_events(store, [(event, []) for events in missed.values() for event in events])
    await dispatch_events(store, [(event, [endpoint]) for events in later.values() for event in events])
    recovery = await start(store, endpoint)
    sent: list[str] = []
    await run(worker)
    while claims := await claim(store):
        assert len(claims) <= 3
        sent += [each.event_id for each in claims]
        await settle(store, *[settled(each) for each in claims])
    for events in expected.values():
        assert [each for each in sent if each in events] == events
    assert (await store.recoveries.get(endpoint.id, recovery.id)).queued == 15


async def test_the_sweep_finds_a_recovery_whose_wakeup_was_lost(store: Store) -> None:
    endpoint = await subscriber(store)
    recovery = await start(store, endpoint)
    assert await store.waiting_work(now=1.0) == ["recover"]
    await store.recoveries.put_off(recovery)
    assert await store.waiting_work(now=1.0) == []


async def test_a_missing_recovery_record_stops_no_other_recovery(store: Store, worker: Worker) -> None:
    endpoint = await subscriber(store)
    recovery = await start(store, endpoint)
    await store.database.redis.delete(schema.RECOVERY(recovery.id))
    await run(worker)
    assert await store.database.redis.zcard(schema.RECOVERING()) == 0
    assert (await store.recoveries.page(endpoint.id, limit=10, cursor=None)).items == ()
    await start(store, endpoint, "b")
    assert await store.database.redis.zcard(schema.RECOVERIES(endpoint.id)) == 1


async def test_through_the_whole_pipeline_each_missed_event_arrives_once(redis_url: str) -> None:
    settings = quick_settings(redis_url)
    async with Receiver() as receiver, open_runtime(settings) as runtime:
        events = await log(runtime.store, *range(600))
        endpoint = await add_endpoint(runtime, receiver, "/hook", event_types=("*",), max_concurrency=64)
        async with running_worker(settings), running_worker(settings):
            recovery = await start(runtime.store, endpoint)  # no wakeup is sent: the sweep finds it

            async def is_done() -> bool:
                found = await runtime.store.recoveries.get(endpoint.id, recovery.id)
                return found.status is RecoveryStatus.DONE

            await wait_until(is_done, timeout=20, message="the recovery is done")
            got = await receiver.wait_for("/hook", 600, timeout=20)
    assert sorted(each.event_id for each in got) == sorted(events)
    assert all(each.verified for each in got)


async def test_a_batch_queued_but_not_recorded_is_counted_once(
    store: Store, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = await log(store, 1, 2, 3)
    endpoint = await subscriber(store)
    recovery = await start(store, endpoint)
    run_script = store.database.run

    async def dies(script: Script[Any], **given: Any) -> Any:
        if script is ADVANCE_RECOVERY:
            raise WorkerCrashedError
        return await run_script(script, **given)

    with monkeypatch.context() as patch:
        patch.setattr(store.database, "run", dies)
        with pytest.raises(WorkerCrashedError):
            await run(worker)
    assert await due(store, endpoint) == events
    await run(worker)
    assert await due(store, endpoint) == events
    done = await store.recoveries.get(endpoint.id, recovery.id)
    assert (done.status, done.queued) == (RecoveryStatus.DONE, 3)


@pytest.mark.parametrize("dies", [False, True])
async def test_a_failed_delivery_waits_behind_an_earlier_recovered_event(
    store: Store, worker: Worker, dies: bool
) -> None:
    endpoint = await subscriber(store, ordering=Ordering.SPACE, max_concurrency=100)
    first, second = await commit_space_events(store, "A", 1, 2)
    await dispatch_events(store, [(first, []), (second, [endpoint])])
    (under_way,) = await claim(store)
    await start(store, endpoint)
    await run(worker)
    assert await due(store, endpoint) == [first]
    if dies:
        await store.database.redis.zadd(store.partitions.key(schema.LEASED, endpoint.id), {second: 1})
        (now,) = await claim(store)
    else:
        await settle(store, settled(under_way, DeliveryStatus.PENDING, succeeded=False))
        (now,) = await claim(store)
    assert now.event_id == first
    assert await claim(store) == []
    await settle(store, settled(now))
    assert [each.event_id for each in await claim(store)] == [second]
