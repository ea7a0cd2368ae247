"""Whatever X returns, a UTC day costs at most the budget plus one Space with its people."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from notifier.core.events.event import PayloadForm
from notifier.core.model.observation import Call
from notifier.core.model.watch import WatchKind
from notifier.core.polling.spending import DAY_SECONDS
from notifier.store import schema
from tests.support.billing_x import BillingX
from tests.support.rig import NOON, Rig, XRequest, open_rig

pytestmark = pytest.mark.no_cover

TODAY = int(NOON // DAY_SECONDS)
MIDNIGHT = NOON + DAY_SECONDS / 2


@asynccontextmanager
async def budgeted(
    redis_url: str, budget: float | None, **settings: Any
) -> AsyncIterator[tuple[Rig, BillingX]]:
    """Open a rig with an X that bills; check at the end that no day exceeded the budget."""
    x = BillingX()
    async with open_rig(redis_url, "spaces: []", daily_budget_usd=budget, **settings) as rig:
        rig.x.override = x.override
        yield rig, x
    if budget is not None:
        for day in x.billed:
            assert x.cost(day) <= budget * 1000 + x.highest_price()


def full_house(x: BillingX, count: int, *, each_of: int = 1, speakers: int = 20) -> None:
    """Open Spaces by ``count`` creators."""
    for creator in range(1, count + 1):
        for _ in range(each_of):
            x.open_space(str(creator), speakers, guests=2)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_search_that_would_show_a_hundred_spaces_shows_fewer(redis_url: str, workers: int) -> None:
    async with budgeted(redis_url, 1, workers=workers) as (rig, x):
        full_house(x, 100)
        await rig.watch(WatchKind.SEARCH, "news")
        await rig.pass_time(600, step=20)
        assert x.cost(TODAY) <= 1000
        assert rig.x.of(Call.SEARCH)[0].query["max_results"] == "60"
        assert all(not asked.people for asked in rig.x.of(Call.SEARCH))


async def test_creators_with_several_spaces_each_are_asked_about_a_few_at_a_time(redis_url: str) -> None:
    async with budgeted(redis_url, 1, workers=2) as (rig, x):
        full_house(x, 60, each_of=5)
        await rig.watch(WatchKind.CREATOR, *(str(each) for each in range(1, 61)))
        await rig.pass_time(600, step=20)
        assert 850 <= x.cost(TODAY) <= 1000, "the money is used, and no more"


async def test_lookups_of_unknown_spaces_are_cut_to_what_is_left(redis_url: str) -> None:
    async with budgeted(redis_url, 1) as (rig, x):
        full_house(x, 100, speakers=2)
        await rig.watch(WatchKind.SPACE, *x.spaces)
        await rig.poll()
        assert 950 <= x.cost(TODAY) <= 1000
        asked = {space_id for asked in rig.x.requests for space_id in asked.subjects}
        await rig.pass_time(60, step=30)
        assert {each for asked in rig.x.requests for each in asked.subjects} == asked, "and stay so"
        assert len(rig.x.of(Call.LOOKUP)) >= 3, "while what is paid for is polled as ever"


async def test_names_are_resolved_within_the_budget_and_the_others_the_next_day(
    redis_url: str,
) -> None:
    async with budgeted(redis_url, 0.5, at=MIDNIGHT - 7200) as (rig, x):
        await rig.watch(WatchKind.CREATOR, *(f"@n{each}" for each in range(1, 81)))
        await rig.pass_time(1800, step=60)
        assert x.cost(TODAY) == 470, "up to 95 %, in one question"
        assert [len(asked.subjects) for asked in rig.x.of(Call.USERS)] == [47]
        await rig.pass_time(MIDNIGHT + 60 - rig.clock.now, step=60)
        assert [len(asked.subjects) for asked in rig.x.of(Call.USERS)] == [47, 33]


async def test_a_budget_below_one_space_buys_nothing(redis_url: str) -> None:
    async with budgeted(redis_url, 0.004) as (rig, x):
        full_house(x, 3)
        await rig.watch(WatchKind.SPACE, "S0")
        await rig.watch(WatchKind.CREATOR, "1", "@n9")
        await rig.watch(WatchKind.SEARCH, "news")
        await rig.pass_time(120, step=10)
        assert (x.cost(TODAY), rig.x.requests) == (0, [])


async def test_people_are_requested_within_the_budget_and_spaces_are_polled_without_them_after_that(
    redis_url: str,
) -> None:
    async with budgeted(redis_url, 1) as (rig, x):
        full_house(x, 1, speakers=12)
        await rig.watch(WatchKind.SPACE, "S0", "unknown")
        await rig.poll()
        assert [asked.people for asked in rig.x.requests] == [True, True]
        assert [asked.subjects[0] for asked in rig.x.requests] == ["S0", "unknown"]
        tracked = await rig.runtime.store.spaces.get("S0")
        assert tracked.known is not None
        assert len(tracked.known.users) == 15
        for _ in range(14):
            x.spaces["S0"].speakers += x.people(6)
            await rig.pass_time(30, step=30)
        polls = [asked.people for asked in rig.x.requests if "S0" in asked.subjects]
        assert polls == sorted(polls, reverse=True), "with people at first, and from some poll on without"
        assert len(polls) - sum(polls) >= 2
        assert 700 <= x.cost(TODAY) <= 900
        x.spaces["S0"].is_over = True
        await rig.pass_time(60, step=30)
        assert (await rig.types())[-1] == "space.ended"


async def test_polls_that_only_fill_a_request_are_not_postponed_for_the_budget(
    redis_url: str,
) -> None:
    async with budgeted(redis_url, 0.02) as (rig, x):
        full_house(x, 1, speakers=0)
        await rig.watch(WatchKind.SPACE, "S0")
        await rig.poll()
        await rig.watch(WatchKind.SPACE, "S1")
        await rig.poll()
        assert [asked.subjects for asked in rig.x.requests] == [("S0",)], "S1 may cost more than is left"
        await rig.pass_time(60, step=10)
        assert [asked.subjects for asked in rig.x.requests] == [("S0",)] * 3, (
            "S0 is paid for, and polled as ever"
        )


async def test_the_first_polls_after_midnight_pay_for_everything_again_within_the_new_day(
    redis_url: str,
) -> None:
    async with budgeted(redis_url, 1, at=MIDNIGHT - 3600, workers=2) as (rig, x):
        full_house(x, 80, speakers=3)
        await rig.watch(WatchKind.CREATOR, *(str(each) for each in range(1, 81)))
        await rig.watch(WatchKind.SEARCH, "news")
        await rig.pass_time(3500, step=100)
        await rig.pass_time(700, step=10)
        assert x.cost(TODAY) <= 1000
        assert 500 <= x.cost(TODAY + 1) <= 1000
        urgent = [asked for asked in rig.x.of(Call.LOOKUP) if asked.at > MIDNIGHT + 300]
        assert urgent, "live Spaces are polled while the money lasts"


async def test_an_answer_after_midnight_is_paid_from_the_hold_before_it(redis_url: str) -> None:
    """Twenty seconds before midnight everything is billed, but the answer may count for the new day."""
    async with budgeted(redis_url, 1, at=MIDNIGHT - 600) as (rig, x):
        full_house(x, 60, speakers=0)
        await rig.watch(WatchKind.SPACE, *x.spaces)
        await rig.pass_time(580, step=20)
        assert x.cost(TODAY) == 900
        rig.x.requests.clear()

        async def late(asked: XRequest) -> web.Response:
            rig.clock.now = max(rig.clock.now, MIDNIGHT + 1)
            return await x.override(XRequest(asked.call, asked.subjects, asked.query, rig.clock.now))

        rig.x.override = late
        await rig.runtime.store.polls.add(Call.LOOKUP, list(x.spaces), at=rig.clock.now)
        await rig.poll()
        (first, *_) = rig.x.requests
        assert len(first.subjects) == 6, "today has no more left"
        assert x.cost(TODAY + 1) >= 90


async def test_the_hold_of_a_dead_worker_expires_after_half_a_minute(redis_url: str) -> None:
    async with budgeted(redis_url, 0.1) as (rig, x):
        full_house(x, 1)
        spending = rig.runtime.store.spending
        assert (await spending.hold(100, limit=100, now=rig.clock.now)).id is not None
        await rig.watch(WatchKind.SPACE, "S0")
        await rig.pass_time(29, step=1)
        assert rig.x.requests == []
        assert (await spending.ledger(now=rig.clock.now)).held == 0.1
        await rig.pass_time(2, step=1)
        assert [asked.subjects for asked in rig.x.requests] == [("S0",)]
        assert (await spending.ledger(now=rig.clock.now)).held == 0, "an answer releases what was held for it"


async def test_a_failed_call_costs_nothing_and_releases_its_hold(redis_url: str) -> None:
    async with budgeted(redis_url, 1) as (rig, x):
        full_house(x, 1)
        await rig.watch(WatchKind.SPACE, "S0")
        rig.x.fail(Call.LOOKUP, 503)
        await rig.poll()
        ledger = await rig.runtime.store.spending.ledger(now=rig.clock.now)
        assert (len(rig.x.requests), ledger.spent, ledger.held) == (1, 0, 0)


async def test_without_a_budget_nothing_is_held_and_everything_is_requested(redis_url: str) -> None:
    async with budgeted(redis_url, None) as (rig, x):
        full_house(x, 100)
        await rig.watch(WatchKind.SEARCH, "news")
        await rig.poll()
        assert x.cost(TODAY) == 100 * (5 + 23 * 10)
        assert not await rig.runtime.store.database.redis.exists(schema.HELD())


async def test_people_of_spaces_that_are_over_are_not_requested(redis_url: str) -> None:
    async with budgeted(redis_url, None) as (rig, x):
        full_house(x, 2, speakers=12)
        await rig.watch(WatchKind.SPACE, "S0", "S1")
        await rig.pass_time(60, step=10)
        x.spaces["S0"].is_over = True
        await rig.pass_time(60, step=10)
        tracked = await rig.runtime.store.spaces.get("S0")
        assert tracked.known is not None
        assert tracked.known.phase.is_over
        rig.x.requests.clear()
        await rig.pass_time(600, step=10)
        over = [asked for asked in rig.x.requests if "S0" in asked.subjects]
        assert {asked.query["expansions"] for asked in over} == {"topic_ids"}
        assert {asked.subjects for asked in over} == {("S0",)}
        assert all(asked.people for asked in rig.x.requests if "S1" in asked.subjects)
        assert len([asked for asked in rig.x.requests if "S1" in asked.subjects]) >= 19, (
            "nobody waits for them"
        )


async def test_without_subscribers_to_people_all_spaces_share_a_request(redis_url: str) -> None:
    async with budgeted(redis_url, None) as (rig, x):
        await rig.endpoint("/thin", PayloadForm.THIN)
        full_house(x, 2)
        x.spaces["S0"].is_over = True
        await rig.watch(WatchKind.SPACE, "S0", "S1")
        await rig.poll()
        await rig.pass_time(60, step=10)
        assert {"S0", "S1"} in [set(asked.subjects) for asked in rig.x.requests]


@pytest.mark.parametrize(
    ("event_types", "guests"),
    [(("space.started",), False), (("space.started", "space.updated"), True), (("space.*",), True)],
)
async def test_guests_are_requested_only_for_subscribers_and_then_shown(
    redis_url: str, event_types: tuple[str, ...], guests: bool
) -> None:
    async with budgeted(redis_url, None) as (rig, x):
        await rig.endpoint("/full", PayloadForm.FULL, event_types)
        billed_space = x.open_space("1", 1, 1)
        await rig.watch(WatchKind.SPACE, "S0")
        await rig.poll()
        tracked = await rig.runtime.store.spaces.get("S0")
        assert tracked.known is not None
        assert [*tracked.known.users] == [
            "1",
            *billed_space.speakers,
            *(billed_space.guests if guests else ()),
        ]


@pytest.mark.parametrize("seed", range(2))
async def test_at_any_hour_of_any_two_days_the_budget_holds(redis_url: str, seed: int) -> None:
    """Spaces are opened, people join and leave, and two workers use every call."""
    chance = random.Random(seed)  # noqa: S311 - the same history every time
    budget = chance.choice((0.3, 1, 4))
    async with budgeted(redis_url, budget, at=MIDNIGHT - 3600, workers=2) as (rig, x):
        await rig.watch(WatchKind.CREATOR, *(str(each) for each in range(1, 31)), "@n1", "@n2")
        await rig.watch(WatchKind.SEARCH, "news", "more")
        for _ in range(18):
            for _ in range(chance.randrange(6)):
                x.open_space(str(chance.randrange(1, 60)), chance.randrange(20), chance.randrange(2))
            for billed_space in x.spaces.values():
                billed_space.speakers += x.people(chance.randrange(6))
                billed_space.is_over = billed_space.is_over or chance.random() < 0.02
            await rig.pass_time(300, step=60)
            assert all(x.cost(day) <= budget * 1000 + x.highest_price() for day in x.billed)
        assert x.cost(TODAY + 1) > 0.3 * budget * 1000, "and the money is used"
