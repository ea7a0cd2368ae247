"""Receivers that send no valid answer, several answers, or one with an ambiguous end."""

from __future__ import annotations

from notifier.core.delivery.outcome import ErrorClass
from tests.support.hostile.serving import Conn, ReceiverList

CONFUSING = ReceiverList()

NOT_HTTP = ErrorClass.PROTOCOL
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def _send_and_hold(conn: Conn, answer: bytes) -> None:
    await conn.request()
    await conn.send(answer)
    await conn.hold()


async def _send_each_time(conn: Conn, answer: bytes) -> None:
    while True:
        await conn.request()
        await conn.send(answer)


# Not an answer at all.


@CONFUSING.receiver(error=NOT_HTTP)
async def greets_first(conn: Conn) -> None:
    """Is a mail server, which speaks first."""
    await conn.send(b"220 mail.example ESMTP\r\n")
    await conn.hold()


@CONFUSING.receiver(error=NOT_HTTP)
async def is_an_ssh_server(conn: Conn) -> None:
    """Speaks another protocol."""
    await _send_and_hold(conn, b"SSH-2.0-OpenSSH_9.6\r\n")


@CONFUSING.receiver(error=NOT_HTTP)
async def speaks_http_2(conn: Conn) -> None:
    """Answers with HTTP/2 frames."""
    await _send_and_hold(conn, b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00")


@CONFUSING.receiver(error=NOT_HTTP)
async def speaks_tls(conn: Conn) -> None:
    """Answers a plain request with a TLS alert."""
    await _send_and_hold(conn, b"\x15\x03\x01\x00\x02\x02\x46")


@CONFUSING.receiver(error=NOT_HTTP)
async def sends_requests(conn: Conn) -> None:
    """Answers with a request."""
    await _send_and_hold(conn, b"GET / HTTP/1.1\r\nhost: you\r\n\r\n")


@CONFUSING.receiver(error=NOT_HTTP)
async def sends_noise(conn: Conn) -> None:
    """Sends random bytes."""
    await _send_and_hold(conn, bytes(range(256)))


@CONFUSING.receiver(error=NOT_HTTP)
async def has_a_status_of_letters(conn: Conn) -> None:
    """Has letters for a status."""
    await _send_and_hold(conn, b"HTTP/1.1 TWO OK\r\n\r\n")


@CONFUSING.receiver(error=NOT_HTTP)
async def has_a_status_of_two_digits(conn: Conn) -> None:
    """Has a status of two digits."""
    await _send_and_hold(conn, b"HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n")


@CONFUSING.receiver(error=NOT_HTTP)
async def has_a_status_of_four_digits(conn: Conn) -> None:
    """Has a status of four digits; truncated to three it would be a success."""
    await _send_and_hold(conn, b"HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n")


@CONFUSING.receiver(error=NOT_HTTP)
async def has_a_negative_status(conn: Conn) -> None:
    """Has a negative status."""
    await _send_and_hold(conn, b"HTTP/1.1 -200 OK\r\ncontent-length: 0\r\n\r\n")


@CONFUSING.receiver(999, keeps_connection=True)
async def has_status_999(conn: Conn) -> None:
    """Uses a non-standard status, as some sites do for robots."""
    await _send_each_time(conn, b"HTTP/1.1 999 Denied\r\ncontent-length: 0\r\n\r\n")


@CONFUSING.receiver(99, keeps_connection=True)
async def has_status_099(conn: Conn) -> None:
    """Has a status below every class, which is not an interim answer."""
    await _send_each_time(conn, b"HTTP/1.1 099 Odd\r\ncontent-length: 0\r\n\r\n")


# Valid answers in an unusual form.


@CONFUSING.receiver(200, keeps_connection=True)
async def has_bytes_of_no_text(conn: Conn) -> None:
    """Has header values that are not UTF-8."""
    await _send_each_time(conn, b"HTTP/1.1 200 \xff\xfe\r\nserver: \xff\xc3\r\ncontent-length: 0\r\n\r\n")


@CONFUSING.receiver(200)
async def has_a_nul_in_a_header(conn: Conn) -> None:
    """Has a NUL in a header, which would truncate a C string."""
    await _send_and_hold(conn, b"HTTP/1.1 200 OK\r\nserver: a\x00b\x1b[2J\r\ncontent-length: 0\r\n\r\n")


@CONFUSING.receiver(200)
async def folds_a_header(conn: Conn) -> None:
    """Folds a header over two lines, as in mail."""
    await _send_and_hold(conn, b"HTTP/1.1 200 OK\r\nserver: a\r\n b\r\ncontent-length: 0\r\n\r\n")


@CONFUSING.receiver(200)
async def ends_lines_by_a_line_feed(conn: Conn) -> None:
    """Ends its lines with LF only."""
    await _send_and_hold(conn, b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok")


@CONFUSING.receiver(200, keeps_connection=True)
async def has_empty_headers(conn: Conn) -> None:
    """Has headers without values; if joined with the next name, the length would be lost."""
    await _send_each_time(conn, b"HTTP/1.1 200 OK\r\nserver:\r\nvia: \r\ncontent-length: 0\r\n\r\n")


@CONFUSING.receiver(200, keeps_connection=True)
async def chunks_with_all_trimmings(conn: Conn) -> None:
    """Uses chunk extensions, leading zeros and trailers; a trailer is not a header."""
    await _send_each_time(
        conn,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: retry-after\r\n\r\n"
        b'0002;a="b;c"\r\nok\r\n0;x\r\nretry-after: 86400\r\n\r\n',
    )


# Answers with an ambiguous end.


@CONFUSING.receiver(200)
async def has_a_negative_length(conn: Conn) -> None:
    """Has a negative content length."""
    await _send_and_hold(conn, b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n")


@CONFUSING.receiver(200)
async def has_a_length_beyond_numbers(conn: Conn) -> None:
    """Has a length that would overflow a counter."""
    await _send_and_hold(conn, b"HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551616\r\n\r\n")


@CONFUSING.receiver(200)
async def has_two_lengths(conn: Conn) -> None:
    """Has two lengths: the bytes between them are a second answer to one side only."""
    await _send_and_hold(conn, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-length: 38\r\n\r\n" + OK)


@CONFUSING.receiver(200)
async def has_a_list_of_lengths(conn: Conn) -> None:
    """Has two lengths in one header."""
    await _send_and_hold(conn, b"HTTP/1.1 200 OK\r\ncontent-length: 0, 38\r\n\r\n" + OK)


@CONFUSING.receiver(200)
async def has_length_and_chunks(conn: Conn) -> None:
    """Has both a length and chunked encoding."""
    await _send_and_hold(
        conn,
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + OK,
    )


@CONFUSING.receiver(200)
async def has_a_chunk_of_no_number(conn: Conn) -> None:
    """Has letters for a chunk size."""
    await _send_and_hold(conn, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n")


@CONFUSING.receiver(200)
async def has_a_negative_chunk(conn: Conn) -> None:
    """Has a negative chunk size."""
    await _send_and_hold(conn, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n")


@CONFUSING.receiver(200)
async def has_a_chunk_beyond_numbers(conn: Conn) -> None:
    """Has a chunk size that would overflow a counter."""
    await _send_and_hold(conn, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10000000000000001\r\n")


@CONFUSING.receiver(200)
async def overruns_its_chunk(conn: Conn) -> None:
    """Continues past the end of its chunk."""
    await _send_and_hold(
        conn, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nokokok\r\n0\r\n\r\n"
    )


@CONFUSING.receiver(200)
async def has_a_line_without_a_colon(conn: Conn) -> None:
    """Has a header line without a colon."""
    await _send_and_hold(conn, b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n")


# Answers followed by more than was asked for.


@CONFUSING.receiver(200)
async def answers_twice(conn: Conn) -> None:
    """Sends an answer in advance: if it were used for the next request, a failure could pass as a success."""
    await _send_and_hold(conn, OK + OK)


@CONFUSING.receiver(500)
async def fails_and_succeeds(conn: Conn) -> None:
    """Sends a failure and then a success."""
    await _send_and_hold(conn, b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n" + OK)


@CONFUSING.receiver(200)
async def answers_again_later(conn: Conn) -> None:
    """Sends a second answer when no request is waiting."""
    await conn.request()
    await conn.send(OK)
    await conn.send(OK)
    await conn.hold()


@CONFUSING.receiver(200)
async def adds_a_byte(conn: Conn) -> None:
    """Sends one byte too many."""
    await _send_and_hold(conn, OK + b"!")


@CONFUSING.receiver(200)
async def closes_and_talks_on(conn: Conn) -> None:
    """Announces the close and sends more."""
    await _send_and_hold(conn, b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" + OK)


@CONFUSING.receiver(204)
async def has_a_body_where_none_may_be(conn: Conn) -> None:
    """Sends a 204 with a content length and a body."""
    await _send_and_hold(conn, b"HTTP/1.1 204 No Content\r\ncontent-length: 38\r\n\r\n" + OK)


@CONFUSING.receiver(304, keeps_connection=True)
async def is_not_modified(conn: Conn) -> None:
    """States the length of a body that it does not send."""
    await _send_each_time(conn, b"HTTP/1.1 304 Not Modified\r\ncontent-length: 38\r\n\r\n")


@CONFUSING.receiver(200)
async def smuggles_after_the_last_chunk(conn: Conn) -> None:
    """Sends another answer right after its last chunk."""
    await _send_and_hold(
        conn, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + OK
    )


@CONFUSING.receiver(200)
async def is_chunked_and_then_something(conn: Conn) -> None:
    """Names another coding after chunked, so that only the close could end the body."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n")
