"""Pacing: an endpoint's pace is learned from refusals, and applied when deliveries are claimed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifier.core.delivery import breaker
from notifier.core.delivery.delivery import DeliveryStatus
from notifier.core.delivery.endpoint import Endpoint, EndpointStatus, Ordering
from notifier.core.delivery.pacing import FIRST_CONCURRENCY, PACE_LAW
from notifier.core.model.ids import EndpointId, delivery_id
from notifier.runtime import open_runtime
from notifier.store import Claim, Settlement, Store, delivery_queue, schema
from tests.support.dispatching import allow_full_concurrency, dispatch_events
from tests.support.pipeline import commit_space_events, quick_settings
from tests.support.queue import ATTEMPT, claim, queue_events, settle, settled
from tests.support.wait import wait_until

pytestmark = pytest.mark.server

PAUSE_MS: Final = 60.0
FOREVER: Final = 3_600.0


@pytest.fixture(autouse=True)
def _quick_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    set_law(monkeypatch, pause=PAUSE_MS)


def set_law(monkeypatch: pytest.MonkeyPatch, **figures: Any) -> None:
    """Override the parameters of pacing."""
    quick = json.loads(delivery_queue.FIGURES) | {"pace": replace(PACE_LAW, **figures).as_dict()}
    monkeypatch.setattr(delivery_queue, "FIGURES", json.dumps(quick))


async def add_new(store: Store, name: str = "a", **changes: Any) -> Endpoint:
    """Create an endpoint without a learned pace."""
    identifier = EndpointId("ep_" + name.rjust(16, "0"))
    endpoint = Endpoint(id=identifier, url="https://x.example/", created_at=1.0, updated_at=1.0)
    endpoint = replace(endpoint, **changes)
    await store.endpoints.create(endpoint)
    return endpoint


def refused(claim: Claim, *, seconds: float = 0.0, took_ms: float = 0.0) -> Settlement:
    """Return a request for a slower pace, with a retry time if given."""
    attempt = replace(ATTEMPT, duration_ms=took_ms)
    return settled(claim, DeliveryStatus.PENDING, attempt=attempt, succeeded=None)._replace(
        paced=True, resume_after=seconds
    )


def taken(claim: Claim, *, took_ms: float = 0.0) -> Settlement:
    return settled(claim, attempt=replace(ATTEMPT, duration_ms=took_ms))


async def run_of(store: Store, endpoint: Endpoint) -> dict[str, str]:
    found: dict[str, str] = await store.database.redis.hgetall(
        store.partitions.key(schema.STATE, endpoint.id)
    )
    return found


async def pace_of(store: Store, endpoint: Endpoint) -> dict[str, Any]:
    pace = (await run_of(store, endpoint)).get("pace")
    found: dict[str, Any] = json.loads(pace) if pace else {}
    return found


async def now_ms(store: Store) -> float:
    seconds, microseconds = await store.database.redis.time()
    return float(seconds * 1000 + microseconds // 1000)


async def set_pace(
    store: Store, endpoint: Endpoint, *, concurrency: float = 16, **pace: float | None
) -> None:
    """Set the learned pace."""
    known = {"calm": 40, "cut_at": await now_ms(store)} | pace
    record = {name: value for name, value in known.items() if value is not None}
    fields = {"pace": json.dumps(record), "concurrency": concurrency}
    await store.database.redis.hset(store.partitions.key(schema.STATE, endpoint.id), mapping=fields)


async def next_claims(store: Store) -> list[Claim]:
    """Wait until a delivery can be claimed, and return the claims."""
    found = await wait_until(lambda: claim(store), interval=0.002, message="something may go out")
    assert isinstance(found, list)
    return found


async def test_a_new_receiver_starts_with_two_at_once_and_gains_one_per_success(store: Store) -> None:
    endpoint = await add_new(store, max_concurrency=7)
    await queue_events(store, [endpoint], *range(30))
    rounds = []
    for _ in range(4):
        claims = await claim(store)
        rounds.append(len(claims))
        await settle(store, *[taken(each) for each in claims])
    assert rounds == [FIRST_CONCURRENCY, 4, 7, 7]


async def test_a_higher_limit_does_not_restart_the_slow_start(store: Store) -> None:
    endpoint = await add_new(store, max_concurrency=4)
    await allow_full_concurrency(store, endpoint)
    await store.endpoints.save(replace(endpoint, max_concurrency=10), replacing=endpoint)
    await queue_events(store, [endpoint], *range(20))
    assert len(await claim(store)) == 4


async def test_a_lowered_limit_holds_at_once_and_can_be_raised_again(
    store: Store,
) -> None:
    endpoint = await add_new(store, max_concurrency=8)
    await allow_full_concurrency(store, endpoint)
    lower = replace(endpoint, max_concurrency=3)
    await store.endpoints.save(lower, replacing=endpoint)
    await queue_events(store, [endpoint], *range(20))
    claims = await claim(store)
    assert len(claims) == 3
    await settle(store, *[taken(each) for each in claims])
    await store.endpoints.save(endpoint, replacing=lower)
    assert len(await claim(store)) == 8


async def test_a_requested_pause_is_kept_and_shown_in_the_delivery(store: Store) -> None:
    endpoint = await add_new(store)
    event, *_ = await queue_events(store, [endpoint], 1, 2, 3)
    first, _ = await claim(store)
    before = await now_ms(store)
    await settle(store, refused(first, seconds=7200))
    resume_at = float((await run_of(store, endpoint))["resume_at"])
    assert 7_200_000 <= resume_at - before < 7_260_000
    assert await claim(store) == []
    health = await store.endpoints.health(endpoint.id)
    delivery = await store.deliveries.get(delivery_id(event, endpoint.id))
    assert health.paused_until == delivery.next_attempt_at == resume_at / 1000


async def test_a_refusal_without_a_time_is_followed_by_a_short_pause(store: Store) -> None:
    endpoint = await add_new(store)
    await queue_events(store, [endpoint], 1)
    await settle(store, *[refused(each) for each in await claim(store)])
    assert await claim(store) == []
    (again,) = await next_claims(store)
    assert again.attempts_made == 1


@pytest.mark.parametrize(("seconds", "share"), [(1.0, PACE_LAW.asked_share), (0.0, PACE_LAW.unasked_share)])
async def test_the_pause_grows_while_nothing_is_accepted(store: Store, seconds: float, share: float) -> None:
    endpoint = await add_new(store)
    await queue_events(store, [endpoint], 1)
    (only,) = await claim(store)
    now = await now_ms(store)
    await set_pace(store, endpoint, refusing=now - 1_000_000, cut_at=now - 1_000_000)
    await settle(store, refused(only, seconds=seconds))
    resume_at = float((await run_of(store, endpoint))["resume_at"])
    assert resume_at - now == pytest.approx(1_000_000 * share, rel=0.1)


async def test_the_pause_grows_to_no_more_than_an_hour(store: Store) -> None:
    endpoint = await add_new(store)
    await queue_events(store, [endpoint], 1)
    (only,) = await claim(store)
    now = await now_ms(store)
    await set_pace(store, endpoint, refusing=now - 400_000_000, cut_at=now - 400_000_000)
    await settle(store, refused(only))
    resume_at = float((await run_of(store, endpoint))["resume_at"])
    assert resume_at - now == pytest.approx(3_600_000, rel=0.1)


async def test_after_a_refusal_one_at_a_time_is_sent_until_one_is_accepted(store: Store) -> None:
    endpoint = await add_new(store)
    await allow_full_concurrency(store, endpoint)
    await queue_events(store, [endpoint], *range(20))
    await settle(store, *[refused(each) for each in await claim(store)])
    for _ in range(2):
        (probe,) = await next_claims(store)
        assert await claim(store) == []
        await settle(store, refused(probe))
    (probe,) = await next_claims(store)
    await settle(store, taken(probe))
    assert "refusing" not in await pace_of(store, endpoint)
    assert len(await next_claims(store)) >= 1


async def test_an_earlier_request_accepted_after_a_refusal_does_not_end_the_pause(
    store: Store,
) -> None:
    endpoint = await add_new(store)
    await queue_events(store, [endpoint], *range(10))
    first, second = await claim(store)
    await settle(store, refused(first))
    await settle(store, taken(second, took_ms=50))
    assert "refusing" in await pace_of(store, endpoint)


async def test_simultaneous_refusals_reduce_the_pace_once(store: Store) -> None:
    endpoint = await add_new(store)
    await allow_full_concurrency(store, endpoint)
    await queue_events(store, [endpoint], *range(20))
    claims = await claim(store)
    await settle(store, refused(claims[0]))
    cut = (await run_of(store, endpoint))["concurrency"]
    await settle(store, *[refused(each, took_ms=1) for each in claims[1:]])
    assert (await run_of(store, endpoint))["concurrency"] == cut


async def test_the_concurrency_falls_to_the_number_the_receiver_is_processing(store: Store) -> None:
    endpoint = await add_new(store, max_concurrency=10)
    await allow_full_concurrency(store, endpoint)
    await queue_events(store, [endpoint], *range(30))
    claims = await claim(store)
    await settle(store, *[refused(each) for each in claims[6:]])
    assert float((await run_of(store, endpoint))["concurrency"]) == 6
    assert (await store.endpoints.health(endpoint.id)).learned_concurrency == 6


async def test_a_learned_rate_spaces_requests_and_shows_in_the_health(store: Store) -> None:
    endpoint = await add_new(store)
    await queue_events(store, [endpoint], *range(10))
    await set_pace(store, endpoint, rate=20.0, ceiling=1000.0)
    began = await now_ms(store)
    for _ in range(4):
        claims = await next_claims(store)
        assert len(claims) == 1
    assert await now_ms(store) - began >= 2 * 50
    assert (await store.endpoints.health(endpoint.id)).learned_rate_per_second == 20.0


async def test_a_turn_returns_when_the_next_delivery_may_go(store: Store) -> None:
    endpoint = await add_new(store)
    await queue_events(store, [endpoint], *range(10))
    await set_pace(store, endpoint, rate=2.0, ceiling=1000.0)
    turn = await store.queue.turn(0, [], limit=10, lease_seconds=30)
    assert len(turn.claims) == 1
    assert turn.next_in is not None
    assert 0.3 < turn.next_in <= 0.5


async def test_a_receiver_that_refuses_soon_after_accepting_gets_a_rate(store: Store) -> None:
    endpoint = await add_new(store, max_concurrency=10)
    await allow_full_concurrency(store, endpoint)
    await queue_events(store, [endpoint], *range(30))
    claims = await claim(store)
    await settle(store, *[taken(each) for each in claims[:5]])
    await settle(store, *[refused(each) for each in claims[5:]])
    (probe,) = await next_claims(store)
    await settle(store, taken(probe))
    rate = (await pace_of(store, endpoint))["rate"]
    # Five were accepted in about the length of a pause.
    assert 0 < rate <= 5 * 1000 / PAUSE_MS * PACE_LAW.start


async def test_a_receiver_that_was_closed_from_the_start_gets_no_rate(store: Store) -> None:
    endpoint = await add_new(store)
    await queue_events(store, [endpoint], *range(30))
    await settle(store, *[refused(each) for each in await claim(store)])
    (probe,) = await next_claims(store)
    await settle(store, taken(probe))
    assert "rate" not in await pace_of(store, endpoint)


async def test_successes_raise_the_rate_slowly_near_the_refused_rate_and_quickly_beyond(store: Store) -> None:
    endpoint = await add_new(store)
    await queue_events(store, [endpoint], *range(6))
    grown = []
    for rate in (50.0, 98.0, 115.0):
        (one, *_) = await claim(store, limit=1)
        await set_pace(store, endpoint, rate=rate, ceiling=100.0)
        await settle(store, taken(one))
        grown.append((await pace_of(store, endpoint))["rate"] / rate)
        await store.database.redis.hdel(store.partitions.key(schema.STATE, endpoint.id), "pace")
    far_below, near, beyond = grown
    assert near == pytest.approx(1 + 0.1 / PACE_LAW.calm, rel=0.01)
    assert near < beyond < far_below


async def test_refusals_neither_open_the_breaker_nor_continue_a_run_of_failures(store: Store) -> None:
    endpoint = await add_new(store, max_concurrency=40)
    await allow_full_concurrency(store, endpoint)
    await queue_events(store, [endpoint], *range(40))
    claims = await claim(store)
    failed = breaker.FAILURES_IN_A_ROW - 1
    await settle(store, *[settled(each, DeliveryStatus.PENDING, succeeded=False) for each in claims[:failed]])
    await settle(store, *[refused(each, seconds=FOREVER) for each in claims[failed:]])
    run = await run_of(store, endpoint)
    assert (run["failures"], run["open_until"], run["failing_since"]) == ("0", "0", "")
    assert run["refused"] == str(40 - failed)


async def test_a_probe_that_is_refused_closes_the_breaker_and_keeps_the_receivers_pause(store: Store) -> None:
    endpoint = await add_new(store)
    await queue_events(store, [endpoint], *range(3))
    (probe, _) = await claim(store)
    now = await now_ms(store)
    state = {"open_until": now - 1, "resume_at": now - 1, "failures": 12, "failing_since": now - 9_000_000}
    await store.database.redis.hset(store.partitions.key(schema.STATE, endpoint.id), mapping=state)
    await settle(store, refused(probe, seconds=FOREVER))
    run = await run_of(store, endpoint)
    assert (run["failures"], run["open_until"], run["failing_since"]) == ("0", "0", "")
    assert float(run["resume_at"]) >= now + FOREVER * 1000
    assert "success_at" not in run


async def test_a_refused_delivery_remembers_where_its_schedule_counts_from(store: Store) -> None:
    endpoint = await add_new(store)
    await queue_events(store, [endpoint], 1)
    (first,) = await claim(store)
    await settle(store, refused(first)._replace(attempts_made=6, base=5))
    (again,) = await next_claims(store)
    assert (again.attempts_made, again.base) == (6, 5)


async def test_another_url_and_enabling_forget_the_pace_and_another_description_does_not(
    store: Store,
) -> None:
    endpoint = await add_new(store)
    await queue_events(store, [endpoint], *range(20))
    await settle(store, *[refused(each, seconds=FOREVER) for each in await claim(store)])
    described = replace(endpoint, description="mine")
    await store.endpoints.save(described, replacing=endpoint)
    assert await claim(store) == []
    moved = replace(described, url="https://y.example/")
    await store.endpoints.save(moved, replacing=described)
    claims = await claim(store)
    assert len(claims) == FIRST_CONCURRENCY
    await settle(store, *[refused(each, seconds=FOREVER) for each in claims])
    disabled = replace(moved, status=EndpointStatus.DISABLED)
    await store.endpoints.save(disabled, replacing=moved)
    await store.endpoints.save(moved, replacing=disabled)
    assert len(await claim(store)) == FIRST_CONCURRENCY
    assert await pace_of(store, endpoint) == {}


async def test_a_learned_pace_expires_after_ten_minutes_without_a_refusal(store: Store) -> None:
    endpoint = await add_new(store)
    await queue_events(store, [endpoint], *range(20))
    now = await now_ms(store)
    await set_pace(store, endpoint, rate=20.0, ceiling=20.0, cut_at=now - PACE_LAW.forget - 1)
    (one,) = await next_claims(store)
    await settle(store, taken(one))
    assert await pace_of(store, endpoint) == {}


@pytest.mark.parametrize(("seconds", "goes"), [(0.0, True), (FOREVER, False)])
async def test_a_manual_redelivery_waits_only_as_long_as_the_receiver_asked(
    store: Store, monkeypatch: pytest.MonkeyPatch, seconds: float, goes: bool
) -> None:
    set_law(monkeypatch, pause=FOREVER * 1000)
    endpoint = await add_new(store)
    *_, last = await queue_events(store, [endpoint], *range(10))
    await settle(store, *[refused(each, seconds=seconds) for each in await claim(store)])
    await store.deliveries.redeliver(delivery_id(last, endpoint.id))
    assert [each.event_id for each in await claim(store)] == ([last] if goes else [])


async def test_a_refused_head_of_a_line_blocks_its_line_and_is_sent_first(store: Store) -> None:
    endpoint = await add_new(store, ordering=Ordering.SPACE)
    events = await commit_space_events(store, "1abc", 1, 2, 3)
    await dispatch_events(store, [(event, [endpoint]) for event in events])
    (first,) = await claim(store)
    await settle(store, refused(first))
    (again,) = await next_claims(store)
    assert again.event_id == first.event_id == events[0]
    await settle(store, taken(again))
    (second,) = await next_claims(store)
    assert second.event_id == events[1]


STEPS: Final = st.lists(
    st.tuples(
        st.sampled_from(["take", "refuse", "refuse with a time", "fail", "wait"]),
        st.integers(1, 8),
        st.integers(0, 40),
    ),
    max_size=30,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, most=st.integers(1, 20), limit=st.sampled_from([None, 5.0, 100.0]))
def test_the_laws_of_pacing_hold_over_any_history(
    redis_url: str, steps: Sequence[tuple[str, int, int]], most: int, limit: float | None
) -> None:
    """Rates stay within bounds, concurrency within its limit, and nothing is sent during a pause."""

    async def run() -> None:
        async with open_runtime(quick_settings(redis_url, delivery_partitions=1)) as runtime:
            store = runtime.store
            endpoint = await add_new(store, max_concurrency=most, rate_limit_per_second=limit)
            await queue_events(store, [endpoint], *range(60))
            in_flight: list[Claim] = []
            for step, count, took_ms in steps:
                before = await run_of(store, endpoint)
                claims = await claim(store, limit=count)
                assert not claims or float(before.get("resume_at", 0)) <= await now_ms(store)
                in_flight += claims
                ended, in_flight = in_flight[:count], in_flight[count:]
                await settle(store, *[_end(each, step, took_ms) for each in ended])
                run, pace = await run_of(store, endpoint), await pace_of(store, endpoint)
                assert 1 <= float(run["concurrency"]) <= max(most, FIRST_CONCURRENCY)
                assert len(in_flight) <= most
                if "rate" in pace:
                    assert (
                        PACE_LAW.slowest <= pace["rate"] <= min(limit or PACE_LAW.fastest, PACE_LAW.fastest)
                    )
                if "refusing" in pace:
                    assert len(claims) <= 1 or "refus" in step
            await store.database.redis.flushdb()

    asyncio.run(run())


def _end(claim: Claim, step: str, took_ms: int) -> Settlement:
    if step == "refuse":
        return refused(claim, took_ms=took_ms)
    if step == "refuse with a time":
        return refused(claim, seconds=0.01, took_ms=took_ms)
    if step == "fail":
        return settled(claim, DeliveryStatus.PENDING, succeeded=False, delay=0.0)
    return taken(claim, took_ms=took_ms)
