from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import AsyncMock

import pytest
from arq.worker import Worker as ArqWorker
from redis.exceptions import ConnectionError as RedisConnectionError

from notifier.config import Settings
from notifier.core.delivery.delivery import Delivery, DeliveryStatus
from notifier.core.delivery.endpoint import Endpoint, EndpointStatus
from notifier.core.events.event import PayloadForm
from notifier.core.model.ids import EventId, delivery_id
from notifier.core.model.reasons import DisabledReason
from notifier.runtime import Runtime, open_runtime
from notifier.store import Job
from tests.support.pipeline import add_endpoint, numbered_event, quick_settings
from tests.support.receiver import Receiver
from tests.support.wait import wait_until
from tests.support.worker import running_worker
from workers.attempts import disable

pytestmark = pytest.mark.server


async def send(runtime: Runtime, *numbers: int) -> list[EventId]:
    events = [numbered_event(number) for number in numbers]
    for event in events:
        await runtime.store.events.commit(event)
    await runtime.wakeup.ring(Job.DISPATCH)
    return [event.id for event in events]


async def becomes(
    runtime: Runtime, event: EventId, endpoint: Endpoint, status: DeliveryStatus, *, attempts: int
) -> Delivery:
    async def is_so() -> Delivery | None:
        with suppress(Exception):
            delivery = await runtime.store.deliveries.get(delivery_id(event, endpoint.id))
            if (delivery.status, delivery.attempts_made) == (status, attempts):
                return delivery
        return None

    found = await wait_until(is_so, message=f"the delivery becomes {status} after {attempts} attempts")
    assert isinstance(found, Delivery)
    return found


def settings_for(redis_url: str, **changes: Any) -> Settings:
    return quick_settings(redis_url, retry_schedule_seconds=(0.05, 0.05, 0.05), **changes)


async def test_a_failing_receiver_is_retried_until_it_accepts(redis_url: str) -> None:
    settings = settings_for(redis_url)
    async with Receiver() as receiver, open_runtime(settings) as runtime, running_worker(settings):
        endpoint = await add_endpoint(runtime, receiver, "/hook", event_types=("*",))
        receiver.answer("/hook", statuses=[500, 301, 200])
        (event,) = await send(runtime, 1)
        delivery = await becomes(runtime, event, endpoint, DeliveryStatus.DELIVERED, attempts=3)
        attempts = await runtime.store.deliveries.attempts(delivery.id)
    requests = receiver.received("/hook")
    assert [each.status_code for each in attempts] == [500, 301, 200]
    assert [each.number for each in attempts] == [1, 2, 3]
    assert {each.event_id for each in requests} == {event}
    assert {each.body for each in requests} == {requests[0].body}
    assert all(each.verified for each in requests)


async def test_a_used_up_schedule_exhausts_the_delivery(redis_url: str) -> None:
    settings = settings_for(redis_url)
    async with Receiver() as receiver, open_runtime(settings) as runtime, running_worker(settings):
        endpoint = await add_endpoint(runtime, receiver, "/hook", event_types=("*",))
        receiver.answer("/hook", statuses=[500])
        (event,) = await send(runtime, 1)
        delivery = await becomes(runtime, event, endpoint, DeliveryStatus.EXHAUSTED, attempts=4)
        receiver.answer("/hook", statuses=[200])
        await runtime.wakeup.deliver([await runtime.store.deliveries.redeliver(delivery.id)])
        await becomes(runtime, event, endpoint, DeliveryStatus.DELIVERED, attempts=5)
        attempts = await runtime.store.deliveries.attempts(delivery.id)
    assert [each.trigger for each in attempts] == ["scheduled"] * 4 + ["manual"]


async def test_410_disables_the_endpoint_notifies_others_and_keeps_its_deliveries(redis_url: str) -> None:
    settings = settings_for(redis_url)
    async with Receiver() as receiver, open_runtime(settings) as runtime, running_worker(settings):
        endpoint = await add_endpoint(runtime, receiver, "/hook", event_types=("webhook.test",))
        await add_endpoint(runtime, receiver, "/other", event_types=("endpoint.disabled",))
        receiver.answer("/hook", statuses=[410])
        (event,) = await send(runtime, 1)
        await becomes(runtime, event, endpoint, DeliveryStatus.PENDING, attempts=1)
        disabled = await runtime.store.endpoints.get(endpoint.id)
        assert (disabled.status, disabled.disabled_reason) == (EndpointStatus.DISABLED, "gone")
        receiver.answer("/hook", statuses=[200])
        await runtime.store.endpoints.save(endpoint, replacing=disabled)
        await becomes(runtime, event, endpoint, DeliveryStatus.DELIVERED, attempts=2)
        await wait_until(lambda: bool(receiver.received("/other")), message="the other endpoint is notified")
    assert len(receiver.received("/hook")) == 2
    (notified,) = receiver.received("/other")
    assert notified.json["type"] == "endpoint.disabled"
    assert notified.json["data"]["details"] == {"endpoint_id": endpoint.id, "reason": "gone"}


@pytest.mark.parametrize("reason", [DisabledReason.GONE, DisabledReason.FAILING])
async def test_disabling_keeps_concurrent_changes_of_the_owner(
    redis_url: str, reason: DisabledReason
) -> None:
    async with Receiver() as receiver, running_worker(settings_for(redis_url)) as worker:
        endpoints = worker.runtime.store.endpoints
        tried = await add_endpoint(worker.runtime, receiver, "/hook")
        await endpoints.save(replace(tried, description="changed"), replacing=tried)
        await disable(worker, tried, reason)
        after = await endpoints.get(tried.id)
    assert (after.status, after.disabled_reason) == (EndpointStatus.DISABLED, reason)
    assert after.description == "changed"


async def test_a_new_url_is_not_disabled_for_the_old_one(redis_url: str) -> None:
    async with Receiver() as receiver, running_worker(settings_for(redis_url)) as worker:
        endpoints = worker.runtime.store.endpoints
        tried = await add_endpoint(worker.runtime, receiver, "/hook")
        moved = replace(tried, url=receiver.url("/other"))
        await endpoints.save(moved, replacing=tried)
        await disable(worker, tried, DisabledReason.GONE)
        assert await endpoints.get(tried.id) == moved


async def test_retry_after_is_a_floor(redis_url: str) -> None:
    settings = settings_for(redis_url)
    async with Receiver() as receiver, open_runtime(settings) as runtime, running_worker(settings):
        endpoint = await add_endpoint(runtime, receiver, "/hook", event_types=("*",))
        receiver.answer("/hook", statuses=[500], headers={"Retry-After": "3600"})
        (event,) = await send(runtime, 1)
        delivery = await becomes(runtime, event, endpoint, DeliveryStatus.PENDING, attempts=1)
    assert delivery.next_attempt_at is not None
    assert datetime.fromtimestamp(delivery.next_attempt_at, UTC) > datetime.now(UTC) + timedelta(seconds=3500)


async def test_a_forbidden_address_is_refused_at_the_dial_and_says_so(redis_url: str) -> None:
    settings = settings_for(redis_url, allowed_networks="192.0.2.0/24")
    async with Receiver() as receiver, open_runtime(settings) as runtime, running_worker(settings):
        endpoint = await add_endpoint(runtime, receiver, "/hook", event_types=("*",))
        (event,) = await send(runtime, 1)
        delivery = await becomes(runtime, event, endpoint, DeliveryStatus.EXHAUSTED, attempts=4)
        attempts = await runtime.store.deliveries.attempts(delivery.id)
    assert {(each.outcome, each.error) for each in attempts} == {("refused", "blocked_address")}
    assert receiver.received() == []


async def test_a_lost_master_key_is_our_fault_and_costs_no_attempt(redis_url: str) -> None:
    settings = settings_for(redis_url)
    other = settings_for(redis_url, master_keys="other:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=")
    async with Receiver() as receiver, open_runtime(settings) as runtime, running_worker(other):
        endpoint = await add_endpoint(runtime, receiver, "/hook", event_types=("*",))
        (event,) = await send(runtime, 1)

        async def has_attempt() -> bool:
            return bool(await runtime.store.deliveries.attempts(delivery_id(event, endpoint.id)))

        await wait_until(has_attempt, message="an attempt is recorded")
        delivery = await runtime.store.deliveries.get(delivery_id(event, endpoint.id))
        (attempt,) = await runtime.store.deliveries.attempts(delivery.id)
    assert (delivery.status, delivery.attempts_made) == (DeliveryStatus.PENDING, 0)
    assert (attempt.outcome, "NOTIFIER_MASTER_KEYS" in attempt.reason) == ("ours", True)


async def test_attempts_that_fail_by_our_own_fault_do_not_accumulate(redis_url: str) -> None:
    settings = settings_for(redis_url)
    other = settings_for(redis_url, master_keys="other:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=")
    async with Receiver() as receiver, open_runtime(settings) as runtime, running_worker(other):
        endpoint = await add_endpoint(runtime, receiver, "/hook", event_types=("*",))
        (event,) = await send(runtime, 1)
        delivery = delivery_id(event, endpoint.id)
        made: list[float] = []

        async def is_another() -> bool:
            attempts = await runtime.store.deliveries.attempts(delivery)
            assert len(attempts) <= 1
            return bool(attempts) and attempts[0].started_at not in made

        for _ in range(3):
            await wait_until(is_another, message="another attempt is recorded")
            made += [each.started_at for each in await runtime.store.deliveries.attempts(delivery)]
            await runtime.store.deliveries.redeliver(delivery)
            await runtime.wakeup.deliver([runtime.store.partitions.of(endpoint.id)])


async def test_thin_endpoints_get_ids_only_and_signed(redis_url: str) -> None:
    settings = settings_for(redis_url)
    async with Receiver() as receiver, open_runtime(settings) as runtime, running_worker(settings):
        await add_endpoint(runtime, receiver, "/thin", event_types=("*",), payload=PayloadForm.THIN)
        await send(runtime, 1)
        (got,) = await receiver.wait_for("/thin", 1)
    assert got.verified
    assert "users" not in got.json["data"]


async def test_a_hanging_endpoint_does_not_delay_others(redis_url: str) -> None:
    settings = settings_for(redis_url, delivery_partitions=1, request_timeout_seconds=3, lease_seconds=8)
    async with Receiver() as receiver, open_runtime(settings) as runtime, running_worker(settings):
        await add_endpoint(runtime, receiver, "/hangs", event_types=("*",))
        await add_endpoint(runtime, receiver, "/works", event_types=("*",))
        receiver.answer("/hangs", delay=60)
        await send(runtime, *range(40))
        await receiver.wait_for("/works", 40, timeout=2.5)
        assert len(receiver.received("/hangs")) <= 16


async def test_a_worker_that_is_asked_to_stop_finishes_what_is_in_flight(redis_url: str) -> None:
    settings = settings_for(redis_url)
    async with Receiver() as receiver, open_runtime(settings) as runtime:
        endpoint = await add_endpoint(runtime, receiver, "/hook", event_types=("*",))
        receiver.answer("/hook", delay=0.3)
        async with running_worker(settings):
            (event,) = await send(runtime, 1)
            await receiver.wait_for("/hook", 1)
        delivery = await runtime.store.deliveries.get(delivery_id(event, endpoint.id))
    assert (delivery.status, delivery.attempts_made) == (DeliveryStatus.DELIVERED, 1)


async def test_a_worker_with_a_failing_queue_records_attempts_in_flight_and_continues(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(redis_url)
    fails = AsyncMock(side_effect=RedisConnectionError)
    async with Receiver() as receiver, open_runtime(settings) as runtime:
        endpoint = await add_endpoint(runtime, receiver, "/hook", event_types=("*",))
        receiver.answer("/hook", delay=0.3)
        async with running_worker(settings):
            (first,) = await send(runtime, 1)
            await receiver.wait_for("/hook", 1)
            with monkeypatch.context() as patched:
                patched.setattr(ArqWorker, "heart_beat", fails)
                await wait_until(
                    lambda: fails.await_count > 1, message="arq's loop fails, and is started again"
                )
            (second,) = await send(runtime, 2)
            await receiver.wait_for("/hook", 2)
        for event in (first, second):
            delivery = await runtime.store.deliveries.get(delivery_id(event, endpoint.id))
            assert (delivery.status, delivery.attempts_made) == (DeliveryStatus.DELIVERED, 1)


async def test_two_workers_send_no_delivery_twice(redis_url: str) -> None:
    settings = settings_for(redis_url, delivery_partitions=2)
    async with Receiver() as receiver, open_runtime(settings) as runtime:
        for number in range(5):
            await add_endpoint(runtime, receiver, f"/hook{number}", event_types=("*",))
        async with running_worker(settings), running_worker(settings):
            events = await send(runtime, *range(60))
            await asyncio.gather(*(receiver.wait_for(f"/hook{number}", 60) for number in range(5)))
    for number in range(5):
        ids = [each.event_id for each in receiver.received(f"/hook{number}")]
        assert sorted(ids) == sorted(events)


async def test_a_worker_logs_missing_master_keys_at_its_start(
    redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(redis_url)
    other = settings_for(redis_url, master_keys="other:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=")
    async with Receiver() as receiver, open_runtime(settings) as runtime:
        await add_endpoint(runtime, receiver, "/hook", event_types=("*",))
        async with running_worker(settings):
            pass
        assert "master_keys_missing" not in capsys.readouterr().out
        async with running_worker(other):
            await wait_until(lambda: "missing" in capsys.readouterr().out, message="it is said")
