"""A subject on which X fails is slowed down alone, and does not degrade the source."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final

import pytest
from aiohttp import web

from notifier.core.model.observation import Call
from notifier.core.model.watch import WatchKind
from tests.support.rig import NOON, Rig, XRequest, open_rig, spaces

pytestmark = pytest.mark.no_cover

LIVE: Final = "{at: 0s, set: {state: live, title: news, started_at: -60s}}"
PEOPLE: Final = "users: [{}]\n".format(
    ", ".join(f"{{id: {number}, name: N, username: user{number}}}" for number in (*range(1, 251), 4242))
)
GOOD: Final = [str(number) for number in range(1, 100)]
BAD: Final = "4242"
PARAMETERS: Final = {Call.LOOKUP: "ids", Call.CREATORS: "user_ids", Call.USERS: "usernames"}
ONE_LIVE: Final = PEOPLE + "spaces:\n" + spaces(["S1"], LIVE)
DISCOVERY: Final = 60
LIVE_SECONDS: Final = 30


def refusal(asked: XRequest, *, names: bool) -> dict[str, Any]:
    problem: dict[str, Any] = {"message": "something is not right"}
    if names:
        problem["parameters"] = {PARAMETERS[asked.call]: [",".join(asked.subjects)]}
    return {"title": "Invalid Request", "errors": [problem]}


BUSY: Final = {"Retry-After": "30"}
ANSWERS: Final[dict[str, Callable[[XRequest], web.Response]]] = {
    "503": lambda _: web.json_response({"title": "Service Unavailable"}, status=503),
    "503 with Retry-After": lambda _: web.json_response({"title": "no"}, status=503, headers=BUSY),
    "500 with HTML": lambda _: web.Response(text="<html>oops</html>", status=500, content_type="text/html"),
    "403": lambda _: web.json_response({"title": "Forbidden", "type": "about:blank"}, status=403),
    "400 without names": lambda asked: web.json_response(refusal(asked, names=False), status=400),
    "400 that names all": lambda asked: web.json_response(refusal(asked, names=True), status=400),
    "200 with an inner error": lambda _: web.json_response(
        {"errors": [{"code": 131, "message": "Internal"}]}
    ),
    "200 that is cut": lambda _: web.Response(text='{"data": [{"id": "', content_type="application/json"),
}
each_answer = pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)


def choke(rig: Rig, call: Call, answer: Callable[[XRequest], web.Response], *bad: str) -> None:
    """Have every request of a call fail that contains one of these subjects."""

    async def override(asked: XRequest) -> web.Response | None:
        return answer(asked) if asked.call is call and set(bad) & set(asked.subjects) else None

    rig.x.override = override


def answered(rig: Rig, call: Call, subject: str, *bad: str) -> list[float]:
    """Return when X answered for a subject without any failing ones, in seconds since noon."""
    return [
        asked.at - NOON
        for asked in rig.x.of(call)
        if subject in asked.subjects and not set(bad) & set(asked.subjects)
    ]


def longest_wait(moments: list[float], until: float) -> float:
    return max(b - a for a, b in zip([0.0, *moments], [*moments, until], strict=True))


@each_answer
async def test_a_failing_creator_delays_no_other_and_degrades_nothing(
    redis_url: str, answer: Callable[[XRequest], web.Response]
) -> None:
    async with open_rig(redis_url, ONE_LIVE) as rig:
        choke(rig, Call.CREATORS, answer, BAD)
        await rig.watch(WatchKind.CREATOR, *GOOD, BAD)
        await rig.pass_time(300)
        assert await rig.announced("source.") == []
        waits = [longest_wait(answered(rig, Call.CREATORS, each, BAD), 300) for each in GOOD]
        assert max(waits) <= 2 * DISCOVERY
        assert (await rig.counts())["space.started"] == 1
        standings = await rig.runtime.store.standings.all(Call.CREATORS)
        assert list(standings) == [BAD]
        assert standings[BAD].reason
        last = [each.subjects for each in rig.x.of(Call.CREATORS) if BAD in each.subjects][-1]
        assert last == (BAD,)
        rig.x.restore()
        await rig.pass_time(90_000, step=3000)
        assert await rig.runtime.store.standings.all(Call.CREATORS) == {}


@each_answer
@pytest.mark.parametrize("failing", ["first", "zlast"])  # where it stands in a question depends on its id
async def test_a_failing_space_delays_no_other_poll(
    redis_url: str, answer: Callable[[XRequest], web.Response], failing: str
) -> None:
    good = [f"g{number}" for number in range(40)]
    async with open_rig(redis_url, "spaces:\n" + spaces([*good, failing], LIVE)) as rig:
        await rig.watch(WatchKind.SPACE, *good, failing)
        await rig.poll()
        choke(rig, Call.LOOKUP, answer, failing)
        await rig.pass_time(300)
        assert await rig.announced("source.") == []
        waits = [longest_wait(answered(rig, Call.LOOKUP, each, failing), 300) for each in good]
        assert max(waits) <= 2 * LIVE_SECONDS
        assert (await rig.counts())["space.ended"] == 0, "nothing follows from failed calls"


async def test_a_failing_name_does_not_keep_others_from_being_resolved(redis_url: str) -> None:
    people = ", ".join(f"{{id: {number}, name: N, username: user{number}}}" for number in range(1, 40))
    async with open_rig(redis_url, f"users: [{people}]\nspaces: []") as rig:
        choke(rig, Call.USERS, ANSWERS["503"], "bad")
        await rig.watch(WatchKind.CREATOR, *(f"@user{number}" for number in range(1, 40)), "@bad")
        await rig.pass_time(60)
        page = await rig.runtime.store.watches.page(limit=250, cursor=None)
        statuses = {watch.target: str(watch.status) for watch in page.items}
        assert statuses.pop("@bad") == "resolving"
        assert set(statuses.values()) == {"active"}
        assert await rig.announced("source.") == []


@pytest.mark.parametrize("number", [2, 3])
async def test_several_failing_subjects_are_all_found(redis_url: str, number: int) -> None:
    bad = [f"{BAD}{each}" for each in range(number)]
    mixed = [each for pair in zip(GOOD[:33], GOOD[33:66], GOOD[66:], strict=True) for each in pair]
    for position, each in enumerate(bad):
        mixed.insert(position * 40, each)
    async with open_rig(redis_url, ONE_LIVE) as rig:
        choke(rig, Call.CREATORS, ANSWERS["503"], *bad)
        await rig.watch(WatchKind.CREATOR, *mixed[:100])
        await rig.pass_time(300)
        good = [each for each in mixed[:100] if each not in bad]
        waits = [longest_wait(answered(rig, Call.CREATORS, each, *bad), 300) for each in good]
        assert max(waits) <= 2 * DISCOVERY
        assert set(await rig.runtime.store.standings.all(Call.CREATORS)) == set(bad)
        assert await rig.announced("source.") == []


async def test_a_failing_search_is_slowed_down_and_another_is_not(redis_url: str) -> None:
    async with open_rig(redis_url, ONE_LIVE) as rig:
        choke(rig, Call.SEARCH, ANSWERS["503"], "weather")
        await rig.watch(WatchKind.SEARCH, "news", "weather")
        await rig.pass_time(1200)
        assert await rig.announced("source.") == []
        assert longest_wait(answered(rig, Call.SEARCH, "news"), 1200) <= DISCOVERY + 1
        gaps = [b.at - a.at for a, b in pairs(rig, "weather")]
        # Twice soon, with an answer to the other search in between; then ever more rarely.
        assert gaps[:5] == [10, 10, 120, 240, 480]


def pairs(rig: Rig, query: str) -> list[tuple[XRequest, XRequest]]:
    asked = [each for each in rig.x.of(Call.SEARCH) if each.subjects == (query,)]
    return list(pairwise(asked))


async def test_a_failing_search_is_found_whichever_is_asked_first(redis_url: str) -> None:
    for order in (["bad", "one", "two"], ["one", "bad", "two"], ["one", "two", "bad"]):
        async with open_rig(redis_url, ONE_LIVE) as rig:
            await rig.runtime.store.database.redis.flushdb()
            choke(rig, Call.SEARCH, ANSWERS["503"], "bad")
            for query in order:
                await rig.watch(WatchKind.SEARCH, query)
                await rig.pass_time(1)
            await rig.pass_time(300)
            assert await rig.announced("source.") == []
            for query in ("one", "two"):
                assert longest_wait(answered(rig, Call.SEARCH, query)[1:], 300) <= DISCOVERY + 10


@pytest.mark.parametrize("number", [1, 2, 7, 100, 250])
async def test_an_outage_is_announced_once_and_isolates_no_subject_for_long(
    redis_url: str, number: int
) -> None:
    creators = [str(each) for each in range(1, number + 1)]
    async with open_rig(redis_url, ONE_LIVE) as rig:
        await rig.watch(WatchKind.CREATOR, *creators)
        await rig.pass_time(90)
        rig.x.fail(Call.CREATORS, 503)
        await rig.pass_time(120)
        assert await rig.announced("source.") == ["source.degraded"]
        await rig.pass_time(1800, step=10)
        before = len(rig.x.requests)
        rig.x.restore()
        await rig.pass_time(180)
        assert await rig.announced("source.") == ["source.degraded", "source.recovered"]
        assert await rig.runtime.store.standings.all(Call.CREATORS) == {}
        needed = 3 * -(-number // 100) + 32 + 180 / 30
        assert len(rig.x.requests) - before <= needed, "those that were asked apart are together again"


async def test_a_failing_only_subject_is_treated_as_an_outage(redis_url: str) -> None:
    async with open_rig(redis_url, ONE_LIVE) as rig:
        await rig.watch(WatchKind.SEARCH, "news")
        rig.x.fail(Call.SEARCH, 503)
        await rig.pass_time(30)
        assert await rig.announced("source.") == ["source.degraded"]


async def test_a_space_without_its_creator_is_found_by_smaller_requests(redis_url: str) -> None:
    scenario = "spaces:\n" + spaces(["OLD", "NEW"], "{at: 0s, set: {state: live, title: news}}")
    async with open_rig(redis_url, scenario) as rig:

        async def override(asked: XRequest) -> web.Response | None:
            shown = [f"S{number}" for number in (7, 70) if str(number) in asked.subjects]
            data = [{"id": each, "state": "live", "title": "hello"} for each in shown]
            body = {"data": data, "meta": {"result_count": len(data)}} if data else {"meta": {}}
            return web.json_response(body) if asked.call is Call.CREATORS else None

        rig.x.override = override
        await rig.watch(WatchKind.CREATOR, *GOOD)
        await rig.pass_time(2 * DISCOVERY)
        assert (await rig.counts())["space.started"] == 2
        page = await rig.runtime.store.events.page(limit=10, cursor=None, event_type="space.started")
        announced = {event.space_id: json.loads(event.body)["data"] for event in page.items}
        assert {each: data["watch_ids"] for each, data in announced.items()} == {
            "S7": ["wch_creator_7"],
            "S70": ["wch_creator_70"],
        }
        assert announced["S7"]["space"]["creator_id"] == "7"  # type: ignore[index]
        asked = len(rig.x.of(Call.CREATORS))
        await rig.pass_time(300)
        assert len(rig.x.of(Call.CREATORS)) - asked <= 10, "once that is known they share requests again"
