"""``/v1/watches``."""

from __future__ import annotations

from typing import Any

import pytest

from notifier.runtime import Runtime
from tests.support.admin_api import Client, create, problem, refused_fields
from tests.support.api_runtime import wakeups_of

PATH = "/v1/watches"


async def test_a_creator_by_id_is_active_at_once(api_client: Client, api_runtime: Runtime) -> None:
    response = await api_client.post(PATH, json={"kind": "creator", "target": "2244994945", "label": "dev"})
    watch = await response.json()
    assert response.status == 201
    assert response.headers["Location"] == f"{PATH}/{watch['id']}"
    assert watch["id"].startswith("wch_")
    assert watch["created_at"].endswith("Z")
    assert {name: watch[name] for name in ("kind", "target", "user_id", "status", "paused", "label")} == {
        "kind": "creator",
        "target": "2244994945",
        "user_id": "2244994945",
        "status": "active",
        "paused": False,
        "label": "dev",
    }
    assert watch["on_first_sight"] == "baseline"
    assert watch["failure_reason"] is None
    assert wakeups_of(api_runtime).jobs == ["observe"]


async def test_a_name_is_resolved_by_the_workers(api_client: Client) -> None:
    watch = await create(api_client, PATH, kind="creator", target="@TwitterDev", on_first_sight="announce")
    assert (watch["status"], watch["user_id"], watch["on_first_sight"]) == ("resolving", None, "announce")


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("creator", "TwitterDev"),
        ("creator", "@"),
        ("creator", "@sixteen_letters_"),
        ("creator", "1" * 20),
        ("creator", "2244994945\n"),
        ("creator", "02244994945"),
        ("creator", "+2244994945"),
        ("creator", " 2244994945"),
        ("creator", "\uff12\uff12\uff14\uff14"),
        ("space", "https://x.com/i/spaces/1zqKVXPQhvZJB"),
        ("space", "1zqKVXPQhvZJBx"),
        ("space", "1zq-"),
        ("search", "  "),
        ("search", "x" * 2049),
    ],
)
async def test_a_target_has_the_form_of_its_kind(api_client: Client, kind: str, target: str) -> None:
    response = await api_client.post(PATH, json={"kind": kind, "target": target})
    assert await refused_fields(response) == {"body.target"}


async def test_the_same_target_twice_is_a_conflict_with_the_id(api_client: Client) -> None:
    first = await create(api_client, PATH, kind="creator", target="@TwitterDev")
    response = await api_client.post(PATH, json={"kind": "creator", "target": "@twitterdev"})
    assert (await problem(response, 409))["id"] == first["id"]


async def test_ids_that_differ_in_case_are_two_spaces(api_client: Client) -> None:
    await create(api_client, PATH, kind="space", target="1abc")
    await create(api_client, PATH, kind="space", target="1ABC")


async def test_the_list_and_the_single_watch_agree(api_client: Client) -> None:
    watch = await create(api_client, PATH, kind="search", target="python")
    one = await (await api_client.get(f"{PATH}/{watch['id']}")).json()
    page = await (await api_client.get(PATH)).json()
    assert page == {"data": [one], "next_cursor": None}
    assert isinstance(one["spaces"], list)
    assert one["user_id"] is None


async def test_a_patch_changes_what_it_names_and_nothing_else(api_client: Client) -> None:
    watch = await create(api_client, PATH, kind="space", target="1abc", label="keep")
    path = f"{PATH}/{watch['id']}"
    assert (await (await api_client.patch(path, json={"paused": True})).json()) == {**watch, "paused": True}
    assert (await (await api_client.patch(path, json={"label": None})).json())["label"] is None
    assert (await (await api_client.patch(path, json={})).json())["paused"] is True


async def test_resuming_wakes_the_workers(api_client: Client, api_runtime: Runtime) -> None:
    watch = await create(api_client, PATH, kind="space", target="1abc")
    for paused in (True, False, False):
        await api_client.patch(f"{PATH}/{watch['id']}", json={"paused": paused})
    assert wakeups_of(api_runtime).jobs == ["observe", "observe"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"paused": "yes"}, "paused"),
        ({"paused": None}, "paused"),
        ({"target": "1abd"}, "target"),
        ({"label": "x" * 201}, "label"),
    ],
)
async def test_a_patch_refuses_other_fields(api_client: Client, body: dict[str, Any], field: str) -> None:
    watch = await create(api_client, PATH, kind="space", target="1abc")
    response = await api_client.patch(f"{PATH}/{watch['id']}", json=body)
    assert await refused_fields(response) == {f"body.{field}"}


async def test_a_removed_watch_is_gone(api_client: Client) -> None:
    watch = await create(api_client, PATH, kind="space", target="1abc")
    path = f"{PATH}/{watch['id']}"
    response = await api_client.delete(path)
    assert (response.status, await response.read()) == (204, b"")
    for method in ("GET", "PATCH", "DELETE"):
        await problem(await api_client.request(method, path, json={"paused": True}), 404)
