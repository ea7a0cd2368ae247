"""Animals whose answers are none, or two, or end in doubt."""

from __future__ import annotations

from notifier.core.delivery.outcome import ErrorClass
from tests.support.zoo.cage import House, Visit

CONFUSING = House()

NOT_HTTP = ErrorClass.PROTOCOL
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def _say_and_hold(visit: Visit, answer: bytes) -> None:
    await visit.request()
    await visit.say(answer)
    await visit.hold()


async def _say_each_time(visit: Visit, answer: bytes) -> None:
    while True:
        await visit.request()
        await visit.say(answer)


# What is no answer at all.


@CONFUSING.animal(error=NOT_HTTP)
async def greets_first(visit: Visit) -> None:
    """Is a mail server: it speaks before it is asked."""
    await visit.say(b"220 mail.example ESMTP\r\n")
    await visit.hold()


@CONFUSING.animal(error=NOT_HTTP)
async def is_an_ssh_server(visit: Visit) -> None:
    """Speaks another protocol."""
    await _say_and_hold(visit, b"SSH-2.0-OpenSSH_9.6\r\n")


@CONFUSING.animal(error=NOT_HTTP)
async def speaks_http_2(visit: Visit) -> None:
    """Answers with the frames of HTTP/2."""
    await _say_and_hold(visit, b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00")


@CONFUSING.animal(error=NOT_HTTP)
async def speaks_tls(visit: Visit) -> None:
    """Answers a plain request with a TLS alert."""
    await _say_and_hold(visit, b"\x15\x03\x01\x00\x02\x02\x46")


@CONFUSING.animal(error=NOT_HTTP)
async def sends_requests(visit: Visit) -> None:
    """Asks back."""
    await _say_and_hold(visit, b"GET / HTTP/1.1\r\nhost: you\r\n\r\n")


@CONFUSING.animal(error=NOT_HTTP)
async def sends_noise(visit: Visit) -> None:
    """Sends bytes of any kind."""
    await _say_and_hold(visit, bytes(range(256)))


@CONFUSING.animal(error=NOT_HTTP)
async def has_a_status_of_letters(visit: Visit) -> None:
    """Spells its status out."""
    await _say_and_hold(visit, b"HTTP/1.1 TWO OK\r\n\r\n")


@CONFUSING.animal(error=NOT_HTTP)
async def has_a_status_of_two_digits(visit: Visit) -> None:
    """Leaves a digit out."""
    await _say_and_hold(visit, b"HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n")


@CONFUSING.animal(error=NOT_HTTP)
async def has_a_status_of_four_digits(visit: Visit) -> None:
    """Adds one; cut to three it would be a success."""
    await _say_and_hold(visit, b"HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n")


@CONFUSING.animal(error=NOT_HTTP)
async def has_a_negative_status(visit: Visit) -> None:
    """Counts down."""
    await _say_and_hold(visit, b"HTTP/1.1 -200 OK\r\ncontent-length: 0\r\n\r\n")


@CONFUSING.animal(999, keeps=True)
async def has_status_999(visit: Visit) -> None:
    """Uses a status of its own, as some sites do for robots."""
    await _say_each_time(visit, b"HTTP/1.1 999 Denied\r\ncontent-length: 0\r\n\r\n")


@CONFUSING.animal(99, keeps=True)
async def has_status_099(visit: Visit) -> None:
    """Is below every class of status, and no interim answer."""
    await _say_each_time(visit, b"HTTP/1.1 099 Odd\r\ncontent-length: 0\r\n\r\n")


# What is an answer, in odd dress.


@CONFUSING.animal(200, keeps=True)
async def has_bytes_of_no_text(visit: Visit) -> None:
    """Has header values that are no UTF-8."""
    await _say_each_time(visit, b"HTTP/1.1 200 \xff\xfe\r\nserver: \xff\xc3\r\ncontent-length: 0\r\n\r\n")


@CONFUSING.animal(200)
async def has_a_nul_in_a_header(visit: Visit) -> None:
    """Would cut a text short wherever it ends up in C."""
    await _say_and_hold(visit, b"HTTP/1.1 200 OK\r\nserver: a\x00b\x1b[2J\r\ncontent-length: 0\r\n\r\n")


@CONFUSING.animal(200)
async def folds_a_header(visit: Visit) -> None:
    """Writes a header over two lines, as mail does."""
    await _say_and_hold(visit, b"HTTP/1.1 200 OK\r\nserver: a\r\n b\r\ncontent-length: 0\r\n\r\n")


@CONFUSING.animal(200)
async def ends_lines_by_a_line_feed(visit: Visit) -> None:
    """Is a script that prints its head."""
    await _say_and_hold(visit, b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok")


@CONFUSING.animal(200, keeps=True)
async def has_empty_headers(visit: Visit) -> None:
    """Has headers without values: glued to the next name, the length would be lost."""
    await _say_each_time(visit, b"HTTP/1.1 200 OK\r\nserver:\r\nvia: \r\ncontent-length: 0\r\n\r\n")


@CONFUSING.animal(200, keeps=True)
async def chunks_with_all_trimmings(visit: Visit) -> None:
    """Uses extensions, leading zeros and trailers; a trailer is no header."""
    await _say_each_time(
        visit,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: retry-after\r\n\r\n"
        b'0002;a="b;c"\r\nok\r\n0;x\r\nretry-after: 86400\r\n\r\n',
    )


# What ends in doubt.


@CONFUSING.animal(200)
async def has_a_negative_length(visit: Visit) -> None:
    """Owes us bytes."""
    await _say_and_hold(visit, b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n")


@CONFUSING.animal(200)
async def has_a_length_beyond_numbers(visit: Visit) -> None:
    """Would wrap a counter around to zero."""
    await _say_and_hold(visit, b"HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551616\r\n\r\n")


@CONFUSING.animal(200)
async def has_two_lengths(visit: Visit) -> None:
    """Ends at two places: whatever is between them is an answer to one of us."""
    await _say_and_hold(visit, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-length: 38\r\n\r\n" + OK)


@CONFUSING.animal(200)
async def has_a_list_of_lengths(visit: Visit) -> None:
    """The same in one header."""
    await _say_and_hold(visit, b"HTTP/1.1 200 OK\r\ncontent-length: 0, 38\r\n\r\n" + OK)


@CONFUSING.animal(200)
async def has_length_and_chunks(visit: Visit) -> None:
    """Says both how long it is and that it will tell."""
    await _say_and_hold(
        visit,
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + OK,
    )


@CONFUSING.animal(200)
async def has_a_chunk_of_no_number(visit: Visit) -> None:
    """Sizes its chunk in letters."""
    await _say_and_hold(visit, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n")


@CONFUSING.animal(200)
async def has_a_negative_chunk(visit: Visit) -> None:
    """Sizes its chunk below zero."""
    await _say_and_hold(visit, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n")


@CONFUSING.animal(200)
async def has_a_chunk_beyond_numbers(visit: Visit) -> None:
    """Would wrap the counter of a chunk."""
    await _say_and_hold(visit, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10000000000000001\r\n")


@CONFUSING.animal(200)
async def overruns_its_chunk(visit: Visit) -> None:
    """Goes on where the chunk should have ended."""
    await _say_and_hold(
        visit, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nokokok\r\n0\r\n\r\n"
    )


@CONFUSING.animal(200)
async def has_a_line_without_a_colon(visit: Visit) -> None:
    """Has a header that is none."""
    await _say_and_hold(visit, b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n")


# What is followed by more than was asked for.


@CONFUSING.animal(200)
async def answers_twice(visit: Visit) -> None:
    """Has an answer ready for the next request: desynchronized, a failure would pass for a success."""
    await _say_and_hold(visit, OK + OK)


@CONFUSING.animal(500)
async def fails_and_succeeds(visit: Visit) -> None:
    """The same in earnest: the second answer is better than the first."""
    await _say_and_hold(visit, b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n" + OK)


@CONFUSING.animal(200)
async def answers_again_later(visit: Visit) -> None:
    """Sends the second answer when nobody waits for one."""
    await visit.request()
    await visit.say(OK)
    await visit.say(OK)
    await visit.hold()


@CONFUSING.animal(200)
async def adds_a_byte(visit: Visit) -> None:
    """Miscounts by one."""
    await _say_and_hold(visit, OK + b"!")


@CONFUSING.animal(200)
async def closes_and_talks_on(visit: Visit) -> None:
    """Says that it closes, and says more."""
    await _say_and_hold(visit, b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" + OK)


@CONFUSING.animal(204)
async def has_a_body_where_none_may_be(visit: Visit) -> None:
    """Says that there is nothing, and how long it is."""
    await _say_and_hold(visit, b"HTTP/1.1 204 No Content\r\ncontent-length: 38\r\n\r\n" + OK)


@CONFUSING.animal(304, keeps=True)
async def is_not_modified(visit: Visit) -> None:
    """Names the length of a body that it does not send."""
    await _say_each_time(visit, b"HTTP/1.1 304 Not Modified\r\ncontent-length: 38\r\n\r\n")


@CONFUSING.animal(200)
async def smuggles_after_the_last_chunk(visit: Visit) -> None:
    """Ends its chunks and begins another answer in the same breath."""
    await _say_and_hold(
        visit, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + OK
    )


@CONFUSING.animal(200)
async def is_chunked_and_then_something(visit: Visit) -> None:
    """Puts another coding behind the chunks, so that only its close could end it."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n")
