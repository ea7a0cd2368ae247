"""Integers, cursors, OPTIONS, and the refusals of an idempotency key."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from dataclasses import replace
from typing import Any

import pytest

from notifier.api.cursors import Place
from notifier.runtime import Runtime
from notifier.store import schema
from notifier.store.housekeeping import IN_FLIGHT_SECONDS
from tests.support.admin_api import Client, add_endpoint, create, problem, refused_fields
from tests.support.pipeline import numbered_event

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(("number", "value"), [("16.0", 16), ("1e2", 100), ("1.6E1", 16), ("16", 16)])
async def test_a_number_without_a_fraction_is_an_integer(api_client: Client, number: str, value: int) -> None:
    body = f'{{"url": "https://example.com/", "max_concurrency": {number}}}'
    created = await api_client.post("/v1/endpoints", data=body, headers=JSON)
    assert (await created.json())["max_concurrency"] == value
    path = created.headers["Location"]
    rotated = await api_client.post(
        f"{path}/rotate-secret", data=f'{{"grace_seconds": {number}}}', headers=JSON
    )
    assert rotated.status == 200


@pytest.mark.parametrize("number", ["16.5", "true", '"16"', "null", "1e400", "-0.5", "[16]", "1e-2"])
async def test_a_fraction_or_a_non_number_is_not_an_integer(api_client: Client, number: str) -> None:
    body = f'{{"url": "https://example.com/", "max_concurrency": {number}}}'
    response = await api_client.post("/v1/endpoints", data=body, headers=JSON)
    assert await refused_fields(response) == {"body.max_concurrency"}


@pytest.mark.parametrize(
    "limit",
    ["5.0", "1_0", "%2B5", "%205", "5%20", "05", "0x5", "5e0", "-5", "%EF%BC%95", "9" * 5_000, "true"],
)
@pytest.mark.parametrize("path", ["/v1/watches", "/v1/events", "/v1/deliveries"])
async def test_a_limit_consists_of_digits_only(api_client: Client, path: str, limit: str) -> None:
    response = await api_client.get(f"{path}?limit={limit}")
    assert await refused_fields(response) == {"query.limit"}


async def store(runtime: Runtime, count: int) -> list[str]:
    """Log events, oldest first."""
    events = [numbered_event(number) for number in range(1, count + 1)]
    for event in events:
        await runtime.store.events.commit(event)
    return [event.id for event in events]


async def page(client: Client, path: str) -> dict[str, Any]:
    response = await client.get(path)
    assert response.status == 200, await response.text()
    document: dict[str, Any] = await response.json()
    return document


async def test_a_cursor_is_valid_only_for_its_own_list(api_client: Client, api_runtime: Runtime) -> None:
    await store(api_runtime, 3)
    endpoint, *_ = [await add_endpoint(api_client) for _ in range(3)]
    for user in "123":
        await create(api_client, "/v1/watches", kind="creator", target=user)
    lists = ["/v1/watches", "/v1/endpoints", "/v1/events"]
    cursors = {path: (await page(api_client, f"{path}?limit=1"))["next_cursor"] for path in lists}
    others = [
        "/v1/spaces",
        "/v1/deliveries",
        f"/v1/endpoints/{endpoint['id']}/recoveries",
        "/v1/spaces/1/events",
    ]
    for origin, cursor in cursors.items():
        for path in (*lists, *others):
            response = await api_client.get(f"{path}?limit=1&cursor={cursor}")
            if path == origin:
                assert response.status == 200
            else:
                assert (await problem(response, 400))["detail"].startswith("cursor: "), (origin, path)


async def test_a_cursor_is_valid_only_for_its_own_filters(api_client: Client, api_runtime: Runtime) -> None:
    await store(api_runtime, 3)
    cursor = (await page(api_client, "/v1/events?limit=1&type=webhook.test"))["next_cursor"]
    rest = await page(api_client, f"/v1/events?limit=2&type=webhook.test&cursor={cursor}&space_id=")
    assert len(rest["data"]) == 2, "the size of a page is no filter, nor is what is empty"
    for filters in ("", "type=space.ended&", "type=webhook.test&space_id=1&"):
        assert (await problem(await api_client.get(f"/v1/events?{filters}cursor={cursor}"), 400))["detail"]


@pytest.mark.parametrize("where", ["cursor", "after"])
async def test_a_cursor_that_was_tampered_with_is_refused(
    api_client: Client, api_runtime: Runtime, where: str
) -> None:
    await store(api_runtime, 2)
    cursor = (await page(api_client, "/v1/events?limit=1"))["next_cursor"]
    assert not cursor.isdigit()
    changed = [
        cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :] for at in range(len(cursor))
    ]
    forged = urlsafe_b64encode(b"\x01xxxxxx" + json.dumps(["/v1/events", "", "1"]).encode()).decode()
    for wrong in (*changed, cursor[:-1], cursor + "=", cursor + "A", cursor.lower(), forged, "x", "%ff", "ü"):
        response = await api_client.get("/v1/events", params={where: wrong})
        assert (await problem(response, 400))["detail"].startswith(f"{where}: "), wrong


@pytest.mark.parametrize("position", ["", "x", "-1", "1.5", "\u0665", "9" * 30])
async def test_an_invented_position_is_refused(api_client: Client, position: str) -> None:
    cursor = replace(Place("/v1/watches", "", ""), position=position).cursor()
    await problem(await api_client.get(f"/v1/watches?cursor={cursor}"), 400)


async def test_plain_numbers_are_no_longer_cursors(api_client: Client) -> None:
    for path in ("/v1/watches", "/v1/events", "/v1/deliveries"):
        await problem(await api_client.get(f"{path}?cursor=5"), 400)


@pytest.mark.parametrize("after", ["", "0", "evt_1"])
async def test_after_and_cursor_cannot_be_combined(
    api_client: Client, api_runtime: Runtime, after: str
) -> None:
    await store(api_runtime, 3)
    cursor = (await page(api_client, "/v1/events?limit=1"))["next_cursor"]
    response = await api_client.get(f"/v1/events?after={after}&cursor={cursor}")
    assert await refused_fields(response) == {"query.after"}
    assert len((await page(api_client, "/v1/events?after=0&cursor="))["data"]) == 3


async def test_after_accepts_every_form_of_log_position(api_client: Client, api_runtime: Runtime) -> None:
    ids = await store(api_runtime, 4)
    first = await page(api_client, "/v1/events?after=&limit=1")
    listed = await page(api_client, "/v1/events?limit=3&type=webhook.test")
    serial = (await api_runtime.store.events.get(ids[0])).serial
    for after in (ids[0], first["next_cursor"], str(serial)):
        found = await page(api_client, f"/v1/events?after={after}&type=webhook.test")
        assert [event["id"] for event in found["data"]] == ids[1:]
    # A position from a filtered list is a position in the log as well.
    found = await page(api_client, f"/v1/events?after={listed['next_cursor']}")
    assert [event["id"] for event in found["data"]] == ids[2:]
    await add_endpoint(api_client)
    await add_endpoint(api_client)
    other = (await page(api_client, "/v1/endpoints?limit=1"))["next_cursor"]
    await problem(await api_client.get(f"/v1/events?after={other}"), 400)


async def test_options_lists_the_methods_without_a_key(bare_client: Client) -> None:
    document = await (await bare_client.get("/openapi.json")).json()
    for path, methods in document["paths"].items():
        response = await bare_client.options(path.replace("{", "").replace("}", ""))
        expected = {method.upper() for method in methods} | {"OPTIONS"}
        expected |= {"HEAD"} if "GET" in expected else set()
        assert response.status == 204, path
        assert response.headers["Allow"] == ", ".join(sorted(expected))
        patches = "application/json, application/merge-patch+json" if "PATCH" in expected else None
        assert response.headers.get("Accept-Patch") == patches
        assert await response.read() == b""
    assert (await bare_client.options("/openapi.json")).headers["Allow"] == "GET, HEAD, OPTIONS"
    await problem(await bare_client.options("/v1/nothing"), 401)
    await problem(await bare_client.options("/nothing"), 404)


async def test_no_cors_headers_are_sent(api_client: Client) -> None:
    headers = {"Origin": "https://example.com", "Access-Control-Request-Method": "POST"}
    for response in (
        await api_client.options("/v1/watches", headers=headers),
        await api_client.get("/v1/watches", headers=headers),
        await api_client.get("/nothing", headers=headers),
    ):
        assert not [name for name in response.headers if name.lower().startswith("access-control-")]


async def test_a_reused_idempotency_key_and_one_in_use_are_different_problems(
    api_client: Client, api_runtime: Runtime
) -> None:
    body, headers = {"url": "https://example.com/"}, {"Idempotency-Key": "one"}
    assert (await api_client.post("/v1/endpoints", json=body, headers=headers)).status == 201
    other = await api_client.post("/v1/endpoints", json={**body, "description": "x"}, headers=headers)
    assert (await problem(other, 409))["type"] == "/problems/idempotency-key-reused"
    assert "Retry-After" not in other.headers

    key = schema.IDEMPOTENCY("one")
    redis = api_runtime.store.database.redis
    mark = json.loads(await redis.get(key))["fingerprint"]
    await redis.delete(key)
    await api_runtime.store.idempotency.begin("one", mark)  # as left by a process that died in the middle
    again = await api_client.post("/v1/endpoints", json=body, headers=headers)
    assert (await problem(again, 409))["type"] == "/problems/idempotency-in-progress"
    assert again.headers["Retry-After"] == "1"
    assert 0 < await redis.pttl(key) <= IN_FLIGHT_SECONDS * 1000
    await redis.pexpire(key, 0)
    assert (await api_client.post("/v1/endpoints", json=body, headers=headers)).status == 201


async def test_a_repeated_answer_has_its_etag(api_client: Client) -> None:
    body, headers = {"url": "https://example.com/"}, {"Idempotency-Key": "one"}
    first = await api_client.post("/v1/endpoints", json=body, headers=headers)
    again = await api_client.post("/v1/endpoints", json=body, headers=headers)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert first.headers["ETag"] == again.headers["ETag"]


async def test_the_openapi_document_describes_headers_statuses_and_types(bare_client: Client) -> None:
    paths = (await (await bare_client.get("/openapi.json")).json())["paths"]
    patch = paths["/v1/endpoints/{endpoint_id}"]["patch"]
    assert "If-Match" in {each["name"] for each in patch["parameters"]}
    assert set(patch["requestBody"]["content"]) == {"application/json", "application/merge-patch+json"}
    assert "ETag" in patch["responses"]["200"]["headers"]
    assert {"400", "401", "404", "408", "409", "413", "415", "422"} <= set(patch["responses"])
    create_endpoint = paths["/v1/endpoints"]["post"]
    assert "Retry-After" in create_endpoint["responses"]["409"]["headers"]
    assert set(create_endpoint["requestBody"]["content"]) == {"application/json"}
    assert "If-Match" not in {each["name"] for each in create_endpoint["parameters"]}
