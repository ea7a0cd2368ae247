"""Rules for every call: keys, problems, bodies, idempotency, health, the OpenAPI document."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from dataclasses import replace

import pytest
from yarl import URL

from notifier.runtime import Runtime, make_admin_key
from notifier.server import DESCRIBED
from tests.support.admin_api import KEY, Client, Serve, add_endpoint, problem, refused_fields
from tests.support.api_runtime import clock_of, wakeups_of, without_redis

WATCH = {"kind": "space", "target": "1zqKVXPQhvZJB"}


@pytest.mark.parametrize(
    "path", ["/v1/watches", "/v1/nothing", "/v1", "/v1/", "/%76%31/watches", "/v1/../v1/watches"]
)
@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic test-key", "test-key"]
)
async def test_every_path_under_v1_needs_the_key(
    bare_client: Client, path: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    # encoded: the path goes out in just this spelling
    url = URL(str(bare_client.make_url("/")).rstrip("/") + path, encoded=True)
    response = await bare_client.session.get(url, headers=headers)
    document = await problem(response, 401)
    assert document["type"] == "/problems/unauthorized"
    assert response.headers["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_key_is_accepted(bare_client: Client, scheme: str) -> None:
    response = await bare_client.get("/v1/watches", headers={"Authorization": f"{scheme} test-key"})
    assert response.status == 200


async def test_the_generated_key_is_checked_against_its_hash(api_runtime: Runtime, serve: Serve) -> None:
    runtime = replace(api_runtime, settings=api_runtime.settings.model_copy(update={"admin_key": None}))
    client = await serve(runtime)
    assert (await client.get("/v1/watches", headers=KEY)).status == 401
    made = await make_admin_key(runtime)
    for key, status in ((made, 200), (f"{made}x", 401), ("test-key", 401)):
        response = await client.get("/v1/watches", headers={"Authorization": f"Bearer {key}"})
        assert response.status == status


async def test_an_unknown_path_is_not_found(api_client: Client) -> None:
    await problem(await api_client.get("/v1/nothing"), 404)
    await problem(await api_client.get("/nothing"), 404)
    await problem(await api_client.get("/v1/watches/wch_none"), 404)


async def test_another_method_is_refused_with_those_that_are_allowed(api_client: Client) -> None:
    response = await api_client.put("/v1/watches")
    await problem(response, 405)
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS, POST"


async def test_head_is_answered_like_get(api_client: Client) -> None:
    response = await api_client.head("/v1/watches")
    assert response.status == 200
    assert await response.read() == b""


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b'{"target": NaN}',
        b'{"target": Infinity}',
        b'\xef\xbb\xbf{"kind": "space"}',
        b'{"target": "\xff"}',
        '{"kind": "space"}'.encode("utf-16"),
        b'{"target": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b'{"target": ' + b"9" * 5_000 + b"}",
    ],
)
async def test_a_body_that_is_not_a_json_object_is_refused(api_client: Client, body: bytes) -> None:
    response = await api_client.post("/v1/watches", data=body, headers={"Content-Type": "application/json"})
    await problem(response, 400)


async def test_a_body_with_a_broken_encoding_is_refused(api_client: Client) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    await problem(await api_client.post("/v1/watches", data=b"no gzip", headers=headers), 400)


async def test_a_gzip_bomb_is_too_large(api_client: Client) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    bomb = gzip.compress(b" " * 10_000_000)
    await problem(await api_client.post("/v1/watches", data=bomb, headers=headers), 413)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
async def test_a_body_must_be_declared_as_json(api_client: Client, content_type: str) -> None:
    response = await api_client.post(
        "/v1/watches", data=json.dumps(WATCH), headers={"Content-Type": content_type}
    )
    await problem(response, 415)


async def test_a_body_may_have_64_kib_and_no_more(api_client: Client) -> None:
    headers = {"Content-Type": "application/json"}
    body = json.dumps(WATCH).encode().ljust(65_536)
    assert (await api_client.post("/v1/watches", data=body, headers=headers)).status == 201
    await problem(await api_client.post("/v1/watches", data=body + b" ", headers=headers), 413)


async def test_a_lone_surrogate_is_refused_everywhere(api_client: Client) -> None:
    for body, field in (
        (rb'{"kind": "search", "target": "\ud800"}', "body.target"),
        (rb'{"kind": "space", "target": "1a", "\udc00": 1}', "body.\udc00"),
    ):
        response = await api_client.post(
            "/v1/watches", data=body, headers={"Content-Type": "application/json"}
        )
        assert await refused_fields(response) == {field}


async def test_unknown_and_wrong_fields_are_all_named(api_client: Client) -> None:
    response = await api_client.post("/v1/watches", json={"kind": "list", "label": 5, "surprise": 1})
    assert await refused_fields(response) == {"body.kind", "body.target", "body.label", "body.surprise"}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=251", "limit"),
        ("limit=many", "limit"),
        ("offset=3", "offset"),
        ("limit=5&limit=6", "limit"),
    ],
)
async def test_a_wrong_parameter_is_named(api_client: Client, query: str, field: str) -> None:
    assert await refused_fields(await api_client.get(f"/v1/watches?{query}")) == {f"query.{field}"}


async def test_every_operation_refuses_undocumented_parameters(api_client: Client) -> None:
    document = await (await api_client.get("/openapi.json")).json()
    operations = [(method, path) for path, methods in document["paths"].items() for method in methods]
    assert len(operations) == len(DESCRIBED)
    for method, path in operations:
        response = await api_client.request(method, re.sub("[{}]", "", path), params={"surprise": "1"})
        if path.startswith("/v1/"):
            assert await refused_fields(response) == {"query.surprise"}, path
        else:
            # Health checks allow any parameter; the 503 is because no worker has reported.
            assert response.status in {200, 503}, path


async def test_a_malformed_cursor_is_refused(api_client: Client) -> None:
    await problem(await api_client.get("/v1/watches?cursor=x"), 400)


async def test_pages_follow_each_other_to_the_end(api_client: Client) -> None:
    added = [(await add_endpoint(api_client))["id"] for _ in range(5)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = await (await api_client.get(f"/v1/endpoints?limit=2&cursor={cursor}")).json()
        seen += [endpoint["id"] for endpoint in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == added[::-1]


async def test_a_repeated_post_gets_the_same_answer_and_does_nothing(api_client: Client) -> None:
    headers = {"Idempotency-Key": "one"}
    body = {"url": "https://example.com/", "description": "x"}
    first = await api_client.post("/v1/endpoints", json=body, headers=headers)
    again = await api_client.post("/v1/endpoints", json=dict(reversed(body.items())), headers=headers)
    assert (first.status, again.status) == (201, 201)
    assert await first.read() == await again.read()
    assert first.headers["Location"] == again.headers["Location"]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len((await (await api_client.get("/v1/endpoints")).json())["data"]) == 1
    other = await api_client.post("/v1/endpoints", json={**body, "description": "y"}, headers=headers)
    await problem(other, 409)
    elsewhere = await api_client.post("/v1/watches", json=WATCH, headers=headers)
    await problem(elsewhere, 409)


async def test_no_secret_is_stored_in_clear_text(api_client: Client, api_runtime: Runtime) -> None:
    response = await api_client.post(
        "/v1/endpoints", json={"url": "https://example.com/"}, headers={"Idempotency-Key": "one"}
    )
    secret = (await response.json())["secret"]
    redis = api_runtime.store.database.redis
    stored = [await redis.dump(key) async for key in redis.scan_iter()]
    assert stored
    assert not any(secret.encode() in content for content in stored)


async def test_a_refused_post_may_be_corrected_under_the_same_key(api_client: Client) -> None:
    headers = {"Idempotency-Key": "one"}
    bad = await api_client.post("/v1/watches", json={"kind": "space", "target": "-"}, headers=headers)
    await problem(bad, 422)
    assert (await api_client.post("/v1/watches", json=WATCH, headers=headers)).status == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "ümlaut"])
async def test_an_idempotency_key_has_1_to_255_printable_characters(api_client: Client, key: str) -> None:
    response = await api_client.post("/v1/watches", json=WATCH, headers={"Idempotency-Key": key})
    assert await refused_fields(response) == {"header.Idempotency-Key"}


async def test_concurrent_posts_with_the_same_key_do_the_work_once(api_client: Client) -> None:
    headers = {"Idempotency-Key": "one"}
    body = {"url": "https://example.com/"}
    answers = await asyncio.gather(
        *(api_client.post("/v1/endpoints", json=body, headers=headers) for _ in range(5))
    )
    assert {answer.status for answer in answers} <= {201, 409}
    assert len((await (await api_client.get("/v1/endpoints")).json())["data"]) == 1


async def test_a_lost_wakeup_does_not_fail_the_call(api_client: Client, api_runtime: Runtime) -> None:
    wakeups_of(api_runtime).lost = True
    assert (await api_client.post("/v1/watches", json=WATCH)).status == 201


async def test_an_internal_error_reveals_no_details(
    api_client: Client, api_runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(**_: object) -> None:
        raise RuntimeError("the-inner-secret")

    monkeypatch.setattr(api_runtime.store.watches, "page", broken)
    response = await api_client.get("/v1/watches")
    await problem(response, 500)
    assert "the-inner-secret" not in await response.text()


async def test_without_redis_the_api_says_so(api_runtime: Runtime, serve: Serve) -> None:
    async with without_redis(api_runtime) as runtime:
        client = await serve(runtime)
        await problem(await client.get("/v1/watches", headers=KEY), 503)
        assert "redis" in (await problem(await client.get("/readyz"), 503))["detail"]
        assert (await client.get("/healthz")).status == 200


async def test_readyz_needs_redis_and_a_worker(bare_client: Client, api_runtime: Runtime) -> None:
    assert await (await bare_client.get("/healthz")).json() == {"status": "ok"}
    assert "no worker" in (await problem(await bare_client.get("/readyz"), 503))["detail"]
    await api_runtime.store.workers.report("one", now=api_runtime.clock())
    clock_of(api_runtime).now += 15
    assert await (await bare_client.get("/readyz")).json() == {"status": "ok"}
    clock_of(api_runtime).now += 0.1
    assert "no worker" in (await problem(await bare_client.get("/readyz"), 503))["detail"]


async def test_metrics_are_prometheus_text(bare_client: Client) -> None:
    response = await bare_client.get("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert re.search(r"^notifier_\w+(\{.*\})? [0-9.e+-]+$", await response.text(), re.MULTILINE)


async def test_the_openapi_document_describes_every_operation(bare_client: Client) -> None:
    document = await (await bare_client.get("/openapi.json")).json()
    assert document["openapi"] == "3.1.0"
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(operation.method, operation.path) for operation in DESCRIBED}
    assert "space.started" in document["webhooks"]
    secured = {
        path for path, methods in document["paths"].items() for each in methods.values() if "security" in each
    }
    assert secured == {path for path in document["paths"] if path.startswith("/v1/")}


async def test_every_reference_in_the_openapi_document_resolves(bare_client: Client) -> None:
    text = await (await bare_client.get("/openapi.json")).text()
    schemas = json.loads(text)["components"]["schemas"]
    references = set(re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', text))
    assert references <= set(schemas)
    assert re.findall(r'"\$ref": "(?!#/components/schemas/)', text) == []
    operation_ids = re.findall(r'"operationId": "(\w+)"', text)
    assert len(operation_ids) == len(set(operation_ids)) == len(DESCRIBED)


async def test_the_openapi_document_supports_conditional_requests(bare_client: Client) -> None:
    first = await bare_client.get("/openapi.json")
    etag = first.headers["ETag"]
    for held in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = await bare_client.get("/openapi.json", headers={"If-None-Match": held})
        assert (again.status, await again.read(), again.headers["ETag"]) == (304, b"", etag), held
    for other in ('"other"', etag.strip('"'), ""):
        response = await bare_client.get("/openapi.json", headers={"If-None-Match": other})
        assert (response.status, await response.read()) == (200, await first.read()), other
