"""Undocumented behaviour of X: ended Spaces, buckets, suspended accounts, the bill."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from notifier.simulator import Behaviour, Buckets, Contract, Ending, Limits, create_simulator
from notifier.simulator.contracts import DIALECTS
from notifier.simulator.files import parse_scenario

if TYPE_CHECKING:
    from aiohttp import ClientResponse
    from aiohttp.test_utils import TestClient
    from aiohttp.web import Application, Request
    from pytest_aiohttp.plugin import AiohttpClient

START = 1625596840.0  # 2021-07-06T18:40:40Z
DAY_SECONDS = 86_400
MIDNIGHT = START - START % DAY_SECONDS + DAY_SECONDS
SCENARIO = """
users:
  - {id: 1, name: Ada, username: Ada_L, suspended_at: 10s}
  - {id: 2, name: Bob, username: bob}
spaces:
  - id: one
    creator_id: 1
    timeline:
      - {at: 0s, set: {state: live, title: Rust, host_ids: [1, 2], speaker_ids: [2, 1, 4]}}
      - {at: 50s, set: {state: ended, ended_at: +50s}}
  - id: two
    creator_id: 2
    timeline:
      - {at: 0s, set: {state: scheduled, title: Rust too, host_ids: [2]}}
      - {at: 50s, set: {state: canceled}}
  - {id: odd, creator_id: 3, timeline: [{at: 0s, set: {state: postponed}}]}
"""


@dataclass
class Clock:
    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass
class X:
    client: TestClient[Request, Application]
    clock: Clock

    async def get(self, path: str) -> ClientResponse:
        return await self.client.get(path, headers={"Authorization": "Bearer token"})

    async def json(self, path: str) -> Any:
        response = await self.get(path)
        assert response.status == 200, await response.text()
        return await response.json()

    async def cost(self) -> Any:
        return (await self.json("/_simulator/status"))["cost"]


Serve = Callable[..., Awaitable[X]]


@pytest.fixture
def serve(aiohttp_client: AiohttpClient) -> Serve:
    async def start(text: str = SCENARIO, contract: Contract = Contract.CURRENT, **options: Any) -> X:
        clock = Clock()
        scenario = parse_scenario(text, source="behaviour.yaml")
        app = create_simulator(scenario, contract=contract, clock=clock, **options)
        return X(await aiohttp_client(app), clock)

    return start


CREATORS = "/2/spaces/by/creator_ids?user_ids="


async def test_an_ended_space_keeps_its_state(serve: Serve) -> None:
    x = await serve()
    x.clock.now = START + 50
    body = await x.json("/2/spaces?ids=one,two")
    assert body == {"data": [{"id": "one", "state": "ended"}, {"id": "two", "state": "canceled"}]}


async def test_an_ended_space_may_be_gone(serve: Serve) -> None:
    x = await serve("x: {ended: gone, canceled: gone}" + SCENARIO)
    assert "errors" not in await x.json("/2/spaces?ids=one,two")
    x.clock.now = START + 50
    body = await x.json("/2/spaces?ids=one,two")
    assert list(body) == ["errors"]
    assert [error["resource_id"] for error in body["errors"]] == ["one", "two"]
    assert "data" not in await x.json("/2/spaces/one")


async def test_a_caller_may_override_the_scenario(serve: Serve) -> None:
    x = await serve("x: {ended: gone}" + SCENARIO, behaviour=Behaviour(canceled=Ending.GONE))
    x.clock.now = START + 50
    assert (await x.json("/2/spaces?ids=one,two"))["data"] == [{"id": "one", "state": "ended"}]


async def test_an_unknown_state_is_shown_by_lookups_but_not_in_lists(serve: Serve) -> None:
    x = await serve()
    assert await x.json("/2/spaces/odd") == {"data": {"id": "odd", "state": "postponed"}}
    assert await x.json(CREATORS + "3") == {"meta": {"result_count": 0}}


async def test_one_bucket_may_be_shared_by_all_calls(serve: Serve) -> None:
    limits = Limits(requests=3, window_seconds=60)
    x = await serve(behaviour=Behaviour(buckets=Buckets.SHARED), limits=limits)
    asked = [await x.get(path) for path in ("/2/spaces/one", CREATORS + "1", "/2/users/by?usernames=bob")]
    assert [answer.headers["x-rate-limit-remaining"] for answer in asked] == ["2", "1", "0"]
    refused = await x.get("/2/spaces?ids=one")
    assert refused.status == 429
    assert refused.headers["x-rate-limit-reset"] == str(int(START) + 60)


async def test_a_second_request_by_creator_in_a_second_is_refused_and_uses_up_nothing(serve: Serve) -> None:
    x = await serve()
    assert (await x.get(CREATORS + "2")).headers["x-rate-limit-remaining"] == "299"
    x.clock.now = START + 0.5
    refused = await x.get(CREATORS + "2")
    assert refused.status == 429
    assert (await refused.json())["type"] == "about:blank"
    assert refused.headers["x-rate-limit-remaining"] == "299"
    assert (await x.get("/2/spaces/one")).status == 200
    x.clock.now = START + 1
    assert (await x.get(CREATORS + "2")).headers["x-rate-limit-remaining"] == "298"


@pytest.mark.parametrize("speed", [0.5, 100.0])
async def test_the_limit_per_second_uses_real_time(serve: Serve, speed: float) -> None:
    x = await serve(speed=speed)
    statuses = []
    for later in (0.0, 0.5, 1.0):
        x.clock.now = START + later
        statuses.append((await x.get(CREATORS + "2")).status)
    assert statuses == [200, 429, 200]


@pytest.mark.parametrize(("pace", "statuses"), [(0, [200] * 5), (3, [200, 200, 200, 429, 429])])
async def test_the_number_of_creator_requests_per_second_is_configurable(
    serve: Serve, pace: int, statuses: list[int]
) -> None:
    x = await serve(f"x: {{creators_per_second: {pace}}}" + SCENARIO)
    assert [(await x.get(CREATORS + "2")).status for _ in range(5)] == statuses


def suspension(parameter: str, value: str, contract: Contract = Contract.CURRENT) -> dict[str, str]:
    return {
        "title": "Forbidden",
        "detail": f"User has been suspended: [{value}].",
        "value": value,
        "resource_type": "user",
        "parameter": parameter,
        "resource_id": value,
        "type": f"{DIALECTS[contract].problem_base}resource-not-found",
    }


@pytest.mark.parametrize("contract", list(Contract))
@pytest.mark.parametrize(
    "path", ["/2/spaces?ids=one", "/2/spaces/one", "/2/spaces/search?query=rust&state=live"]
)
async def test_a_suspended_account_is_an_error_in_addition_to_its_space(
    serve: Serve, contract: Contract, path: str
) -> None:
    x = await serve(contract=contract)
    path += ("&" if "?" in path else "?") + "expansions=speaker_ids,host_ids"
    before = await x.json(path)
    assert [user["id"] for user in before["includes"]["users"]] == ["1", "2"]
    assert "errors" not in before
    x.clock.now = START + 10
    after = await x.json(path)
    assert after["data"] == before["data"]
    assert [user["id"] for user in after["includes"]["users"]] == ["2"]
    assert after["errors"] == [suspension(name, "1", contract) for name in ("host_ids", "speaker_ids")]


async def test_a_suspended_account_that_was_not_asked_for_is_not_mentioned(serve: Serve) -> None:
    x = await serve()
    x.clock.now = START + 10
    assert await x.json("/2/spaces/one") == {"data": {"id": "one", "state": "live"}}
    assert "errors" not in await x.json("/2/spaces/two?expansions=host_ids")


async def test_a_name_of_a_suspended_account_is_an_error(serve: Serve) -> None:
    x = await serve()
    x.clock.now = START + 10
    body = await x.json("/2/users/by?usernames=ada_l,bob")
    assert [user["id"] for user in body["data"]] == ["2"]
    assert body["errors"] == [suspension("usernames", "ada_l")]


async def test_creators_who_are_suspended_or_unknown_are_errors(serve: Serve) -> None:
    x = await serve()
    x.clock.now = START + 10
    body = await x.json(CREATORS + "1,2,3,9")
    assert body["data"] == [{"id": "two", "state": "scheduled"}]
    assert body["meta"] == {"result_count": 1}
    unknown, hidden = body["errors"]
    assert (unknown["title"], unknown["resource_type"], unknown["parameter"], unknown["resource_id"]) == (
        "Not Found Error",
        "user",
        "user_ids",
        "9",
    )
    assert hidden == suspension("user_ids", "1")


async def test_the_bill_counts_each_space_and_each_person_once_a_day(serve: Serve) -> None:
    x = await serve()
    assert (await x.cost())["usd"] == 0
    for _ in range(2):
        await x.get("/2/spaces?ids=one,two,none&expansions=host_ids")
    await x.get("/2/spaces/search?query=rust")
    await x.get("/2/users/by?usernames=bob,nobody")
    assert await x.cost() == {
        "space_reads": 2,
        "user_reads": 2,
        "usd": 0.03,
        "every_read": {"space_reads": 6, "user_reads": 5, "usd": 0.08},
    }
    x.clock.now = MIDNIGHT - 1
    await x.get("/2/spaces/two")
    assert (await x.cost())["space_reads"] == 2
    x.clock.now = MIDNIGHT
    await x.get("/2/spaces/two")
    assert (await x.cost())["space_reads"] == 3
    assert (await x.cost())["user_reads"] == 2
    await x.get("/2/users/by?usernames=bob")
    assert (await x.cost())["user_reads"] == 3


@pytest.mark.parametrize(
    "path", ["/2/spaces/none", "/2/spaces/one?foo=1", "/2/users/by?usernames=nobody", CREATORS + "9"]
)
async def test_resources_that_are_not_shown_cost_nothing(serve: Serve, path: str) -> None:
    x = await serve()
    await x.get(path)
    await x.client.get("/2/spaces/one")
    cost = await x.cost()
    assert cost["usd"] == cost["every_read"]["usd"] == 0


@pytest.mark.parametrize(
    ("kind", "reads"),
    [("unavailable", 0), ("usage_capped", 0), ("vanish_all", 0), ("truncated", 1), ("stale", 1)],
)
async def test_a_fault_costs_what_it_shows(serve: Serve, kind: str, reads: int) -> None:
    x = await serve(f"faults: [{{at: 30s, for: 10s, kind: {kind}}}]" + SCENARIO)
    x.clock.now = START + 30
    await x.get("/2/spaces/one")
    assert (await x.cost())["space_reads"] == reads
