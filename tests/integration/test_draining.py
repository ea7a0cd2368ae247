"""How deliveries start: in the dispatching worker, in the sweep, and in workers that join in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from unittest.mock import AsyncMock

import pytest

from notifier.core.delivery.endpoint import Endpoint
from notifier.errors import UnavailableError
from notifier.runtime import Runtime, open_runtime
from notifier.store import Job, deliver_job, schema
from tests.support.dispatching import allow_full_concurrency, dispatch_events
from tests.support.pipeline import add_endpoint, numbered_event, quick_settings
from tests.support.receiver import Receiver
from workers import dispatch
from workers.clients import delivery_client
from workers.context import Worker
from workers.deliver import WINDOW, deliver
from workers.housekeeping import sweep
from workers.jobs import start

pytestmark = pytest.mark.server

PARTITIONS = 2


@asynccontextmanager
async def draining_worker(redis_url: str) -> AsyncIterator[Worker]:
    """Return a worker that drains by itself and hears no wakeups."""
    settings = quick_settings(redis_url, delivery_partitions=PARTITIONS)
    async with open_runtime(settings) as runtime, delivery_client(runtime, max_connections=64) as client:
        worker = Worker("alone", runtime, None, client, start=start)
        yield worker
        await ended(worker)


async def ended(worker: Worker) -> None:
    """Wait until no background task is running."""
    while worker.background:
        await asyncio.wait(worker.background)


async def endpoints_in_each_partition(runtime: Runtime, receiver: Receiver) -> list[Endpoint]:
    """Register one endpoint per partition, in order, each with its full concurrency."""
    found: dict[int, Endpoint] = {}
    for number in range(100):
        endpoint = await add_endpoint(
            runtime, receiver, f"/hook{number}", event_types=("*",), max_concurrency=WINDOW
        )
        await allow_full_concurrency(runtime.store, endpoint)
        found.setdefault(runtime.store.partitions.of(endpoint.id), endpoint)
        if len(found) == PARTITIONS:
            return [found[partition] for partition in range(PARTITIONS)]
    raise AssertionError("no hundred ids are all in one partition")


def path_of(endpoint: Endpoint) -> str:
    return "/" + endpoint.url.rpartition("/")[2]


async def queue_events(runtime: Runtime, endpoints: list[Endpoint], *numbers: int) -> None:
    events = [numbered_event(number) for number in numbers]
    for event in events:
        await runtime.store.events.commit(event)
    await dispatch_events(runtime.store, [(event.id, endpoints) for event in events])


async def take_wakeups(runtime: Runtime) -> list[str]:
    """Take all wakeups but those of the outbox, as a worker that listens would."""
    taken = await runtime.store.database.redis.zpopmin(schema.WAKEUPS(), 100)
    return [job for job, _ in taken if job != Job.DISPATCH]


async def test_a_worker_delivers_what_it_dispatched_without_a_job(redis_url: str) -> None:
    async with Receiver() as receiver, draining_worker(redis_url) as worker:
        await add_endpoint(worker.runtime, receiver, "/hook", event_types=("*",))
        await worker.runtime.store.events.commit(numbered_event(1))
        await dispatch.empty_outbox(worker)
        await ended(worker)
        assert len(receiver.received("/hook")) == 1


async def test_other_workers_are_woken_once_in_a_while(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Receiver() as receiver, draining_worker(redis_url) as worker:
        endpoint = await add_endpoint(worker.runtime, receiver, "/hook", event_types=("*",))
        call = [deliver_job(worker.runtime.store.partitions.of(endpoint.id))]

        async def dispatched(number: int) -> list[str]:
            await worker.runtime.store.events.commit(numbered_event(number))
            await dispatch.empty_outbox(worker)
            await ended(worker)
            return await take_wakeups(worker.runtime)

        assert [await dispatched(number) for number in (1, 2)] == [call, []]
        monkeypatch.setattr(dispatch, "CALL_AGAIN_SECONDS", 0.0)
        worker.help_asked_until.clear()
        assert [await dispatched(number) for number in (3, 4)] == [call, call]
        assert len(receiver.received("/hook")) == 4


async def test_the_sweep_delivers_what_is_due(redis_url: str) -> None:
    async with Receiver() as receiver, draining_worker(redis_url) as worker:
        endpoint = await add_endpoint(worker.runtime, receiver, "/hook", event_types=("*",))
        await queue_events(worker.runtime, [endpoint], 1)
        flag = schema.PARTITION_WAKEUP(worker.runtime.store.partitions.of(endpoint.id))
        await worker.runtime.store.database.redis.delete(flag)  # as if the wakeup had been lost
        await sweep(worker)
        for job in await take_wakeups(worker.runtime):
            start(worker, job)
        await ended(worker)
        assert len(receiver.received("/hook")) == 1


@pytest.mark.parametrize(("pending", "joins"), [(1, False), (WINDOW + 1, True)])
async def test_a_worker_with_a_busy_partition_also_drains_others(
    redis_url: str, pending: int, joins: bool
) -> None:
    async with Receiver() as receiver, draining_worker(redis_url) as worker:
        first, second = await endpoints_in_each_partition(worker.runtime, receiver)
        await queue_events(worker.runtime, [second], 0)
        await queue_events(worker.runtime, [first], *range(1, pending + 1))
        await deliver(worker, 0)
        await ended(worker)
        assert bool(receiver.received(path_of(second))) is joins


async def test_a_drain_that_fails_in_the_background_is_reported(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with draining_worker(redis_url) as worker:
        failing = AsyncMock(side_effect=UnavailableError("Redis does not serve"))
        monkeypatch.setattr(worker.runtime.store.queue, "turn", failing)
        start(worker, deliver_job(0))
        await asyncio.wait(worker.background)
        assert (worker.background, worker.drains) == (set(), {})
    assert "worker.job_failed" in capsys.readouterr().out
