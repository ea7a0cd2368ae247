"""The five calls over HTTP, in both contracts, on a clock that the test controls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from notifier.errors import ConfigError
from notifier.simulator import Contract, Limits, create_simulator
from notifier.simulator.contracts import DIALECTS
from notifier.simulator.files import parse_scenario

if TYPE_CHECKING:
    from aiohttp import ClientResponse
    from aiohttp.test_utils import TestClient
    from aiohttp.web import Application, Request
    from pytest_aiohttp.plugin import AiohttpClient

START = 1625596840.0  # 2021-07-06T18:40:40Z
LISTS = ("host_ids", "invited_user_ids", "speaker_ids", "topic_ids")
SCENARIO = parse_scenario(
    """
users:
  - {id: 1, name: Ada, username: Ada_L}
  - {id: 2, name: Bob, username: bob}
topics: [{id: 2, name: Technology, description: All about technology}]
spaces:
  - id: live1
    creator_id: 1
    timeline:
      - at: 0s
        set:
          state: live
          created_at: -10s
          scheduled_start: -5s
          started_at: +0s
          updated_at: 2021-07-01T10:00:00+02:00
          title: Talking of Rust & Öl 🎙️
          host_ids: [1, 2]
          speaker_ids: [2, 3]
          invited_user_ids: []
          topic_ids: [2, 78]
          lang: en
          is_ticketed: false
          participant_count: 0
          subscriber_count: 7
      - {at: 60s, set: {state: ended, ended_at: +60s}}
      - {at: 100s, gone: true}
  - id: LIVE1
    creator_id: 2
    timeline: [{at: 0s, set: {state: scheduled, title: Rust later, scheduled_start: +1h}}]
  - id: later
    creator_id: 1
    timeline: [{at: 30s, set: {state: live}}]
  - id: off
    creator_id: 1
    timeline: [{at: 0s, set: {state: canceled, title: Rust never}}]
""",
    source="calls.yaml",
)


@dataclass
class Clock:
    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass
class X:
    """A client of the stand-in, and the clock that controls it."""

    client: TestClient[Request, Application]
    clock: Clock

    async def get(self, path: str, **query: str) -> ClientResponse:
        params = {name.replace("_fields", ".fields"): value for name, value in query.items()}
        return await self.client.get(path, params=params, headers={"Authorization": "Bearer token"})

    async def json(self, path: str, **query: str) -> Any:
        response = await self.get(path, **query)
        assert response.status == 200, await response.text()
        return await response.json()

    async def refused(self, path: str, **query: str) -> Any:
        response = await self.get(path, **query)
        assert response.status == 400
        assert response.content_type == "application/problem+json"
        return await response.json()


Serve = Callable[..., Awaitable[X]]


@pytest.fixture
def serve(aiohttp_client: AiohttpClient) -> Serve:
    async def start(contract: Contract = Contract.CURRENT, **options: Any) -> X:
        clock = Clock()
        app = create_simulator(SCENARIO, contract=contract, clock=clock, **options)
        return X(await aiohttp_client(app), clock)

    return start


both_contracts = pytest.mark.parametrize("contract", list(Contract))


@both_contracts
async def test_id_and_state_are_shown_unasked(serve: Serve, contract: Contract) -> None:
    x = await serve(contract)
    assert await x.json("/2/spaces", ids="live1,LIVE1") == {
        "data": [{"id": "live1", "state": "live"}, {"id": "LIVE1", "state": "scheduled"}]
    }
    assert await x.json("/2/spaces/live1") == {"data": {"id": "live1", "state": "live"}}


@both_contracts
async def test_every_plain_field_is_shown_when_asked(serve: Serve, contract: Contract) -> None:
    x = await serve(contract)
    x.clock.now = START + 60
    fields = ",".join(DIALECTS[Contract.CURRENT].space_fields)
    body = await x.json("/2/spaces/live1", space_fields=fields)
    assert body == {
        "data": {
            "id": "live1",
            "state": "ended",
            "created_at": "2021-07-06T18:40:30.000Z",
            "scheduled_start": "2021-07-06T18:40:35.000Z",
            "started_at": "2021-07-06T18:40:40.000Z",
            "ended_at": "2021-07-06T18:41:40.000Z",
            "updated_at": "2021-07-01T08:00:00.000Z",
            "title": "Talking of Rust & Öl 🎙️",
            "lang": "en",
            "is_ticketed": False,
            "participant_count": 0,
            "subscriber_count": 7,
        }
    }


@both_contracts
async def test_expansions_show_the_ids_and_the_objects(serve: Serve, contract: Contract) -> None:
    x = await serve(contract)
    body = await x.json(
        "/2/spaces",
        ids="live1",
        expansions="creator_id,host_ids,invited_user_ids,speaker_ids,topic_ids",
        user_fields="username,verified",
        topic_fields="description",
    )
    assert body == {
        "data": [
            {
                "id": "live1",
                "state": "live",
                "creator_id": "1",
                "host_ids": ["1", "2"],
                "speaker_ids": ["2", "3"],
                "topic_ids": ["2", "78"],
            }
        ],
        "includes": {
            "users": [
                {"id": "1", "name": "Ada", "username": "Ada_L"},
                {"id": "2", "name": "Bob", "username": "bob"},
            ],
            "topics": [{"id": "2", "name": "Technology", "description": "All about technology"}],
        },
    }


async def test_an_expansion_brings_only_its_own_objects(serve: Serve) -> None:
    x = await serve()
    assert await x.json("/2/spaces/live1", expansions="speaker_ids") == {
        "data": {"id": "live1", "state": "live", "speaker_ids": ["2", "3"]},
        "includes": {"users": [{"id": "2", "name": "Bob", "username": "bob"}]},
    }
    topics = await x.json("/2/spaces/live1", expansions="topic_ids")
    assert topics["includes"] == {"topics": [{"id": "2", "name": "Technology"}]}


async def test_the_legacy_contract_shows_lists_as_fields_without_objects(serve: Serve) -> None:
    x = await serve(Contract.LEGACY)
    body = await x.json("/2/spaces/live1", space_fields="creator_id,host_ids,invited_user_ids,topic_ids")
    assert body == {
        "data": {
            "id": "live1",
            "state": "live",
            "creator_id": "1",
            "host_ids": ["1", "2"],
            "topic_ids": ["2", "78"],
        }
    }


@pytest.mark.parametrize("field", ["creator_id", *LISTS])
async def test_the_current_contract_refuses_lists_as_fields(serve: Serve, field: str) -> None:
    x = await serve(Contract.CURRENT)
    allowed = ",".join(DIALECTS[Contract.CURRENT].space_fields)
    assert await x.refused("/2/spaces/live1", space_fields=f"title,{field}") == {
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": "https://api.x.com/2/problems/invalid-request",
        "errors": [
            {
                "parameters": {"space.fields": [field]},
                "message": f"The `space.fields` query parameter value [{field}] is not one of [{allowed}]",
            }
        ],
    }


@pytest.mark.parametrize(
    ("contract", "base"),
    [
        (Contract.CURRENT, "https://api.x.com/2/problems/"),
        (Contract.LEGACY, "https://api.twitter.com/2/problems/"),
    ],
)
async def test_not_found_is_an_error_in_a_healthy_answer(serve: Serve, contract: Contract, base: str) -> None:
    x = await serve(contract)
    error = {
        "value": "later",
        "detail": "Could not find space with ids: [later].",
        "title": "Not Found Error",
        "resource_type": "space",
        "parameter": "ids",
        "resource_id": "later",
        "type": f"{base}resource-not-found",
    }
    assert await x.json("/2/spaces", ids="later,live1") == {
        "data": [{"id": "live1", "state": "live"}],
        "errors": [error],
    }
    assert await x.json("/2/spaces", ids="later") == {"errors": [error]}
    single = {**error, "parameter": "id", "detail": "Could not find space with id: [later]."}
    assert await x.json("/2/spaces/later") == {"errors": [single]}
    x.clock.now = START + 30
    assert await x.json("/2/spaces/later") == {"data": {"id": "later", "state": "live"}}


async def test_a_gone_space_is_not_found(serve: Serve) -> None:
    x = await serve()
    x.clock.now = START + 100
    assert "data" not in await x.json("/2/spaces", ids="live1")


async def test_an_id_asked_twice_is_answered_once(serve: Serve) -> None:
    x = await serve()
    body = await x.json("/2/spaces", ids="live1,gone,live1,gone")
    assert len(body["data"]) == len(body["errors"]) == 1


async def test_creators_list_only_live_and_scheduled(serve: Serve) -> None:
    x = await serve()
    both = {"data": [{"id": "live1", "state": "live"}, {"id": "LIVE1", "state": "scheduled"}]}
    assert await x.json("/2/spaces/by/creator_ids", user_ids="2,1") == {**both, "meta": {"result_count": 2}}
    x.clock.now = START + 60
    assert await x.json("/2/spaces/by/creator_ids", user_ids="1", expansions="creator_id") == {
        "data": [{"id": "later", "state": "live", "creator_id": "1"}],
        "includes": {"users": [{"id": "1", "name": "Ada", "username": "Ada_L"}]},
        "meta": {"result_count": 1},
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"query": "rust"}, ["live1", "LIVE1"]),
        ({"query": "RUST  talking"}, ["live1"]),
        ({"query": "öl 🎙️"}, ["live1"]),
        ({"query": "rust golang"}, []),
        ({"query": "rust", "state": "live"}, ["live1"]),
        ({"query": "rust", "state": "scheduled"}, ["LIVE1"]),
        ({"query": "rust", "state": "all"}, ["live1", "LIVE1"]),
        ({"query": "rust", "max_results": "1"}, ["live1"]),
    ],
)
async def test_search_matches_titles_with_every_word(
    serve: Serve, query: dict[str, str], found: list[str]
) -> None:
    x = await serve()
    body = await x.json("/2/spaces/search", **query)
    assert [space["id"] for space in body.get("data", [])] == found
    assert body["meta"] == {"result_count": len(found)}


@both_contracts
async def test_users_are_found_by_name(serve: Serve, contract: Contract) -> None:
    x = await serve(contract)
    body = await x.json("/2/users/by", usernames="ada_l,nobody", user_fields="verified")
    assert body["data"] == [{"id": "1", "name": "Ada", "username": "Ada_L"}]
    assert body["errors"] == [
        {
            "value": "nobody",
            "detail": "Could not find user with usernames: [nobody].",
            "title": "Not Found Error",
            "resource_type": "user",
            "parameter": "usernames",
            "resource_id": "nobody",
            "type": f"{DIALECTS[contract].problem_base}resource-not-found",
        }
    ]


TOO_MANY = ",".join(str(number) for number in range(101))


@pytest.mark.parametrize(
    ("path", "query", "refused", "says"),
    [
        ("/2/spaces", {}, {"ids": []}, "can not be empty"),
        ("/2/spaces", {"ids": ""}, {"ids": []}, "can not be empty"),
        ("/2/spaces", {"ids": "a,b-c"}, {"ids": ["b-c"]}, "[b-c] does not match ^[a-zA-Z0-9]{1,13}$"),
        ("/2/spaces", {"ids": "a,,b"}, {"ids": [""]}, "[] does not match"),
        ("/2/spaces", {"ids": "12345678901234"}, {"ids": ["12345678901234"]}, "does not match"),
        ("/2/spaces", {"ids": TOO_MANY}, {"ids": TOO_MANY.split(",")}, "list [101] is not between 1 and 100"),
        ("/2/spaces", {"ids": "a", "foo": "1"}, {"foo": ["1"]}, "[foo] is not one of [expansions,ids,"),
        ("/2/spaces/a-b", {}, {"id": ["a-b"]}, "[a-b] does not match"),
        ("/2/spaces/ab", {"ids": "a"}, {"ids": ["a"]}, "[ids] is not one of [expansions,space.fields,"),
        ("/2/spaces/ab", {"expansions": "mentioned"}, {"expansions": ["mentioned"]}, "one of [creator_id,"),
        ("/2/spaces/ab", {"user_fields": "age"}, {"user.fields": ["age"]}, "is not one of [confirmed_email,"),
        ("/2/spaces/ab", {"topic_fields": "x"}, {"topic.fields": ["x"]}, "not one of [description,id,name]"),
        ("/2/spaces/by/creator_ids", {"user_ids": "bob"}, {"user_ids": ["bob"]}, "match ^[0-9]{1,19}$"),
        ("/2/spaces/search", {}, {"query": []}, "can not be empty"),
        ("/2/spaces/search", {"query": " "}, {"query": []}, "can not be empty"),
        ("/2/spaces/search", {"query": "x" * 2049}, {"query": ["x" * 2049]}, "2049 characters"),
        ("/2/spaces/search", {"query": "a", "state": "ended"}, {"state": ["ended"]}, "[live,scheduled,all]"),
        ("/2/spaces/search", {"query": "a", "max_results": "0"}, {"max_results": ["0"]}, "between 1 and 100"),
        ("/2/spaces/search", {"query": "a", "max_results": "x"}, {"max_results": ["x"]}, "between 1 and 100"),
        ("/2/users/by", {"usernames": "@bob"}, {"usernames": ["@bob"]}, "match ^[A-Za-z0-9_]{1,15}$"),
    ],
)
async def test_a_bad_parameter_is_refused_by_name(
    serve: Serve, path: str, query: dict[str, str], refused: dict[str, list[str]], says: str
) -> None:
    x = await serve()
    body = await x.refused(path, **query)
    assert body["title"] == "Invalid Request"
    assert [error["parameters"] for error in body["errors"]] == [refused]
    assert says in body["errors"][0]["message"]


async def test_the_typo_of_the_dictionary_is_refused_in_both_contracts(serve: Serve) -> None:
    for contract in Contract:
        x = await serve(contract)
        body = await x.refused("/2/spaces", ids="live1", space_fields="created_athost_ids")
        assert body["type"] == f"{DIALECTS[contract].problem_base}invalid-request"


async def test_all_mistakes_are_named_at_once(serve: Serve) -> None:
    x = await serve()
    body = await x.refused("/2/spaces", ids="a-b", space_fields="foo,bar", expansions="baz")
    assert [error["parameters"] for error in body["errors"]] == [
        {"ids": ["a-b"]},
        {"space.fields": ["foo"]},
        {"space.fields": ["bar"]},
        {"expansions": ["baz"]},
    ]


async def test_a_repeated_parameter_is_one_list(serve: Serve) -> None:
    x = await serve(Contract.LEGACY)
    response = await x.client.get("/2/spaces?ids=live1&ids=LIVE1", headers={"Authorization": "bearer t"})
    assert [space["id"] for space in (await response.json())["data"]] == ["live1", "LIVE1"]


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer ", "Basic dTpw", "token"])
async def test_without_a_bearer_token_nothing_is_shown(serve: Serve, header: str | None) -> None:
    x = await serve()
    headers = {"Authorization": header} if header is not None else {}
    response = await x.client.get("/2/spaces?ids=live1", headers=headers)
    assert response.status == 401
    assert response.content_type == "application/problem+json"
    assert (await response.json())["status"] == 401
    assert response.headers["x-rate-limit-remaining"] == "300"


async def test_a_used_up_window_is_a_429_until_its_reset(serve: Serve) -> None:
    x = await serve(limits=Limits(requests=2, window_seconds=60))
    assert (await x.get("/2/spaces/live1")).headers["x-rate-limit-remaining"] == "1"
    bad = await x.get("/2/spaces/live1", foo="1")
    assert bad.status == 400
    assert bad.headers["x-rate-limit-remaining"] == "0"
    refused = await x.get("/2/spaces/live1")
    assert refused.status == 429
    assert await refused.json() == {
        "title": "Too Many Requests",
        "detail": "Too Many Requests",
        "type": "about:blank",
        "status": 429,
    }
    assert refused.headers["x-rate-limit-limit"] == "2"
    assert refused.headers["x-rate-limit-remaining"] == "0"
    assert refused.headers["x-rate-limit-reset"] == str(int(START) + 60)
    assert (await x.get("/2/spaces", ids="live1")).status == 200
    x.clock.now = START + 60
    assert (await x.get("/2/spaces/live1")).status == 200


async def test_a_faster_scenario_still_shows_real_times(serve: Serve) -> None:
    x = await serve(speed=10.0)
    x.clock.now = START + 6
    body = await x.json("/2/spaces/live1", space_fields="ended_at,created_at")
    assert body["data"]["state"] == "ended"
    assert body["data"]["ended_at"] == "2021-07-06T18:40:46.000Z"
    assert body["data"]["created_at"] == "2021-07-06T18:40:39.000Z"


async def test_a_scenario_may_start_at_a_given_time(serve: Serve) -> None:
    x = await serve(started_at=START + 5)
    assert "data" not in await x.json("/2/spaces/live1")
    x.clock.now = START + 5
    assert "data" in await x.json("/2/spaces/live1")


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_the_speed_must_be_positive(speed: float) -> None:
    with pytest.raises(ConfigError, match="speed"):
        create_simulator(SCENARIO, contract=Contract.CURRENT, speed=speed)


async def test_the_status_page_shows_what_was_asked(serve: Serve) -> None:
    x = await serve(Contract.LEGACY, speed=2.0)
    await x.get("/2/spaces", ids="live1")
    await x.get("/2/spaces/live1", foo="refused, but asked")
    await x.get("/2/users/by", usernames="bob")
    x.clock.now = START + 49.5
    response = await x.client.get("/_simulator/status")
    assert await response.json() == {
        "offset_seconds": 99.0,
        "duration_seconds": 100.0,
        "ended": False,
        "contract": "legacy",
        "requests": {"lookup": 2, "creators": 0, "search": 0, "users": 1},
        "cost": {
            "space_reads": 1,
            "user_reads": 1,
            "usd": 0.015,
            "every_read": {"space_reads": 1, "user_reads": 1, "usd": 0.015},
        },
    }
    x.clock.now = START + 50
    assert (await (await x.client.get("/_simulator/status")).json())["ended"] is True
