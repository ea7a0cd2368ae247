"""Helpers that call the admin API in tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from notifier.http.limits import ConnectionLimits
from notifier.http.runner import HttpRunner
from notifier.runtime import Runtime

Client: TypeAlias = TestClient[web.Request, web.Application]
Serve: TypeAlias = Callable[[Runtime], Awaitable[Client]]
KEY = {"Authorization": "Bearer test-key"}


class ApiTestServer(TestServer):
    """Serves the API as the product does, on its own kind of connections."""

    limits = ConnectionLimits()

    async def _make_runner(self, **_options: Any) -> HttpRunner:
        return HttpRunner(self.app, limits=self.limits, access_log=None, shutdown_timeout=1)


async def create(client: Client, path: str, **body: Any) -> dict[str, Any]:
    """Create a record; return the response body."""
    response = await client.post(path, json=body)
    assert response.status == 201, await response.text()
    created: dict[str, Any] = await response.json()
    return created


async def add_endpoint(client: Client, **body: Any) -> dict[str, Any]:
    """Create an endpoint with a valid URL; return the response body."""
    return await create(client, "/v1/endpoints", **{"url": "https://example.com/hook", **body})


async def problem(response: Any, status: int) -> dict[str, Any]:
    """Check that a response is a problem document with this status, and return it."""
    assert response.status == status, await response.text()
    assert response.content_type == "application/problem+json"
    document: dict[str, Any] = await response.json()
    assert document["status"] == status
    assert document["type"].startswith("/problems/")
    assert document["title"]
    assert document["detail"]
    return document


async def refused_fields(response: Any) -> set[str]:
    """Check that a response is a 422, and return the refused fields as dotted paths."""
    document = await problem(response, 422)
    return {".".join(map(str, error["loc"])) for error in document["errors"] if error["msg"]}
