"""What survives the death of a worker: real processes, a real server, a real receiver."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from notifier.core.delivery import DeliveryStatus
from notifier.runtime import Runtime, open_runtime
from tests.support.pipeline import MASTER_KEY, add_endpoint, numbered_event, quick_settings
from tests.support.processes import NotifierProcess
from tests.support.receiver import Receiver
from tests.support.wait import wait_until

EVENTS = 400
PATHS = tuple(f"/hook{number}" for number in range(5))
DELIVERIES = EVENTS * len(PATHS)
REQUEST_TIMEOUT = 1.0
LEASE = 6.0


def worker_environment(redis_url: str) -> Mapping[str, str]:
    return {
        "REDIS_URL": redis_url,
        "MASTER_KEYS": MASTER_KEY,
        "ALLOW_HTTP": "true",
        "ALLOWED_NETWORKS": "127.0.0.0/8",
        "REQUEST_TIMEOUT_SECONDS": str(REQUEST_TIMEOUT),
        "LEASE_SECONDS": str(LEASE),
        "LOG_FORMAT": "json",
    }


async def owe_everything(runtime: Runtime, receiver: Receiver) -> set[str]:
    for path in PATHS:
        await add_endpoint(runtime, receiver, path, event_types=("*",))
        receiver.answer(path, delay=0.02)
    events = [numbered_event(number) for number in range(EVENTS)]
    for event in events:
        await runtime.store.events.commit(event)
    return {event.id for event in events}


async def everything_is_settled(runtime: Runtime) -> None:
    async def is_settled() -> bool:
        gauges = await runtime.store.gauges(now=runtime.clock())
        return gauges["notifier_deliveries_pending"] == 0 and not await runtime.store.events.undispatched(
            limit=1
        )

    await wait_until(is_settled, timeout=60, interval=0.1, message="every delivery is settled")


async def check_that_nothing_is_lost(runtime: Runtime, receiver: Receiver, events: set[str]) -> int:
    """Check the receiver against the store; gives how many requests came twice."""
    twice = 0
    for path in PATHS:
        counts = Counter(request.event_id for request in receiver.received(path))
        assert counts.keys() == events
        twice += counts.total() - len(counts)
    assert all(request.verified for request in receiver.received())
    cursor = None
    statuses: Counter[str] = Counter()
    while True:
        page = await runtime.store.deliveries.page(limit=250, cursor=cursor)
        statuses.update(delivery.status for delivery in page.items)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert statuses == {DeliveryStatus.DELIVERED: DELIVERIES}
    return twice


async def test_kill_9_of_a_worker_in_the_middle_of_2000_deliveries_loses_none(
    redis_url: str, tmp_path: Path
) -> None:
    environment = worker_environment(redis_url)
    settings = quick_settings(redis_url, request_timeout_seconds=REQUEST_TIMEOUT, lease_seconds=LEASE)
    async with Receiver() as receiver, open_runtime(settings) as runtime:
        events = await owe_everything(runtime, receiver)
        with NotifierProcess("worker", directory=tmp_path, settings=environment, name="killed") as killed:
            await wait_until(
                lambda: len(receiver.received()) > DELIVERIES // 4, timeout=30, message="a quarter is through"
            )
            killed.signal(signal.SIGKILL)
            await killed.wait()
            sent_by_killed = len(receiver.received())
            assert sent_by_killed < DELIVERIES
        with NotifierProcess("worker", directory=tmp_path, settings=environment, name="successor"):
            await everything_is_settled(runtime)
        twice = await check_that_nothing_is_lost(runtime, receiver, events)
    # Only what was under way when the worker died can have come twice: at most a window per partition.
    assert twice <= 64 * settings.delivery_partitions


async def test_sigterm_in_the_middle_finishes_what_is_under_way_and_sends_nothing_twice(
    redis_url: str, tmp_path: Path
) -> None:
    environment = worker_environment(redis_url)
    settings = quick_settings(redis_url, request_timeout_seconds=REQUEST_TIMEOUT, lease_seconds=LEASE)
    async with Receiver() as receiver, open_runtime(settings) as runtime:
        events = await owe_everything(runtime, receiver)
        with NotifierProcess("worker", directory=tmp_path, settings=environment, name="stopped") as stopped:
            await wait_until(
                lambda: len(receiver.received()) > DELIVERIES // 4, timeout=30, message="a quarter is through"
            )
            stopped.signal(signal.SIGTERM)
            assert await stopped.wait() == 0
            assert len(receiver.received()) < DELIVERIES
        with NotifierProcess("worker", directory=tmp_path, settings=environment, name="successor"):
            await everything_is_settled(runtime)
        assert await check_that_nothing_is_lost(runtime, receiver, events) == 0


async def test_two_workers_one_of_them_killed_and_the_other_goes_on(redis_url: str, tmp_path: Path) -> None:
    environment = worker_environment(redis_url)
    settings = quick_settings(redis_url, request_timeout_seconds=REQUEST_TIMEOUT, lease_seconds=LEASE)
    async with Receiver() as receiver, open_runtime(settings) as runtime:
        with (
            NotifierProcess("worker", directory=tmp_path, settings=environment, name="one") as one,
            NotifierProcess("worker", directory=tmp_path, settings=environment, name="two") as two,
        ):
            await one.wait_for("worker.started")
            await two.wait_for("worker.started")
            events = await owe_everything(runtime, receiver)
            await wait_until(
                lambda: len(receiver.received()) > DELIVERIES // 4, timeout=30, message="a quarter is through"
            )
            one.signal(signal.SIGKILL)
            await everything_is_settled(runtime)
            assert two.exit_code is None
        await check_that_nothing_is_lost(runtime, receiver, events)
