"""Receivers that occupy a connection, and an attempt, for as long as the client allows."""

from __future__ import annotations

from notifier.core.delivery.outcome import ErrorClass
from tests.support.hostile.serving import Conn, ReceiverList

STALLING = ReceiverList()

LATE = ErrorClass.TIMEOUT


@STALLING.receiver(error=LATE, times_out=True)
async def never_answers(conn: Conn) -> None:
    """Accepts the request and never answers."""
    await conn.hold()


@STALLING.receiver(error=LATE, times_out=True)
async def drips_the_status_line(conn: Conn) -> None:
    """Sends its status line byte by byte, so that a time-out between reads never fires."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 ")
    await conn.drip(b"OK ")


@STALLING.receiver(error=LATE, times_out=True)
async def drips_headers(conn: Conn) -> None:
    """Sends headers byte by byte."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\n")
    await conn.drip(b"x-slow: zzz\r\n")


@STALLING.receiver(error=LATE, times_out=True)
async def drips_interim_answers(conn: Conn) -> None:
    """Sends interim answers byte by byte."""
    await conn.request()
    await conn.drip(b"HTTP/1.1 100 Continue\r\n\r\n")


@STALLING.receiver(200, times_out=True)
async def drips_a_body(conn: Conn) -> None:
    """Answers with a success but never completes its body."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n")
    await conn.drip(b"zzz")


@STALLING.receiver(200, times_out=True)
async def drips_chunks(conn: Conn) -> None:
    """Sends chunks of one byte without end."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    await conn.drip(b"1\r\nz\r\n")


@STALLING.receiver(200, times_out=True)
async def stops_before_the_last_chunk(conn: Conn) -> None:
    """Sends everything but the last chunk."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n")
    await conn.hold()


@STALLING.receiver(200, times_out=True)
async def announces_more_than_it_sends(conn: Conn) -> None:
    """Announces one byte more than it sends."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok")
    await conn.hold()


@STALLING.receiver(200, times_out=True)
async def sends_no_length_and_stays(conn: Conn) -> None:
    """Sends no length and never closes."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\n\r\nok")
    await conn.hold()
