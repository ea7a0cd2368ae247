"""Endpoints of a kind with a target, in the API, which knows only the table of kinds."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from notifier.core.delivery.endpoint import Ordering
from notifier.core.model.ids import EndpointId
from notifier.runtime import Runtime
from notifier.store import SecretBox, schema
from tests.support.admin_api import KEY, Client, Serve, create, problem, refused_fields
from tests.support.api_runtime import clock_of
from tests.support.echo import ECHO, WITH_ECHO

PATH = "/v1/endpoints"
TOKEN = "tok_0123456789abcdef"
TARGET: dict[str, Any] = {"url": "https://echo.example/rooms", "token": TOKEN}
SHOWN = {"url": "https://echo.example/rooms", "token": "…cdef", "room": "lobby", "quiet_until": None}
OF_WEBHOOKS = {"url", "payload", "format", "signing", "public_key", "headers", "verification", "secret"}


@pytest.fixture
async def client(serve: Serve, api_runtime: Runtime) -> Client:
    client = await serve(replace(api_runtime, kinds=WITH_ECHO))
    client.session.headers.update(KEY)
    return client


async def add(client: Client, **body: Any) -> dict[str, Any]:
    return await create(client, PATH, kind="echo", **{"target": TARGET, **body})


async def patched(client: Client, endpoint_id: str, body: object, *, merge: bool = False) -> Any:
    media_type = "application/merge-patch+json" if merge else "application/json"
    return await client.patch(
        f"{PATH}/{endpoint_id}", data=json.dumps(body), headers={"Content-Type": media_type}
    )


async def target_of(runtime: Runtime, endpoint_id: str) -> dict[str, Any]:
    endpoint = await runtime.store.endpoints.get(endpoint_id)
    assert endpoint.target is not None
    target: dict[str, Any] = json.loads(runtime.secrets.open(endpoint.target.sealed))
    return target


async def test_an_endpoint_has_the_defaults_of_its_kind_and_its_target_masked(
    client: Client, api_runtime: Runtime
) -> None:
    endpoint = await add(client)
    assert endpoint["kind"] == "echo"
    assert endpoint["target"] == SHOWN
    assert endpoint["event_types"] == list(ECHO.event_types)
    assert (endpoint["max_concurrency"], endpoint["rate_limit_per_second"]) == (1, 50.0)
    assert endpoint["ordering"] == "space"
    assert endpoint.keys() & OF_WEBHOOKS == set()
    one = await client.get(f"{PATH}/{endpoint['id']}")
    page = await client.get(PATH)
    assert await one.json() == endpoint
    assert (await page.json())["data"] == [endpoint]
    stored = await api_runtime.store.database.redis.get(schema.ENDPOINT(endpoint["id"]))
    assert TOKEN not in stored
    assert (await target_of(api_runtime, endpoint["id"]))["token"] == TOKEN


async def test_chosen_values_override_the_defaults_of_the_kind(client: Client) -> None:
    endpoint = await add(client, event_types=["*"], max_concurrency=3, ordering="space", metadata={"a": "b"})
    assert (endpoint["event_types"], endpoint["max_concurrency"]) == (["*"], 3)
    assert endpoint["metadata"] == {"a": "b"}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"url": "https://example.com/"}, {"url"}),
        ({"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, {"secret"}),
        ({"verify": "none", "signing": "hmac"}, {"verify", "signing"}),
        ({"format": "standard", "payload": "full", "headers": {}}, {"format", "payload", "headers"}),
        ({"ordering": "none"}, {"ordering"}),
        ({"target": {}}, {"target.url", "target.token"}),
        ({"target": TARGET | {"room": "two words"}}, {"target.room"}),
        ({"target": TARGET | {"surprise": 1}}, {"target.surprise"}),
        ({"target": TARGET | {"token": 5}}, {"target.token"}),
        ({"target": TARGET | {"url": "http://echo.example/"}}, {"target.url"}),
        ({"target": TARGET | {"url": "https://10.0.0.1/"}}, {"target.url"}),
        ({"target": "https://echo.example/"}, {"target"}),
        ({"target": None}, {"target"}),
        ({"kind": "discord"}, {"kind"}),
    ],
)
async def test_fields_that_a_kind_does_not_have_are_refused_by_name(
    client: Client, body: dict[str, Any], fields: set[str]
) -> None:
    response = await client.post(PATH, json={"kind": "echo", "target": TARGET, **body})
    assert await refused_fields(response) == {f"body.{field}" for field in fields}
    assert TOKEN not in await response.text()


async def test_a_refusal_contains_the_explanation_of_the_kind(client: Client) -> None:
    for body, detail in (
        (
            {"kind": "echo", "target": TARGET, "secret": "x"},
            "secret: an endpoint of the kind echo has none; leave it out",
        ),
        ({"kind": "echo", "target": TARGET | {"room": "a b"}}, "target.room: a room is one word"),
        ({"kind": "discord", "target": TARGET}, "kind: this version takes 'webhook' or 'echo'"),
        (
            {"url": "https://example.com/", "target": {}},
            "target: an endpoint of the kind webhook has none; leave it out",
        ),
    ):
        assert (await problem(await client.post(PATH, json=body), 422))["detail"] == detail


async def test_an_unknown_kind_is_refused(api_client: Client) -> None:
    response = await api_client.post(PATH, json={"kind": "echo", "target": TARGET})
    assert await refused_fields(response) == {"body.kind"}


async def test_a_webhook_has_no_target_and_needs_a_url(client: Client) -> None:
    webhook = await create(client, PATH, url="https://example.com/")
    assert "target" not in webhook
    assert webhook.keys() >= OF_WEBHOOKS
    assert await refused_fields(await client.post(PATH, json={"kind": "webhook"})) == {"body.url"}
    refused = await patched(client, webhook["id"], {"target": TARGET})
    assert await refused_fields(refused) == {"body.target"}


async def test_a_target_is_replaced_as_a_whole(client: Client, api_runtime: Runtime) -> None:
    endpoint = await add(client, target=TARGET | {"room": "one"})
    clock_of(api_runtime).now += 60
    changed = await (await patched(client, endpoint["id"], {"target": TARGET | {"token": "t" * 12}})).json()
    assert changed["target"] == SHOWN | {"token": "…tttt"}
    assert (await target_of(api_runtime, endpoint["id"]))["token"] == "t" * 12


async def test_a_merge_patch_merges_into_the_unmasked_target(client: Client, api_runtime: Runtime) -> None:
    endpoint = await add(client, event_types=["*"], target=TARGET | {"room": "one"})
    response = await patched(
        client, endpoint["id"], {"target": {"quiet_until": 5.0, "room": None}}, merge=True
    )
    assert (await response.json())["target"] == SHOWN | {"quiet_until": 5.0}
    assert (await target_of(api_runtime, endpoint["id"])) == TARGET | {"room": "lobby", "quiet_until": 5.0}
    response = await patched(client, endpoint["id"], {"event_types": None}, merge=True)
    assert (await response.json())["event_types"] == list(ECHO.event_types)


async def test_fields_that_a_kind_does_not_have_cannot_be_patched(client: Client) -> None:
    endpoint = await add(client)
    response = await patched(client, endpoint["id"], {"url": "https://example.com/", "ordering": "none"})
    assert await refused_fields(response) == {"body.url", "body.ordering"}
    response = await patched(client, endpoint["id"], {"headers": {"X": "y"}}, merge=True)
    assert await refused_fields(response) == {"body.headers"}


async def test_only_another_target_is_another_destination(client: Client, api_runtime: Runtime) -> None:
    endpoint = await add(client)
    before = await api_runtime.store.endpoints.get(endpoint["id"])
    clock_of(api_runtime).now += 60
    await patched(client, endpoint["id"], {"target": TARGET, "description": "the same"})
    same = await api_runtime.store.endpoints.get(endpoint["id"])
    assert (same.target, same.description) == (before.target, "the same")
    await patched(client, endpoint["id"], {"target": TARGET | {"room": "two"}})
    other = await api_runtime.store.endpoints.get(endpoint["id"])
    assert other.destination != same.destination == before.destination


async def test_an_endpoint_without_signing_has_no_secret_and_nothing_to_verify(client: Client) -> None:
    endpoint = await add(client)
    one = f"{PATH}/{endpoint['id']}"
    for response in (
        await client.get(f"{one}/secret"),
        await client.post(f"{one}/rotate-secret", json={}),
        await client.post(f"{one}/verify"),
    ):
        assert "of the kind echo" in (await problem(response, 409))["detail"]
    for action in ("disable", "enable", "test"):
        response = await client.post(f"{one}/{action}")
        assert response.status in {200, 202}, await response.text()


async def test_without_the_master_key_a_target_can_still_be_shown_and_replaced(
    client: Client, serve: Serve, api_runtime: Runtime
) -> None:
    endpoint = await add(client)
    box = SecretBox({"other": bytes(32)})
    keyless = await serve(replace(api_runtime, kinds=WITH_ECHO, secrets=box))
    keyless.session.headers.update(KEY)
    assert (await (await keyless.get(f"{PATH}/{endpoint['id']}")).json())["target"] == SHOWN
    await problem(await patched(keyless, endpoint["id"], {"target": {"room": "a"}}, merge=True), 503)
    assert (await patched(keyless, endpoint["id"], {"target": TARGET})).status == 200
    stored = (await api_runtime.store.endpoints.get(endpoint["id"])).target
    assert stored is not None
    assert json.loads(box.open(stored.sealed))["token"] == TOKEN


async def test_an_endpoint_of_a_newer_version_can_be_read_and_deleted_but_not_changed(
    client: Client, api_client: Client, api_runtime: Runtime
) -> None:
    endpoint = await add(client)
    one = f"{PATH}/{endpoint['id']}"
    assert (await (await api_client.get(one)).json())["target"] == SHOWN
    await problem(await patched(api_client, endpoint["id"], {"description": "x"}), 409)
    stored = await api_runtime.store.endpoints.get(EndpointId(endpoint["id"]))
    assert stored.ordering is Ordering.SPACE
    assert (await api_client.delete(one)).status == 204
