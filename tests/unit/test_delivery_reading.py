from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from notifier.core.outcome import ErrorClass
from notifier.delivery.reading import MAX_ANSWER_BYTES, MAX_HEADERS, AnswerReader
from notifier.delivery.reply import Reply

HEADS = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.0 503 Busy\r\n",
    b"HTTP/1.1 204 No Content\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\n",
    b"HTTP/1.1 2000 OK\r\n",
]
LINES = [
    b"content-length: 2\r\n",
    b"content-length: 2\r\n",
    b"transfer-encoding: chunked\r\n",
    b"connection: close\r\n",
    b"connection: keep-alive\r\n",
    b"retry-after: 5\r\n",
    b"server: \xff\x00\r\n b\r\n",
    b"via:\n",
    b"upgrade: h2c\r\n",
    b"no colon\r\n",
]
BODIES = [b"ok", b"2\r\nok\r\n0\r\n\r\n", b"0\r\nretry-after: 9\r\n\r\n", b"zz\r\n", b"\r\n", b"x" * 40, b""]

answers = st.builds(
    lambda heads, lines, body: b"".join([*heads, *lines, b"\r\n", body]),
    st.lists(st.sampled_from(HEADS), min_size=1, max_size=3),
    st.lists(st.sampled_from(LINES), max_size=4),
    st.sampled_from(BODIES),
)
conversations = st.lists(st.one_of(answers, st.binary(max_size=30)), min_size=1, max_size=3).map(b"".join)
cuts = st.lists(st.integers(0, 400), max_size=12)


def read(pieces: list[bytes]) -> tuple[Reply, bool]:
    """Read pieces as a connection does, to the end of all: the reply, and whether another may follow."""
    reader = AnswerReader()
    for piece in pieces:
        if reader.finished and piece:
            return reader.reply, False
        reader.feed(piece)
    if not reader.finished:
        reader.end(None)
    return reader.reply, reader.reusable


@given(conversations, cuts)
@example(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", list(range(40)))
@example(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP", list(range(80)))
def test_where_the_bytes_are_cut_changes_nothing(said: bytes, places: list[int]) -> None:
    at = [0, *sorted({place for place in places if place < len(said)}), len(said)]
    pieces = [said[start:end] for start, end in pairwise(at)]
    whole, reusable = read([said])
    parts, parts_reusable = read(pieces)
    assert parts == whole
    # Line feeds between answers are passed over, unless they come when nobody waits.
    assert reusable or not parts_reusable


@given(st.lists(st.one_of(st.binary(max_size=300), answers), max_size=20))
def test_whatever_comes_is_read_to_an_end(pieces: list[bytes]) -> None:
    reply, reusable = read(pieces)
    assert reply.error is not None or reply.status is not None
    assert not (reply.error and reusable)
    assert len(reply.body) <= 4096
    assert all(value.isprintable() for value in reply.headers.values())


@given(st.sampled_from([b"x-a: b\r\n", b"x", b"x-long: ", b"\xff"]), st.integers(1, 70_000))
def test_no_head_is_read_for_ever(filler: bytes, piece_size: int) -> None:
    reader = AnswerReader()
    reader.feed(b"HTTP/1.1 200 OK\r\n")
    flood = (filler * (piece_size // len(filler) + 1))[:piece_size]
    fed = 0
    while not reader.finished:
        reader.feed(flood)
        fed += piece_size
    assert fed <= MAX_ANSWER_BYTES + piece_size
    assert reader.reply.error in {ErrorClass.TOO_LARGE_HEADERS, ErrorClass.PROTOCOL}
    assert not reader.reusable


def test_as_many_headers_as_allowed_are_taken() -> None:
    for count, error in ((MAX_HEADERS, None), (MAX_HEADERS + 1, ErrorClass.TOO_LARGE_HEADERS)):
        lines = b"x-a: b\r\n" * (count - 1)
        reply, _ = read([b"HTTP/1.1 200 OK\r\n" + lines + b"content-length: 0\r\n\r\n"])
        assert reply.error is error


def test_headers_of_an_interim_answer_are_not_those_of_the_final_one() -> None:
    interim = b"HTTP/1.1 103 Hints\r\nretry-after: 9\r\n\r\n"
    reply, _ = read([interim + b"HTTP/1.1 200 OK\r\nserver: s\r\ncontent-length: 0\r\n\r\n"])
    assert reply.headers == {"server": "s"}


def test_a_length_in_an_interim_answer_does_not_bind_the_final_one() -> None:
    reply, _ = read([b"HTTP/1.1 100 Continue\r\ncontent-length: 5\r\n\r\nHTTP/1.1 200 OK\r\n\r\nok"])
    assert (reply.status, reply.error, reply.body) == (200, None, b"ok")


def test_a_trailer_is_no_header() -> None:
    reply, reusable = read(
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nretry-after: 9\r\nserver: s\r\n\r\n"]
    )
    assert (reply.headers, reply.error, reusable) == ({}, None, True)


def test_the_first_of_two_headers_counts() -> None:
    reply, _ = read([b"HTTP/1.1 503 No\r\nRetry-After: 1\r\nretry-after: 2\r\ncontent-length: 0\r\n\r\n"])
    assert reply.headers == {"retry-after": "1"}


def test_surplus_beyond_the_bound_is_surplus_all_the_same() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-pad: "
    padded = head + b"x" * (MAX_ANSWER_BYTES - len(head) - 4) + b"\r\n\r\n"
    assert read([padded]) == (Reply(status=200), True)
    assert read([padded + b"!"]) == (Reply(status=200), False)
