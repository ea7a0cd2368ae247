"""Each kind of fault over HTTP: during it, and after it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from notifier.simulator import Contract, create_simulator
from notifier.simulator.fault import FaultKind
from notifier.simulator.faults import FAULTS
from notifier.simulator.files import parse_scenario
from notifier.simulator.scenario import Scenario

if TYPE_CHECKING:
    from aiohttp.test_utils import TestClient
    from aiohttp.web import Application, Request
    from pytest_aiohttp.plugin import AiohttpClient

START = 1625596840.0
SPACE = """
spaces:
  - id: live1
    creator_id: 1
    timeline:
      - {at: 0s, set: {state: scheduled, title: Hello}}
      - {at: 50s, set: {state: live}}
users: [{id: 1, name: Ada, username: ada}]
"""
AUTHORIZED = {"Authorization": "Bearer token"}


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def scenario_with(kind: str, **more: str) -> Scenario:
    extra = "".join(f", {name}: {value}" for name, value in more.items())
    return parse_scenario(f"{SPACE}\nfaults: [{{at: 60s, for: 10s, kind: {kind}{extra}}}]", source="faults")


async def start(
    aiohttp_client: AiohttpClient, scenario: Scenario, *, speed: float = 1.0, offset: float = 65.0
) -> tuple[TestClient[Request, Application], Clock]:
    """Return a stand-in whose scenario is at ``offset``."""
    clock = Clock()
    app = create_simulator(scenario, contract=Contract.CURRENT, speed=speed, clock=clock)
    clock.now = START + offset / speed
    return await aiohttp_client(app), clock


async def ask(client: TestClient[Request, Application], path: str = "/2/spaces/live1") -> tuple[int, Any]:
    async with client.get(path, headers=AUTHORIZED) as response:
        return response.status, await response.json(content_type=None)


LIVE = (200, {"data": {"id": "live1", "state": "live"}})


@pytest.mark.parametrize(
    ("kind", "status", "problem"),
    [
        ("unavailable", 503, {"title": "Service Unavailable", "type": "about:blank", "status": 503}),
        ("unauthorized", 401, {"title": "Unauthorized", "type": "about:blank", "status": 401}),
        ("rate_limited", 429, {"title": "Too Many Requests", "type": "about:blank", "status": 429}),
        (
            "credits_depleted",
            402,
            {"title": "CreditsDepleted", "type": "https://api.x.com/2/problems/credits"},
        ),
        ("usage_capped", 429, {"type": "https://api.x.com/2/problems/usage-capped", "period": "Monthly"}),
    ],
)
async def test_a_refusal_lasts_as_long_as_its_fault(
    aiohttp_client: AiohttpClient, kind: str, status: int, problem: dict[str, object]
) -> None:
    client, clock = await start(aiohttp_client, scenario_with(kind), offset=59.9)
    assert await ask(client) == LIVE
    for offset in (60.0, 69.9):
        clock.now = START + offset
        answered, body = await ask(client)
        assert answered == status
        assert problem.items() <= body.items()
        assert body["detail"]
    clock.now = START + 70
    assert await ask(client) == LIVE


async def test_a_rate_limit_states_when_the_fault_is_over(aiohttp_client: AiohttpClient) -> None:
    client, _ = await start(aiohttp_client, scenario_with("rate_limited"), speed=4.0)
    async with client.get("/2/spaces/live1", headers=AUTHORIZED) as response:
        assert response.headers["x-rate-limit-limit"] == "300"
        assert response.headers["x-rate-limit-remaining"] == "0"
        assert response.headers["x-rate-limit-reset"] == str(int(START) + 18)  # 70 s at speed 4 are 17.5


async def test_a_rate_limit_may_have_the_old_shape(aiohttp_client: AiohttpClient) -> None:
    client, clock = await start(aiohttp_client, scenario_with("rate_limited", shape="legacy"))
    async with client.get("/2/spaces/live1", headers=AUTHORIZED) as response:
        assert response.status == 429
        assert response.content_type == "application/json"
        assert await response.json() == {"errors": [{"code": 88, "message": "Rate limit exceeded"}]}
        assert response.headers["x-rate-limit-remaining"] == "0"
        assert response.headers["x-rate-limit-reset"] == str(int(START) + 70)
    clock.now = START + 70
    assert await ask(client) == LIVE


async def test_a_usage_cap_leaves_the_rate_limit_window_unused(aiohttp_client: AiohttpClient) -> None:
    client, _ = await start(aiohttp_client, scenario_with("usage_capped"))
    async with client.get("/2/spaces/live1", headers=AUTHORIZED) as response:
        assert response.headers["x-rate-limit-remaining"] == "39999"


async def test_the_edge_answers_with_a_page(aiohttp_client: AiohttpClient) -> None:
    client, _ = await start(aiohttp_client, scenario_with("html"))
    async with client.get("/2/spaces/live1", headers=AUTHORIZED) as response:
        assert response.status == 502
        assert response.content_type == "text/html"
        assert "<html>" in await response.text()


async def test_a_truncated_body_is_complete_but_not_json(aiohttp_client: AiohttpClient) -> None:
    client, _ = await start(aiohttp_client, scenario_with("truncated"))
    async with client.get("/2/spaces/live1", headers=AUTHORIZED) as response:
        body = await response.read()
        assert response.status == 200
        assert response.content_type == "application/json"
        assert response.content_length == len(body) > 0
        with pytest.raises(json.JSONDecodeError):
            json.loads(body)


async def test_a_reset_connection_gives_no_answer(aiohttp_client: AiohttpClient) -> None:
    client, clock = await start(aiohttp_client, scenario_with("reset"))
    with pytest.raises(aiohttp.ClientConnectionError):
        await ask(client)
    clock.now = START + 70
    assert await ask(client) == LIVE


async def test_a_slow_answer_shows_the_state_at_the_time_of_the_request(
    aiohttp_client: AiohttpClient,
) -> None:
    scenario = scenario_with("slow", delay="1s")
    client, _ = await start(aiohttp_client, scenario, speed=10.0)
    began = time.monotonic()
    assert await ask(client) == LIVE
    assert time.monotonic() - began >= 0.09  # one second of the scenario; the timer may fire slightly early


async def test_a_stale_answer_is_half_a_minute_old(aiohttp_client: AiohttpClient) -> None:
    client, clock = await start(aiohttp_client, scenario_with("stale"))
    assert await ask(client) == (200, {"data": {"id": "live1", "state": "scheduled"}})
    clock.now = START + 70
    assert await ask(client) == LIVE


async def test_a_stale_answer_may_be_of_another_age(aiohttp_client: AiohttpClient) -> None:
    client, _ = await start(aiohttp_client, scenario_with("stale", lag="15s"))
    assert await ask(client) == LIVE  # at 50 s the Space has just gone live
    client, _ = await start(aiohttp_client, scenario_with("stale", lag="15.5s"))
    assert (await ask(client))[1]["data"]["state"] == "scheduled"


async def test_only_every_third_answer_comes_from_a_lagging_replica(aiohttp_client: AiohttpClient) -> None:
    client, clock = await start(aiohttp_client, scenario_with("stale", every="3"))
    answered = []
    for number in range(7):
        answered.append((await ask(client))[1]["data"]["state"])
        if number == 3:
            # Another call in between does not affect the count of this one.
            body = (await ask(client, "/2/spaces/search?query=hello"))[1]
            assert body["data"][0]["state"] == "live"
    assert answered == ["live", "live", "scheduled", "live", "live", "scheduled", "live"]
    clock.now = START + 70
    assert [await ask(client) for _ in range(3)] == [LIVE] * 3


async def test_when_all_vanish_lookups_find_nothing_and_lists_are_empty(
    aiohttp_client: AiohttpClient,
) -> None:
    client, _ = await start(aiohttp_client, scenario_with("vanish_all"))
    status, body = await ask(client, "/2/spaces?ids=live1")
    assert status == 200
    assert list(body) == ["errors"]
    assert body["errors"][0]["resource_id"] == "live1"
    empty = (200, {"meta": {"result_count": 0}})
    assert await ask(client, "/2/spaces/by/creator_ids?user_ids=1") == empty
    assert await ask(client, "/2/spaces/search?query=hello") == empty
    assert (await ask(client, "/2/users/by?usernames=ada"))[1]["data"][0]["id"] == "1"


async def test_a_fault_may_affect_only_some_calls(aiohttp_client: AiohttpClient) -> None:
    scenario = scenario_with("unavailable", calls="[lookup, users]")
    client, _ = await start(aiohttp_client, scenario)
    answers = {
        path: (await ask(client, path))[0]
        for path in (
            "/2/spaces?ids=live1",
            "/2/spaces/live1",
            "/2/users/by?usernames=ada",
            "/2/spaces/by/creator_ids?user_ids=1",
            "/2/spaces/search?query=hello",
        )
    }
    assert list(answers.values()) == [503, 503, 503, 200, 200]


def test_every_kind_of_fault_has_a_handler() -> None:
    assert set(FAULTS) == set(FaultKind)
