"""The circuit breaker: a failing endpoint is probed occasionally, and given up after days."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final

import pytest

from notifier.core.delivery import breaker
from notifier.core.delivery.delivery import DeliveryStatus
from notifier.core.delivery.endpoint import Endpoint, EndpointStatus
from notifier.core.delivery.pacing import FIRST_CONCURRENCY
from notifier.core.delivery.retry import DEFAULT_SCHEDULE, MAX_JITTER
from notifier.core.events.event import EventType
from notifier.core.model.ids import delivery_id
from notifier.core.model.reasons import DisabledReason
from notifier.runtime import open_runtime
from notifier.store import Claim, Job, Store, delivery_queue, schema
from tests.support.pipeline import add_endpoint, numbered_event, quick_settings
from tests.support.queue import add, claim, queue_events, settle, settled
from tests.support.receiver import Receiver
from tests.support.wait import wait_until
from tests.support.worker import running_worker

pytestmark = pytest.mark.server

THRESHOLD: Final = 3
FIRST_MS: Final = 200
LONGEST_MS: Final = 500
GIVEN_UP_MS: Final = 3_600_000
SILENCE_MS: Final = 600_000


@pytest.fixture(autouse=True)
def _quick_breaker(monkeypatch: pytest.MonkeyPatch) -> None:
    set_waits(monkeypatch, first_ms=FIRST_MS, longest_ms=LONGEST_MS)


def set_waits(
    monkeypatch: pytest.MonkeyPatch,
    *,
    first_ms: int,
    longest_ms: int = 3_600_000,
    given_up_ms: int = GIVEN_UP_MS,
) -> None:
    """Set the waits between probes, and the time after which an endpoint is given up."""
    figures = json.loads(delivery_queue.FIGURES) | {
        "threshold": THRESHOLD,
        "first_wait": first_ms,
        "longest_wait": longest_ms,
        "given_up": given_up_ms,
        "silence": SILENCE_MS,
    }
    monkeypatch.setattr(delivery_queue, "FIGURES", json.dumps(figures))


async def fail(store: Store, *claims: Claim) -> None:
    await settle(
        store, *[settled(each, DeliveryStatus.PENDING, delay=0.0, succeeded=False) for each in claims]
    )


async def open_breaker(store: Store) -> Endpoint:
    """Return an endpoint with ten pending deliveries whose breaker is open."""
    endpoint = await add(store, "a", max_concurrency=THRESHOLD)
    await queue_events(store, [endpoint], *range(10))
    await fail(store, *await claim(store))
    return endpoint


async def probe(store: Store) -> list[Claim]:
    """Wait until a delivery can be claimed again, and return the claims."""
    found = await wait_until(lambda: claim(store), message="the next probe may go")
    assert isinstance(found, list)
    return found


async def run_of(store: Store, endpoint: Endpoint, *fields: str) -> list[str | None]:
    values: list[str | None] = await store.database.redis.hmget(
        store.partitions.key(schema.STATE, endpoint.id), fields
    )
    return values


async def age(store: Store, endpoint: Endpoint, **milliseconds: int) -> None:
    """Move the times in an endpoint's record into the past."""
    seconds, _ = await store.database.redis.time()
    moments = {field: seconds * 1000 - ago for field, ago in milliseconds.items()}
    await store.database.redis.hset(store.partitions.key(schema.STATE, endpoint.id), mapping=moments)


def test_the_figures_are_those_of_the_documents() -> None:
    assert breaker.FAILURES_IN_A_ROW == 10
    assert breaker.GIVEN_UP_SECONDS == 5 * 86_400


def test_an_endpoint_that_is_always_down_is_probed_within_the_silence_limit() -> None:
    longest_wait = max(DEFAULT_SCHEDULE.delays) * (1 + MAX_JITTER)
    assert longest_wait + breaker.LONGEST_PROBE_SECONDS < breaker.SILENCE_SECONDS < breaker.GIVEN_UP_SECONDS


async def test_after_consecutive_failures_one_probe_at_a_time_is_sent(store: Store) -> None:
    await open_breaker(store)
    assert await claim(store) == []
    (first,) = await probe(store)
    assert await claim(store) == []
    await fail(store, first)
    assert await claim(store) == []
    assert len(await probe(store)) == 1


async def test_failures_after_a_success_count_even_if_recorded_together(store: Store) -> None:
    endpoint = await add(store, "a", max_concurrency=2 * THRESHOLD)
    await queue_events(store, [endpoint], *range(10))
    good, *bad = (await claim(store))[: THRESHOLD + 1]
    delivered = settled(good, DeliveryStatus.DELIVERED, succeeded=True)
    failed = [settled(each, DeliveryStatus.PENDING, delay=0.0, succeeded=False) for each in bad]
    await settle(store, delivered, *failed)
    (open_until,) = await run_of(store, endpoint, "open_until")
    assert float(open_until or 0) > 0


async def test_a_success_interrupts_consecutive_failures(store: Store) -> None:
    endpoint = await add(store, "a", max_concurrency=2 * THRESHOLD)
    await queue_events(store, [endpoint], *range(10))
    good, *bad = (await claim(store))[: THRESHOLD + 1]
    delivered = settled(good, DeliveryStatus.DELIVERED, succeeded=True)
    first, *others = [settled(each, DeliveryStatus.PENDING, delay=0.0, succeeded=False) for each in bad]
    await settle(store, first, delivered, *others)
    open_until, failures = await run_of(store, endpoint, "open_until", "failures")
    assert float(open_until or 0) == 0
    assert failures == str(THRESHOLD - 1)


async def test_a_postponed_delivery_uses_no_attempt(store: Store) -> None:
    endpoint = await open_breaker(store)
    for _ in range(3):
        await fail(store, *await probe(store))
    rows = await store.deliveries.page(limit=100, cursor=None, endpoint_id=endpoint.id)
    assert sum(each.attempts_made for each in rows.items) == THRESHOLD + 3
    assert {each.status for each in rows.items} == {DeliveryStatus.PENDING}


async def test_each_failed_probe_delays_the_next_one_up_to_a_limit(store: Store) -> None:
    endpoint = await open_breaker(store)
    waits = []
    for _ in range(4):
        open_until, resume_at = await run_of(store, endpoint, "open_until", "resume_at")
        assert open_until == resume_at
        server = await store.database.redis.time()
        waits.append(int(float(open_until or 0)) - (server[0] * 1000 + server[1] // 1000))
        await fail(store, *await probe(store))
    assert waits[0] <= FIRST_MS
    assert FIRST_MS < waits[1] <= 2 * FIRST_MS < waits[2] <= LONGEST_MS
    assert waits[3] <= LONGEST_MS


async def test_failures_in_flight_when_the_breaker_opened_do_not_move_the_probe(store: Store) -> None:
    endpoint = await add(store, "a", max_concurrency=2 * THRESHOLD)
    await queue_events(store, [endpoint], *range(10))
    claims = await claim(store)
    await fail(store, *claims[:THRESHOLD])
    before = await run_of(store, endpoint, "open_until", "probes")
    await fail(store, *claims[THRESHOLD:])
    assert await run_of(store, endpoint, "open_until", "probes") == before


async def test_a_short_pause_does_not_end_a_longer_one(store: Store) -> None:
    endpoint = await add(store, "a")
    await queue_events(store, [endpoint], *range(10))
    long, short, *_ = await claim(store)
    await settle(store, settled(long, DeliveryStatus.PENDING, succeeded=None, resume_after=300.0))
    before = await run_of(store, endpoint, "resume_at")
    await settle(store, settled(short, DeliveryStatus.PENDING, succeeded=None, resume_after=5.0))
    assert await run_of(store, endpoint, "resume_at") == before


async def test_a_requested_pause_does_not_bring_the_probe_forward(store: Store) -> None:
    endpoint = await add(store, "a", max_concurrency=2 * THRESHOLD)
    await queue_events(store, [endpoint], *range(10))
    claims = await claim(store)
    await fail(store, *claims[:THRESHOLD])
    before = await run_of(store, endpoint, "open_until", "resume_at")
    late = settled(claims[-1], DeliveryStatus.PENDING, delay=0.0, succeeded=False, resume_after=0.001)
    await settle(store, late)
    assert await run_of(store, endpoint, "open_until", "resume_at") == before


async def test_a_success_ends_the_breakers_pause_but_not_a_longer_requested_one(
    store: Store,
) -> None:
    endpoint = await add(store, "a", max_concurrency=2 * THRESHOLD)
    await queue_events(store, [endpoint], *range(10))
    *failing, asking, good = await claim(store)
    await fail(store, *failing)
    await settle(
        store, settled(asking, DeliveryStatus.PENDING, delay=0.0, succeeded=False, resume_after=300.0)
    )
    (before,) = await run_of(store, endpoint, "resume_at")
    await settle(store, settled(good))
    assert await run_of(store, endpoint, "resume_at", "open_until") == [before, "0"]


async def test_a_success_closes_it(store: Store) -> None:
    endpoint = await open_breaker(store)
    await settle(store, *[settled(each) for each in await probe(store)])
    assert len(await claim(store)) == THRESHOLD
    assert await run_of(store, endpoint, "failures", "open_until", "failing_since") == ["0", "0", ""]


async def test_non_consecutive_failures_leave_the_breaker_closed(store: Store) -> None:
    endpoint = await add(store, "a", max_concurrency=1)
    await queue_events(store, [endpoint], *range(10))
    for number in range(2 * THRESHOLD):
        claims = await claim(store)
        if number % 2:
            await settle(store, *[settled(each) for each in claims])
        else:
            await fail(store, *claims)
    assert len(await claim(store)) == 1


async def test_outcomes_that_say_nothing_about_the_receiver_do_not_count(store: Store) -> None:
    endpoint = await add(store, "a")
    await queue_events(store, [endpoint], *range(10))
    await settle(
        store, *[settled(each, DeliveryStatus.PENDING, succeeded=None) for each in await claim(store)]
    )
    assert len(await claim(store)) == 10


async def test_enabling_an_endpoint_closes_it(store: Store) -> None:
    endpoint = await open_breaker(store)
    disabled = replace(endpoint, status=EndpointStatus.DISABLED)
    await store.endpoints.save(disabled, replacing=endpoint)
    await store.endpoints.save(endpoint, replacing=disabled)
    assert len(await claim(store)) == FIRST_CONCURRENCY


async def test_another_url_closes_it_and_another_description_does_not(store: Store) -> None:
    endpoint = await open_breaker(store)
    described = replace(endpoint, description="mine")
    await store.endpoints.save(described, replacing=endpoint)
    assert await claim(store) == []
    moved = replace(described, url="https://y.example/")
    await store.endpoints.save(moved, replacing=described)
    assert len(await claim(store)) == FIRST_CONCURRENCY
    assert await run_of(store, endpoint, "failures", "open_until", "failing_since") == ["0", "0", ""]


async def test_saving_an_endpoint_as_repaired_closes_the_breaker(store: Store) -> None:
    endpoint = await open_breaker(store)
    await store.endpoints.save(endpoint, replacing=endpoint, repaired=True)
    assert len(await claim(store)) == FIRST_CONCURRENCY


async def test_a_manual_redelivery_is_sent_at_once_as_the_probe(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_waits(monkeypatch, first_ms=3_600_000)
    endpoint = await add(store, "a", max_concurrency=THRESHOLD)
    *_, last = await queue_events(store, [endpoint], *range(10))
    await fail(store, *await claim(store))
    assert await claim(store) == []
    await store.deliveries.redeliver(delivery_id(last, endpoint.id))
    (sent,) = await claim(store)
    assert sent.event_id == last
    await fail(store, sent)
    # It failed like any probe, so the next one comes later.
    assert await claim(store) == []
    assert await run_of(store, endpoint, "probes") == ["1"]


async def test_a_manual_redelivery_respects_a_longer_requested_pause(
    store: Store,
) -> None:
    endpoint = await add(store, "a", max_concurrency=THRESHOLD)
    *_, last = await queue_events(store, [endpoint], *range(10))
    failed = [
        settled(each, DeliveryStatus.PENDING, delay=0.0, succeeded=False, resume_after=300.0)
        for each in await claim(store)
    ]
    await settle(store, *failed)
    before = await run_of(store, endpoint, "open_until", "resume_at")
    await store.deliveries.redeliver(delivery_id(last, endpoint.id))
    assert await run_of(store, endpoint, "open_until", "resume_at") == before
    assert await claim(store) == []


async def test_an_endpoint_that_only_failed_for_days_is_given_up(store: Store) -> None:
    endpoint = await add(store, "a")
    await queue_events(store, [endpoint], 1, 2)
    first, second = await claim(store)
    await fail(store, first)
    await age(store, endpoint, failing_since=GIVEN_UP_MS + 1000, failure_at=SILENCE_MS - 60_000)
    late = settled(second, DeliveryStatus.PENDING, succeeded=False)
    turn = await store.queue.turn(0, [late], limit=0, lease_seconds=30)
    assert list(turn.given_up) == [endpoint.id]


async def test_a_failure_days_ago_and_one_now_do_not_count_as_continuous(store: Store) -> None:
    endpoint = await add(store, "a")
    await queue_events(store, [endpoint], 1, 2, 3)
    first, second, third = await claim(store)
    await settle(store, settled(first, DeliveryStatus.EXHAUSTED, succeeded=False))
    await age(store, endpoint, failing_since=GIVEN_UP_MS + 1000, failure_at=SILENCE_MS + 1000)
    for each in (second, third):
        failed = settled(each, DeliveryStatus.PENDING, delay=0.0, succeeded=False)
        turn = await store.queue.turn(0, [failed], limit=0, lease_seconds=30)
        assert list(turn.given_up) == []
    since, at = await run_of(store, endpoint, "failing_since", "failure_at")
    assert int(at or 0) - int(since or 0) < SILENCE_MS


async def test_the_worker_disables_a_given_up_endpoint_and_notifies_others(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_waits(monkeypatch, first_ms=50, longest_ms=50, given_up_ms=300)
    settings = quick_settings(redis_url, retry_schedule_seconds=(0.05,) * 50)
    async with Receiver() as receiver, open_runtime(settings) as runtime, running_worker(settings):
        endpoint = await add_endpoint(runtime, receiver, "/dead", event_types=("webhook.test",))
        await add_endpoint(runtime, receiver, "/other", event_types=(EventType.ENDPOINT_DISABLED,))
        receiver.answer("/dead", statuses=[500])
        event = numbered_event(1)
        await runtime.store.events.commit(event)
        await runtime.wakeup.ring(Job.DISPATCH)
        await wait_until(lambda: bool(receiver.received("/other")), message="the others are notified")
        disabled = await runtime.store.endpoints.get(endpoint.id)
        delivery = await runtime.store.deliveries.get(delivery_id(event.id, endpoint.id))
    assert (disabled.status, disabled.disabled_reason) == (EndpointStatus.DISABLED, DisabledReason.FAILING)
    assert delivery.status is DeliveryStatus.PENDING
    (notified,) = receiver.received("/other")
    assert notified.json["data"]["details"] == {"endpoint_id": endpoint.id, "reason": "failing"}
