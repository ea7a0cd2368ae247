"""Receivers that would exhaust our memory."""

from __future__ import annotations

import gzip

from notifier.core.delivery.outcome import ErrorClass
from tests.support.hostile.serving import Conn, ReceiverList

FLOODING = ReceiverList()

TOO_LARGE = ErrorClass.TOO_LARGE_HEADERS
MEGABYTE = b"x" * 1_000_000
BOMB = gzip.compress(bytes(1_000_000)) * 50
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@FLOODING.receiver(error=TOO_LARGE)
async def has_one_endless_header(conn: Conn) -> None:
    """Sends a header value without end."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\nx-long: ")
    await conn.flood(MEGABYTE)


@FLOODING.receiver(error=TOO_LARGE)
async def has_an_endless_header_name(conn: Conn) -> None:
    """Sends a header name without end."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\n")
    await conn.flood(MEGABYTE)


@FLOODING.receiver(error=TOO_LARGE)
async def has_endless_headers(conn: Conn) -> None:
    """Sends harmless headers without end."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\n")
    await conn.flood(b"x-many: 1\r\n" * 10_000)


@FLOODING.receiver(200)
async def has_more_headers_than_anyone_needs(conn: Conn) -> None:
    """Sends a thousand short headers: many in number, but within the limit in bytes."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1000 + b"content-length : 0\r\n\r\n")
    await conn.hold()


@FLOODING.receiver(error=TOO_LARGE)
async def has_an_endless_reason(conn: Conn) -> None:
    """Sends a status line without end."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 ")
    await conn.flood(MEGABYTE)


@FLOODING.receiver(error=TOO_LARGE)
async def has_endless_interim_answers(conn: Conn) -> None:
    """Sends interim answers without end."""
    await conn.request()
    await conn.flood(b"HTTP/1.1 102 Processing\r\n\r\n" * 1000)


@FLOODING.receiver(error=TOO_LARGE)
async def hides_headers_in_interim_answers(conn: Conn) -> None:
    """Spreads too many headers over early hints."""
    await conn.request()
    await conn.flood(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 50)


@FLOODING.receiver(200, keeps_connection=True)
async def sends_many_interim_answers(conn: Conn) -> None:
    """Sends a hundred interim answers before a good one: unusual, but within the limits."""
    while True:
        await conn.request()
        await conn.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
        await conn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


@FLOODING.receiver(200)
async def has_an_endless_body(conn: Conn) -> None:
    """Announces a terabyte and sends it."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n")
    await conn.flood(MEGABYTE)


@FLOODING.receiver(200)
async def has_an_endless_body_of_no_length(conn: Conn) -> None:
    """Streams a body without length or end."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\n\r\n")
    await conn.flood(MEGABYTE)


@FLOODING.receiver(200)
async def has_endless_small_chunks(conn: Conn) -> None:
    """Streams chunks of one byte, each with five bytes of framing."""
    await conn.request()
    await conn.send(CHUNKED)
    await conn.flood(b"1\r\nx\r\n" * 10_000)


@FLOODING.receiver(200)
async def has_an_endless_chunk_extension(conn: Conn) -> None:
    """Sends a chunk extension without end."""
    await conn.request()
    await conn.send(CHUNKED + b"1;a=")
    await conn.flood(MEGABYTE)


@FLOODING.receiver(200)
async def has_an_endless_trailer(conn: Conn) -> None:
    """Sends a trailer without end after its body."""
    await conn.request()
    await conn.send(CHUNKED + b"0\r\nx-trailer: ")
    await conn.flood(MEGABYTE)


@FLOODING.receiver(200)
async def has_endless_trailers(conn: Conn) -> None:
    """Sends trailers without end."""
    await conn.request()
    await conn.send(CHUNKED + b"0\r\n")
    await conn.flood(b"retry-after: 1\r\n" * 10_000)


@FLOODING.receiver(200)
async def drops_a_gzip_bomb(conn: Conn) -> None:
    """Sends 48 kB that would decompress to 50 MB."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(BOMB))
    await conn.send(BOMB)
    await conn.hold()


@FLOODING.receiver(200)
async def nests_encodings(conn: Conn) -> None:
    """Uses a compressed transfer coding, which some clients decompress by default."""
    bomb = gzip.compress(BOMB)
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n%x\r\n" % len(bomb))
    await conn.send(bomb + b"\r\n0\r\n\r\n")


@FLOODING.receiver(error=ErrorClass.PROTOCOL)
async def floods_before_it_is_asked(conn: Conn) -> None:
    """Sends without waiting for a request."""
    await conn.flood(MEGABYTE)
