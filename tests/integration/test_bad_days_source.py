"""Bad days of X in the source: refusals, limits, credentials, names, and incomplete lists."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import pytest
from aiohttp import web
from pydantic import SecretStr

from notifier.core.model.observation import Call
from notifier.core.model.watch import OnFirstSight, Watch, WatchKind, WatchRole
from notifier.runtime import open_runtime
from notifier.simulator import Limits
from tests.support.admin_api import KEY, Serve
from tests.support.pipeline import add_watch
from tests.support.rig import NOON, Rig, RigWorker, XRequest, open_rig, spaces
from workers.clients import x_client
from workers.failures import adopt_standings

pytestmark = pytest.mark.no_cover

LIVE: Final = "{at: 0s, set: {state: live, title: news, started_at: -60s}}"
ONE: Final = "users: [{id: 1, name: One, username: one}, {id: 2, name: Two, username: two}]\nspaces:\n"
SCENARIO: Final = ONE + spaces(["S1"], LIVE)


def once(rig: Rig, call: Call, answer: Callable[[], web.Response]) -> None:
    """Override the answer to the next request of a call."""

    async def override(asked: XRequest) -> web.Response | None:
        if asked.call is not call:
            return None
        rig.x.override = None
        return answer()

    rig.x.override = override


def always(rig: Rig, call: Call, answer: Callable[[], web.Response]) -> None:
    async def override(asked: XRequest) -> web.Response | None:
        return answer() if asked.call is call else None

    rig.x.override = override


def seconds(rig: Rig, call: Call) -> list[float]:
    return [asked.at - NOON for asked in rig.x.of(call)]


async def one_watch(rig: Rig) -> Watch:
    (watch,) = (await rig.runtime.store.watches.page(limit=10, cursor=None)).items
    return watch


async def reason(rig: Rig) -> str:
    """Return what the only watch shows about X's answers."""
    watch = await one_watch(rig)
    return watch.failure_reason or (await rig.runtime.store.watches.reasons([watch])).get(watch.id, "")


async def degradations(rig: Rig) -> list[str]:
    page = await rig.runtime.store.events.page(limit=100, cursor=None, event_type="source.degraded")
    return [json.loads(event.body)["data"]["details"]["kind"] for event in page.items]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_single_refusal_of_the_credentials_is_retried_soon(redis_url: str, status: int) -> None:
    async with open_rig(redis_url, SCENARIO) as rig:
        await rig.watch(WatchKind.SPACE, "S1")
        once(rig, Call.LOOKUP, lambda: web.json_response({"title": "no"}, status=status))
        await rig.poll()
        await rig.pass_time(60)
        assert seconds(rig, Call.LOOKUP)[:2] == [0, 10]
        assert await rig.types() == ["space.started"]


@pytest.mark.parametrize("status", [401, 403])
async def test_the_second_refusal_in_a_row_pauses_and_is_announced(redis_url: str, status: int) -> None:
    async with open_rig(redis_url, SCENARIO) as rig:
        await rig.watch(WatchKind.SPACE, "S1")
        always(rig, Call.LOOKUP, lambda: web.json_response({"title": "no"}, status=status))
        await rig.poll()
        await rig.pass_time(400)
        assert seconds(rig, Call.LOOKUP) == [0, 10, 310]
        assert await degradations(rig) == ["unauthorized"]


FORMS: Final[dict[str, tuple[int, Any, str]]] = {
    "a spend cap under 403": (403, {"title": "SpendCapReached", "type": "about:blank"}, "credits_depleted"),
    "credits under 403": (403, {"type": "https://api.x.com/2/problems/credits"}, "credits_depleted"),
    "the month's cap without a type": (429, {"title": "UsageCapExceeded"}, "usage_capped"),
    "the month's cap under 403": (403, {"title": "UsageCapExceeded"}, "usage_capped"),
    "a text under 429": (429, "Too Many Requests", "rate_limited"),
    "an edge page under 429": (429, "<html>busy</html>", "unavailable"),
    "an edge page under 403": (403, "<html><body>Attention required</body></html>", "unavailable"),
    "an edge page under 401": (401, "<!DOCTYPE html><html></html>", "unavailable"),
    "an old code under 400": (400, {"errors": [{"code": 89, "message": "Invalid token"}]}, "unauthorized"),
}


@pytest.mark.parametrize(("status", "body", "kind"), FORMS.values(), ids=FORMS)
async def test_a_failure_is_classified_by_its_content_not_its_status(
    redis_url: str, status: int, body: Any, kind: str
) -> None:
    async with open_rig(redis_url, SCENARIO) as rig:
        await rig.watch(WatchKind.SPACE, "S1")

        def answer() -> web.Response:
            if isinstance(body, str):
                return web.Response(text=body, status=status, content_type="text/html")
            return web.json_response(body, status=status)

        always(rig, Call.LOOKUP, answer)
        await rig.pass_time(60)
        assert await degradations(rig) == [kind]


async def test_repeated_429s_with_requests_left_wait_longer_and_are_announced(redis_url: str) -> None:
    headers = {"x-rate-limit-limit": "300", "x-rate-limit-remaining": "290"}
    async with open_rig(redis_url, SCENARIO) as rig:
        await rig.watch(WatchKind.SPACE, "S1")
        reset = {"x-rate-limit-reset": str(int(NOON) + 900)}
        always(
            rig,
            Call.LOOKUP,
            lambda: web.json_response({"title": "Too Many Requests"}, status=429, headers=headers | reset),
        )
        await rig.poll()
        await rig.pass_time(300)
        assert seconds(rig, Call.LOOKUP) == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]
        assert await degradations(rig) == ["rate_limited"]
        rig.x.restore()
        await rig.pass_time(61)
        assert "source.recovered" in await rig.types()


async def test_a_used_up_day_is_waited_out(redis_url: str) -> None:
    headers = {
        "x-rate-limit-limit": "300",
        "x-rate-limit-remaining": "290",
        "x-rate-limit-reset": str(int(NOON) + 900),
        "x-app-limit-24hour-limit": "1000",
        "x-app-limit-24hour-remaining": "0",
        "x-app-limit-24hour-reset": str(int(NOON) + 7200),
    }
    async with open_rig(redis_url, SCENARIO) as rig:
        await rig.watch(WatchKind.SPACE, "S1")
        always(
            rig, Call.LOOKUP, lambda: web.json_response({"title": "Too Many"}, status=429, headers=headers)
        )
        await rig.poll()
        await rig.pass_time(7000, step=10)
        assert seconds(rig, Call.LOOKUP) == [0]
        assert await degradations(rig) == ["rate_limited"]


@pytest.mark.parametrize("clock", ["-5m", "5m", "-1h"])
async def test_a_clock_difference_causes_no_refused_requests(redis_url: str, clock: str) -> None:
    scenario = f"x: {{clock: {clock}}}\n" + SCENARIO
    async with open_rig(
        redis_url, scenario, behaviour=None, limits=Limits(requests=5, window_seconds=900)
    ) as rig:
        await rig.watch(WatchKind.SPACE, "S1")
        await rig.poll()
        await rig.pass_time(1800, step=5)
        refused = [asked for asked in rig.x.of(Call.LOOKUP) if asked.status == 429]
        assert len(refused) <= 2
        assert len(rig.x.of(Call.LOOKUP)) - len(refused) >= 8, "and no window is lost"


@asynccontextmanager
async def restarted(rig: Rig, token: str) -> AsyncIterator[None]:
    """Replace the only worker by one with this token for the same X."""
    settings = rig.runtime.settings.model_copy(update={"x_bearer_token": SecretStr(token)})
    async with open_runtime(settings, clock=rig.clock) as runtime:
        x = x_client(runtime)
        assert x is not None
        async with x:
            controlled = replace(runtime, wakeup=rig.runtime.wakeup)
            rig.workers[0] = RigWorker("restarted", controlled, x, rig.workers[0].client)
            await adopt_standings(rig.workers[0])
            yield


async def test_a_new_token_ignores_the_pause_of_the_old_one(redis_url: str) -> None:
    async with open_rig(redis_url, SCENARIO) as rig:
        await rig.watch(WatchKind.SPACE, "S1")
        always(rig, Call.LOOKUP, lambda: web.json_response({"title": "CreditsDepleted"}, status=402))
        await rig.pass_time(10)
        assert len(rig.x.requests) == 1
        rig.x.restore()
        async with restarted(rig, "token"):
            await rig.pass_time(20)
            assert len(rig.x.requests) == 1, "the same token waits"
        async with restarted(rig, "new"):
            await rig.pass_time(2)
            assert len(rig.x.requests) == 2
            assert await rig.types() == ["source.degraded", "source.recovered", "space.started"]


async def test_a_new_token_ignores_the_window_of_the_old_one(redis_url: str) -> None:
    async with open_rig(redis_url, SCENARIO, limits=Limits(requests=2, window_seconds=900)) as rig:
        await rig.watch(WatchKind.SPACE, "S1")
        await rig.pass_time(120)
        used = len(rig.x.requests)
        always(rig, Call.LOOKUP, lambda: web.json_response({"data": []}))
        async with restarted(rig, "new"):
            await rig.pass_time(60)
            assert len(rig.x.requests) > used


async def test_a_new_token_retries_what_the_old_one_was_refused(redis_url: str) -> None:
    async with open_rig(redis_url, SCENARIO) as rig:
        await rig.watch(WatchKind.SPACE, "S1", "S2")
        body = {"errors": [{"parameters": {"ids": ["S1"]}, "message": "[S1] is not yours"}]}

        async def override(asked: XRequest) -> web.Response | None:
            return web.json_response(body, status=400) if "S1" in asked.subjects else None

        rig.x.override = override
        await rig.pass_time(130)
        assert await rig.types() == ["watch.failed"]
        rig.x.restore()
        async with restarted(rig, "token"):
            await rig.pass_time(600, step=10)
            assert await rig.types() == ["watch.failed"]
        async with restarted(rig, "new"):
            await rig.pass_time(5)
            assert await rig.types() == ["watch.failed", "space.started"]
            page = await rig.runtime.store.watches.page(limit=10, cursor=None)
            assert {str(watch.status) for watch in page.items} == {"active"}


async def test_an_unknown_space_is_polled_soon_and_then_less_and_less_often(
    redis_url: str,
) -> None:
    async with open_rig(redis_url, ONE + spaces(["S9"], LIVE)) as rig:
        await rig.watch(WatchKind.SPACE, "S1")
        await rig.poll()
        await rig.pass_time(3600, step=5)
        assert seconds(rig, Call.LOOKUP)[:9] == [0, 10, 20, 40, 80, 160, 320, 640, 1240]


@pytest.mark.parametrize(("word", "state"), [("suspended", "suspended_at"), ("protected", "protected_at")])
async def test_a_name_fails_with_the_reason_that_x_states(redis_url: str, word: str, state: str) -> None:
    scenario = f"users: [{{id: 1, name: One, username: one, {state}: 0s}}]\nspaces: []"
    async with open_rig(redis_url, scenario) as rig:
        await rig.watch(WatchKind.CREATOR, "@one")
        await rig.poll()
        assert word in await reason(rig), "also while it is still resolving"
        await rig.pass_time(60)
        watch = await one_watch(rig)
        assert str(watch.status) == "failed"
        assert word in str(watch.failure_reason)
        assert "knows no user" not in str(watch.failure_reason)
        assert await rig.types() == ["watch.failed"]


async def test_unknown_names_share_their_requests(redis_url: str) -> None:
    async with open_rig(redis_url, SCENARIO) as rig:
        await rig.watch(WatchKind.CREATOR, "@nobody", "@noone", "@nemo")
        await rig.pass_time(120)
        assert await rig.types() == ["watch.failed"] * 3
        assert [len(asked.subjects) for asked in rig.x.of(Call.USERS)] == [3, 3]


async def test_a_name_missing_from_an_answer_is_shown_in_the_watch(redis_url: str) -> None:
    async with open_rig(redis_url, SCENARIO) as rig:
        await rig.watch(WatchKind.CREATOR, "@Silent")
        always(rig, Call.USERS, lambda: web.json_response({"meta": {}}))
        await rig.pass_time(130)
        assert str((await one_watch(rig)).status) == "resolving"
        assert "does not mention @Silent" in await reason(rig)
        assert len(rig.x.of(Call.USERS)) == 3


async def test_names_are_matched_case_insensitively(redis_url: str) -> None:
    error = {
        "resource_type": "user",
        "parameter": "usernames",
        "value": "caselow",
        "resource_id": "caselow",
        "type": "https://api.x.com/2/problems/resource-not-found",
        "title": "Not Found Error",
    }
    async with open_rig(redis_url, SCENARIO) as rig:
        await rig.watch(WatchKind.CREATOR, "@CaseLow")
        always(rig, Call.USERS, lambda: web.json_response({"errors": [error]}))
        await rig.pass_time(60)
        watch = await one_watch(rig)
        assert (str(watch.status), watch.failure_reason) == ("failed", "X knows no user @CaseLow")


async def test_a_later_suspension_of_a_creator_is_shown_in_the_watch(redis_url: str, serve: Serve) -> None:
    scenario = "users: [{id: 1, name: One, username: one, suspended_at: 5m}]\nspaces: []"
    async with open_rig(redis_url, scenario) as rig:
        await rig.watch(WatchKind.CREATOR, "1")
        await rig.pass_time(200)
        assert await reason(rig) == ""
        await rig.pass_time(200)
        assert "suspended" in await reason(rig)
        client = await serve(rig.runtime)
        document = await (await client.get("/v1/watches", headers=KEY)).json()
        assert "suspended" in document["data"][0]["failure_reason"]
        assert document["data"][0]["status"] == "active"
        source = await (await client.get("/v1/source", headers=KEY)).json()
        assert [each["subject"] for each in source["unanswered"]] == ["1"]
        assert source["status"] == "ok"


async def test_a_first_answer_with_only_an_error_makes_no_empty_baseline(redis_url: str) -> None:
    async with open_rig(redis_url, SCENARIO) as rig:
        await rig.watch(WatchKind.CREATOR, "1", on_first_sight=OnFirstSight.BASELINE)
        once(rig, Call.CREATORS, lambda: web.json_response({"meta": {"result_count": 1}}))
        await rig.poll()
        assert await rig.types() == []
        await rig.pass_time(30)
        assert await rig.types() == ["watch.baseline"]
        page = await rig.runtime.store.events.page(limit=1, cursor=None)
        listed = json.loads(page.items[0].body)["data"]["details"]["spaces"]
        assert [space["id"] for space in listed] == ["S1"]


@pytest.mark.parametrize("status", [503, 403])
async def test_a_creator_with_an_error_has_no_baseline_yet(redis_url: str, status: int) -> None:
    error = {"resource_type": "user", "parameter": "user_ids", "value": "1", "title": "no", "status": status}
    async with open_rig(redis_url, SCENARIO) as rig:
        await rig.watch(WatchKind.CREATOR, "1", "2", on_first_sight=OnFirstSight.BASELINE)
        once(rig, Call.CREATORS, lambda: web.json_response({"errors": [error], "meta": {"result_count": 0}}))
        await rig.poll()
        assert await rig.types() == ["watch.baseline"], "that of the other one"
        await rig.pass_time(70)
        assert await rig.types() == ["watch.baseline"] * 2
        assert await rig.announced("space.") == []


async def test_a_full_search_is_shown_in_the_source(redis_url: str, serve: Serve) -> None:
    scenario = ONE + spaces([f"S{number}" for number in range(120)], LIVE)
    async with open_rig(redis_url, scenario) as rig:
        await rig.watch(WatchKind.SEARCH, "news", "nothing")
        await rig.pass_time(5)
        client = await serve(rig.runtime)
        source = await (await client.get("/v1/source", headers=KEY)).json()
        assert source["truncated"] == ["wch_search_news"]
        assert source["unanswered"] == []


class TestHosts:
    CO_HOSTED: Final = "{at: 0s, set: {state: live, title: news, host_ids: [1, 2]}}"

    async def watch(self, rig: Rig, *roles: WatchRole) -> None:
        watch = await add_watch(
            rig.runtime, WatchKind.CREATOR, "2", on_first_sight=OnFirstSight.ANNOUNCE, roles=roles
        )
        assert watch.roles == roles

    async def test_a_co_host_is_matched_in_what_the_poll_of_the_creator_shows(self, redis_url: str) -> None:
        async with open_rig(redis_url, ONE + spaces(["S1"], self.CO_HOSTED)) as rig:
            await self.watch(rig, WatchRole.CREATOR, WatchRole.HOST)
            await rig.watch(WatchKind.CREATOR, "1")
            await rig.pass_time(5)
            page = await rig.runtime.store.events.page(limit=1, cursor=None, event_type="space.started")
            data = json.loads(page.items[0].body)["data"]
            assert data["watch_ids"] == ["wch_creator_1", "wch_creator_2"]

    async def test_a_creator_watch_does_not_match_co_hosts(self, redis_url: str) -> None:
        async with open_rig(redis_url, ONE + spaces(["S1"], self.CO_HOSTED)) as rig:
            await self.watch(rig, WatchRole.CREATOR)
            await rig.watch(WatchKind.CREATOR, "1")
            await rig.pass_time(5)
            page = await rig.runtime.store.events.page(limit=1, cursor=None, event_type="space.started")
            assert json.loads(page.items[0].body)["data"]["watch_ids"] == ["wch_creator_1"]
