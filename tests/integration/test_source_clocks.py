"""Rate windows on X's clock: how often X refuses, and how long requests pause."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import pairwise

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from notifier.core.model.observation import Call, Question
from notifier.core.model.poll import Cadence, Urgency
from notifier.core.model.problems import FailureKind
from notifier.core.polling.buckets import WINDOW_SECONDS
from notifier.core.polling.outages import respond
from notifier.source import XClient, origin_of
from notifier.store import Database, connect
from notifier.store.budget import SharedBudget
from tests.support.api_runtime import Clock
from tests.support.local_refusals import LocalRefusals

NOW = 1_700_000_000.0
LOOKUP = Question(Call.LOOKUP, ("A",))
DAY = 24 * 3600.0


@pytest.fixture
async def database(redis_url: str) -> AsyncIterator[Database]:
    database = Database(connect(redis_url))
    yield database
    await database.close()


@dataclass
class CountingX:
    """Counts requests in windows on its own clock, and refuses those beyond the limit.

    Attributes:
        ours: The clock of the client.
        ahead: By how many seconds X's clock is ahead of it.
        dated: Whether its answers have a ``Date`` header.
        others: How many requests other clients have made in each window.
        day: The remaining requests of the 24-hour window, if there is one.
    """

    ours: Clock
    ahead: float = 0.0
    dated: bool = True
    limit: int = 300
    others: int = 0
    day: int | None = None
    reset: float = 0.0
    used: int = 0
    statuses: list[int] = field(default_factory=list)
    asked_at: list[float] = field(default_factory=list)

    @property
    def now(self) -> float:
        return self.ours() + self.ahead

    async def answer(self, _request: web.Request) -> web.Response:
        if self.now >= self.reset:
            self.reset, self.used = float(int(self.now + WINDOW_SECONDS) + 1), self.others
        is_granted = self.used < self.limit and self.day != 0
        self.used += is_granted
        if self.day:
            self.day -= 1
        self.statuses.append(200 if is_granted else 429)
        self.asked_at.append(self.ours())
        return web.json_response(
            {"data": []} if is_granted else {"title": "Too Many Requests"},
            status=self.statuses[-1],
            headers=self.headers(),
        )

    def headers(self) -> dict[str, str]:
        stamped = format_datetime(datetime.fromtimestamp(self.now, UTC), usegmt=True)
        values = {
            "x-rate-limit-limit": str(self.limit),
            "x-rate-limit-remaining": str(self.limit - self.used),
            "x-rate-limit-reset": str(int(self.reset)),
            "Date": stamped if self.dated else "some day",
        }
        if self.day is not None:
            values |= {
                "x-app-limit-24hour-limit": "1000",
                "x-app-limit-24hour-remaining": str(self.day),
                "x-app-limit-24hour-reset": str(int(NOW + self.ahead + DAY)),
            }
        return values


@asynccontextmanager
async def served(x_of: CountingX) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/2/spaces", x_of.answer)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


async def keep_asking(x_of: CountingX, database: Database, *, seconds: float) -> None:
    """Send requests as often as the budget and X allow, at least a second apart; wait after failures."""
    clock = x_of.ours
    async with served(x_of) as url:
        budget = SharedBudget(database, origin_of(url, "token"))
        async with XClient(url, "token", budget, LocalRefusals(), clock=clock) as x:
            until, refusals = clock.now + seconds, 0
            while clock.now < until:
                observation = await x.ask(LOOKUP, urgency=Urgency.URGENT)
                clock.now += 1
                failure = observation.failure
                refusals = refusals + 1 if failure and failure.kind is not FailureKind.HELD_BACK else 0
                if failure is not None:
                    chosen = respond(failure, now=clock.now, cadence=Cadence(), refusals=max(refusals, 1))
                    clock.now = max(clock.now, chosen.ask_again_at)


@pytest.mark.parametrize("ahead", [-3600.0, -300.0, 0.0, 300.0, 3600.0])
async def test_with_any_clock_difference_windows_are_neither_exceeded_nor_unused(
    database: Database, ahead: float
) -> None:
    x_of = CountingX(Clock(NOW), ahead=ahead, limit=60)
    await keep_asking(x_of, database, seconds=3 * WINDOW_SECONDS)
    assert x_of.statuses.count(429) == 0
    assert len(x_of.statuses) >= 3 * 54 - 9
    assert max(later - sooner for sooner, later in pairwise(x_of.asked_at)) <= 90


@pytest.mark.parametrize("ahead", [-300.0, 300.0])
async def test_a_window_used_up_by_others_costs_only_a_few_refusals(database: Database, ahead: float) -> None:
    x_of = CountingX(Clock(NOW), ahead=ahead, limit=60, others=60)
    await keep_asking(x_of, database, seconds=2 * WINDOW_SECONDS)
    assert set(x_of.statuses) == {429}
    assert len(x_of.statuses) <= 4


async def test_without_a_date_header_refusals_become_rarer(
    database: Database,
) -> None:
    x_of = CountingX(Clock(NOW), ahead=-300.0, dated=False, limit=60, others=60)
    await keep_asking(x_of, database, seconds=WINDOW_SECONDS)
    assert len(x_of.statuses) <= 15


async def test_a_429_with_requests_left_is_retried_less_and_less_often(database: Database) -> None:
    x_of = CountingX(Clock(NOW))

    async def refuse(_request: web.Request) -> web.Response:
        x_of.asked_at.append(x_of.ours())
        x_of.reset, x_of.used = float(int(NOW + 600)), 10
        return web.json_response({"title": "Too Many Requests"}, status=429, headers=x_of.headers())

    x_of.answer = refuse  # type: ignore[method-assign]
    await keep_asking(x_of, database, seconds=300)
    gaps = [round(later - sooner) for sooner, later in pairwise(x_of.asked_at)]
    assert gaps == [2, 3, 5, 9, 17, 33, 61, 61, 61]


async def test_a_used_up_24_hour_window_is_tried_once(database: Database) -> None:
    x_of = CountingX(Clock(NOW), day=0)
    async with served(x_of) as url:
        budget = SharedBudget(database, origin_of(url, "token"))
        async with XClient(url, "token", budget, LocalRefusals(), clock=x_of.ours) as x:
            failure = (await x.ask(LOOKUP)).failure
            assert failure is not None
            assert (failure.kind, failure.retry_at) == (FailureKind.RATE_LIMITED, NOW + DAY)
            for hours in (0, 12, 23.9):
                x_of.ours.now = NOW + hours * 3600
                held = (await x.ask(LOOKUP, urgency=Urgency.URGENT)).failure
                assert held is not None
                assert held.kind is FailureKind.HELD_BACK
            x_of.ours.now, x_of.day = NOW + DAY + 1, 1000
            assert (await x.ask(LOOKUP)).failure is None
    assert x_of.statuses == [429, 200]


async def test_a_new_token_ignores_the_windows_of_the_old_one(database: Database) -> None:
    x_of = CountingX(Clock(NOW), day=0)
    async with served(x_of) as url:
        clients = [
            XClient(
                url, token, SharedBudget(database, origin_of(url, token)), LocalRefusals(), clock=x_of.ours
            )
            for token in ("old", "new")
        ]
        async with clients[0] as old, clients[1] as new:
            await old.ask(LOOKUP)
            held = (await old.ask(LOOKUP)).failure
            assert held is not None
            assert held.kind is FailureKind.HELD_BACK
            x_of.day = None
            assert (await new.ask(LOOKUP)).failure is None
            described = await SharedBudget(database).describe(now=NOW)
    assert old.origin != new.origin
    assert described.origin == new.origin, "who only reads the record sees what is there"
    assert described.of(Call.LOOKUP).remaining == 299
    assert described.closed_until == {}


def test_an_origin_is_a_short_fingerprint_that_shows_neither_url_nor_token() -> None:
    origins = {origin_of(url, token) for url in ("https://a", "https://b") for token in ("one", "two")}
    assert len(origins) == 4
    assert all(len(each) == 16 and int(each, 16) >= 0 for each in origins)
    assert origin_of("https://a", "one") in origins
