"""What X bills for a day of polling, and what is skipped when the budget runs out."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest

from notifier.core.model.observation import Call
from notifier.core.model.poll import NextPoll, Urgency
from notifier.core.model.watch import WatchKind
from notifier.simulator.app import STATUS_PATH
from tests.support.admin_api import Serve
from tests.support.rig import NOON, Rig, open_rig, spaces

pytestmark = [pytest.mark.server, pytest.mark.no_cover]

DAY = 86_400.0
MIDNIGHT = NOON + DAY / 2
LIVE = "{at: 0s, set: {state: live, title: news, started_at: -60s, speaker_ids: [7]}}"
WITH_SEVEN = "users: [{id: 7, name: Seven, username: seven}]\nspaces:\n"


async def cost(rig: Rig) -> float:
    """Return the stand-in's bill over all days."""
    x = rig.workers[0].x
    assert x is not None
    session: Any = x._session  # noqa: SLF001 - the test's only connection to the stand-in
    async with session.get(rig.runtime.settings.x_api_url + STATUS_PATH) as answer:
        usd: float = (await answer.json())["cost"]["usd"]
    return usd


async def announced_cost(rig: Rig, serve: Serve) -> float:
    """Return X's bill according to /metrics."""
    client = await serve(rig.runtime)
    text = await (await client.get("/metrics")).text()
    found = re.search(r"^notifier_x_cost_usd_total (\S+)$", text, re.MULTILINE)
    assert found is not None
    return round(float(found[1]), 6)


async def test_each_resource_is_billed_once_per_utc_day(redis_url: str, serve: Serve) -> None:
    scenario = WITH_SEVEN + spaces(["S1", "S2", "S3"], LIVE)
    async with open_rig(redis_url, scenario, at=MIDNIGHT - 1800, workers=2) as rig:
        await rig.watch(WatchKind.SPACE, "S1", "S2", "S3")
        await rig.watch(WatchKind.CREATOR, "1", "@seven")
        await rig.watch(WatchKind.SEARCH, "news")
        await rig.pass_time(1780, step=20)
        today = await rig.runtime.store.spending.ledger(now=rig.clock.now)
        assert (today.space_reads, today.user_reads, today.spent) == (3, 1, 0.025)
        assert await announced_cost(rig, serve) == await cost(rig) == 0.025
        await rig.pass_time(60, step=10)  # over midnight
        tomorrow = await rig.runtime.store.spending.ledger(now=rig.clock.now)
        assert (tomorrow.space_reads, tomorrow.user_reads, tomorrow.spent) == (3, 1, 0.025)
        assert sum(tomorrow.yesterday) == pytest.approx(0.025)
        assert await announced_cost(rig, serve) == await cost(rig) == 0.05


async def test_expanded_people_are_free_if_the_setting_says_so(redis_url: str, serve: Serve) -> None:
    scenario = WITH_SEVEN + spaces(["S1"], LIVE)
    async with open_rig(redis_url, scenario, x_expanded_users_billed=False) as rig:
        await rig.watch(WatchKind.SPACE, "S1")
        await rig.poll()
        assert await announced_cost(rig, serve) == 0.005
        await rig.watch(WatchKind.CREATOR, "@seven")
        await rig.poll()
        assert await announced_cost(rig, serve) == 0.015, "a user who was asked for by name always costs"


TWELVE = [*range(11, 23)]


async def test_people_of_a_space_cost_once_and_nothing_after_its_end(
    redis_url: str,
) -> None:
    users = ", ".join(f"{{id: {each}, name: N{each}, username: n{each}}}" for each in TWELVE)
    live = f"{{at: 0s, set: {{state: live, title: news, started_at: -60s, speaker_ids: {TWELVE}}}}}"
    ended = "{at: 600s, set: {state: ended, ended_at: +600s}}"
    scenario = f"users: [{users}]\nspaces:\n" + spaces(["S1"], live, ended, creator="11")
    async with open_rig(redis_url, scenario, at=MIDNIGHT - 1800) as rig:
        await rig.watch(WatchKind.SPACE, "S1")
        await rig.pass_time(590, step=30)
        assert await cost(rig) == 0.125, "twelve people and a Space, however often it is polled"
        await rig.pass_time(120, step=30)
        assert await rig.counts() == {"space.started": 1, "space.ended": 1}
        polls = len(rig.x.requests)
        await rig.pass_time(DAY + 1800, step=1800)
        assert len(rig.x.requests) - polls == 1, "once more, a day after its end"
        assert await cost(rig) == 0.13, "for which the Space alone is paid again"


def discovered(rig: Rig, since: float) -> list[float]:
    """Return when creators were polled after a time, in seconds from it."""
    return [asked.at - since for asked in rig.x.of(Call.CREATORS) if asked.at > since]


async def test_discovery_slows_stops_and_returns_the_next_day_while_live_spaces_continue(
    redis_url: str,
) -> None:
    """Ten Spaces, then two more every half hour: forty until midnight, with a budget for 24."""
    hourly = [f"{{at: {minutes}m, set: {{state: live, title: more}}}}" for minutes in range(70, 360, 30)]
    scenario = "spaces:\n" + spaces([f"A{number}" for number in range(10)], LIVE, creator="1")
    for number, entry in enumerate(hourly):
        scenario += spaces([f"B{number}", f"C{number}"], entry, creator="1")
    start = MIDNIGHT - 6 * 3600
    usual: dict[str, Any] = {
        "poll_discovery_seconds": 240,
        "poll_live_seconds": 240,
        "x_expanded_users_billed": False,
    }
    async with open_rig(redis_url, scenario, at=start, daily_budget_usd=0.12, **usual) as rig:
        store = rig.runtime.store
        await rig.watch(WatchKind.CREATOR, "1")
        await rig.pass_time(3600 + 960, step=120)
        assert {later - sooner for sooner, later in pairwise(discovered(rig, start))} == {240}
        await rig.pass_time(5400, step=120)
        slowed = [later - sooner for sooner, later in pairwise(discovered(rig, start))]
        assert 240 < slowed[-1] <= 2400
        await rig.pass_time(start + 5.5 * 3600 - rig.clock.now, step=120)
        stopped_at = rig.clock.now
        before = await store.spending.ledger(now=stopped_at)
        assert 0.9 * 0.12 <= before.spent <= 0.12
        await rig.pass_time(MIDNIGHT - 60 - stopped_at, step=120)
        assert discovered(rig, stopped_at) == []
        lookups = [asked for asked in rig.x.of(Call.LOOKUP) if asked.at > stopped_at]
        assert len(lookups) >= 6, "what was paid for today is polled as ever"
        assert all(len(asked.subjects) == before.space_reads for asked in lookups)
        assert await store.spending.ledger(now=rig.clock.now) == before
        await rig.pass_time(1800, step=60)
        (first, *_) = discovered(rig, stopped_at)
        assert 0 <= stopped_at + first - MIDNIGHT <= 60
        assert (await store.spending.ledger(now=rig.clock.now)).space_reads > before.space_reads


async def test_the_answer_that_uses_up_the_budget_stops_discovery_until_midnight(
    redis_url: str,
) -> None:
    scenario = "spaces:\n" + spaces([f"A{number}" for number in range(20)], LIVE, creator="1")
    usual: dict[str, Any] = {"poll_live_seconds": 7200, "x_expanded_users_billed": False}
    async with open_rig(redis_url, scenario, at=MIDNIGHT - 3600, daily_budget_usd=0.1, **usual) as rig:
        await rig.watch(WatchKind.CREATOR, "1")
        await rig.pass_time(3599, step=60)
        assert len(rig.x.of(Call.CREATORS)) == 1
        await rig.pass_time(121, step=10)
        assert len(rig.x.of(Call.CREATORS)) >= 2


async def test_due_discovery_waits_when_lookups_have_spent_the_budget(redis_url: str) -> None:
    scenario = "spaces:\n" + spaces(["A", "B"], LIVE)
    async with open_rig(redis_url, scenario, at=MIDNIGHT - 1800, daily_budget_usd=0.5) as rig:
        await rig.watch(WatchKind.CREATOR, "1")
        await rig.watch(WatchKind.SEARCH, "news")
        await spend(rig, 90)
        await rig.pass_time(1799, step=60)
        assert rig.x.requests == []
        await rig.pass_time(3)  # while one question holds the whole rest, the other waits a second
        assert {asked.call for asked in rig.x.requests} >= {Call.CREATORS, Call.SEARCH}


async def due(rig: Rig, urgency: Urgency, ids: list[str]) -> None:
    polls, now = rig.runtime.store.polls, rig.clock.now
    await polls.add(Call.LOOKUP, ids, at=now)
    await polls.schedule(Call.LOOKUP, dict.fromkeys(ids, NextPoll(now, urgency)))


async def spend(rig: Rig, spaces_read: int) -> None:
    await rig.runtime.store.spending.bill([f"x{each}" for each in range(spaces_read)], [], now=rig.clock.now)


async def test_urgent_and_patient_polls_share_the_remaining_budget(redis_url: str) -> None:
    urgent, patient = [f"U{number}" for number in range(30)], [f"P{number}" for number in range(30)]
    scenario = "spaces:\n" + spaces([*urgent, *patient], LIVE)
    async with open_rig(redis_url, scenario, daily_budget_usd=0.5, x_expanded_users_billed=False) as rig:
        await rig.watch(WatchKind.SPACE, *urgent, *patient)
        await due(rig, Urgency.URGENT, urgent)
        await due(rig, Urgency.PATIENT, patient)
        await spend(rig, 60)  # 40 are left, 35 for the patient
        await rig.poll()
        asked = [each for asked in rig.x.requests for each in asked.subjects]
        assert set(urgent) <= set(asked), "what is urgent comes first"
        ledger = await rig.runtime.store.spending.ledger(now=rig.clock.now)
        assert 0.45 <= ledger.spent <= 0.5


@pytest.mark.parametrize(("spent", "asked"), [(93, {"U", "P"}), (94, {"U"}), (99, {"U"}), (100, set[str]())])
async def test_patient_polls_are_skipped_before_live_ones(
    redis_url: str, spent: int, asked: set[str]
) -> None:
    scenario = "spaces:\n" + spaces(["U", "P"], LIVE)
    async with open_rig(redis_url, scenario, daily_budget_usd=0.5, x_expanded_users_billed=False) as rig:
        await rig.watch(WatchKind.SPACE, "U", "P")
        await due(rig, Urgency.URGENT, ["U"])
        await due(rig, Urgency.PATIENT, ["P"])
        await spend(rig, spent)
        await rig.pass_time(3600, step=120)
        assert {each for asked in rig.x.requests for each in asked.subjects} == asked
        # Polls beyond today's budget are made tomorrow.
        await rig.pass_time(MIDNIGHT + 700 - rig.clock.now, step=700)
        assert {each for asked in rig.x.requests for each in asked.subjects} == {"U", "P"}


async def test_without_a_budget_nothing_is_skipped(redis_url: str) -> None:
    async with open_rig(redis_url, "spaces:\n" + spaces(["U", "P"], LIVE)) as rig:
        await rig.watch(WatchKind.SPACE, "U", "P")
        await spend(rig, 100_000)
        await rig.poll()
        assert [set(asked.subjects) for asked in rig.x.requests] == [{"U", "P"}]
