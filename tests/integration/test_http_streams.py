"""Streaming responses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
import pytest
from structlog.testing import capture_logs

from notifier.api.handling import route_of
from notifier.api.operations import Call, operation
from notifier.core.model.api_key import Scope
from notifier.http.access import key
from notifier.http.limits import ConnectionLimits
from notifier.http.problems import problems
from notifier.http.reply import Reply
from notifier.http.routes import add_routes
from notifier.runtime import Runtime
from notifier.server import create_server
from tests.support.admin_api import KEY, ApiTestServer
from tests.support.raw_http import raw_connection
from tests.support.wait import wait_until

PATH: Final = "/ticks"
TICKS: Final = "text/x-ticks"
GET: Final = b"GET /ticks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer test-key\r\n\r\n"
END: Final = b""


class Ticker:
    """An operation that streams chunks from a test; an exception among them is raised."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | Exception] = asyncio.Queue()
        self.begun = asyncio.Event()
        self.closed = asyncio.Event()

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        self.begun.set()
        try:
            while chunk := await self.queue.get():
                if isinstance(chunk, Exception):
                    raise chunk
                yield chunk
        finally:
            self.closed.set()

    async def flood(self) -> AsyncGenerator[bytes, None]:
        self.begun.set()
        try:
            while True:
                yield b"x" * 100_000
        finally:
            self.closed.set()


@asynccontextmanager
async def streaming(
    runtime: Runtime,
    make: Callable[[], AsyncGenerator[bytes, None]],
    limits: ConnectionLimits | None = None,
) -> AsyncIterator[ApiTestServer]:
    """Serve the application with an additional streaming operation."""

    async def stream_ticks(_call: Call[None, None]) -> Reply[bytes]:
        """Stream ticks."""
        return Reply.stream(make(), TICKS, headers={"X-Accel-Buffering": "no"})

    app = create_server(runtime)
    add_routes(app, [route_of(operation("GET", PATH, stream_ticks, key(Scope.EVENTS_READ)))], refuse=problems)
    server = ApiTestServer(app)
    server.limits = limits or ConnectionLimits()
    async with server:
        yield server


@pytest.fixture
async def ticker() -> Ticker:
    return Ticker()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers=KEY) as session:
        yield session


async def test_chunks_are_sent_as_they_come(
    api_runtime: Runtime, ticker: Ticker, client: aiohttp.ClientSession
) -> None:
    async with streaming(api_runtime, ticker.chunks) as server, client.get(server.make_url(PATH)) as response:
        assert (response.status, response.content_type) == (200, TICKS)
        assert response.headers["X-Accel-Buffering"] == "no"
        assert response.headers["Cache-Control"] == "no-store"
        for chunk in (b"one", b"two"):
            await ticker.queue.put(chunk)
            assert await response.content.readany() == chunk
        await ticker.queue.put(END)
        assert await response.content.read() == b""
        assert ticker.closed.is_set()


async def test_a_connection_is_reusable_after_a_stream(api_runtime: Runtime, ticker: Ticker) -> None:
    async with streaming(api_runtime, ticker.chunks) as server:
        assert server.port is not None
        async with raw_connection(server.port) as client:
            await client.send(GET)
            assert (await client.answer()).headers["transfer-encoding"] == "chunked"
            await ticker.queue.put(END)
            await client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            ended, _, rest = (await client.rest()).partition(b"\r\n\r\n")
            assert ended == b"0"
            assert rest.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_stream_needs_the_key_of_its_route(
    api_runtime: Runtime, ticker: Ticker, client: aiohttp.ClientSession
) -> None:
    async with streaming(api_runtime, ticker.chunks) as server:
        async with client.get(server.make_url(PATH), headers={"Authorization": ""}) as response:
            assert response.status == 401
        assert not ticker.begun.is_set()


async def test_head_starts_no_stream(
    api_runtime: Runtime, ticker: Ticker, client: aiohttp.ClientSession
) -> None:
    async with streaming(api_runtime, ticker.chunks) as server:
        async with client.head(server.make_url(PATH)) as response:
            assert (response.status, response.content_type) == (200, TICKS)
        assert not ticker.begun.is_set()


@pytest.mark.parametrize("hard", [True, False])
async def test_a_disconnected_client_ends_its_idle_stream(
    api_runtime: Runtime, ticker: Ticker, *, hard: bool
) -> None:
    async with streaming(api_runtime, ticker.chunks) as server:
        assert server.port is not None
        with capture_logs() as logs:
            async with raw_connection(server.port) as client:
                await client.send(GET)
                assert (await client.answer()).status == 200
                await ticker.begun.wait()
                if hard:
                    client.reset()
            await wait_until(ticker.closed.is_set)
        assert [entry for entry in logs if entry["log_level"] not in {"debug", "info"}] == []


async def test_a_stopping_server_completes_its_streams(
    api_runtime: Runtime, ticker: Ticker, client: aiohttp.ClientSession
) -> None:
    async with streaming(api_runtime, ticker.chunks) as server:
        response = await client.get(server.make_url(PATH))
        await ticker.queue.put(b"one")
        assert await response.content.readany() == b"one"
        reading = asyncio.create_task(response.content.read())
        await asyncio.wait_for(server.close(), 0.9)  # it waits for a second before it cancels
        assert await reading == b""
        assert ticker.closed.is_set()


@pytest.mark.parametrize(
    "failure", [RuntimeError("of ours"), ConnectionResetError("of ours"), TimeoutError()]
)
async def test_a_stream_that_fails_is_cut_off_and_logged(
    failure: Exception, api_runtime: Runtime, ticker: Ticker, client: aiohttp.ClientSession
) -> None:
    async with streaming(api_runtime, ticker.chunks) as server:
        with capture_logs() as logs:
            async with client.get(server.make_url(PATH)) as response:
                await ticker.queue.put(b"one")
                await ticker.queue.put(failure)
                with pytest.raises(aiohttp.ClientPayloadError):
                    await response.content.read()
        errors = [entry["event"] for entry in logs if entry["log_level"] == "error"]
        assert errors == ["api.failed"]


async def test_a_client_that_does_not_read_its_stream_is_disconnected(
    api_runtime: Runtime, ticker: Ticker
) -> None:
    async with streaming(api_runtime, ticker.flood, ConnectionLimits(answer=0.3)) as server:
        assert server.port is not None
        async with raw_connection(server.port, receive_buffer=4096) as client:
            await client.send(GET)
            await wait_until(ticker.closed.is_set)
            assert not (await client.rest()).endswith(b"0\r\n\r\n")
