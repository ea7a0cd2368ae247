"""Receivers whose answer is malformed: the status still counts, but the connection is closed."""

from __future__ import annotations

from tests.support.hostile.serving import Conn, ReceiverList

MALFORMED = ReceiverList()


@MALFORMED.receiver(200)
async def repeats_its_length(conn: Conn) -> None:
    """Repeats its length with the same value."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok")
    await conn.hold()


@MALFORMED.receiver(200)
async def lists_its_length_twice(conn: Conn) -> None:
    """Repeats its length in one header."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nok")
    await conn.hold()


@MALFORMED.receiver(200)
async def spells_its_length_in_letters(conn: Conn) -> None:
    """Has a length that is not a number."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\nok")
    await conn.hold()


@MALFORMED.receiver(200)
async def has_a_length_and_no_chunks(conn: Conn) -> None:
    """Announces chunks as well as a length, and sends none."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nok")
    await conn.hold()


@MALFORMED.receiver(200)
async def names_an_unknown_coding(conn: Conn) -> None:
    """Uses an unknown transfer coding."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: banana\r\ncontent-length: 2\r\n\r\nok")
    await conn.hold()


@MALFORMED.receiver(200)
async def chunks_twice(conn: Conn) -> None:
    """Announces chunks twice, as two layers of middleware do."""
    await conn.request()
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n"
    await conn.send(head + b"2\r\nok\r\n0\r\n\r\n")
    await conn.hold()


@MALFORMED.receiver(200)
async def puts_a_space_before_the_colon(conn: Conn) -> None:
    """Has a space before the colon of its headers."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\nX-Foo : a\r\ncontent-length : 2\r\n\r\nok")
    await conn.hold()


@MALFORMED.receiver(200)
async def has_a_header_without_a_name(conn: Conn) -> None:
    """Has a header without a name."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\n: a\r\ncontent-length: 2\r\n\r\nok")
    await conn.hold()


@MALFORMED.receiver(200)
async def has_odd_names(conn: Conn) -> None:
    """Has invalid header names."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\nX Foo: a\r\nx-\xff\x00: b\r\n(c): d\r\ncontent-length: 2\r\n\r\nok")
    await conn.hold()


@MALFORMED.receiver(200)
async def folds_its_first_header(conn: Conn) -> None:
    """Starts its headers with a folded line."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\n folded\r\ncontent-length: 2\r\n\r\nok")
    await conn.hold()


@MALFORMED.receiver(200)
async def has_a_lone_carriage_return(conn: Conn) -> None:
    """Ends a line with CR only."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\nserver: a\rvia: b\r\ncontent-length: 2\r\n\r\nok")
    await conn.hold()


@MALFORMED.receiver(200)
async def puts_two_spaces_before_its_status(conn: Conn) -> None:
    """Has a malformed status line."""
    await conn.request()
    await conn.send(b"HTTP/1.1  200  OK\r\ncontent-length: 2\r\n\r\nok")
    await conn.hold()


@MALFORMED.receiver(200)
async def answers_by_another_version(conn: Conn) -> None:
    """Answers with another protocol version."""
    await conn.request()
    await conn.send(b"HTTP/2 200\r\ncontent-length: 2\r\n\r\nok")
    await conn.hold()


@MALFORMED.receiver(200)
async def sends_a_malformed_interim_answer(conn: Conn) -> None:
    """Sends a malformed interim answer first."""
    await conn.request()
    await conn.send(
        b"HTTP/1.1 103 Hints\r\nX-Foo : a\r\nno colon\r\n\r\nHTTP/1.1 200 OK\r\nX-Foo : a\r\n\r\n"
    )


@MALFORMED.receiver(204)
async def has_nothing_and_sends_chunks(conn: Conn) -> None:
    """Sends a 204 with chunks."""
    await conn.request()
    await conn.send(b"HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    await conn.hold()


@MALFORMED.receiver(204)
async def has_no_content_and_sends_some(conn: Conn) -> None:
    """Sends a 204 followed by a body."""
    await conn.request()
    await conn.send(b"HTTP/1.1 204 No Content\r\n\r\nok")
    await conn.hold()


@MALFORMED.receiver(304)
async def is_not_modified_and_sends_it(conn: Conn) -> None:
    """Sends a 304 with a body."""
    await conn.request()
    await conn.send(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\nok")
    await conn.hold()


@MALFORMED.receiver(200)
async def cuts_its_body_in_1_0(conn: Conn) -> None:
    """Speaks HTTP/1.0 and breaks off."""
    await conn.request()
    await conn.send(b"HTTP/1.0 200 OK\r\ncontent-length: 100\r\n\r\nabc")


@MALFORMED.receiver(200)
async def stays_in_1_0(conn: Conn) -> None:
    """Speaks HTTP/1.0 with keep-alive."""
    await conn.request()
    await conn.send(b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok")
    await conn.hold()


@MALFORMED.receiver(500)
async def fails_and_breaks_off(conn: Conn) -> None:
    """Fails and breaks off in the body."""
    await conn.request()
    await conn.send(b"HTTP/1.1 500 No\r\ncontent-length: 100\r\n\r\nabc")


@MALFORMED.receiver(410)
async def is_gone_in_broken_chunks(conn: Conn) -> None:
    """Sends a 410 with broken chunks."""
    await conn.request()
    await conn.send(b"HTTP/1.1 410 Gone\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n")
    await conn.hold()


@MALFORMED.receiver(503)
async def fails_with_malformed_headers(conn: Conn) -> None:
    """Fails with malformed headers."""
    await conn.request()
    await conn.send(
        b"HTTP/1.1 503 Busy\r\nX-Foo : a\r\nno colon\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"
    )
    await conn.hold()


@MALFORMED.receiver(200)
async def resets_after_the_head(conn: Conn) -> None:
    """Resets after the head of a success."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
    conn.reset()


@MALFORMED.receiver(200)
async def has_one_long_header(conn: Conn) -> None:
    """Has a head just below the size limit."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\nx-long: " + b"x" * 60_000 + b"\r\ncontent-length : 0\r\n\r\n")
    await conn.hold()


@MALFORMED.receiver(200, keeps_connection=True)
async def compresses_nonsense(conn: Conn) -> None:
    """Labels as gzip what is not; the client does not decompress it."""
    while True:
        await conn.request()
        await conn.send(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nnone")


@MALFORMED.receiver(200)
async def uses_an_unknown_coding_without_end(conn: Conn) -> None:
    """Uses an unknown coding and no length, so that only a close could end the body."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: banana\r\n\r\nok")
    await conn.hold()
