"""``GET /v1/source`` and ``space-notifier source``: every field is true in every state of X."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from notifier.api.source import SourceView
from notifier.cli import app as cli
from notifier.core.model.instants import rfc3339
from notifier.core.model.observation import Call
from notifier.core.model.poll import NextPoll, Urgency
from notifier.core.model.reasons import OutageKind
from notifier.core.model.watch import WatchKind
from notifier.core.polling.spending import ThriftLevel
from notifier.runtime import Runtime
from notifier.server import create_server
from notifier.simulator import Behaviour, Buckets, Limits
from tests.support.admin_api import KEY, ApiTestServer, Client, Serve, problem
from tests.support.rig import NOON, Rig, open_rig, spaces

SCENARIO = "users: [{id: 7, name: Seven, username: seven}]\nspaces:\n" + spaces(
    ["S1", "S2"],
    "{at: 0s, set: {state: live, title: news, started_at: -60s}}",
    "{at: 90s, set: {state: ended, ended_at: +90s}}",
)
MIDNIGHT = rfc3339(NOON + 43_200)
IDLE = {"waiting": 0, "due": 0, "under_way": 0, "next_at": None, "paused_until": None}


async def source(rig: Rig, serve: Serve) -> dict[str, Any]:
    client = await serve(rig.runtime)
    response = await client.get("/v1/source", headers=KEY)
    assert response.status == 200
    document: dict[str, Any] = await response.json()
    SourceView.model_validate(document)
    return document


def polls_of(document: dict[str, Any], call: Call) -> dict[str, Any]:
    (found,) = [each for each in document["looks"] if each["call"] == call]
    return {name: value for name, value in found.items() if name != "call"}


async def test_it_needs_a_key(bare_client: Client) -> None:
    await problem(await bare_client.get("/v1/source"), 401)


async def test_the_openapi_schema_is_that_of_the_model(api_client: Client) -> None:
    document = await (await api_client.get("/openapi.json")).json()
    operation = document["paths"]["/v1/source"]["get"]
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    schemas = document["components"]["schemas"]
    described = schemas[answer["$ref"].rpartition("/")[2]]
    assert set(described["properties"]) == set(SourceView.model_fields) == set(described["required"])
    assert described["properties"]["status"]["enum"] == ["ok", "degraded", "no_credentials"]
    assert operation["security"] == [{"key": []}]


def test_the_docs_show_every_field_and_value() -> None:
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    section = page.partition("\n## Source\n")[2].partition("\n## ")[0]
    example = json.loads(section.partition("```json\n")[2].partition("```")[0])
    shown = SourceView.model_validate(example).model_dump(mode="json", exclude_unset=True)
    assert shown.keys() == SourceView.model_fields.keys()
    for words in (OutageKind, ThriftLevel, Call, ("ok", "degraded", "no_credentials")):
        assert {word for word in words if f"`{word}`" not in section} == set()


async def test_without_a_token_nothing_is_polled_and_the_answer_says_so(redis_url: str, serve: Serve) -> None:
    async with open_rig(redis_url, SCENARIO, x_bearer_token=None) as rig:
        await rig.watch(WatchKind.SPACE, "S1")
        rig.clock.now += 90
        await rig.poll()
        document = await source(rig, serve)
    assert rig.x.requests == []
    assert document == {
        "status": "no_credentials",
        "troubles": [],
        "requests": [],
        "money": {
            "budget_usd": None,
            "spent_usd": 0,
            "held_usd": 0,
            "forecast_usd": 0,
            "space_reads": 0,
            "user_reads": 0,
            "resets_at": MIDNIGHT,
            "thrift": "none",
        },
        "lag": {"looks_seconds": 90, "detections": 0, "mean_detection_seconds": None},
        "looks": [
            {"call": "lookup", **IDLE, "waiting": 1, "due": 1, "next_at": rfc3339(NOON)},
            {"call": "creators", **IDLE},
            {"call": "search", **IDLE},
            {"call": "users", **IDLE},
        ],
        "refused": [],
        "unanswered": [],
        "unknown_states": {},
        "truncated": [],
    }


async def test_without_faults_every_figure_is_correct(redis_url: str, serve: Serve) -> None:
    async with open_rig(redis_url, SCENARIO, daily_budget_usd=1) as rig:
        await rig.watch(WatchKind.SPACE, "S1", "S2")
        await rig.watch(WatchKind.CREATOR, "@seven")
        await rig.pass_time(120, step=10)
        document = await source(rig, serve)
        await rig.runtime.metrics_text()  # flushes the counters
        lag = (await source(rig, serve))["lag"]
    assert (document["status"], document["troubles"]) == ("ok", [])
    lookups, names = (
        next(each for each in document["requests"] if each["calls"] == [call]) for call in ("lookup", "users")
    )
    asked = len(rig.x.of(Call.LOOKUP))
    assert lookups == {
        "calls": ["lookup"],
        "limit": 100_000,
        "remaining": 100_000 - asked,
        "resets_at": rfc3339(rig.x.of(Call.LOOKUP)[0].at + 900),
    }
    assert names["remaining"] == 99_999
    assert document["money"] == {
        "budget_usd": 1,
        "spent_usd": 0.02,
        "held_usd": 0,
        "forecast_usd": 0.02,
        "space_reads": 2,
        "user_reads": 1,
        "resets_at": MIDNIGHT,
        "thrift": "none",
    }
    # Both ends were seen half a minute after the previous poll, the starts by the first poll.
    assert lag["looks_seconds"] == 0
    assert lag["detections"] == 2
    assert 0 <= lag["mean_detection_seconds"] <= 30
    assert polls_of(document, Call.LOOKUP)["waiting"] == 2
    assert polls_of(document, Call.USERS) == IDLE


async def test_a_call_with_an_outage_is_named_with_its_pause(redis_url: str, serve: Serve) -> None:
    async with open_rig(redis_url, SCENARIO) as rig:
        await rig.watch(WatchKind.SPACE, "S1")
        await rig.watch(WatchKind.SEARCH, "news")
        rig.x.fail(Call.SEARCH, 403, {"title": "Forbidden", "detail": "not in your plan"})
        await rig.pass_time(12)
        since, announced_at = (asked.at for asked in rig.x.of(Call.SEARCH))
        document = await source(rig, serve)
        assert document["status"] == "degraded"
        assert document["troubles"] == [
            {"kind": "unauthorized", "since": rfc3339(since), "detail": "HTTP 403: not in your plan"}
        ]
        assert polls_of(document, Call.SEARCH) == {
            **IDLE,
            "waiting": 1,
            "due": 1,
            "next_at": rfc3339(announced_at + 300),
            "paused_until": rfc3339(announced_at + 300),
        }
        assert polls_of(document, Call.LOOKUP)["paused_until"] is None
        assert document["lag"]["looks_seconds"] == 0, "nobody waits for a call that waits for X"
        rig.x.restore()
        await rig.pass_time(300, step=10)
        document = await source(rig, serve)
    assert (document["status"], document["troubles"]) == ("ok", [])
    assert polls_of(document, Call.SEARCH)["paused_until"] is None


async def test_an_unannounced_outage_neither_pauses_nor_degrades(redis_url: str, serve: Serve) -> None:
    async with open_rig(redis_url, SCENARIO) as rig:
        await rig.watch(WatchKind.SPACE, "S1")
        rig.x.fail(Call.LOOKUP, 503)
        await rig.poll()
        document = await source(rig, serve)
        assert (document["status"], document["troubles"]) == ("ok", [])
        assert polls_of(document, Call.LOOKUP)["paused_until"] is None
        await rig.pass_time(11)
        assert (await source(rig, serve))["status"] == "degraded"


async def test_requests_in_flight_and_waiting_polls_are_shown(redis_url: str, serve: Serve) -> None:
    async with open_rig(redis_url, SCENARIO) as rig:
        polls, now = rig.runtime.store.polls, rig.clock.now
        await polls.add(Call.LOOKUP, ["A", "B", "C"], at=now - 40)
        await polls.schedule(Call.LOOKUP, {"C": NextPoll(now + 60, Urgency.PATIENT)})
        first = await polls.first(Call.LOOKUP, now=now, limit=1)
        urgent = first.urgent
        await polls.claim(Call.LOOKUP, urgent, now=now)
        document = await source(rig, serve)
    assert polls_of(document, Call.LOOKUP) == {
        "waiting": 2,
        "due": 1,
        "under_way": 1,
        "next_at": rfc3339(now - 40),
        "paused_until": None,
    }
    assert document["lag"]["looks_seconds"] == 40


@pytest.mark.parametrize(
    ("spent", "thrift"),
    [
        (89, "none"),
        (90, "discovery_stopped"),
        (95, "scheduled_stopped"),
        (100, "everything_stopped"),
    ],
)
async def test_polls_skipped_for_the_budget_are_shown(
    redis_url: str, serve: Serve, spent: int, thrift: str
) -> None:
    async with open_rig(redis_url, SCENARIO, daily_budget_usd=0.5) as rig:
        await rig.runtime.store.spending.bill([f"x{each}" for each in range(spent)], [], now=rig.clock.now)
        money = (await source(rig, serve))["money"]
    assert (money["spent_usd"], money["thrift"]) == (spent / 200, thrift)


async def test_slowed_discovery_is_shown_with_its_forecast(redis_url: str, serve: Serve) -> None:
    async with open_rig(redis_url, SCENARIO, daily_budget_usd=0.5) as rig:
        bill = rig.runtime.store.spending.bill
        await bill(["x0"], [], now=NOON - 7200)
        await bill([f"x{each}" for each in range(1, 21)], [], now=NOON - 1800)
        document = await source(rig, serve)
    money = document["money"]
    assert (money["space_reads"], money["spent_usd"], money["thrift"]) == (21, 0.105, "discovery_slowed")
    # Ten cents in the one full hour after the first, and twelve hours are left.
    assert money["forecast_usd"] == pytest.approx(0.105 + 12 * 0.1)


async def test_calls_that_share_a_bucket_are_shown_together(redis_url: str, serve: Serve) -> None:
    shared, limits = Behaviour(buckets=Buckets.SHARED, creators_per_second=0), Limits(requests=300)
    async with open_rig(redis_url, SCENARIO, behaviour=shared, limits=limits) as rig:
        await rig.watch(WatchKind.SPACE, "S1")
        await rig.watch(WatchKind.SEARCH, "news", "more")
        await rig.pass_time(120, step=10)
        requests = (await source(rig, serve))["requests"]
        assert [each["calls"] for each in requests] == [["lookup", "search"]]
        assert requests[0]["remaining"] == 300 - len(rig.x.requests)
        rig.clock.now += 900
        assert (await source(rig, serve))["requests"] == [], "of the next window nothing is known"


async def run_cli(runtime: Runtime, *arguments: str) -> str:
    """Run the command in another thread, against the API in this one."""
    async with ApiTestServer(create_server(runtime)) as server:
        url = str(server.make_url("")).rstrip("/")
        result = await asyncio.to_thread(
            CliRunner().invoke, cli, ["source", *arguments, "--url", url, "--key", "test-key"]
        )
    assert result.exit_code == 0, result.output
    return result.stdout


async def test_the_command_prints_the_same_information(redis_url: str, serve: Serve) -> None:
    async with open_rig(redis_url, SCENARIO) as rig:
        await rig.watch(WatchKind.SPACE, "S1")
        await rig.watch(WatchKind.SEARCH, "news")
        rig.x.fail(Call.SEARCH, 403, {"title": "Forbidden", "detail": "\x1b[31mnot in your plan"})
        await rig.pass_time(12)
        document = await source(rig, serve)
        assert json.loads(await run_cli(rig.runtime, "--json")) == document
        printed = await run_cli(rig.runtime)
    lines = [line.split() for line in printed.splitlines()]
    assert ["status", "degraded"] in lines
    assert ["money.spent_usd", "0.005"] in lines
    assert ["money.budget_usd", "-"] in lines
    assert ["lag.looks_seconds", "0.0"] in lines
    assert ["kind", "since", "detail"] in lines
    assert any(line[:1] == ["unauthorized"] and "plan" in line for line in lines)
    (search,) = [line for line in lines if line[:1] == ["search"] and len(line) == 6]
    assert search[1:] == ["1", "1", "0", *[rfc3339(NOON + 311)] * 2]
    assert "\x1b" not in printed, "what X says cannot steer the terminal"


async def test_the_command_leaves_out_empty_tables(redis_url: str) -> None:
    async with open_rig(redis_url, SCENARIO, x_bearer_token=None) as rig:
        printed = await run_cli(rig.runtime)
    assert "no_credentials" in printed
    assert "troubles" not in printed
    assert "resets_at" in printed
    assert "requests" not in printed
