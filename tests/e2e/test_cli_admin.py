"""The admin API from a terminal, against a running installation."""

from __future__ import annotations

import re

from tests.support.processes import free_port
from tests.support.raw_http import raw_connection
from tests.support.receiver import Receiver
from tests.support.terminal import Terminal


async def test_watches(terminal: Terminal) -> None:
    watch = await terminal.json("watches", "create", "creator", "2244994945", "--announce", "--label", "devs")
    assert (watch["on_first_sight"], watch["label"]) == ("announce", "devs")
    table = await terminal.run("watches", "list")
    assert watch["id"] in table  # complete, although the terminal is narrow
    assert (await terminal.json("watches", "pause", watch["id"]))["paused"] is True
    assert (await terminal.json("watches", "resume", watch["id"]))["paused"] is False
    assert f"{watch['id']}\n" in (await terminal.run("watches", "get", watch["id"])).replace(" ", "")[2:]
    await terminal.run("watches", "delete", watch["id"])
    assert watch["id"] not in await terminal.run("watches", "list")


async def test_lists_have_pages(terminal: Terminal) -> None:
    for user in ("1", "2", "3"):
        await terminal.run("watches", "create", "creator", user)
    first = await terminal.run("watches", "list", "--limit", "2")
    cursor = first.partition("More: --cursor ")[2].strip()
    page = await terminal.json("watches", "list", "--cursor", cursor)
    assert page["data"][0]["target"] == "1"


async def test_the_log_has_pages_in_both_directions(terminal: Terminal) -> None:
    endpoint = await terminal.json("endpoints", "create", f"http://127.0.0.1:{free_port()}/")
    events = [(await terminal.json("endpoints", "test", endpoint["id"]))["event_id"] for _ in range(4)]
    oldest_first = await terminal.run("events", "list", "--limit", "2", "--after", events[0])
    assert [event in oldest_first for event in events] == [False, True, True, False]
    rest = await terminal.json(
        "events", "list", "--after", oldest_first.partition("More: --after ")[2].strip()
    )
    assert [event["id"] for event in rest["data"]] == events[3:]
    newest_first = await terminal.run("events", "list", "--limit", "2")
    assert [event in newest_first for event in events] == [False, False, True, True]
    rest = await terminal.json("events", "list", "--cursor", newest_first.partition("--cursor ")[2].strip())
    assert [event["id"] for event in rest["data"]][:2] == [events[1], events[0]]


async def test_the_server_answers_an_invalid_request_with_a_problem(terminal: Terminal) -> None:
    async with raw_connection(terminal.port) as client:
        await client.send(b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await client.answer()
        assert answer.status == 414
        answer.problem()
        assert await client.rest() == b""


async def test_a_refusal_is_one_line_with_exit_code_1(terminal: Terminal) -> None:
    for arguments, message in (
        (("watches", "get", "wch_none"), "Not found: There is no watch wch_none."),
        (("watches", "get", "../../healthz"), "Not found: "),
        (("watches", "create", "band", "Queen"), "The request is not valid: body.kind: "),
        (("watches", "list", "--limit", "999"), "The request is not valid: query.limit: "),
        (("watches", "list", "--key", "wrong"), "A valid API key is needed: This key is not known."),
    ):
        complaint = await terminal.run(*arguments, exit_code=1)
        assert complaint.startswith(f"space-notifier: {message}")
        assert complaint.count("\n") == 1


async def test_endpoints_events_and_deliveries(terminal: Terminal) -> None:
    async with Receiver() as receiver:
        endpoint = await terminal.json(
            "endpoints",
            "create",
            receiver.url(),
            "--event-type",
            "*",
            "--language",
            "en",
            "--max-concurrency",
            "3",
        )
        assert endpoint["filters"]["languages"] == ["en"]
        assert endpoint["max_concurrency"] == 3
        receiver.verify("/hook", endpoint["secret"])
        assert endpoint["id"] in await terminal.run("endpoints", "list")
        assert receiver.url() in await terminal.run("endpoints", "get", endpoint["id"])
        shown = await terminal.json("endpoints", "secret", endpoint["id"])
        assert shown["secret"] == endpoint["secret"]

        event_id = (await terminal.json("endpoints", "test", endpoint["id"]))["event_id"]
        (request,) = await receiver.wait_for("/hook", timeout=20)
        assert (request.event_id, request.verified) == (event_id, True)
        assert event_id in await terminal.run("events", "list", "--type", "webhook.test")
        assert (await terminal.json("events", "get", event_id))["id"] == event_id

        (delivery,) = (await terminal.json("deliveries", "list", "--event-id", event_id))["data"]
        await terminal.run("deliveries", "redeliver", delivery["id"])
        await receiver.wait_for("/hook", 2, timeout=20)
        assert "manual" in await terminal.run("deliveries", "get", delivery["id"])
        attempts = (await terminal.json("deliveries", "get", delivery["id"]))["attempts"]
        assert {attempt["trigger"] for attempt in attempts} == {"scheduled", "manual"}

    rotated = await terminal.json("endpoints", "rotate-secret", endpoint["id"], "--grace-seconds", "0")
    assert rotated["secret"] != endpoint["secret"]
    assert (await terminal.json("endpoints", "disable", endpoint["id"]))["status"] == "disabled"
    assert (await terminal.json("endpoints", "enable", endpoint["id"]))["status"] == "enabled"
    await terminal.run("endpoints", "delete", endpoint["id"])
    assert endpoint["id"] not in await terminal.run("endpoints", "list")


async def test_an_endpoint_is_updated_and_has_custom_headers_and_a_custom_secret(terminal: Terminal) -> None:
    secret = "whsec_dHJ5aW5nIG91dCBzcGFjZS1ub3RpZmllcg=="
    async with Receiver() as receiver:
        options = ("--secret", secret, "--header", "Authorization: Bearer a:b", "--metadata", "team=a=b")
        endpoint = await terminal.json("endpoints", "create", receiver.url("/first"), *options)
        assert endpoint["secret"] == secret
        assert (endpoint["headers"], endpoint["metadata"]) == (
            {"Authorization": "Bearer a:b"},
            {"team": "a=b"},
        )
        changes = ("--to", receiver.url("/second"), "--language", "de", "--rate-limit-per-second", "5")
        await terminal.run("endpoints", "update", endpoint["id"], *changes)
        await terminal.run("endpoints", "test", endpoint["id"])
        (request,) = await receiver.wait_for("/second", timeout=20)
        assert request.headers["authorization"] == "Bearer a:b"
    cleared = ("--clear", "headers", "--clear", "filters", "--clear", "rate_limit_per_second")
    changed = await terminal.json("endpoints", "update", endpoint["id"], *cleared, "--description", "mine")
    assert (changed["headers"], changed["filters"]["languages"]) == ({}, [])
    assert (changed["rate_limit_per_second"], changed["description"]) == (None, "mine")
    assert changed["metadata"] == {"team": "a=b"}

    assert "nothing to change" in await terminal.run("endpoints", "update", endpoint["id"], exit_code=2)
    for wrong in (("--header", "Bearer-secret"), ("--clear", "url"), ("--metadata", "=x")):
        complaint = await terminal.run("endpoints", "update", endpoint["id"], *wrong, exit_code=2)
        assert wrong[0] in complaint
        assert "Bearer-secret" not in complaint
    rotated = await terminal.json(
        "endpoints", "rotate-secret", endpoint["id"], "--secret", secret[:-4] + "MjM="
    )
    assert rotated["secret"] == secret[:-4] + "MjM="


async def test_the_source_and_the_system_have_tables(terminal: Terminal) -> None:
    source = await terminal.json("source")
    shown = await terminal.run("source")
    assert [queue["call"] for queue in source["looks"] if queue["call"] not in shown] == []
    assert re.search(r"^money\.spent_usd +0", shown, re.MULTILINE)
    assert "refused" not in shown  # nothing is, and an empty table is left out
    system = await terminal.json("system")
    shown = await terminal.run("system")
    assert re.search(rf"^version +{re.escape(system['version'])}", shown, re.MULTILINE)
    (worker,) = system["workers"]
    assert worker["id"] in shown
