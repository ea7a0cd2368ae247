"""Difficult clients: invalid and incomplete requests, disconnects, and very many connections."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
import structlog
from aiohttp import web
from structlog.testing import LogCapture

from notifier.http.limits import MAX_HEADER_BYTES, MAX_URL_BYTES, ConnectionLimits
from notifier.runtime import Runtime
from notifier.server import create_server
from tests.support.admin_api import ApiTestServer, Client
from tests.support.raw_http import RawConnection, raw_connection
from tests.support.wait import wait_until

HOST = b"Host: x\r\n"
KEY_AND_TYPE = b"Authorization: Bearer test-key\r\nContent-Type: application/json\r\n"
POST = b"POST /v1/watches HTTP/1.1\r\n" + HOST + KEY_AND_TYPE
WATCH = b'{"kind": "space", "target": "1zqKVXPQhvZJB"}'
GZIPPED = gzip.compress(WATCH, mtime=0)  # the same bytes in every process that collects the tests
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
SHORT = ConnectionLimits(head=0.3, body=0.3, idle=0.3, answer=0.3, linger=0.3)
PATIENT = ConnectionLimits(linger=0.3)

Start = Callable[[ConnectionLimits], Awaitable[int]]


@pytest.fixture
async def start(api_runtime: Runtime) -> AsyncIterator[Start]:
    """Return a function that serves the API with given limits and returns the port."""
    async with AsyncExitStack() as stack:

        async def serve(limits: ConnectionLimits) -> int:
            server = ApiTestServer(create_server(api_runtime))
            server.limits = limits
            await stack.enter_async_context(server)
            assert server.port is not None
            return server.port

        yield serve


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], list[object]]:
    """Return a function that returns the records logged above INFO."""
    capture = LogCapture()
    before = structlog.get_config()
    structlog.configure(processors=[capture], cache_logger_on_first_use=False)

    def above_info() -> list[object]:
        ours = [entry for entry in capture.entries if entry["log_level"] not in {"debug", "info"}]
        theirs = [record for record in caplog.records if record.levelno > logging.INFO]
        structlog.configure(**before)
        return [*ours, *theirs]

    return above_info


REFUSED_BY_THE_PARSER = {
    "a URL that is too long": (b"GET /" + b"a" * MAX_URL_BYTES + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    "a query that is too long": (b"GET /v1/events?after=" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n", 414),
    "a header that is too long": (
        b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * (MAX_HEADER_BYTES + 1) + b"\r\n\r\n",
        431,
    ),
    "a header much too long": (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 500_000 + b"\r\n\r\n", 431),
    "a header's name that is too long": (
        b"GET / HTTP/1.1\r\n" + HOST + b"a" * MAX_HEADER_BYTES + b": x\r\n\r\n",
        431,
    ),
    "too many headers": (b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 128 + b"\r\n", 431),
    "a size of a chunk that is no number": (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", 400),
    "a chunk that is longer than it says": (
        POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
        400,
    ),
    "another transfer coding": (POST + b"Transfer-Encoding: gzip\r\n\r\n", 400),
    "a length and chunks": (POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "a length that is no number": (POST + b"Content-Length: two\r\n\r\n{}", 400),
    "a length below zero": (POST + b"Content-Length: -2\r\n\r\n{}", 400),
    "two lengths": (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
    "a method that is no ASCII": ("GÉT / HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 400),
    "a method that nobody knows": (b"FROB / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a path that is no ASCII": (b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "a version that is to come": (b"GET / HTTP/3.0\r\n" + HOST + b"\r\n", 400),
    "no host": (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    "a NUL in a header": (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n", 400),
    "a folded header": (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "a URL without an end to its host": (b"GET http://[::1/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
}


@pytest.mark.parametrize("name", REFUSED_BY_THE_PARSER)
async def test_an_invalid_request_gets_a_problem_and_the_connection_is_closed(
    name: str, start: Start, logged: Callable[[], list[object]]
) -> None:
    sent, status = REFUSED_BY_THE_PARSER[name]
    async with raw_connection(await start(PATIENT)) as client:
        await client.send(sent)
        answer = await client.answer()
        assert answer.status == status
        answer.problem()
        assert answer.headers["connection"] == "close"
        assert await client.rest() == b""
    assert logged() == []


async def test_a_refused_client_that_keeps_sending_gets_no_reset(start: Start) -> None:
    async with raw_connection(await start(PATIENT)) as client:
        await client.send(b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 20_000)
        assert (await client.answer()).status == 431
        for _ in range(5):
            await client.send(b"a" * 50_000)  # would raise after a reset
            await asyncio.sleep(0.02)


async def test_a_broken_chunk_in_the_body_ends_the_call_once(
    start: Start, logged: Callable[[], list[object]]
) -> None:
    async with raw_connection(await start(PATIENT)) as client:
        await client.send(POST + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"kin\r\n')
        await asyncio.sleep(0.05)  # so that the handler has started to read
        await client.send(b"zz\r\n")
        answer = await client.answer()
        assert answer.status == 400
        answer.problem()
        assert await client.rest() == b"", "one answer, then the end"
    assert logged() == []


@pytest.mark.parametrize("path", [b"/v1/watches", b"/healthz", b"/openapi.json", b"/nothing"])
@pytest.mark.parametrize("expectation", [b"foo", b"200-ok", b"100-continue, foo"])
async def test_an_expectation_that_cannot_be_met_is_417_on_every_path(
    path: bytes, expectation: bytes, start: Start, logged: Callable[[], list[object]]
) -> None:
    async with raw_connection(await start(PATIENT)) as client:
        await client.send(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nExpect: " + expectation + b"\r\n\r\n")
        answer = await client.answer()
        assert answer.status == 417
        assert answer.problem()["type"] == "/problems/expectation-failed"
    assert logged() == []


async def test_100_continue_is_sent(start: Start) -> None:
    async with raw_connection(await start(PATIENT)) as client:
        length = str(len(WATCH)).encode()
        await client.send(POST + b"Expect: 100-continue\r\nContent-Length: " + length + b"\r\n\r\n")
        assert (await client.answer()).status == 100
        await client.send(WATCH)
        assert (await client.answer()).status == 201


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "gzip, br", "gzip2", "é"])
async def test_an_unsupported_content_coding_is_415_and_lists_the_supported_ones(
    api_client: Client, coding: str
) -> None:
    response = await api_client.post(
        "/v1/watches",
        data=WATCH,
        headers={"Content-Type": "application/json", "Content-Encoding": coding},
        skip_auto_headers=["Accept-Encoding"],
    )
    assert response.status == 415
    assert response.content_type == "application/problem+json"
    assert response.headers["Accept-Encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", GZIPPED),
        ("GZIP", GZIPPED),
        ("x-gzip", GZIPPED),
        ("deflate", zlib.compress(WATCH)),
        ("identity", WATCH),
    ],
)
async def test_a_compressed_body_is_read(api_client: Client, coding: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    assert (await api_client.post("/v1/watches", data=body, headers=headers)).status == 201


@pytest.mark.parametrize("body", [b"no gzip", GZIPPED[:-9], GZIPPED[:12]])
async def test_an_incomplete_compressed_body_is_400(api_client: Client, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert (await api_client.post("/v1/watches", data=body, headers=headers)).status == 400


@pytest.mark.parametrize("framing", ["length", "chunks", "a length alone"])
async def test_a_body_that_is_too_large_is_413_however_it_comes(start: Start, framing: str) -> None:
    size = 70_000
    async with raw_connection(await start(PATIENT)) as client:
        if framing == "chunks":
            await client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size)
            await client.send(b" " * size + b"\r\n0\r\n\r\n")
        else:
            await client.send(POST + b"Content-Length: %d\r\n\r\n" % size)
            await client.send(b" " * (size if framing == "length" else 0))
        answer = await client.answer()
        assert answer.status == 413
        answer.problem()


async def test_only_the_chunked_transfer_coding_is_decoded(start: Start) -> None:
    async with raw_connection(await start(PATIENT)) as client:
        await client.send(POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
        answer = await client.answer()
        assert answer.status == 400
        answer.problem()


HALF_BODY = POST + b"Content-Length: 100\r\n\r\n{"
HANG_UPS = {
    "in the middle of a body": HALF_BODY,
    "in the middle of a chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n64\r\n{",
    "in the middle of the headers": POST,
    "before the answer": POST + b"Content-Length: %d\r\n\r\n" % len(WATCH) + WATCH,
    "with requests in line": GET * 50,
}


@pytest.mark.parametrize("name", HANG_UPS)
@pytest.mark.parametrize("hard", [True, False])
async def test_a_client_that_disconnects_is_not_logged_as_an_error(
    name: str, *, hard: bool, start: Start, logged: Callable[[], list[object]]
) -> None:
    port = await start(PATIENT)
    async with raw_connection(port) as client:
        await client.send(HANG_UPS[name])
        await asyncio.sleep(0.05)  # so that the call has started
        if hard:
            client.reset()
    async with raw_connection(port) as other:
        await other.send(GET)
        assert (await other.answer()).status == 200
    await asyncio.sleep(0.1)  # time for late log records
    assert logged() == []


async def test_an_exception_in_a_handler_is_still_logged_as_an_error(
    api_client: Client,
    api_runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
    logged: Callable[[], list[object]],
) -> None:
    async def broken(**_: object) -> None:
        raise ConnectionResetError("of somebody else's connection")

    monkeypatch.setattr(api_runtime.store.watches, "page", broken)
    assert (await api_client.get("/v1/watches")).status == 500
    assert len(logged()) == 1


@pytest.mark.parametrize("first", [b"", b"G", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: 1"])
async def test_an_unfinished_request_head_times_out(start: Start, first: bytes) -> None:
    async with raw_connection(await start(replace(PATIENT, head=0.3))) as client:
        await client.send(first)
        rest = await client.rest()
    assert rest.startswith(b"HTTP/1.1 408 ") if first else rest == b""


async def test_half_a_head_sent_before_the_accept_is_answered_as_well(start: Start) -> None:
    port = await start(replace(PATIENT, head=0.3))
    with socket.create_connection(("127.0.0.1", port)) as early:
        early.sendall(b"GET /healthz HT")  # before the server can have accepted the connection
        reader, writer = await asyncio.open_connection(sock=early)
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        writer.close()
        await writer.wait_closed()


async def test_a_slowly_dripped_head_does_not_restart_the_timeout(start: Start) -> None:
    async with raw_connection(await start(replace(PATIENT, head=0.4))) as client:
        await client.send(b"GET /healthz HTTP/1.1\r\n")

        async def drip() -> None:
            while True:
                await client.send(b"X: y\r\n")
                await asyncio.sleep(0.1)

        dripping = asyncio.create_task(drip())
        assert (await client.answer()).status == 408
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)


async def test_the_head_of_a_later_request_times_out_as_well(start: Start) -> None:
    async with raw_connection(await start(replace(PATIENT, head=0.3))) as client:
        await client.send(GET)
        assert (await client.answer()).status == 200
        await client.send(b"GET /he")
        assert (await client.answer()).status == 408
        assert await client.rest() == b""


async def test_a_missing_body_is_408(start: Start, logged: Callable[[], list[object]]) -> None:
    async with raw_connection(await start(replace(PATIENT, body=0.3))) as client:
        await client.send(HALF_BODY)
        answer = await client.answer()
        assert answer.status == 408
        assert answer.problem()["type"] == "/problems/request-timeout"
        assert await client.rest() == b""
    assert logged() == []


async def test_an_unread_body_does_not_keep_the_connection_open(start: Start) -> None:
    async with raw_connection(await start(SHORT)) as client:
        await client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        assert (await client.answer()).status == 200
        assert await client.rest() == b""


async def test_an_idle_connection_is_closed(start: Start) -> None:
    async with raw_connection(await start(replace(PATIENT, idle=0.3))) as client:
        await client.send(GET)
        assert (await client.answer()).status == 200
        assert await client.rest() == b""


async def test_a_connection_in_use_is_not_closed_by_idle_timeouts(start: Start) -> None:
    async with raw_connection(await start(replace(PATIENT, head=0.4, body=0.4, idle=0.4))) as client:
        for _ in range(6):
            await client.send(GET)
            assert (await client.answer()).status == 200
            await asyncio.sleep(0.15)


async def test_a_client_that_does_not_read_the_response_is_disconnected(
    api_runtime: Runtime, logged: Callable[[], list[object]]
) -> None:
    app = create_server(api_runtime)
    ended = asyncio.Event()

    async def large(_request: web.Request) -> web.Response:
        ended.set()
        return web.Response(body=b"x" * 20_000_000)

    app.router.add_get("/large", large)
    server = ApiTestServer(app)
    server.limits = SHORT
    async with server:
        assert server.port is not None
        async with raw_connection(server.port, receive_buffer=4096) as client:
            await client.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            await ended.wait()
            await wait_until(lambda: not connections_of(server))
            assert len(await client.rest()) < 20_000_000
    assert logged() == []


def connections_of(server: ApiTestServer) -> list[object]:
    assert server.runner is not None
    assert server.runner.server is not None
    return list(server.runner.server.connections)


@pytest.mark.parametrize("first", [b"", b"GET /v1/wat", GET])
async def test_slow_connections_do_not_keep_other_clients_out(start: Start, first: bytes) -> None:
    port = await start(replace(PATIENT, connections=10))
    async with AsyncExitStack() as stack:
        for _ in range(40):
            await (await stack.enter_async_context(raw_connection(port))).send(first)
        client = await stack.enter_async_context(raw_connection(port))
        for _ in range(3):
            await client.send(GET)
            assert (await client.answer()).status == 200


async def test_busy_connections_are_not_closed_for_a_new_one(start: Start) -> None:
    port = await start(replace(PATIENT, connections=2))
    async with AsyncExitStack() as stack:
        busy: list[RawConnection] = []
        for _ in range(2):
            busy.append(await stack.enter_async_context(raw_connection(port)))
            await busy[-1].send(POST + b"Content-Length: %d\r\n\r\n" % len(WATCH))
        await asyncio.sleep(0.1)  # so that both calls have started to read
        late = await stack.enter_async_context(raw_connection(port))
        answer = await late.answer()
        assert answer.status == 503
        answer.problem()
        await busy[0].send(WATCH)
        assert (await busy[0].answer()).status == 201
