"""``/v1/endpoints``."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from notifier.core.delivery.pacing import FIRST_CONCURRENCY
from notifier.core.delivery.signing import parse_signing_key
from notifier.core.model.instants import rfc3339
from notifier.runtime import Runtime
from notifier.store import deliver_job, schema
from tests.support.admin_api import KEY, Client, Serve, add_endpoint, problem, refused_fields
from tests.support.api_runtime import clock_of, wakeups_of

PATH = "/v1/endpoints"
URL = "https://example.com/hook"


def whsec(length: int, fill: int = 7) -> str:
    return "whsec_" + base64.b64encode(bytes([fill]) * length).decode()


async def test_a_new_endpoint_has_the_defaults_and_shows_its_secret(api_client: Client) -> None:
    response = await api_client.post(PATH, json={"url": f"{URL}#part"})
    endpoint = await response.json()
    assert response.status == 201
    assert response.headers["Location"] == f"{PATH}/{endpoint['id']}"
    parse_signing_key(endpoint.pop("secret"))
    assert endpoint.pop("id").startswith("ep_")
    assert endpoint.pop("created_at") == endpoint.pop("updated_at")
    assert endpoint == {
        "url": URL,
        "kind": "webhook",
        "description": None,
        "event_types": ["space.*"],
        "filters": {"space_ids": [], "creator_ids": [], "watch_ids": [], "languages": []},
        "payload": "full",
        "format": "standard",
        "signing": "hmac",
        "public_key": None,
        "headers": {},
        "ordering": "none",
        "max_concurrency": 16,
        "rate_limit_per_second": None,
        "metadata": {},
        "status": "enabled",
        "disabled_reason": None,
        "disabled_at": None,
        "verification": None,
        "health": {
            "pending": 0,
            "oldest_due_at": None,
            "consecutive_failures": 0,
            "last_success_at": None,
            "last_failure_at": None,
            "last_failure_reason": None,
            "learned_rate_per_second": None,
            "learned_concurrency": FIRST_CONCURRENCY,
            "paused_until": None,
        },
    }


CHOICES: dict[str, Any] = {
    "description": "Ours",
    "event_types": ["space.started", "watch.baseline"],
    "filters": {
        "space_ids": ["1abc"],
        "creator_ids": ["2244994945"],
        "watch_ids": ["wch_1"],
        "languages": ["en"],
    },
    "payload": "thin",
    "format": "cloudevents",
    "headers": {"X-Team": "spaces"},
    "max_concurrency": 256,
    "rate_limit_per_second": 0.5,
    "metadata": {"team": "spaces"},
}


async def test_chosen_values_are_kept_and_the_secret_is_not_shown_again(api_client: Client) -> None:
    created = await add_endpoint(api_client, **CHOICES)
    secret = created.pop("secret")
    one = await api_client.get(f"{PATH}/{created['id']}")
    page = await api_client.get(PATH)
    assert await one.json() == created
    assert (await page.json())["data"] == [created]
    assert secret not in await one.text() + await page.text()
    assert {name: created[name] for name in CHOICES} == CHOICES
    shown = await api_client.get(f"{PATH}/{created['id']}/secret")
    assert await shown.json() == {"secret": secret, "public_key": None}


async def test_a_secret_of_the_callers_own_is_accepted(api_client: Client) -> None:
    assert (await add_endpoint(api_client, secret=whsec(24)))["secret"] == whsec(24)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "http://example.com/"}, "url"),
        ({"url": "https://user:pass@example.com/"}, "url"),
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "url"),
        ({"url": "https://example.com:22/"}, "url"),
        ({"url": ""}, "url"),
        ({"url": None}, "url"),
        ({"kind": "slack"}, "kind"),
        ({"format": "xml"}, "format"),
        ({"signing": "rsa"}, "signing"),
        ({"verify": "echo"}, "verify"),
        ({"verification": {"status": "passed"}}, "verification"),
        ({"public_key": "whpk_AAAA"}, "public_key"),
        ({"disabled_at": None}, "disabled_at"),
        ({"ordering": "random"}, "ordering"),
        ({"payload": "half"}, "payload"),
        ({"event_types": []}, "event_types"),
        ({"event_types": ["space.exploded"]}, "event_types"),
        ({"event_types": "space.*"}, "event_types"),
        ({"event_types": None}, "event_types"),
        ({"filters": {"creator_ids": ["@TwitterDev"]}}, "filters.creator_ids.0"),
        ({"filters": {"space_ids": ["1abc\n"]}}, "filters.space_ids.0"),
        ({"filters": {"topics": []}}, "filters.topics"),
        ({"secret": "hush"}, "secret"),
        ({"secret": whsec(23)}, "secret"),
        ({"secret": "whsk_" + base64.b64encode(bytes(32)).decode()}, "secret"),
        ({"headers": {"webhook-id": "x"}}, "headers.webhook-id"),
        ({"headers": {"X": "a\r\nb: c"}}, "headers.X"),
        ({"headers": {"X": "a\0"}}, "headers.X"),
        ({"headers": {"X": "a" * 4097}}, "headers.X"),
        ({"headers": {"Host": "internal"}}, "headers.Host"),
        ({"headers": {"Content-Length": "0"}}, "headers.Content-Length"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "headers.Transfer-Encoding"),
        ({"headers": {"Webhook-Anything": "x"}}, "headers.Webhook-Anything"),
        ({"headers": {"a b": "x"}}, "headers.a b"),
        ({"headers": {f"X-{number}": "" for number in range(33)}}, "headers"),
        ({"headers": {"X": 1}}, "headers.X"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"max_concurrency": 257}, "max_concurrency"),
        ({"max_concurrency": 1.5}, "max_concurrency"),
        ({"max_concurrency": True}, "max_concurrency"),
        ({"rate_limit_per_second": 0}, "rate_limit_per_second"),
        ({"rate_limit_per_second": 1e-300}, "rate_limit_per_second"),
        ({"rate_limit_per_second": 10_001}, "rate_limit_per_second"),
        ({"rate_limit_per_second": "5"}, "rate_limit_per_second"),
        ({"metadata": {str(number): "" for number in range(51)}}, "metadata"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"status": "disabled"}, "status"),
        ({"id": "ep_mine"}, "id"),
    ],
)
async def test_unsupported_values_are_refused_by_name(
    api_client: Client, body: dict[str, Any], field: str
) -> None:
    response = await api_client.post(PATH, json={"url": URL, **body})
    assert await refused_fields(response) == {f"body.{field}"}
    assert "whsec_B" not in await response.text()
    patched = await add_endpoint(api_client)
    response = await api_client.patch(f"{PATH}/{patched['id']}", json=body)
    assert {name.split(".")[1] for name in await refused_fields(response)} == {field.partition(".")[0]}


async def test_a_refused_choice_lists_the_valid_ones(api_client: Client) -> None:
    response = await api_client.post(PATH, json={"url": URL, "ordering": "random"})
    assert "'none' or 'space'" in (await problem(response, 422))["errors"][0]["msg"]


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a?",
        "https://example.com?",
        "https://example.com",
        "https://example.com//a/./b/../c;d=1/%7e%7E?a=%2f&&=",
        "HTTPS://Example.COM/Hook",
    ],
)
async def test_a_url_is_kept_as_it_was_written(api_client: Client, url: str) -> None:
    created = await add_endpoint(api_client, url=url)
    patched = await add_endpoint(api_client, url="https://example.com/other")
    response = await api_client.patch(f"{PATH}/{patched['id']}", json={"url": url})
    assert (await response.json())["url"] == created["url"] == url
    for each in (created, patched):
        shown = await (await api_client.get(f"{PATH}/{each['id']}")).json()
        assert shown["url"] == url


@pytest.mark.parametrize("host", ["[::1%25lo]", "[fe80::1%eth0]", "[2606:4700::1111%251]"])
async def test_a_zone_in_a_url_is_refused(api_client: Client, host: str) -> None:
    endpoint = await add_endpoint(api_client)
    body = {"url": f"https://{host}/hook"}
    for response in (
        await api_client.post(PATH, json=body),
        await api_client.patch(f"{PATH}/{endpoint['id']}", json=body),
    ):
        document = await problem(response, 422)
        assert [error["loc"] for error in document["errors"]] == [["body", "url"]]
        assert "must not name a zone" in document["errors"][0]["msg"]


async def test_a_filter_accepts_only_the_canonical_form_of_an_id(api_client: Client) -> None:
    body = {"url": URL, "filters": {"creator_ids": ["02244994945"]}}
    assert await refused_fields(await api_client.post(PATH, json=body)) == {"body.filters.creator_ids.0"}


async def test_a_url_is_required(api_client: Client) -> None:
    assert await refused_fields(await api_client.post(PATH)) == {"body.url"}


async def test_plain_http_can_be_allowed_and_so_can_networks(
    api_client: Client, api_runtime: Runtime, serve: Serve
) -> None:
    url = "http://127.0.0.1:9000/"
    assert await refused_fields(await api_client.post(PATH, json={"url": url})) == {"body.url"}
    settings = api_runtime.settings.model_copy(update={"allow_http": True})
    lenient = await serve(replace(api_runtime, settings=settings))
    lenient.session.headers.update(KEY)
    assert (await add_endpoint(lenient, url=url))["url"] == url


async def test_a_patch_changes_what_it_names_and_nothing_else(
    api_client: Client, api_runtime: Runtime
) -> None:
    before = await add_endpoint(api_client, **CHOICES)
    del before["secret"]
    path = f"{PATH}/{before['id']}"
    clock_of(api_runtime).now += 60
    changes = {"description": None, "rate_limit_per_second": None, "url": "https://example.org/"}
    after = await (await api_client.patch(path, json=changes)).json()
    assert after["updated_at"] > before["updated_at"]
    assert after == {**before, **changes, "updated_at": after["updated_at"]}
    assert await (await api_client.get(path)).json() == after


@pytest.mark.parametrize(
    ("body", "advice"),
    [
        ({"secret": whsec(32)}, "rotate-secret"),
        ({"status": "disabled"}, "/disable"),
        ({"signing": "ed25519"}, "add another endpoint"),
        ({"verify": "challenge"}, "add another endpoint"),
        ({"verification": {"status": "passed"}}, "/verify"),
    ],
)
async def test_a_patch_of_another_field_says_how_to_change_it(
    api_client: Client, body: dict[str, Any], advice: str
) -> None:
    endpoint = await add_endpoint(api_client)
    response = await api_client.patch(f"{PATH}/{endpoint['id']}", json=body)
    assert advice in (await problem(response, 422))["errors"][0]["msg"]


async def test_enable_closes_the_breaker_of_an_endpoint_that_is_enabled(
    api_client: Client, api_runtime: Runtime
) -> None:
    endpoint = await add_endpoint(api_client)
    state = api_runtime.store.partitions.key(schema.STATE, endpoint["id"])
    await api_runtime.store.database.redis.hset(state, mapping={"open_until": 9e12, "resume_at": 9e12})
    response = await api_client.post(f"{PATH}/{endpoint['id']}/enable")
    assert response.status == 200
    assert await api_runtime.store.database.redis.hmget(state, "open_until", "resume_at") == ["0", "0"]


async def test_disable_and_enable(api_client: Client, api_runtime: Runtime) -> None:
    path = f"{PATH}/{(await add_endpoint(api_client))['id']}"
    since = rfc3339(api_runtime.clock())
    for _ in range(2):
        response = await api_client.post(f"{path}/disable")
        endpoint = await response.json()
        assert (response.status, endpoint["status"], endpoint["disabled_reason"]) == (
            200,
            "disabled",
            "by_hand",
        )
        assert endpoint["disabled_at"] == since
        clock_of(api_runtime).now += 60
    await problem(await api_client.post(f"{path}/test"), 409)
    endpoint = await (await api_client.post(f"{path}/enable")).json()
    assert (endpoint["status"], endpoint["disabled_reason"], endpoint["disabled_at"]) == (
        "enabled",
        None,
        None,
    )
    assert (endpoint["missed"]["since"], endpoint["missed"]["events"]) == (since, 0)
    again = await (await api_client.post(f"{path}/enable")).json()
    assert again == endpoint | {"missed": None}
    assert set(wakeups_of(api_runtime).jobs) == {deliver_job(api_runtime.store.partitions.of(endpoint["id"]))}


async def test_the_old_secret_keeps_signing_during_the_grace_period(
    api_client: Client, api_runtime: Runtime
) -> None:
    created = await add_endpoint(api_client)
    path = f"{PATH}/{created['id']}"
    response = await api_client.post(f"{path}/rotate-secret", json={"grace_seconds": 60})
    rotated = await response.json()
    assert response.status == 200
    assert rotated["secret"] != created["secret"]
    assert rotated["previous_expires_at"] == "2023-11-14T22:14:20.000Z"
    shown = await (await api_client.get(f"{path}/secret")).json()
    assert shown == {"secret": rotated["secret"], "public_key": None}
    stored = await api_runtime.store.endpoints.get(created["id"])
    assert [(api_runtime.secrets.open(each.sealed), each.expires_at) for each in stored.secrets] == [
        (rotated["secret"], None),
        (created["secret"], api_runtime.clock() + 60),
    ]


async def test_without_grace_the_old_secret_goes_at_once(api_client: Client, api_runtime: Runtime) -> None:
    endpoint = await add_endpoint(api_client)
    body = {"grace_seconds": 0, "secret": whsec(64)}
    response = await api_client.post(f"{PATH}/{endpoint['id']}/rotate-secret", json=body)
    assert await response.json() == {
        "secret": whsec(64),
        "public_key": None,
        "previous_expires_at": None,
    }
    assert len((await api_runtime.store.endpoints.get(endpoint["id"])).secrets) == 1


async def test_at_most_five_secrets_sign_at_once(api_client: Client, api_runtime: Runtime) -> None:
    path = f"{PATH}/{(await add_endpoint(api_client))['id']}/rotate-secret"
    for _ in range(4):
        assert (await api_client.post(path)).status == 200
    await problem(await api_client.post(path), 409)
    clock_of(api_runtime).now += 86_401
    assert (await api_client.post(path)).status == 200


async def test_a_secret_that_signs_already_is_refused(api_client: Client) -> None:
    endpoint = await add_endpoint(api_client, secret=whsec(32))
    path = f"{PATH}/{endpoint['id']}/rotate-secret"
    response = await api_client.post(path, json={"secret": whsec(32)})
    assert await refused_fields(response) == {"body.secret"}


@pytest.mark.parametrize("grace", [-1, 604_801, "60", None, 1.5])
async def test_a_grace_period_is_0_to_7_days(api_client: Client, grace: object) -> None:
    endpoint = await add_endpoint(api_client)
    response = await api_client.post(f"{PATH}/{endpoint['id']}/rotate-secret", json={"grace_seconds": grace})
    assert await refused_fields(response) == {"body.grace_seconds"}


async def test_a_test_event_goes_only_to_its_endpoint(api_client: Client, api_runtime: Runtime) -> None:
    endpoint = await add_endpoint(api_client)
    ids = set()
    for _ in range(2):
        response = await api_client.post(f"{PATH}/{endpoint['id']}/test")
        assert response.status == 202
        ids.add((await response.json())["event_id"])
    assert len(ids) == 2
    assert await api_runtime.store.database.redis.zrange(schema.WAKEUPS(), 0, -1) == ["dispatch"]
    for event_id in ids:
        event = await (await api_client.get(f"/v1/events/{event_id}")).json()
        assert event["type"] == "webhook.test"
        assert event["data"]["details"]["endpoint_id"] == endpoint["id"]
        logged = await api_runtime.store.events.get(event_id)
        assert logged.routing.endpoint_id == endpoint["id"]


async def test_a_removed_endpoint_is_gone(api_client: Client) -> None:
    path = f"{PATH}/{(await add_endpoint(api_client))['id']}"
    assert (await api_client.delete(path)).status == 204
    for method, tail in [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/secret"),
        ("POST", "/enable"),
        ("POST", "/disable"),
        ("POST", "/verify"),
        ("POST", "/rotate-secret"),
        ("POST", "/test"),
    ]:
        await problem(await api_client.request(method, path + tail), 404)
