"""Reminders and missed starts, with real workers and a real server, on a controlled clock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from notifier.core.events.event import EventType
from notifier.core.model.ids import SpaceId
from notifier.core.model.instants import rfc3339
from notifier.core.model.observation import Call, Failure
from notifier.core.model.problems import FailureKind
from notifier.core.model.watch import WatchKind
from notifier.core.polling.health import CallFailure, after_answer, after_failure
from notifier.core.polling.outages import respond
from notifier.core.spaces.decide import Decision
from notifier.core.spaces.known import KnownSpace
from notifier.core.spaces.timers import TimerKind
from notifier.core.spaces.timers import fire as decide_fire
from notifier.store import schema
from tests.support.api_runtime import Clock
from tests.support.offline_worker import SPACE, apply_answer, events_of, offline_worker, run_timers
from tests.support.pipeline import add_watch
from workers.context import Worker
from workers.health import note_health

pytestmark = pytest.mark.server

START = 1_700_010_000.0
LEAD = 900.0
OVERDUE = 600.0
CROWD = [f"Crowd{number}" for number in range(7)]


@pytest.fixture
def clock() -> Clock:
    return Clock(START - 7200)


@pytest.fixture
async def worker(redis_url: str, clock: Clock) -> AsyncIterator[Worker]:
    async with offline_worker(redis_url, clock) as started:
        await add_watch(started.runtime, WatchKind.SPACE, SPACE)
        yield started


def planned(start: float = START, **fields: Any) -> dict[str, Any]:
    return {"id": SPACE, "state": "scheduled", "title": "Planned", "scheduled_start": rfc3339(start)} | fields


async def announced(worker: Worker, *types: EventType) -> list[dict[str, Any]]:
    """Return the details of the announced reminders, or of other types."""
    events = await events_of(worker, *(types or (EventType.REMINDER,)))
    return [json.loads(event.body)["data"]["details"] for event in events]


async def lookups_fail(worker: Worker, times: int = 2) -> None:
    for _ in range(times):
        now, cadence = worker.runtime.clock(), worker.runtime.cadence
        failure = Failure(FailureKind.UNAVAILABLE, "503")
        call_failure = CallFailure(Call.LOOKUP, failure, respond(failure, now=now, cadence=cadence))
        await note_health(worker, partial(after_failure, call_failure=call_failure, now=now, cadence=cadence))


async def test_a_reminder_is_announced_at_its_time_and_not_before(worker: Worker, clock: Clock) -> None:
    await apply_answer(worker, planned())
    clock.now = START - LEAD - 0.001
    await run_timers(worker)
    assert await announced(worker) == []
    clock.now = START - LEAD
    await run_timers(worker)
    (event,) = await events_of(worker, EventType.REMINDER)
    data = json.loads(event.body)["data"]
    assert data["details"] == {"minutes_before": 15}
    assert data["observed_at"] == rfc3339(START - LEAD)
    assert data["space"]["scheduled_start"] == rfc3339(START)
    await run_timers(worker)
    assert len(await announced(worker)) == 1


async def test_the_sweep_learns_of_a_reminder_when_it_is_due(worker: Worker) -> None:
    await apply_answer(worker, planned())
    store = worker.runtime.store
    assert "timers" not in await store.waiting_work(now=START - LEAD - 0.001)
    assert "timers" in await store.waiting_work(now=START - LEAD)


@pytest.mark.parametrize("digit", "159")
async def test_a_timer_between_two_milliseconds_is_handled_once(
    worker: Worker, clock: Clock, digit: str
) -> None:
    await apply_answer(worker, planned() | {"scheduled_start": rfc3339(START).replace("Z", f"{digit}Z")})
    clock.now = START - LEAD
    async with asyncio.timeout(10):
        await run_timers(worker)
    clock.now += 0.001
    await run_timers(worker)
    assert len(await announced(worker)) == 1


async def test_a_rescheduled_start_moves_its_reminder(worker: Worker, clock: Clock) -> None:
    await apply_answer(worker, planned())
    clock.now += 1
    await apply_answer(worker, planned(START + 3600))
    clock.now = START - LEAD
    await run_timers(worker)
    assert await announced(worker) == []
    clock.now = START + 3600 - LEAD
    await run_timers(worker)
    assert await announced(worker) == [{"minutes_before": 15}]


async def test_a_start_postponed_after_its_reminder_has_another_reminder(
    worker: Worker, clock: Clock
) -> None:
    await apply_answer(worker, planned())
    clock.now = START - LEAD
    await run_timers(worker)
    await apply_answer(worker, planned(START + 3600))
    clock.now = START + 3600 - LEAD
    await run_timers(worker)
    assert len(await announced(worker)) == 2
    await apply_answer(worker, planned(START))
    await apply_answer(worker, planned(START + 3600))
    await run_timers(worker)
    assert len(await announced(worker)) == 2


async def test_a_start_learned_of_too_late_has_no_reminder(worker: Worker, clock: Clock) -> None:
    clock.now = START - LEAD + 60
    await apply_answer(worker, planned())
    await run_timers(worker)
    assert await announced(worker) == []


@pytest.mark.parametrize(
    "now_is",
    [
        {"state": "live", "started_at": rfc3339(START - LEAD)},
        {"state": "canceled"},
        {"state": "ended", "started_at": rfc3339(START - LEAD), "ended_at": rfc3339(START - LEAD)},
    ],
    ids=lambda fields: fields["state"],
)
async def test_a_reminder_due_in_the_tick_of_the_start_or_the_end_is_dropped(
    worker: Worker, clock: Clock, now_is: dict[str, Any]
) -> None:
    await apply_answer(worker, planned())
    clock.now = START - LEAD
    await apply_answer(worker, planned(**now_is))
    assert await worker.runtime.store.timers.due(TimerKind.REMINDER, now=START, limit=10) == []
    await run_timers(worker)
    assert await announced(worker) == []


async def test_a_start_wins_over_a_simultaneous_reminder(
    redis_url: str, worker: Worker, clock: Clock
) -> None:
    await apply_answer(worker, planned())
    clock.now = START - LEAD
    async with offline_worker(redis_url, clock) as other:
        await asyncio.gather(
            apply_answer(worker, planned(state="live", started_at=rfc3339(clock.now))),
            run_timers(other),
            run_timers(worker),
        )
    await run_timers(worker)
    types = [event.type for event in await events_of(worker)]
    # Whichever was first, there is no reminder for a started Space.
    assert types in (
        [EventType.SCHEDULED, EventType.STARTED],
        [EventType.SCHEDULED, EventType.REMINDER, EventType.STARTED],
    )


async def test_two_workers_that_fire_the_same_timer_remind_once(
    redis_url: str, worker: Worker, clock: Clock
) -> None:
    await apply_answer(worker, planned())
    clock.now = START - LEAD
    async with offline_worker(redis_url, clock) as other:
        await asyncio.gather(*(run_timers(each) for each in (worker, other) * 4))
    assert await announced(worker) == [{"minutes_before": 15}]
    (event,) = await events_of(worker, EventType.REMINDER)
    assert event.sequence == 2


async def test_a_reminder_survives_a_restart_of_everything_but_the_database(
    redis_url: str, clock: Clock
) -> None:
    async with offline_worker(redis_url, clock) as first:
        await add_watch(first.runtime, WatchKind.SPACE, SPACE)
        await apply_answer(first, planned())
    clock.now = START - LEAD
    async with offline_worker(redis_url, clock) as second:
        await run_timers(second)
        assert await announced(second) == [{"minutes_before": 15}]
    async with offline_worker(redis_url, clock) as third:
        await run_timers(third)
        assert len(await announced(third)) == 1


async def test_a_reminder_waits_during_an_outage_and_then_states_the_remaining_time(
    worker: Worker, clock: Clock
) -> None:
    await apply_answer(worker, planned())
    clock.now = START - LEAD
    await lookups_fail(worker)
    await run_timers(worker)
    assert await announced(worker) == []
    clock.now = START - 300
    await note_health(worker, partial(after_answer, call=Call.LOOKUP))
    await run_timers(worker)
    assert await announced(worker) == [{"minutes_before": 5}]


async def test_a_single_failed_call_does_not_delay_a_reminder(worker: Worker, clock: Clock) -> None:
    await apply_answer(worker, planned())
    clock.now = START - LEAD
    await lookups_fail(worker, times=1)
    await run_timers(worker)
    assert await announced(worker) == [{"minutes_before": 15}]


async def test_a_reminder_delayed_beyond_the_start_is_not_announced(worker: Worker, clock: Clock) -> None:
    await apply_answer(worker, planned())
    clock.now = START - LEAD
    await lookups_fail(worker)
    clock.now = START
    await note_health(worker, partial(after_answer, call=Call.LOOKUP))
    await run_timers(worker)
    assert await announced(worker) == []
    assert await worker.runtime.store.database.redis.zcard(schema.TIMERS(TimerKind.REMINDER)) == 0


async def test_a_mass_vanish_delays_reminders(worker: Worker, clock: Clock) -> None:
    crowd = [{"id": each, "state": "live", "started_at": rfc3339(START - 7200)} for each in CROWD]
    for each in CROWD:
        await add_watch(worker.runtime, WatchKind.SPACE, each)
    await apply_answer(worker, planned(), *crowd, subjects=[SPACE, *CROWD])
    clock.now = START - LEAD - 30
    await apply_answer(worker, planned(), missing=CROWD, subjects=[SPACE, *CROWD])
    clock.now = START - LEAD
    await run_timers(worker)
    assert await announced(worker) == []
    clock.now += 60
    await apply_answer(worker, planned(), *crowd, subjects=[SPACE, *CROWD])
    await run_timers(worker)
    assert await announced(worker) == [{"minutes_before": 14}]


async def test_a_timer_that_stays_due_fires_once_per_job_and_delays_no_other(
    worker: Worker, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in CROWD:
        await add_watch(worker.runtime, WatchKind.SPACE, each)
    crowd = [planned(START + number) | {"id": each} for number, each in enumerate(CROWD)]
    await apply_answer(worker, *crowd, subjects=CROWD)
    clock.now = START - LEAD + len(CROWD)
    rung: list[SpaceId] = []

    def stay(known: KnownSpace, *args: Any, **options: Any) -> Decision:
        rung.append(known.space.id)
        return Decision(known) if known.space.id in CROWD[:4] else decide_fire(known, *args, **options)

    monkeypatch.setattr("workers.timers.fire", stay)
    monkeypatch.setattr("workers.timers.BATCH", 2)
    async with asyncio.timeout(10):
        await run_timers(worker)
    assert rung == CROWD
    assert len(await announced(worker)) == len(CROWD) - 4
    assert "timers" in await worker.runtime.store.waiting_work(now=clock.now)
    monkeypatch.setattr("workers.timers.fire", decide_fire)
    await run_timers(worker)
    assert len(await announced(worker)) == len(CROWD)


async def test_a_space_followed_only_by_a_paused_watch_has_no_reminder(worker: Worker, clock: Clock) -> None:
    await apply_answer(worker, planned())
    store = worker.runtime.store
    watch = await store.watches.get(f"wch_space_{SPACE}")
    await store.watches.save(replace(watch, paused=True), replacing=watch, now=clock())
    clock.now = START - LEAD
    await run_timers(worker)
    assert await announced(worker) == []
    await store.watches.delete(watch.id, now=clock())
    await run_timers(worker)
    assert [event.type for event in await events_of(worker)] == [EventType.SCHEDULED]


async def test_a_missed_start_is_announced_by_a_poll_requested_after_it(worker: Worker, clock: Clock) -> None:
    await apply_answer(worker, planned())
    clock.now = START + OVERDUE - 0.001
    await apply_answer(worker, planned())
    clock.now = START + OVERDUE
    await run_timers(worker)
    assert await announced(worker, EventType.START_OVERDUE) == []
    clock.now = START + OVERDUE + 0.25
    await apply_answer(worker, planned())
    assert await announced(worker, EventType.START_OVERDUE) == [{"overdue_seconds": 600.25}]
    clock.now += 60
    await apply_answer(worker, planned())
    assert len(await announced(worker, EventType.START_OVERDUE)) == 1


async def test_a_missed_start_is_announced_once_by_two_workers(
    redis_url: str, worker: Worker, clock: Clock
) -> None:
    await apply_answer(worker, planned())
    clock.now = START + OVERDUE
    async with offline_worker(redis_url, clock) as other:
        await asyncio.gather(*(apply_answer(each, planned()) for each in (worker, other)))
    assert len(await announced(worker, EventType.START_OVERDUE)) == 1


async def test_a_postponed_start_can_be_missed_again(worker: Worker, clock: Clock) -> None:
    await apply_answer(worker, planned())
    clock.now = START + OVERDUE
    await apply_answer(worker, planned())
    clock.now += 1
    await apply_answer(worker, planned(START + 3600))
    clock.now = START + 3600 + OVERDUE
    await apply_answer(worker, planned(START + 3600))
    assert len(await announced(worker, EventType.START_OVERDUE)) == 2


async def test_a_space_is_polled_when_its_start_is_missed(worker: Worker, clock: Clock) -> None:
    clock.now = START + OVERDUE - 0.05
    await apply_answer(worker, planned())
    first = await worker.runtime.store.polls.first(Call.LOOKUP, now=clock(), limit=10)
    urgent, patient = first.urgent, first.patient
    (poll,) = (*urgent, *patient)
    assert poll.at == START + OVERDUE


@pytest.mark.parametrize(("call", "subject"), [(Call.CREATORS, "42"), (Call.SEARCH, "wch_search_talks")])
async def test_no_list_makes_a_start_overdue_while_lookups_fail(
    worker: Worker, clock: Clock, call: Call, subject: str
) -> None:
    await add_watch(worker.runtime, WatchKind.CREATOR, "42")
    await add_watch(worker.runtime, WatchKind.SEARCH, "talks")
    await apply_answer(worker, planned(creator_id="42"))
    await lookups_fail(worker)
    clock.now = START + OVERDUE
    await apply_answer(worker, planned(creator_id="42", title="Late"), call=call, subjects=[subject])
    assert [event.type for event in await events_of(worker)][-1] == EventType.TITLE_CHANGED
    await note_health(worker, partial(after_answer, call=Call.LOOKUP))
    clock.now += 60
    await apply_answer(worker, planned(creator_id="42", title="Late"), call=call, subjects=[subject])
    assert await announced(worker, EventType.START_OVERDUE) == [{"overdue_seconds": 660}]


async def test_a_mass_vanish_delays_the_event_of_a_missed_start(worker: Worker, clock: Clock) -> None:
    crowd = [{"id": each, "state": "live", "started_at": rfc3339(START - 7200)} for each in CROWD]
    for each in CROWD:
        await add_watch(worker.runtime, WatchKind.SPACE, each)
    await apply_answer(worker, planned(), *crowd, subjects=[SPACE, *CROWD])
    clock.now = START + OVERDUE
    await apply_answer(worker, planned(), missing=CROWD, subjects=[SPACE, *CROWD])
    assert await announced(worker, EventType.START_OVERDUE) == []
    clock.now += 60
    await apply_answer(worker, planned(), *crowd, subjects=[SPACE, *CROWD])
    assert await announced(worker, EventType.START_OVERDUE) == [{"overdue_seconds": 660}]


async def test_an_outage_delays_a_missed_start_until_the_next_poll(worker: Worker, clock: Clock) -> None:
    await apply_answer(worker, planned())
    clock.now = START + OVERDUE + 60
    await lookups_fail(worker)
    await run_timers(worker)
    assert await announced(worker, EventType.START_OVERDUE) == []
    clock.now += 60
    await note_health(worker, partial(after_answer, call=Call.LOOKUP))
    await apply_answer(worker, planned())
    assert await announced(worker, EventType.START_OVERDUE) == [{"overdue_seconds": 720}]
