"""Concurrent changes of one record, If-Match, and merge patches."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from notifier.core.delivery.endpoint import Endpoint
from notifier.runtime import Runtime
from notifier.store.records import CHANGE_TRIES
from tests.support.admin_api import Client, Serve, add_endpoint, create, problem, refused_fields
from tests.support.api_runtime import open_test_runtime

ENDPOINTS, WATCHES = "/v1/endpoints", "/v1/watches"
WATCH = {"kind": "creator", "target": "2244994945"}
MERGE = {"Content-Type": "application/merge-patch+json"}
STALE = '"0123456789abcdef01234567"'


async def statuses(calls: list[Any]) -> set[int]:
    """Make concurrent calls and return their statuses."""
    return {answer.status for answer in await asyncio.gather(*calls)}


def endpoint_path(record: dict[str, Any]) -> str:
    return f"{ENDPOINTS}/{record['id']}"


async def test_40_parallel_patches_of_two_fields_all_take_effect(api_client: Client) -> None:
    path = endpoint_path(await add_endpoint(api_client))
    bodies: list[dict[str, Any]] = [{"description": f"number {n}"} for n in range(20)]
    bodies += [{"max_concurrency": n} for n in range(1, 21)]
    assert await statuses([api_client.patch(path, json=body) for body in bodies]) == {200}
    after = await (await api_client.get(path)).json()
    assert after["description"].startswith("number ")
    assert after["max_concurrency"] in range(1, 21)


async def test_parallel_patches_of_a_watch_all_take_effect(api_client: Client) -> None:
    path = f"{WATCHES}/{(await create(api_client, WATCHES, **WATCH))['id']}"
    bodies: list[dict[str, Any]] = [{"label": f"number {n}"} for n in range(20)] + [{"paused": True}] * 20
    assert await statuses([api_client.patch(path, json=body) for body in bodies]) == {200}
    after = await (await api_client.get(path)).json()
    assert (after["paused"], after["label"][:7]) == (True, "number ")


async def test_actions_and_patches_at_once_lose_nothing(api_client: Client) -> None:
    path = endpoint_path(await add_endpoint(api_client))
    calls = [api_client.post(f"{path}/{action}") for action in ("enable", "disable") for _ in range(8)]
    calls += [api_client.post(f"{path}/rotate-secret", json={"grace_seconds": 3600}) for _ in range(3)]
    calls += [api_client.patch(path, json={"metadata": {"team": "spaces"}}) for _ in range(8)]
    assert await statuses(calls) == {200}
    await api_client.post(f"{path}/enable")
    after = await (await api_client.get(path)).json()
    assert (after["status"], after["metadata"]) == ("enabled", {"team": "spaces"})


async def test_processes_that_change_the_same_endpoint_lose_nothing(
    api_client: Client, redis_url: str, serve: Serve
) -> None:
    path = endpoint_path(await add_endpoint(api_client))
    async with open_test_runtime(redis_url, empty=False) as runtime:
        other = await serve(runtime)
        other.session.headers.update(api_client.session.headers)
        calls = [api_client.patch(path, json={"description": "one"}) for _ in range(10)]
        calls += [other.patch(path, json={"metadata": {"by": "two"}}) for _ in range(10)]
        assert await statuses(calls) == {200}
    after = await (await api_client.get(path)).json()
    assert (after["description"], after["metadata"]) == ("one", {"by": "two"})


Interrupt = Callable[[dict[str, Any]], None]


@pytest.fixture
def interrupt(api_runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Interrupt:
    """Return a function that has another process change fields between the next read and its save."""

    def before_the_next_save(fields: dict[str, Any]) -> None:
        pending = [fields]
        save: Callable[..., Awaitable[None]] = api_runtime.store.endpoints.save

        async def interrupted(endpoint: Endpoint, *, replacing: Endpoint, **more: Any) -> None:
            while pending:
                await save(replace(replacing, **pending.pop()), replacing=replacing)
            await save(endpoint, replacing=replacing, **more)

        monkeypatch.setattr(api_runtime.store.endpoints, "save", interrupted)

    return before_the_next_save


async def test_a_concurrent_change_of_another_field_is_kept(api_client: Client, interrupt: Interrupt) -> None:
    path = endpoint_path(await add_endpoint(api_client))
    interrupt({"max_concurrency": 3})
    assert (await api_client.patch(path, json={"description": "mine"})).status == 200
    after = await (await api_client.get(path)).json()
    assert (after["description"], after["max_concurrency"]) == ("mine", 3)


async def test_a_concurrent_change_of_the_same_field_is_a_conflict(
    api_client: Client, interrupt: Interrupt
) -> None:
    path = endpoint_path(await add_endpoint(api_client))
    interrupt({"description": "theirs"})
    refused = await problem(await api_client.patch(path, json={"description": "mine"}), 409)
    assert refused["type"] == "/problems/version-conflict"
    assert refused["detail"].startswith("description: ")
    assert (await (await api_client.get(path)).json())["description"] == "theirs"


async def test_a_concurrent_change_to_the_same_value_is_no_conflict(
    api_client: Client, interrupt: Interrupt
) -> None:
    path = endpoint_path(await add_endpoint(api_client))
    interrupt({"description": "the same"})
    assert (await api_client.patch(path, json={"description": "the same"})).status == 200


async def test_merging_different_members_is_no_conflict(api_client: Client, interrupt: Interrupt) -> None:
    path = endpoint_path(await add_endpoint(api_client))
    interrupt({"metadata": {"theirs": "1"}})
    answer = await api_client.patch(path, data='{"metadata": {"mine": "2"}}', headers=MERGE)
    assert (await answer.json())["metadata"] == {"theirs": "1", "mine": "2"}


async def test_a_patch_gives_up_on_a_record_that_changes_all_the_time(
    api_client: Client, api_runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = endpoint_path(await add_endpoint(api_client))
    save: Callable[..., Awaitable[None]] = api_runtime.store.endpoints.save
    saves: list[Endpoint] = []

    async def always_late(endpoint: Endpoint, *, replacing: Endpoint, **more: Any) -> None:
        saves.append(endpoint)
        await save(replace(replacing, max_concurrency=1 + len(saves)), replacing=replacing)
        await save(endpoint, replacing=replacing, **more)

    monkeypatch.setattr(api_runtime.store.endpoints, "save", always_late)
    await problem(await api_client.patch(path, json={"description": "mine"}), 409)
    assert len(saves) == CHANGE_TRIES


async def tagged(client: Client, kind: str) -> tuple[str, str]:
    """Create an endpoint or a watch; return its path and ETag."""
    body = {"url": "https://example.com/"} if kind == ENDPOINTS else WATCH
    response = await client.post(kind, json=body)
    return response.headers["Location"], response.headers["ETag"]


@pytest.mark.parametrize(("kind", "field"), [(ENDPOINTS, "description"), (WATCHES, "label")])
async def test_an_etag_names_the_state_of_a_record(api_client: Client, kind: str, field: str) -> None:
    path, etag = await tagged(api_client, kind)
    assert (await api_client.get(path)).headers["ETag"] == etag
    changed = await api_client.patch(path, json={field: "new"}, headers={"If-Match": etag})
    assert changed.status == 200
    assert changed.headers["ETag"] != etag
    refused = await problem(await api_client.patch(path, json={field: "x"}, headers={"If-Match": etag}), 409)
    assert refused["type"] == "/problems/version-conflict"
    assert (await (await api_client.get(path)).json())[field] == "new"
    await problem(await api_client.delete(path, headers={"If-Match": etag}), 409)
    assert (await api_client.delete(path, headers={"If-Match": changed.headers["ETag"]})).status == 204


@pytest.mark.parametrize("action", ["enable", "disable", "rotate-secret"])
async def test_actions_honour_if_match(api_client: Client, action: str) -> None:
    path, etag = await tagged(api_client, ENDPOINTS)
    await problem(await api_client.post(f"{path}/{action}", headers={"If-Match": STALE}), 409)
    assert (await api_client.post(f"{path}/{action}", headers={"If-Match": etag})).status == 200


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ("*", 200),
        ("{}", 200),
        (STALE + ", {}", 200),
        ('W/"a",{} , "b"', 200),
        ("W/{}", 409),
        (STALE, 409),
        ('""', 409),
        ('W/"a", W/{}', 409),
        ("", 422),
        ("abc", 422),
        ('"abc', 422),
        ("*, {}", 422),
        ("w/{}", 422),
        ('"a" "b"', 422),
    ],
)
async def test_if_match_is_parsed_according_to_rfc_9110(api_client: Client, form: str, status: int) -> None:
    path, etag = await tagged(api_client, WATCHES)
    headers = {"If-Match": form.replace("{}", etag)}
    response = await api_client.patch(path, json={"label": "x"}, headers=headers)
    assert response.status == status
    if status == 422:
        assert await refused_fields(response) == {"header.If-Match"}


async def test_only_one_of_40_parallel_changes_with_the_same_etag_succeeds(api_client: Client) -> None:
    path, etag = await tagged(api_client, ENDPOINTS)
    calls = [
        api_client.patch(path, json={"description": f"{n}"}, headers={"If-Match": etag}) for n in range(40)
    ]
    answers = [answer.status for answer in await asyncio.gather(*calls)]
    assert (answers.count(200), answers.count(409)) == (1, 39)


CHOICES: dict[str, Any] = {
    "description": "Ours",
    "event_types": ["space.started"],
    "filters": {"space_ids": ["1abc"], "languages": ["en"]},
    "payload": "thin",
    "max_concurrency": 3,
    "rate_limit_per_second": 0.5,
    "headers": {"X-Team": "spaces", "X-Kept": "1"},
    "metadata": {"team": "spaces", "kept": "1"},
}


async def merge(client: Client, path: str, patch: dict[str, Any]) -> Any:
    return await client.request("PATCH", path, json=patch, headers=MERGE)


async def test_null_in_a_merge_patch_resets_to_the_default(api_client: Client) -> None:
    fresh = await add_endpoint(api_client)
    path = endpoint_path(await add_endpoint(api_client, **CHOICES))
    after = await (await merge(api_client, path, dict.fromkeys(CHOICES))).json()
    assert {name: after[name] for name in CHOICES} == {name: fresh[name] for name in CHOICES}


async def test_a_merge_patch_merges_nested_objects(api_client: Client) -> None:
    path = endpoint_path(await add_endpoint(api_client, **CHOICES))
    patch = {
        "filters": {"languages": None, "watch_ids": ["wch_1"]},
        "headers": {"X-Team": None, "X-New": "2"},
        "metadata": {"team": "others"},
    }
    after = await (await merge(api_client, path, patch)).json()
    assert after["filters"] == {
        "space_ids": ["1abc"],
        "creator_ids": [],
        "watch_ids": ["wch_1"],
        "languages": [],
    }
    assert after["headers"] == {"X-Kept": "1", "X-New": "2"}
    assert after["metadata"] == {"team": "others", "kept": "1"}
    assert after["description"] == "Ours"


async def test_a_merge_patch_of_a_watch(api_client: Client) -> None:
    path = f"{WATCHES}/{(await create(api_client, WATCHES, **WATCH, label='x'))['id']}"
    await api_client.patch(path, json={"paused": True})
    after = await (await merge(api_client, path, {"paused": None, "label": None})).json()
    assert (after["paused"], after["label"]) == (False, None)


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        ({"url": None}, "url"),
        ({"surprise": None}, "surprise"),
        ({"status": None}, "status"),
        ({"filters": {"surprise": []}}, "filters.surprise"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"max_concurrency": "5"}, "max_concurrency"),
    ],
)
async def test_a_merge_patch_is_validated_like_any_patch(
    api_client: Client, patch: dict[str, Any], field: str
) -> None:
    path = endpoint_path(await add_endpoint(api_client))
    assert await refused_fields(await merge(api_client, path, patch)) == {f"body.{field}"}


async def test_null_in_a_plain_json_patch_keeps_its_meaning(api_client: Client) -> None:
    path = endpoint_path(await add_endpoint(api_client, **CHOICES))
    assert (await api_client.patch(path, json={"description": None})).status == 200
    assert await refused_fields(await api_client.patch(path, json={"metadata": None})) == {"body.metadata"}


@pytest.mark.parametrize(
    ("method", "content_type", "status"),
    [
        ("PATCH", "application/json; charset=utf-8", 200),
        ("PATCH", 'application/merge-patch+json; charset="UTF-8"', 200),
        ("PATCH", "application/json; charset=latin-1", 415),
        ("PATCH", "application/merge-patch+json; charset=utf-16", 415),
        ("PATCH", "application/json-patch+json", 415),
        ("PATCH", "text/json", 415),
        ("POST", "application/merge-patch+json", 415),
        ("POST", "application/json; charset=iso-8859-1", 415),
    ],
)
async def test_bodies_are_json_in_utf_8(
    api_client: Client, method: str, content_type: str, status: int
) -> None:
    path = endpoint_path(await add_endpoint(api_client)) if method == "PATCH" else ENDPOINTS
    response = await api_client.request(method, path, data="{}", headers={"Content-Type": content_type})
    assert response.status == status
    if status == 415:
        await problem(response, 415)
        patches = "application/json, application/merge-patch+json"
        assert response.headers.get("Accept-Patch") == (patches if method == "PATCH" else None)
