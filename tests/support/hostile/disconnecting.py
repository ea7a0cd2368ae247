"""Receivers that disconnect in the middle of an exchange."""

from __future__ import annotations

from notifier.core.delivery.outcome import ErrorClass
from tests.support.hostile.serving import Conn, ReceiverList

DISCONNECTING = ReceiverList()

RESET = ErrorClass.CONNECTION_RESET
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@DISCONNECTING.receiver(error=RESET)
async def hangs_up_at_once(_visit: Conn) -> None:
    """Accepts and closes before reading anything."""


@DISCONNECTING.receiver(error=RESET)
async def resets_at_once(conn: Conn) -> None:
    """Accepts and resets, like a load balancer with a full backlog behind it."""
    conn.reset()


@DISCONNECTING.receiver(error=RESET)
async def closes_its_half_and_stays(conn: Conn) -> None:
    """Closes its sending half without an answer and keeps the socket open."""
    await conn.request()
    conn.end_writing()
    await conn.hold()


@DISCONNECTING.receiver(error=RESET)
async def hangs_up_after_the_request(conn: Conn) -> None:
    """Crashes on the event and closes."""
    await conn.request()


@DISCONNECTING.receiver(error=RESET)
async def resets_after_the_request(conn: Conn) -> None:
    """Crashes on the event and resets."""
    await conn.request()
    conn.reset()


@DISCONNECTING.receiver(error=RESET)
async def breaks_off_in_the_status_line(conn: Conn) -> None:
    """Breaks off in the status line."""
    await conn.request()
    await conn.send(b"HTTP/1.1 20")


@DISCONNECTING.receiver(error=RESET)
async def breaks_off_in_the_head(conn: Conn) -> None:
    """Breaks off in the head of what looks like a success."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n")


@DISCONNECTING.receiver(error=RESET)
async def breaks_off_after_an_interim_answer(conn: Conn) -> None:
    """Sends an interim answer and closes."""
    await conn.request()
    await conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")


@DISCONNECTING.receiver(200)
async def breaks_off_in_the_body(conn: Conn) -> None:
    """Announces a hundred bytes and sends three."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc")


@DISCONNECTING.receiver(200)
async def breaks_off_in_a_chunk(conn: Conn) -> None:
    """Breaks off inside a chunk."""
    await conn.request()
    await conn.send(CHUNKED + b"a\r\nabc")


@DISCONNECTING.receiver(200)
async def breaks_off_between_chunks(conn: Conn) -> None:
    """Breaks off before the last chunk, so that a truncated body looks complete."""
    await conn.request()
    await conn.send(CHUNKED + b"3\r\nabc\r\n")


@DISCONNECTING.receiver(200)
async def breaks_off_in_the_trailers(conn: Conn) -> None:
    """Breaks off after the last chunk, in the trailers."""
    await conn.request()
    await conn.send(CHUNKED + b"0\r\nx-trailer: ")


@DISCONNECTING.receiver(200)
async def ends_a_body_of_no_length(conn: Conn) -> None:
    """Sends no length, so that the close ends the body: old, but valid."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\n\r\nthat is all")


@DISCONNECTING.receiver(200)
async def speaks_http_1_0(conn: Conn) -> None:
    """Speaks HTTP/1.0 and closes after each answer."""
    await conn.request()
    await conn.send(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok")


@DISCONNECTING.receiver(200)
async def announces_the_close_and_stays(conn: Conn) -> None:
    """Announces the close but stays open, so the client must close."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
    await conn.hold()
