"""How polls are claimed, grouped into requests, and returned."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace

import pytest
from aiohttp import web

from notifier.core.model.observation import Call
from notifier.core.model.poll import NextPoll, Urgency
from notifier.core.model.watch import WatchKind
from notifier.store import PollQueue
from notifier.store.polls import LEASE_SECONDS
from tests.support.rig import Rig, XRequest, open_rig, spaces
from tests.support.wait import wait_until

pytestmark = pytest.mark.server

LIVE = "{at: 0s, set: {state: live, title: news, started_at: -60s}}"
LATER = "{at: 0s, set: {state: scheduled, title: later, scheduled_start: +24h}}"
ONE_LIVE = "spaces:\n" + spaces(["S1"], LIVE)
NO_SPACES = "description: nothing happens"


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


async def queue_of(rig: Rig, call: Call) -> PollQueue:
    return (await rig.runtime.store.polls.queues(now=rig.clock.now))[call]


async def file_polls(rig: Rig, call: Call, subjects: Iterable[str], *, at: float, urgency: Urgency) -> None:
    polls, wanted = rig.runtime.store.polls, list(subjects)
    await polls.add(call, wanted, at=at)
    await polls.schedule(call, dict.fromkeys(wanted, NextPoll(at, urgency)))


class HeldUp:
    """Holds back X's answers until released; the answers then have the given status."""

    def __init__(self, rig: Rig, *, status: int = 200) -> None:
        self._status = status
        self._released = asyncio.Event()
        self.waiting: list[tuple[str, ...]] = []
        rig.x.override = self._answer

    async def _answer(self, asked: XRequest) -> web.Response | None:
        self.waiting.append(asked.subjects)
        await self._released.wait()
        return None if self._status == 200 else web.Response(status=self._status)

    async def begun(self, count: int = 1) -> None:
        await wait_until(lambda: len(self.waiting) >= count, message="X is asked")

    def release(self) -> None:
        self._released.set()


async def test_the_polls_of_a_dead_worker_return_when_its_lease_expires(redis_url: str) -> None:
    async with open_rig(redis_url, ONE_LIVE) as rig:
        await rig.watch(WatchKind.SPACE, "S1")
        x = HeldUp(rig)
        killed = asyncio.create_task(rig.poll())
        await x.begun()
        killed.cancel()
        with suppress(asyncio.CancelledError):
            await killed
        rig.clock.now += LEASE_SECONDS - 0.1
        await rig.poll()
        assert len(x.waiting) == 1
        assert (await queue_of(rig, Call.LOOKUP)).in_flight == 1
        rig.clock.now += 0.1
        x.release()
        await rig.poll()
        assert x.waiting == [("S1",), ("S1",)]
        assert await rig.types() == ["space.started"]


async def test_two_workers_share_the_polls_and_never_poll_a_subject_at_once(redis_url: str) -> None:
    everything = names("S", 200)
    async with open_rig(redis_url, "spaces:\n" + spaces(everything, LIVE), workers=2) as rig:
        await rig.watch(WatchKind.SPACE, *everything)
        x = HeldUp(rig)
        # A claim that lost the race is left to the next job.
        jobs = [asyncio.create_task(rig.poll(number)) for number in (0, 1)]
        await x.begun(1)
        jobs += [asyncio.create_task(rig.poll(number)) for number in (0, 1)]
        await x.begun(2)
        queue = await queue_of(rig, Call.LOOKUP)
        await rig.poll(0)  # one more finds nothing to ask
        x.release()
        await asyncio.gather(*jobs)
        assert sorted([*x.waiting[0], *x.waiting[1]]) == sorted(everything)
        assert len(x.waiting) == 2
        assert (queue.waiting, queue.due, queue.in_flight) == (0, 0, 200)
        assert await rig.counts() == {"space.started": 200}


async def test_a_claim_returns_only_unclaimed_polls(redis_url: str) -> None:
    async with open_rig(redis_url, NO_SPACES) as rig:
        now, polls = rig.clock.now, rig.runtime.store.polls
        await file_polls(rig, Call.LOOKUP, ["A", "B", "C"], at=now, urgency=Urgency.URGENT)
        first = await polls.first(Call.LOOKUP, now=now, limit=10)
        urgent = first.urgent
        assert [each.subject for each in await polls.claim(Call.LOOKUP, urgent[:2], now=now)] == ["A", "B"]
        assert [each.subject for each in await polls.claim(Call.LOOKUP, urgent, now=now)] == ["C"]
        assert await polls.claim(Call.LOOKUP, urgent, now=now) == []


async def test_a_request_takes_urgent_polls_and_keeps_a_tenth_for_patient_ones(redis_url: str) -> None:
    async with open_rig(redis_url, NO_SPACES) as rig:
        # The patient ones have waited longer, but still get no more than their share.
        await file_polls(rig, Call.LOOKUP, names("P", 50), at=rig.clock.now - 3600, urgency=Urgency.PATIENT)
        await file_polls(rig, Call.LOOKUP, names("U", 150), at=rig.clock.now, urgency=Urgency.URGENT)
        await rig.poll()
        asked = [asked.subjects for asked in rig.x.of(Call.LOOKUP)]
    assert [sum(each.startswith("P") for each in subjects) for subjects in asked] == [10, 40]
    assert [len(subjects) for subjects in asked] == [100, 100]


@pytest.mark.parametrize(
    ("call", "ahead"), [(Call.LOOKUP, 600.0), (Call.CREATORS, 30.0)], ids=["lookup", "creators"]
)
async def test_a_request_is_filled_with_polls_that_are_due_soon(
    redis_url: str, call: Call, ahead: float
) -> None:
    async with open_rig(redis_url, NO_SPACES) as rig:
        await file_polls(rig, call, ["1"], at=rig.clock.now, urgency=Urgency.URGENT)
        await file_polls(rig, call, ["2"], at=rig.clock.now + ahead, urgency=Urgency.PATIENT)
        await file_polls(rig, call, ["3"], at=rig.clock.now + ahead + 1, urgency=Urgency.PATIENT)
        await rig.poll()
        assert [set(asked.subjects) for asked in rig.x.of(call)] == [{"1", "2"}]


async def test_polls_that_are_not_due_cause_no_request(redis_url: str) -> None:
    async with open_rig(redis_url, NO_SPACES) as rig:
        await file_polls(rig, Call.LOOKUP, ["1"], at=rig.clock.now + 1, urgency=Urgency.URGENT)
        await rig.poll()
        assert rig.x.requests == []
        await rig.pass_time(1)
        assert len(rig.x.requests) == 1


@pytest.mark.parametrize(
    ("kind", "target", "call"),
    [(WatchKind.SPACE, "S1", Call.LOOKUP), (WatchKind.CREATOR, "1", Call.CREATORS)],
)
async def test_a_new_watch_is_polled_at_once_although_thousands_wait(
    redis_url: str, kind: WatchKind, target: str, call: Call
) -> None:
    async with open_rig(redis_url, ONE_LIVE) as rig:
        waiting = [str(number) for number in range(10_000, 13_000)]
        await file_polls(rig, call, waiting, at=rig.clock.now - 86_400, urgency=Urgency.PATIENT)
        await rig.watch(kind, target)
        await rig.poll()
        assert target in rig.x.of(call)[0].subjects
        assert "space.started" in await rig.types()


@pytest.mark.parametrize("status", [503, 400, 429, 401])
async def test_a_failed_call_brings_no_poll_forward(redis_url: str, status: int) -> None:
    async with open_rig(redis_url, NO_SPACES) as rig:
        now, polls = rig.clock.now, rig.runtime.store.polls
        await file_polls(rig, Call.LOOKUP, ["due"], at=now, urgency=Urgency.URGENT)
        await file_polls(rig, Call.LOOKUP, ["soon"], at=now + 590, urgency=Urgency.PATIENT)
        rig.x.fail(Call.LOOKUP, status)
        await rig.poll()
        assert [set(asked.subjects) for asked in rig.x.requests] == [{"due", "soon"}]
        first = await polls.first(Call.LOOKUP, now=now, limit=10)
        (due,), (soon,) = first.urgent, first.patient
        assert (due.subject, soon.subject) == ("due", "soon")
        assert now <= due.at <= now + 600
        health, _ = await rig.runtime.store.health.read()
        assert due.at > now or health.paused_until(Call.LOOKUP) > now
        assert soon.at >= now + 590


async def delete(rig: Rig) -> None:
    page = await rig.runtime.store.watches.page(limit=10, cursor=None)
    for watch in page.items:
        await rig.runtime.store.watches.delete(watch.id, now=rig.clock.now)


async def pause(rig: Rig) -> None:
    page = await rig.runtime.store.watches.page(limit=10, cursor=None)
    for watch in page.items:
        await rig.runtime.store.watches.save(replace(watch, paused=True), replacing=watch, now=rig.clock.now)


@pytest.mark.parametrize("take", [delete, pause])
@pytest.mark.parametrize("status", [200, 503])
@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (WatchKind.SPACE, "S1"),
        (WatchKind.CREATOR, "1"),
        (WatchKind.SEARCH, "news"),
        (WatchKind.CREATOR, "@somebody"),
    ],
    ids=["space", "creator", "search", "name"],
)
async def test_the_poll_of_a_watch_removed_during_a_request_does_not_return(
    redis_url: str, kind: WatchKind, target: str, status: int, take: Callable[[Rig], Awaitable[None]]
) -> None:
    async with open_rig(redis_url, ONE_LIVE) as rig:
        await rig.watch(kind, target)
        x = HeldUp(rig, status=status)
        polling = asyncio.create_task(rig.poll())
        await x.begun()
        await take(rig)
        x.release()
        await polling
        rig.x.restore()
        # A Space may be polled once more, which finds that no watch follows it.
        await rig.pass_time(120, step=10)
        asked = len(rig.x.requests)
        assert asked <= 2
        await rig.pass_time(7200, step=600)
        assert len(rig.x.requests) == asked
        queues = await rig.runtime.store.polls.queues(now=rig.clock.now)
        assert {(each.waiting, each.in_flight) for each in queues.values()} == {(0, 0)}


async def test_a_watch_that_is_resumed_is_polled_at_once(redis_url: str) -> None:
    async with open_rig(redis_url, ONE_LIVE) as rig:
        await rig.watch(WatchKind.SPACE, "S1")
        await rig.poll()
        await pause(rig)
        await rig.pass_time(3600, step=60)
        asked = len(rig.x.requests)
        (paused,) = (await rig.runtime.store.watches.page(limit=10, cursor=None)).items
        await rig.runtime.store.watches.save(
            replace(paused, paused=False), replacing=paused, now=rig.clock.now
        )
        await rig.poll()
        assert len(rig.x.requests) == asked + 1


async def test_a_removed_poll_stays_off_the_schedule(redis_url: str) -> None:
    async with open_rig(redis_url, NO_SPACES) as rig:
        now, polls = rig.clock.now, rig.runtime.store.polls
        later = NextPoll(now + 5, Urgency.PATIENT)
        await file_polls(rig, Call.LOOKUP, ["kept", "off"], at=now, urgency=Urgency.URGENT)
        await polls.schedule(Call.LOOKUP, {"off": None})
        await polls.schedule(Call.LOOKUP, {"off": later, "never": later, "kept": later})
        first = await polls.first(Call.LOOKUP, now=now, limit=10)
        urgent, patient = first.urgent, first.patient
        assert (urgent, [(each.subject, each.at) for each in patient]) == ([], [("kept", now + 5)])


async def test_the_poll_queue_is_reported_correctly(redis_url: str) -> None:
    async with open_rig(redis_url, NO_SPACES) as rig:
        now, polls = rig.clock.now, rig.runtime.store.polls
        assert await queue_of(rig, Call.LOOKUP) == PollQueue(0, 0, 0, None)
        await file_polls(rig, Call.LOOKUP, ["a", "b"], at=now - 7, urgency=Urgency.PATIENT)
        await file_polls(rig, Call.LOOKUP, ["c"], at=now, urgency=Urgency.URGENT)
        await file_polls(rig, Call.LOOKUP, ["d"], at=now + 9, urgency=Urgency.URGENT)
        await file_polls(rig, Call.CREATORS, ["1"], at=now + 3, urgency=Urgency.PATIENT)
        assert await queue_of(rig, Call.LOOKUP) == PollQueue(4, 3, 0, now - 7)
        assert await queue_of(rig, Call.CREATORS) == PollQueue(1, 0, 0, now + 3)
        first = await polls.first(Call.LOOKUP, now=now, limit=10)
        patient = first.patient
        await polls.claim(Call.LOOKUP, patient, now=now)
        assert await queue_of(rig, Call.LOOKUP) == PollQueue(2, 1, 2, now)


async def test_a_hanging_call_does_not_delay_the_others(redis_url: str) -> None:
    async with open_rig(redis_url, ONE_LIVE) as rig:
        await rig.watch(WatchKind.SPACE, "S1")
        await rig.poll()
        await rig.watch(WatchKind.SEARCH, "news")
        x = HeldUp(rig)
        hanging = asyncio.create_task(rig.poll())
        await x.begun()
        rig.x.restore()
        await rig.pass_time(90)
        assert len(rig.x.of(Call.LOOKUP)) == 4
        x.release()
        await hanging
