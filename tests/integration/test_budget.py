"""Whatever X shows, a UTC day costs no more than the budget and one Space with its people."""

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
from tests.support.steered import NOON, Asked, Steered, steered

pytestmark = pytest.mark.no_cover

TODAY = int(NOON // DAY_SECONDS)
MIDNIGHT = NOON + DAY_SECONDS / 2


@asynccontextmanager
async def budgeted(
    redis_url: str, budget: float | None, **settings: Any
) -> AsyncIterator[tuple[Steered, BillingX]]:
    """Put workers in front of an X that bills; at the end no day has cost more than it may."""
    x = BillingX()
    async with steered(redis_url, "spaces: []", daily_budget_usd=budget, **settings) as it:
        it.x.instead = x.instead
        yield it, x
    if budget is not None:
        for day in x.billed:
            assert x.cost(day) <= budget * 1000 + x.dearest()


def full_house(x: BillingX, count: int, *, each_of: int = 1, speakers: int = 20) -> None:
    """Let so many creators open Spaces."""
    for creator in range(1, count + 1):
        for _ in range(each_of):
            x.announce(str(creator), speakers, guests=2)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_search_that_would_show_a_hundred_spaces_shows_fewer(redis_url: str, workers: int) -> None:
    async with budgeted(redis_url, 1, workers=workers) as (it, x):
        full_house(x, 100)
        await it.watch(WatchKind.SEARCH, "news")
        await it.pass_time(600, step=20)
        assert x.cost(TODAY) <= 1000
        assert it.x.of(Call.SEARCH)[0].query["max_results"] == "60"
        assert all(not asked.people for asked in it.x.of(Call.SEARCH))


async def test_creators_with_several_spaces_each_are_asked_about_a_few_at_a_time(redis_url: str) -> None:
    async with budgeted(redis_url, 1, workers=2) as (it, x):
        full_house(x, 60, each_of=5)
        await it.watch(WatchKind.CREATOR, *(str(each) for each in range(1, 61)))
        await it.pass_time(600, step=20)
        assert 850 <= x.cost(TODAY) <= 1000, "the money is used, and no more"


async def test_lookups_of_unknown_spaces_are_cut_to_what_is_left(redis_url: str) -> None:
    async with budgeted(redis_url, 1) as (it, x):
        full_house(x, 100, speakers=2)
        await it.watch(WatchKind.SPACE, *x.spaces)
        await it.poll()
        assert 950 <= x.cost(TODAY) <= 1000
        asked = {space_id for asked in it.x.asked for space_id in asked.subjects}
        await it.pass_time(60, step=30)
        assert {each for asked in it.x.asked for each in asked.subjects} == asked, "and stay so"
        assert len(it.x.of(Call.LOOKUP)) >= 3, "while what is paid for is polled as ever"


async def test_names_are_resolved_as_far_as_the_money_goes_and_the_others_the_next_day(
    redis_url: str,
) -> None:
    async with budgeted(redis_url, 0.5, at=MIDNIGHT - 7200) as (it, x):
        await it.watch(WatchKind.CREATOR, *(f"@n{each}" for each in range(1, 81)))
        await it.pass_time(1800, step=60)
        assert x.cost(TODAY) == 470, "up to 95 %, in one question"
        assert [len(asked.subjects) for asked in it.x.of(Call.USERS)] == [47]
        await it.pass_time(MIDNIGHT + 60 - it.clock.now, step=60)
        assert [len(asked.subjects) for asked in it.x.of(Call.USERS)] == [47, 33]


async def test_a_budget_below_one_space_buys_nothing(redis_url: str) -> None:
    async with budgeted(redis_url, 0.004) as (it, x):
        full_house(x, 3)
        await it.watch(WatchKind.SPACE, "S0")
        await it.watch(WatchKind.CREATOR, "1", "@n9")
        await it.watch(WatchKind.SEARCH, "news")
        await it.pass_time(120, step=10)
        assert (x.cost(TODAY), it.x.asked) == (0, [])


async def test_people_are_asked_for_while_the_money_reaches_and_news_of_spaces_goes_on_without(
    redis_url: str,
) -> None:
    async with budgeted(redis_url, 1) as (it, x):
        full_house(x, 1, speakers=12)
        await it.watch(WatchKind.SPACE, "S0", "unknown")
        await it.poll()
        assert [asked.people for asked in it.x.asked] == [True, True]
        assert [asked.subjects[0] for asked in it.x.asked] == ["S0", "unknown"]
        tracked = await it.runtime.store.spaces.get("S0")
        assert tracked.known is not None
        assert len(tracked.known.users) == 15
        for _ in range(14):
            x.spaces["S0"].speakers += x.people(6)
            await it.pass_time(30, step=30)
        polls = [asked.people for asked in it.x.asked if "S0" in asked.subjects]
        assert polls == sorted(polls, reverse=True), "with people at first, and from some poll on without"
        assert len(polls) - sum(polls) >= 2
        assert 700 <= x.cost(TODAY) <= 900
        x.spaces["S0"].is_over = True
        await it.pass_time(60, step=30)
        assert (await it.types())[-1] == "space.ended"


async def test_what_only_fills_a_request_is_neither_asked_nor_put_off_for_want_of_money(
    redis_url: str,
) -> None:
    async with budgeted(redis_url, 0.02) as (it, x):
        full_house(x, 1, speakers=0)
        await it.watch(WatchKind.SPACE, "S0")
        await it.poll()
        await it.watch(WatchKind.SPACE, "S1")
        await it.poll()
        assert [asked.subjects for asked in it.x.asked] == [("S0",)], "S1 may cost more than is left"
        await it.pass_time(60, step=10)
        assert [asked.subjects for asked in it.x.asked] == [("S0",)] * 3, "S0 is paid for, and polled as ever"


async def test_the_first_polls_after_midnight_pay_for_everything_again_within_the_new_day(
    redis_url: str,
) -> None:
    async with budgeted(redis_url, 1, at=MIDNIGHT - 3600, workers=2) as (it, x):
        full_house(x, 80, speakers=3)
        await it.watch(WatchKind.CREATOR, *(str(each) for each in range(1, 81)))
        await it.watch(WatchKind.SEARCH, "news")
        await it.pass_time(3500, step=100)
        await it.pass_time(700, step=10)
        assert x.cost(TODAY) <= 1000
        assert 500 <= x.cost(TODAY + 1) <= 1000
        urgent = [asked for asked in it.x.of(Call.LOOKUP) if asked.at > MIDNIGHT + 300]
        assert urgent, "live Spaces are polled while the money lasts"


async def test_an_answer_that_comes_after_midnight_is_paid_from_what_was_held_before(redis_url: str) -> None:
    """Twenty seconds before midnight all is paid for, but the answer may be billed to the new day."""
    async with budgeted(redis_url, 1, at=MIDNIGHT - 600) as (it, x):
        full_house(x, 60, speakers=0)
        await it.watch(WatchKind.SPACE, *x.spaces)
        await it.pass_time(580, step=20)
        assert x.cost(TODAY) == 900
        it.x.asked.clear()

        async def late(asked: Asked) -> web.Response:
            it.clock.now = max(it.clock.now, MIDNIGHT + 1)
            return await x.instead(Asked(asked.call, asked.subjects, asked.query, it.clock.now))

        it.x.instead = late
        await it.runtime.store.polls.add(Call.LOOKUP, list(x.spaces), at=it.clock.now)
        await it.poll()
        (first, *_) = it.x.asked
        assert len(first.subjects) == 6, "today has no more left"
        assert x.cost(TODAY + 1) >= 90


async def test_a_worker_that_dies_while_it_holds_money_holds_it_for_half_a_minute(redis_url: str) -> None:
    async with budgeted(redis_url, 0.1) as (it, x):
        full_house(x, 1)
        spending = it.runtime.store.spending
        assert (await spending.hold(100, limit=100, now=it.clock.now)).id is not None
        await it.watch(WatchKind.SPACE, "S0")
        await it.pass_time(29, step=1)
        assert it.x.asked == []
        assert (await spending.ledger(now=it.clock.now)).held == 0.1
        await it.pass_time(2, step=1)
        assert [asked.subjects for asked in it.x.asked] == [("S0",)]
        assert (await spending.ledger(now=it.clock.now)).held == 0, "an answer releases what was held for it"


async def test_a_failed_call_costs_nothing_and_releases_what_was_held(redis_url: str) -> None:
    async with budgeted(redis_url, 1) as (it, x):
        full_house(x, 1)
        await it.watch(WatchKind.SPACE, "S0")
        it.x.fail(Call.LOOKUP, 503)
        await it.poll()
        ledger = await it.runtime.store.spending.ledger(now=it.clock.now)
        assert (len(it.x.asked), ledger.spent, ledger.held) == (1, 0, 0)


async def test_without_a_budget_nothing_is_held_and_everything_asked_for(redis_url: str) -> None:
    async with budgeted(redis_url, None) as (it, x):
        full_house(x, 100)
        await it.watch(WatchKind.SEARCH, "news")
        await it.poll()
        assert x.cost(TODAY) == 100 * (5 + 23 * 10)
        assert not await it.runtime.store.database.redis.exists(schema.HELD())


async def test_people_of_spaces_that_are_over_are_asked_for_by_nobody(redis_url: str) -> None:
    async with budgeted(redis_url, None) as (it, x):
        full_house(x, 2, speakers=12)
        await it.watch(WatchKind.SPACE, "S0", "S1")
        await it.pass_time(60, step=10)
        x.spaces["S0"].is_over = True
        await it.pass_time(60, step=10)
        tracked = await it.runtime.store.spaces.get("S0")
        assert tracked.known is not None
        assert tracked.known.phase.is_over
        it.x.asked.clear()
        await it.pass_time(600, step=10)
        over = [asked for asked in it.x.asked if "S0" in asked.subjects]
        assert {asked.query["expansions"] for asked in over} == {"topic_ids"}
        assert {asked.subjects for asked in over} == {("S0",)}
        assert all(asked.people for asked in it.x.asked if "S1" in asked.subjects)
        assert len([asked for asked in it.x.asked if "S1" in asked.subjects]) >= 19, "nobody waits for them"


async def test_where_nobody_reads_people_all_spaces_share_a_question(redis_url: str) -> None:
    async with budgeted(redis_url, None) as (it, x):
        await it.endpoint("/thin", PayloadForm.THIN)
        full_house(x, 2)
        x.spaces["S0"].is_over = True
        await it.watch(WatchKind.SPACE, "S0", "S1")
        await it.poll()
        await it.pass_time(60, step=10)
        assert {"S0", "S1"} in [set(asked.subjects) for asked in it.x.asked]


@pytest.mark.parametrize(
    ("event_types", "guests"),
    [(("space.started",), False), (("space.started", "space.updated"), True), (("space.*",), True)],
)
async def test_guests_are_asked_for_only_where_news_of_them_is_wanted_and_then_shown(
    redis_url: str, event_types: tuple[str, ...], guests: bool
) -> None:
    async with budgeted(redis_url, None) as (it, x):
        await it.endpoint("/full", PayloadForm.FULL, event_types)
        gathering = x.announce("1", 1, 1)
        await it.watch(WatchKind.SPACE, "S0")
        await it.poll()
        tracked = await it.runtime.store.spaces.get("S0")
        assert tracked.known is not None
        assert [*tracked.known.users] == ["1", *gathering.speakers, *(gathering.guests if guests else ())]


@pytest.mark.parametrize("seed", range(2))
async def test_at_any_hour_of_any_two_days_the_budget_holds(redis_url: str, seed: int) -> None:
    """Spaces are announced, people come and go, and two workers ask by every call."""
    chance = random.Random(seed)  # noqa: S311 - the same history every time
    budget = chance.choice((0.3, 1, 4))
    async with budgeted(redis_url, budget, at=MIDNIGHT - 3600, workers=2) as (it, x):
        await it.watch(WatchKind.CREATOR, *(str(each) for each in range(1, 31)), "@n1", "@n2")
        await it.watch(WatchKind.SEARCH, "news", "more")
        for _ in range(18):
            for _ in range(chance.randrange(6)):
                x.announce(str(chance.randrange(1, 60)), chance.randrange(20), chance.randrange(2))
            for gathering in x.spaces.values():
                gathering.speakers += x.people(chance.randrange(6))
                gathering.is_over = gathering.is_over or chance.random() < 0.02
            await it.pass_time(300, step=60)
            assert all(x.cost(day) <= budget * 1000 + x.dearest() for day in x.billed)
        assert x.cost(TODAY + 1) > 0.3 * budget * 1000, "and the money is used"
