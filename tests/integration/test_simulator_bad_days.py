"""Faults for single subjects, values, tokens or Spaces, and answers that only look healthy."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest

from notifier.simulator import Contract, Limits, create_simulator, load_scenario
from notifier.simulator.files import parse_scenario

if TYPE_CHECKING:
    from aiohttp import ClientResponse
    from aiohttp.test_utils import TestClient
    from aiohttp.web import Application, Request
    from pytest_aiohttp.plugin import AiohttpClient

START = 1625596840.0  # 2021-07-06T18:40:40Z
CAST = """
users:
  - {id: 1, name: Ada, username: ada}
  - {id: 2, name: Bob, username: bob, protected_at: 90s}
spaces:
  - {id: a, creator_id: 1, timeline: [{at: 0s, set: {state: live, title: Rust, host_ids: [1]}}]}
  - {id: b, creator_id: 2, timeline: [{at: 0s, set: {state: live, title: Rust too, host_ids: [2]}}]}
  - id: c
    creator_id: 1
    timeline:
      - {at: 0s, set: {state: live}}
      - {at: 90s, hidden: true}
      - {at: 100s, left_out: true}
      - {at: 110s, set: {lang: en}}
  - {id: odd, creator_id: 1, timeline: [{at: 0s, set: {state: running}}]}
  - {id: LOUD, creator_id: 1, timeline: [{at: 0s, set: {state: Live}}]}
"""
NOW = START + 65
TOKEN = "token"
LOOKUP = "/2/spaces?ids="
CREATORS = "/2/spaces/by/creator_ids?user_ids="
SEARCH = "/2/spaces/search?query="
USERS = "/2/users/by?usernames="


class Clock:
    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass
class X:
    client: TestClient[Request, Application]
    clock: Clock

    async def get(self, path: str, token: str = TOKEN) -> ClientResponse:
        return await self.client.get(path, headers={"Authorization": f"Bearer {token}"})

    async def status(self, path: str, token: str = TOKEN) -> int:
        return (await self.get(path, token)).status

    async def body(self, path: str, status: int = 200) -> Any:
        response = await self.get(path)
        assert response.status == status, await response.text()
        return await response.json(content_type=None)

    async def ids(self, path: str) -> list[str]:
        return [space["id"] for space in (await self.body(path)).get("data", [])]


async def x_with(aiohttp_client: AiohttpClient, *faults: str, x: str = "", speed: float = 1.0) -> X:
    """Return an X at second 65, where every fault lasts from second 60 to 70."""
    listed = "".join(f"\n  - {{at: 60s, for: 10s, {fault}}}" for fault in faults)
    text = f"{CAST}x: {{creators_per_second: 0, {x}}}\nfaults:{listed or ' []'}"
    clock = Clock()
    app = create_simulator(
        parse_scenario(text, source="bad.yaml"), contract=Contract.CURRENT, clock=clock, speed=speed
    )
    clock.now = START + 65 / speed
    return X(await aiohttp_client(app), clock)


async def test_a_failing_subject_affects_every_request_that_contains_it(
    aiohttp_client: AiohttpClient,
) -> None:
    x = await x_with(aiohttp_client, "kind: unavailable, subjects: [b, 2, bob, rust]")
    struck = [LOOKUP + "a,b", "/2/spaces/b", CREATORS + "1,2", USERS + "Bob,ada", SEARCH + "Rust+nightly"]
    spared = [LOOKUP + "a,c", "/2/spaces/a", CREATORS + "1", USERS + "ada", SEARCH + "go"]
    assert [await x.status(path) for path in struck] == [503] * 5
    assert [await x.status(path) for path in spared] == [200] * 5
    x.clock.now = START + 70
    assert [await x.status(path) for path in struck] == [200] * 5


async def test_a_request_not_affected_by_one_fault_may_be_affected_by_the_next(
    aiohttp_client: AiohttpClient,
) -> None:
    x = await x_with(aiohttp_client, "kind: unavailable, every: 3", "kind: forbidden, subjects: [b]")
    asked = [await x.status(LOOKUP + each) for each in ("a", "b", "b", "b", "a", "a")]
    assert asked == [200, 403, 503, 403, 200, 503]


async def test_a_token_may_be_refused_and_another_one_accepted(aiohttp_client: AiohttpClient) -> None:
    x = await x_with(aiohttp_client, "kind: unauthorized, tokens: [old]")
    assert [await x.status(LOOKUP + "a", token) for token in ("old", "new")] == [401, 200]


@pytest.mark.parametrize(
    ("naming", "named"),
    [
        ("list", [["host_ids"], ["creator_id"]]),
        ("text", [["host_ids,creator_id"]]),
        ("whole", [["host_ids,speaker_ids,creator_id"]]),
        ("message", [["host_ids,speaker_ids,creator_id"]] * 2),
    ],
)
async def test_a_refusal_names_its_values_in_the_chosen_form(
    aiohttp_client: AiohttpClient, naming: str, named: list[list[str]]
) -> None:
    refusal = f"kind: refused, parameter: expansions, values: [creator_id, host_ids], naming: {naming}"
    x = await x_with(aiohttp_client, refusal)
    body = await x.body("/2/spaces/a?expansions=host_ids,speaker_ids,creator_id", 400)
    assert body["type"] == "https://api.x.com/2/problems/invalid-request"
    assert [error["parameters"]["expansions"] for error in body["errors"]] == named
    in_words = [each for each in ("[host_ids]", "[creator_id]") if each in str(body)]
    assert len(in_words) == (2 if naming in {"list", "message"} else 0)
    assert await x.status("/2/spaces/a?expansions=speaker_ids") == 200


async def test_a_refusal_may_name_nothing(aiohttp_client: AiohttpClient) -> None:
    x = await x_with(aiohttp_client, "kind: refused, parameter: user_ids, values: [2], naming: none")
    assert "errors" not in await x.body(CREATORS + "1,2", 400)
    assert await x.status(CREATORS + "1") == 200


@pytest.mark.parametrize(
    ("parameter", "value", "refused", "served"),
    [
        ("ids", "b", LOOKUP + "a,b", LOOKUP + "a"),
        ("user_ids", "2", CREATORS + "1,2", CREATORS + "1"),
        ("usernames", "bob", USERS + "ada,bob", USERS + "ada"),
        ("query", "rust", SEARCH + "rust,too", SEARCH + "go"),
        ("space.fields", "title", LOOKUP + "a&space.fields=title,state", LOOKUP + "a&space.fields=state"),
        ("expansions", "host_ids", LOOKUP + "a&expansions=host_ids", LOOKUP + "a"),
        ("user.fields", "name", LOOKUP + "a&user.fields=name", LOOKUP + "a"),
        ("topic.fields", "name", LOOKUP + "a&topic.fields=name", LOOKUP + "a"),
    ],
)
async def test_any_parameter_can_be_refused_for_a_while(
    aiohttp_client: AiohttpClient, parameter: str, value: str, refused: str, served: str
) -> None:
    x = await x_with(aiohttp_client, f"kind: refused, parameter: {parameter}, values: [{value}]")
    (error,) = (await x.body(refused, 400))["errors"]
    assert list(error["parameters"]) == [parameter]
    assert await x.status(served) == 200
    x.clock.now = START + 70
    assert await x.status(refused) == 200


async def test_a_rate_limit_may_claim_that_requests_are_left(aiohttp_client: AiohttpClient) -> None:
    x = await x_with(aiohttp_client, "kind: rate_limited, remaining: 290, retry_after: 4s", speed=2.0)
    response = await x.get(LOOKUP + "a")
    assert response.status == 429
    assert response.headers["x-rate-limit-remaining"] == "290"
    assert response.headers["x-rate-limit-reset"] == str(int(START) + 35)
    assert response.headers["Retry-After"] == "2"


@pytest.mark.parametrize(("window", "prefix"), [("day", "x-app-limit"), ("user_day", "x-user-limit")])
async def test_a_daily_limit_may_be_used_up_while_the_window_is_not(
    aiohttp_client: AiohttpClient, window: str, prefix: str
) -> None:
    x = await x_with(aiohttp_client, f"kind: rate_limited, window: {window}")
    response = await x.get(LOOKUP + "a")
    assert response.status == 429
    assert response.headers["x-rate-limit-remaining"] == "299"
    assert int(response.headers[f"{prefix}-24hour-limit"]) > 0
    assert response.headers[f"{prefix}-24hour-remaining"] == "0"
    assert response.headers[f"{prefix}-24hour-reset"] == str(int(START) + 70)
    assert "Retry-After" not in response.headers


@pytest.mark.parametrize(
    ("kind", "status", "problem"),
    [
        ("kind: forbidden", 403, {"title": "Forbidden", "type": "about:blank"}),
        (
            "kind: credits_depleted, status: 403, title: SpendCapReached",
            403,
            {"title": "SpendCapReached", "type": "https://api.x.com/2/problems/credits", "status": 403},
        ),
        ("kind: usage_capped, status: 403", 403, {"type": "https://api.x.com/2/problems/usage-capped"}),
        ("kind: usage_capped, typed: false", 429, {"title": "UsageCapExceeded", "status": 429}),
        ("kind: credits_depleted, typed: false", 402, {"title": "CreditsDepleted"}),
        ("kind: unavailable, status: 504", 504, {"title": "Gateway Timeout", "status": 504}),
        ("kind: unavailable, status: 520", 520, {"title": "Error", "type": "about:blank"}),
    ],
)
async def test_a_failure_may_have_another_status_or_no_type(
    aiohttp_client: AiohttpClient, kind: str, status: int, problem: dict[str, object]
) -> None:
    x = await x_with(aiohttp_client, kind)
    body = await x.body(LOOKUP + "a", status)
    assert problem.items() <= body.items()
    assert ("type" in body) is ("typed" not in kind)


@pytest.mark.parametrize("status", [200, 403, 404, 520])
async def test_an_edge_page_may_have_any_status(aiohttp_client: AiohttpClient, status: int) -> None:
    x = await x_with(aiohttp_client, f"kind: html, status: {status}")
    response = await x.get(LOOKUP + "a")
    assert (response.status, response.content_type) == (status, "text/html")
    assert f"<title>{status} " in await response.text()


@pytest.mark.parametrize(
    ("shape", "inside"),
    [
        ("code", {"errors": [{"code": 130, "message": "Over capacity"}]}),
        ("count", {"meta": {"result_count": 1}}),
    ],
)
@pytest.mark.parametrize("path", [LOOKUP + "a", CREATORS + "1", SEARCH + "rust", USERS + "ada"])
async def test_a_200_may_contain_only_an_error(
    aiohttp_client: AiohttpClient, shape: str, inside: object, path: str
) -> None:
    x = await x_with(aiohttp_client, f"kind: inner_error, shape: {shape}")
    assert await x.body(path) == inside


async def test_the_error_inside_may_be_a_problem_of_another_status(aiohttp_client: AiohttpClient) -> None:
    problem = {
        "title": "Service Unavailable",
        "detail": "Service Unavailable",
        "type": "about:blank",
        "status": 503,
    }
    x = await x_with(aiohttp_client, "kind: inner_error, shape: problem")
    assert await x.body(CREATORS + "1") == {"errors": [problem]}
    x = await x_with(aiohttp_client, "kind: inner_error, shape: top")
    assert await x.body(CREATORS + "1") == problem


async def test_omitted_fields_may_be_null(aiohttp_client: AiohttpClient) -> None:
    x = await x_with(aiohttp_client, "kind: nulls")
    asked = "&space.fields=title,ended_at&expansions=speaker_ids"
    space = {"id": "a", "state": "live", "title": "Rust", "ended_at": None, "speaker_ids": None}
    nothing = {"includes": None, "errors": None}
    assert await x.body(LOOKUP + "a" + asked) == {"data": [space], **nothing}
    assert await x.body("/2/spaces/a?" + asked[1:]) == {"data": space, **nothing}
    assert await x.body(SEARCH + "go") == {"data": None, **nothing, "meta": {"result_count": 0}}
    assert "data" not in await x.body("/2/spaces/a?mood=good", 400)


async def test_a_space_may_appear_twice_in_an_answer(aiohttp_client: AiohttpClient) -> None:
    x = await x_with(aiohttp_client, "kind: twins, subjects: [b]")
    body = await x.body(CREATORS + "1,2&space.fields=title")
    doubled = [space for space in body["data"] if space["id"] == "b"]
    assert doubled == [{"id": "b", "state": "live", "title": "Rust too"}, {"id": "b", "state": "live"}]
    assert body["meta"]["result_count"] == len(body["data"]) == 5
    assert (await x.body("/2/spaces/b"))["data"] == {"id": "b", "state": "live"}
    assert "data" not in await x.body(LOOKUP + "nothere")
    x = await x_with(aiohttp_client, "kind: twins")
    assert await x.ids(LOOKUP + "a,b") == ["a", "b", "a", "b"]


async def test_lookups_may_miss_spaces_that_lists_show(aiohttp_client: AiohttpClient) -> None:
    x = await x_with(aiohttp_client, "kind: vanish, subjects: [b], calls: [lookup]")
    body = await x.body(LOOKUP + "a,b")
    assert [space["id"] for space in body["data"]] == ["a"]
    assert [(error["resource_id"], error["title"]) for error in body["errors"]] == [("b", "Not Found Error")]
    assert await x.ids(CREATORS + "2") == ["b"]
    assert await x.ids(SEARCH + "too") == ["b"]


async def test_lists_may_miss_spaces_that_lookups_find(aiohttp_client: AiohttpClient) -> None:
    x = await x_with(aiohttp_client, "kind: vanish, subjects: [b], calls: [creators, search]")
    assert await x.ids(LOOKUP + "a,b") == ["a", "b"]
    assert await x.ids(CREATORS + "2") == await x.ids(SEARCH + "too") == []


def hidden(space_id: str, parameter: str = "ids") -> dict[str, str]:
    return {
        "title": "Authorization Error",
        "detail": f"You are not authorized to see the space with {parameter}: [{space_id}].",
        "value": space_id,
        "resource_type": "space",
        "parameter": parameter,
        "resource_id": space_id,
        "type": "https://api.x.com/2/problems/not-authorized-for-resource",
    }


async def test_lookups_may_not_be_authorized_for_a_space(aiohttp_client: AiohttpClient) -> None:
    x = await x_with(aiohttp_client, "kind: inaccessible, subjects: [b], calls: [lookup]")
    assert (await x.body(LOOKUP + "a,b"))["errors"] == [hidden("b")]
    assert await x.body("/2/spaces/b") == {"errors": [hidden("b", "id")]}
    assert await x.ids(CREATORS + "2") == ["b"]


async def test_lookups_may_not_mention_a_space(aiohttp_client: AiohttpClient) -> None:
    x = await x_with(aiohttp_client, "kind: left_out, subjects: [b]")
    assert await x.body(LOOKUP + "a,b") == {"data": [{"id": "a", "state": "live"}]}
    assert await x.body("/2/spaces/b") == {}
    assert await x.ids(CREATORS + "2") == []


async def test_a_timeline_may_hide_or_omit_a_space(aiohttp_client: AiohttpClient) -> None:
    x = await x_with(aiohttp_client)
    x.clock.now = START + 90
    assert await x.body(LOOKUP + "c") == {"errors": [hidden("c")]}
    assert "c" not in await x.ids(CREATORS + "1")
    x.clock.now = START + 100
    assert await x.body(LOOKUP + "c") == {}
    x.clock.now = START + 110
    assert await x.ids(LOOKUP + "c") == ["c"]


async def test_a_protected_account_is_not_public(aiohttp_client: AiohttpClient) -> None:
    x = await x_with(aiohttp_client)
    assert [user["id"] for user in (await x.body(USERS + "ada,bob"))["data"]] == ["1", "2"]
    x.clock.now = START + 90
    by_name, by_creator = await x.body(USERS + "ada,BOB"), await x.body(CREATORS + "1,2")
    assert [user["id"] for user in by_name["data"]] == ["1"]
    assert "b" not in [space["id"] for space in by_creator["data"]]
    for body, parameter, value in ((by_name, "usernames", "BOB"), (by_creator, "user_ids", "2")):
        (error,) = body["errors"]
        assert error["type"].endswith("/not-authorized-for-resource")
        assert (error["resource_type"], error["parameter"], error["value"]) == ("user", parameter, value)
    includes = (await x.body(LOOKUP + "b&expansions=host_ids"))["includes"]
    assert [user["id"] for user in includes["users"]] == ["2"]


async def test_lists_may_show_an_undocumented_state(aiohttp_client: AiohttpClient) -> None:
    x = await x_with(aiohttp_client)
    assert await x.ids(CREATORS + "1") == ["a", "c", "LOUD"]
    x = await x_with(aiohttp_client, x="other_states: listed")
    assert await x.ids(CREATORS + "1") == ["a", "c", "odd", "LOUD"]


@pytest.mark.parametrize(("clock", "ahead"), [("0s", 0), ("-5m", -300), ("+90s", 90)])
async def test_dates_and_resets_are_on_the_clock_of_x(
    aiohttp_client: AiohttpClient, clock: str, ahead: float
) -> None:
    x = await x_with(aiohttp_client, "kind: rate_limited, calls: [users]", x=f"clock: {clock}")
    healthy, limited = await x.get(LOOKUP + "a"), await x.get(USERS + "ada")
    for response in (healthy, limited, await x.get("/nowhere")):
        assert parsedate_to_datetime(response.headers["Date"]).timestamp() == NOW + ahead
    assert int(healthy.headers["x-rate-limit-reset"]) == NOW + ahead + 900
    assert int(limited.headers["x-rate-limit-reset"]) == START + 70 + ahead
    x.clock.now = NOW + 899
    assert (await x.get(LOOKUP + "a")).headers["x-rate-limit-remaining"] == "298"
    x.clock.now = NOW + 900
    assert (await x.get(LOOKUP + "a")).headers["x-rate-limit-remaining"] == "299"


async def test_the_bad_days_scenario_runs_to_its_end(aiohttp_client: AiohttpClient) -> None:
    scenario, clock = load_scenario("bad-days"), Clock()
    behaviour = scenario.x.model_copy(update={"creators_per_second": 0})
    limits = Limits(requests=10_000)
    app = create_simulator(
        scenario, contract=Contract.CURRENT, clock=clock, limits=limits, behaviour=behaviour
    )
    x = X(await aiohttp_client(app), clock)
    creators = ",".join(user.id for user in scenario.users if user.id != "3100000099")
    spaces = [space.id for space in scenario.spaces if space.id != "1BadPoisonedP"]
    lookup, by_creator = LOOKUP + ",".join(spaces), CREATORS + creators
    everything = "&space.fields=title&expansions=creator_id,host_ids"
    answered = {}
    for second in range(int(scenario.duration_seconds)):
        clock.now = START + second
        answered[second] = {await x.status(path + everything) for path in (lookup, by_creator)}
        if second == 25:
            assert await x.status(f"{lookup},1BadPoisonedP") == 503
            assert await x.status(f"{by_creator},3100000099") == 503
    # Refusals of fields and ids, a single 403, and the failures that make a good program pause.
    assert {second for second, statuses in answered.items() if statuses != {200}} == {
        *range(86, 101),
        198,
        *range(200, 214),
    }
    clock.now = START + scenario.duration_seconds
    assert await x.ids(lookup) == [each for each in spaces if each != "1BadDaysListD"]
