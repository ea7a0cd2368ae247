"""Access: every operation in the table of operations enforces its scope."""

from __future__ import annotations

import re

import pytest
from aiohttp import ClientResponse

from notifier.api.operations import Operation
from notifier.core.model.api_key import PERMITTING, Scope
from notifier.http.access import GATES, AccessKind
from notifier.runtime import Runtime
from notifier.server import DESCRIBED
from tests.support.admin_api import KEY, Client, Serve, problem
from tests.support.api_runtime import clock_of, with_scopes

GUARDED = [operation for operation in DESCRIBED if not operation.is_public]
SUMMARY_SCOPES = {Scope.ADMIN, Scope.READ}

each_scope = pytest.mark.parametrize("scope", sorted(set(Scope) - SUMMARY_SCOPES))


async def call(client: Client, operation: Operation, headers: dict[str, str]) -> ClientResponse:
    path = re.sub("[{}]", "", operation.path)
    return await client.request(operation.method, path, headers=headers)


async def stored(runtime: Runtime) -> set[str]:
    return {key async for key in runtime.store.database.redis.scan_iter()}


def needed(operation: Operation) -> Scope:
    assert operation.access.scope is not None
    return operation.access.scope


def needing(scope: Scope) -> list[Operation]:
    found = [operation for operation in GUARDED if operation.access.scope is scope]
    assert found
    return found


def test_only_monitoring_endpoints_are_public() -> None:
    assert {each.path for each in DESCRIBED if each.is_public} == {"/healthz", "/readyz", "/metrics"}


def test_every_kind_of_access_is_enforced() -> None:
    assert set(GATES) == set(AccessKind)


async def test_a_request_without_a_valid_key_is_refused_and_changes_nothing(
    bare_client: Client, api_runtime: Runtime
) -> None:
    before = await stored(api_runtime)
    for operation in GUARDED:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic test-key"}):
            document = await problem(await call(bare_client, operation, headers), 401)
            assert document["type"] == "/problems/unauthorized"
    assert await stored(api_runtime) == before


@each_scope
async def test_a_key_without_the_scope_is_refused_and_changes_nothing(
    scope: Scope, serve: Serve, api_runtime: Runtime
) -> None:
    client = await serve(with_scopes(api_runtime, *(set(Scope) - PERMITTING[scope])))
    before = await stored(api_runtime)
    for operation in needing(scope):
        document = await problem(await call(client, operation, KEY), 403)
        assert document["type"] == "/problems/forbidden"
        assert scope in document["detail"]
    assert await stored(api_runtime) == before


@each_scope
async def test_a_key_with_exactly_the_scope_is_accepted(
    scope: Scope, serve: Serve, api_runtime: Runtime
) -> None:
    client = await serve(with_scopes(api_runtime, scope))
    for operation in needing(scope):
        assert (await call(client, operation, KEY)).status not in {401, 403, 405}


async def test_an_expired_key_is_refused(serve: Serve, api_runtime: Runtime) -> None:
    now = clock_of(api_runtime).now
    client = await serve(with_scopes(api_runtime, Scope.ADMIN, expires_at=now + 1))
    assert (await client.get("/v1/watches", headers=KEY)).status == 200
    clock_of(api_runtime).now = now + 1
    response = await client.get("/v1/watches", headers=KEY)
    await problem(response, 401)
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


async def test_an_unknown_path_is_a_404_for_any_key(serve: Serve, api_runtime: Runtime) -> None:
    client = await serve(with_scopes(api_runtime))
    await problem(await client.get("/v1/nothing", headers=KEY), 404)
    await problem(await client.put("/v1/watches", headers=KEY), 405)


def test_every_scope_is_used_by_an_operation() -> None:
    assert {needed(operation) for operation in GUARDED} == set(Scope) - SUMMARY_SCOPES


def test_read_scopes_neither_change_anything_nor_show_secrets() -> None:
    reading = {(each.method, each.path) for each in GUARDED if Scope.READ in PERMITTING[needed(each)]}
    assert {method for method, _ in reading} == {"GET"}
    assert {each.path for each in GUARDED if each.method == "GET"} - {path for _, path in reading} == {
        "/v1/endpoints/{endpoint_id}/secret"
    }
