"""X's rate limits: the requests of all workers together, second by second."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise

import pytest

from notifier.core.events.event import PayloadForm
from notifier.core.model.observation import Call
from notifier.core.model.watch import WatchKind
from notifier.simulator import Behaviour, Buckets, Limits
from tests.support.rig import Rig, open_rig, spaces

pytestmark = pytest.mark.server

LIVE = "{at: 0s, set: {state: live, title: news, started_at: -60s}}"
ONE_A_SECOND = Behaviour(creators_per_second=1)


async def pass_time_at_once(rig: Rig, seconds: float, *, step: float) -> None:
    """Advance the clock for all workers, which run each step concurrently."""
    until = rig.clock.now + seconds
    while rig.clock.now < until:
        rig.clock.now += step
        await asyncio.gather(*(rig.poll(number) for number in range(len(rig.workers))))


async def test_a_shared_bucket_is_used_up_to_nine_tenths_at_most(redis_url: str) -> None:
    scenario = "users: [{id: 7, name: Seven, username: seven}]\nspaces:\n" + spaces(["S1", "S2"], LIVE)
    limits = Limits(requests=100, window_seconds=900)
    shared = Behaviour(buckets=Buckets.SHARED)
    async with open_rig(redis_url, scenario, workers=2, limits=limits, behaviour=shared) as rig:
        # Without a limit there would be about 200 requests per window: 30 lookups, 15 creators, 150 searches.
        await rig.watch(WatchKind.SPACE, "S1", "S2")
        await rig.watch(WatchKind.CREATOR, "1", "@seven")
        await rig.watch(WatchKind.SEARCH, *(f"news {number}" for number in range(10)))
        start = rig.clock.now
        await pass_time_at_once(rig, 1800, step=5)
        asked = [(asked.at - start, asked.call, asked.status) for asked in rig.x.requests]
        found = await rig.runtime.store.budget.describe(now=rig.clock.now)
    assert {status for _, _, status in asked} == {200}
    # The first window starts with the first request, after five seconds; its end is rounded up.
    first = Counter(call for at, call, _ in asked if at < 905)
    second = Counter(call for at, call, _ in asked if 906 < at < 1800)
    for window in (first, second):
        assert 70 <= window.total() <= 90, "it is used well, and a tenth is left"
        assert window[Call.LOOKUP] >= 20, "what is live is hardly held up"
        assert window[Call.CREATORS] >= 5
        assert window[Call.SEARCH] >= 30
    assert set(next(iter(found.shared))) >= {Call.LOOKUP, Call.CREATORS, Call.SEARCH}


async def test_separate_buckets_are_each_used_up_to_nine_tenths_at_most(redis_url: str) -> None:
    limits = Limits(requests=20, window_seconds=900)
    async with open_rig(redis_url, "spaces:\n" + spaces(["S1"], LIVE), workers=2, limits=limits) as rig:
        await rig.watch(WatchKind.SPACE, "S1")
        await rig.watch(WatchKind.SEARCH, "news", "other")
        await pass_time_at_once(rig, 900, step=10)
        used = Counter((asked.call, asked.status) for asked in rig.x.requests)
    assert set(used) == {(Call.LOOKUP, 200), (Call.SEARCH, 200)}
    assert 16 <= min(used.values()) <= max(used.values()) <= 18


async def test_creators_are_polled_with_one_request_a_second(redis_url: str) -> None:
    creators = [str(number) for number in range(1, 251)]
    scenario = "spaces:\n" + spaces([f"S{number}" for number in creators], LIVE)
    async with open_rig(redis_url, scenario, workers=2, behaviour=ONE_A_SECOND) as rig:
        await rig.watch(WatchKind.CREATOR, *creators)
        await pass_time_at_once(rig, 3, step=0.25)
        first = rig.x.of(Call.CREATORS)
        assert sorted(each for asked in first for each in asked.subjects) == sorted(creators)
        assert [len(asked.subjects) for asked in first] == [100, 100, 50]
        assert (await rig.counts())["space.started"] == 250
        await pass_time_at_once(rig, 120, step=0.25)
        asked = rig.x.of(Call.CREATORS)
    assert {each.status for each in asked} == {200}
    assert min(later.at - sooner.at for sooner, later in pairwise(asked)) >= 1
    # Three requests cover all of them, so there are three per minute, or six if some are early.
    assert 9 <= len(asked) <= 12
    by_creator = Counter(creator for each in asked for creator in each.subjects)
    assert set(by_creator) == set(creators)
    assert 2 <= min(by_creator.values()) <= max(by_creator.values()) <= 5


async def test_people_are_requested_only_while_an_endpoint_needs_them(redis_url: str) -> None:
    async with open_rig(redis_url, "spaces:\n" + spaces(["S1"], LIVE)) as rig:
        await rig.watch(WatchKind.SPACE, "S1")
        await rig.watch(WatchKind.CREATOR, "1")
        await rig.watch(WatchKind.SEARCH, "news")
        for path, payload, people in (
            (None, None, True),  # without subscribers events are polled, and shown in full
            ("/thin", PayloadForm.THIN, False),
            ("/full", PayloadForm.FULL, True),
        ):
            if path is not None and payload is not None:
                await rig.endpoint(path, payload)
            rig.x.requests.clear()
            await rig.pass_time(60, step=5)
            assert {(asked.call, asked.people) for asked in rig.x.requests} == {
                (Call.LOOKUP, people),
                (Call.CREATORS, people),
                (Call.SEARCH, people),
            }
