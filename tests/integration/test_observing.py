from __future__ import annotations

from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from notifier.core.observation import Call, FailureKind, Question
from notifier.core.watch import WatchKind
from notifier.runtime import Runtime, open_runtime
from notifier.source import XClient
from notifier.source.client import EXPANSIONS
from notifier.store import Store
from tests.support.pipeline import add_watch, playing, quick_settings
from tests.support.wait import wait_until
from tests.support.worker import running_worker

LIVE = "{at: 0s, set: {state: live, title: one, started_at: -60s}}"
END = "{at: 3s, set: {state: ended, ended_at: +3s}}"
SIX_LIVE = "spaces:\n" + "".join(
    f'  - {{id: S{number}, creator_id: "{number}", timeline: [{LIVE}]}}\n' for number in range(6)
)


async def types_of(runtime: Runtime) -> list[str]:
    page = await runtime.store.events.page(limit=100, cursor=None, oldest_first=True)
    return [event.type for event in page.items]


async def observations(runtime: Runtime, result: str) -> float:
    counts = await runtime.store.telemetry.read()
    return sum(
        count
        for series, count in counts.items()
        if series.startswith("notifier_observations_total|") and series.endswith(f"|{result}")
    )


@pytest.mark.parametrize("fault", ["unavailable", "html", "truncated", "reset", "stale", "vanish_all"])
async def test_no_fault_of_x_makes_an_event_and_the_truth_comes_through_afterwards(
    redis_url: str, fault: str
) -> None:
    play = (
        SIX_LIVE
        + f'  - {{id: LAST, creator_id: "9", timeline: [{LIVE}, {END}]}}\n'
        + f"faults: [{{at: 1s, for: 1.5s, kind: {fault}}}]\n"
    )
    async with playing(play) as x_url:
        settings = quick_settings(redis_url, x_url=x_url, confirm_seconds=0.1)
        async with open_runtime(settings) as runtime, running_worker(settings):
            for number in range(6):
                await add_watch(runtime, WatchKind.SPACE, f"S{number}")
            await add_watch(runtime, WatchKind.SPACE, "LAST")

            async def has_ended() -> bool:
                return "space.ended" in await types_of(runtime)

            await wait_until(has_ended, message="the end is seen")
            types = await types_of(runtime)
    assert sorted(types) == ["space.ended"] + ["space.started"] * 7


async def test_a_rate_limit_is_obeyed_until_it_ends(redis_url: str) -> None:
    play = SIX_LIVE + "faults: [{at: 0s, for: 1.5s, kind: rate_limited}]\n"
    async with playing(play) as x_url:
        settings = quick_settings(redis_url, x_url=x_url)
        async with open_runtime(settings) as runtime, running_worker(settings):
            await add_watch(runtime, WatchKind.SPACE, "S1")

            async def is_seen() -> bool:
                return bool(await types_of(runtime))

            await wait_until(is_seen, message="the Space is seen once X lets us ask")

            async def is_counted() -> bool:
                return await observations(runtime, "rate_limited") > 0

            await wait_until(is_counted, message="the refusal is counted")
            assert await observations(runtime, "rate_limited") <= 2


async def test_credentials_that_do_not_reach_stop_the_asking(redis_url: str) -> None:
    play = SIX_LIVE + "faults: [{at: 0s, for: 1h, kind: unauthorized}]\n"
    async with playing(play) as x_url:
        settings = quick_settings(redis_url, x_url=x_url)
        async with open_runtime(settings) as runtime, running_worker(settings):
            await add_watch(runtime, WatchKind.SPACE, "S1")

            async def is_paused() -> bool:
                trouble = await runtime.store.budget.paused()
                return trouble is not None and trouble.until > runtime.clock() + 200

            await wait_until(is_paused, message="the source is paused")
            trouble = await runtime.store.budget.paused()
    assert trouble is not None
    assert trouble.kind is FailureKind.UNAUTHORIZED


async def test_a_tenth_of_the_window_is_kept_back_and_shared_between_workers(redis_url: str) -> None:
    async with open_runtime(quick_settings(redis_url)) as runtime:
        budget = runtime.store.budget
        await budget.note(Call.LOOKUP, limit=10, remaining=3, reset=1000.0)
        assert await budget.take(Call.LOOKUP, now=900.0, kept_back=0.1, apart=0) == 0
        assert await budget.take(Call.LOOKUP, now=900.0, kept_back=0.1, apart=0) == 0
        assert await budget.take(Call.LOOKUP, now=900.0, kept_back=0.1, apart=0) == 100
        assert await budget.take(Call.LOOKUP, now=1000.0, kept_back=0.1, apart=0) == 0


async def test_creators_are_asked_about_once_a_second(redis_url: str) -> None:
    async with open_runtime(quick_settings(redis_url)) as runtime:
        budget = runtime.store.budget
        assert await budget.take(Call.CREATORS, now=900.0, kept_back=0.1, apart=1) == 0
        assert await budget.take(Call.CREATORS, now=900.4, kept_back=0.1, apart=1) == pytest.approx(0.6)
        assert await budget.take(Call.CREATORS, now=901.0, kept_back=0.1, apart=1) == 0


async def test_values_that_x_does_not_know_are_dropped_and_the_question_asked_again(redis_url: str) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.query.get("expansions", ""))
        if "topic_ids" in asked[-1]:
            problem = {
                "title": "Invalid Request",
                "type": "https://api.x.com/2/problems/invalid-request",
                "errors": [{"parameters": {"expansions": ["topic_ids"]}, "message": "no such expansion"}],
            }
            return web.json_response(problem, status=400)
        return web.json_response({"data": [{"id": "A", "state": "live"}]})

    app = web.Application()
    app.router.add_get("/2/spaces", answer)
    async with open_runtime(quick_settings(redis_url)) as runtime, TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        async with XClient(url, "token", runtime.store.budget) as x:
            observation = await x.ask(Question(Call.LOOKUP, ("A",)))
            await x.ask(Question(Call.LOOKUP, ("A",)))
    assert observation.failure is None
    assert list(observation.snapshots) == ["A"]
    assert asked[0] == ",".join(EXPANSIONS)
    assert all("topic_ids" not in each for each in asked[1:])
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, '{"title": "Unauthorized"}', FailureKind.UNAUTHORIZED),
        (403, "", FailureKind.UNAUTHORIZED),
        (402, '{"title": "CreditsDepleted"}', FailureKind.CREDITS_DEPLETED),
        (429, '{"type": "about:blank", "title": "Too Many Requests"}', FailureKind.RATE_LIMITED),
        (429, '{"errors": [{"code": 88, "message": "Rate limit exceeded"}]}', FailureKind.RATE_LIMITED),
        (429, '{"type": "https://api.twitter.com/2/problems/usage-capped"}', FailureKind.USAGE_CAPPED),
        (400, '{"title": "Invalid Request"}', FailureKind.REFUSED),
        (404, "", FailureKind.UNAVAILABLE),
        (503, "<html>over capacity</html>", FailureKind.UNAVAILABLE),
        (200, "<html>fine</html>", FailureKind.UNAVAILABLE),
        (200, "[" * 100_000, FailureKind.UNAVAILABLE),
        (200, '{"data": 7}', FailureKind.UNAVAILABLE),
        (200, "", FailureKind.UNAVAILABLE),
        (302, "", FailureKind.UNAVAILABLE),
    ],
)
async def test_every_answer_of_x_that_is_none_is_a_failed_call(
    redis_url: str, status: int, body: str, kind: FailureKind
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body)

    app = web.Application()
    app.router.add_get("/2/spaces", answer)
    async with open_runtime(quick_settings(redis_url)) as runtime, TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        async with XClient(url, "token", runtime.store.budget) as x:
            observation = await x.ask(Question(Call.LOOKUP, ("A",)))
    assert observation.failure is not None
    assert observation.failure.kind is kind


async def test_a_paused_watch_is_not_asked_about_and_goes_on_when_resumed(redis_url: str) -> None:
    async with playing(SIX_LIVE) as x_url:
        settings = quick_settings(redis_url, x_url=x_url)
        async with open_runtime(settings) as runtime:
            store: Store = runtime.store
            watch = await add_watch(runtime, WatchKind.CREATOR, "1")
            paused = replace(watch, paused=True)
            await store.watches.save(paused, replacing=watch, now=runtime.clock())
            assert await store.looks.next_due() is None
            await store.watches.save(watch, replacing=paused, now=runtime.clock())
            assert await store.looks.next_due() is not None
