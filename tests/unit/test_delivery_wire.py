"""A connection with a transport that only records calls."""

from __future__ import annotations

import asyncio

import pytest

from notifier.core.delivery.outcome import ErrorClass
from notifier.delivery.message import Origin
from notifier.delivery.pool import Pool
from notifier.delivery.reply import Reply
from notifier.delivery.wire import Connection

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
ORIGIN = Origin(tls=False, host="a.example", port=80)
FAR = 60.0


class Wire(asyncio.Transport):
    """Accepts written bytes, of which ``unsent`` are not sent."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.unsent = 0
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted

    def get_write_buffer_size(self) -> int:
        return self.unsent


def connected() -> tuple[Connection, Wire]:
    pool = Pool(limit=1, limit_per_host=0, keepalive_seconds=1.0)
    connection, wire = pool.connection(ORIGIN), Wire()
    connection.connection_made(wire)
    return connection, wire


async def ask(connection: Connection, *said: bytes) -> Reply:
    """Make a request that is answered in pieces."""
    asking = asyncio.ensure_future(connection.exchange(b"request", asyncio.get_running_loop().time() + FAR))
    await asyncio.sleep(0)
    for piece in said:
        connection.data_received(piece)
    return await asking


async def test_a_request_is_sent_and_its_answer_read() -> None:
    connection, wire = connected()
    for _ in range(2):
        reply = await ask(connection, OK[:10], OK[10:])
        assert (reply.status, reply.body, reply.error) == (200, b"ok", None)
    assert wire.written == b"request" * 2
    assert connection.usable


async def test_a_success_before_the_request_does_not_count() -> None:
    """If it counted, an event that was never sent would count as delivered."""
    connection, wire = connected()
    connection.data_received(OK)
    reply = await ask(connection)
    assert (reply.status, reply.error) == (None, ErrorClass.PROTOCOL)
    assert wire.aborted
    assert wire.written == b""


async def test_a_close_before_the_request_is_a_close() -> None:
    connection, wire = connected()
    connection.eof_received()
    reply = await ask(connection)
    assert (reply.error, reply.stale) == (ErrorClass.CONNECTION_RESET, False)
    assert wire.aborted


async def test_bytes_between_two_requests_close_the_connection() -> None:
    connection, _ = connected()
    await ask(connection, OK)
    assert connection.usable
    connection.data_received(OK)
    assert not connection.usable


async def test_an_answer_before_the_full_request_closes_the_connection() -> None:
    connection, wire = connected()
    wire.unsent = 1
    reply = await ask(connection, OK)
    assert (reply.status, reply.error) == (200, None)
    assert not connection.usable


@pytest.mark.parametrize(
    ("error", "is_stale"),
    [(None, True), (ConnectionResetError(104, "reset"), True), (OSError(110, "timed out"), False)],
)
async def test_only_a_close_without_a_byte_on_a_kept_connection_is_stale(
    error: Exception | None, *, is_stale: bool
) -> None:
    for kept, said, expected in ((True, b"", is_stale), (True, b"HTTP", False), (False, b"", False)):
        connection, _ = connected()
        if kept:
            await ask(connection, OK)
        asking = asyncio.ensure_future(
            connection.exchange(b"request", asyncio.get_running_loop().time() + FAR)
        )
        await asyncio.sleep(0)
        if said:
            connection.data_received(said)
        connection.connection_lost(error)
        reply = await asking
        assert reply.error is not None
        assert reply.stale is expected


@pytest.mark.parametrize(
    ("said", "status", "detail"),
    [
        (b"", None, "no answer"),
        (b"HTTP/1.1 200 OK\r\n", None, "headers"),
        (OK[:-1], 200, "body"),
        (b"HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\n", 500, "body"),
    ],
)
async def test_a_time_out_reports_how_far_the_request_got(
    said: bytes, status: int | None, detail: str
) -> None:
    connection, wire = connected()
    asking = asyncio.ensure_future(connection.exchange(b"request", asyncio.get_running_loop().time() + 0.02))
    await asyncio.sleep(0)
    if said:
        connection.data_received(said)
    reply = await asyncio.wait_for(asking, 5)
    assert (reply.status, reply.error) == (status, None if status else ErrorClass.TIMEOUT)
    assert detail in reply.detail
    assert wire.aborted


async def test_an_ambiguous_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notifier.delivery.wire.DOUBT_SECONDS", 0.01)
    connection, wire = connected()
    reply = await asyncio.wait_for(ask(connection, b"HTTP/1.1 200 OK\r\nno colon\r\n\r\nok", b"ok"), 5)
    assert (reply.status, reply.error, reply.body) == (200, None, b"okok")
    assert wire.aborted


async def test_the_close_is_waited_for_if_it_ends_the_body() -> None:
    connection, _ = connected()
    asking = asyncio.ensure_future(ask(connection, b"HTTP/1.1 200 OK\r\n\r\nok"))
    await asyncio.sleep(0.05)
    assert not asking.done()
    connection.eof_received()
    assert (await asking).body == b"ok"


async def test_a_cancelled_request_closes_the_connection() -> None:
    connection, wire = connected()
    asking = asyncio.ensure_future(connection.exchange(b"request", asyncio.get_running_loop().time() + FAR))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert wire.aborted
