"""Fixtures: the admin API on a real server, and a check that tests leave no tasks behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from notifier.runtime import Runtime, open_runtime
from notifier.server import create_server
from notifier.store import Store
from tests.support.admin_api import KEY, ApiTestServer, Client, Serve
from tests.support.api_runtime import open_test_runtime
from tests.support.leaks import tasks_left
from tests.support.pipeline import quick_settings


@pytest.fixture(autouse=True)
async def no_task_is_left() -> AsyncIterator[None]:
    """Check that a test's tasks have ended; as the first fixture, this one is torn down last."""
    yield
    assert await tasks_left() == []


@pytest.fixture
async def runtime(redis_url: str) -> AsyncIterator[Runtime]:
    """A runtime on an empty database, with every endpoint in one partition."""
    async with open_runtime(quick_settings(redis_url, delivery_partitions=1)) as opened:
        yield opened


@pytest.fixture
def store(runtime: Runtime) -> Store:
    """The store of the runtime."""
    return runtime.store


@pytest.fixture
async def api_runtime(redis_url: str) -> AsyncIterator[Runtime]:
    """A runtime for the API on an empty database."""
    async with open_test_runtime(redis_url) as runtime:
        yield runtime


@pytest.fixture
def serve(aiohttp_client: Callable[[ApiTestServer], Awaitable[Client]]) -> Serve:
    """Return a function that serves the API of a runtime, and returns a client without a key."""

    async def start(runtime: Runtime) -> Client:
        return await aiohttp_client(ApiTestServer(create_server(runtime)))

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
