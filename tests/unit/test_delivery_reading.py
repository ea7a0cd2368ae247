from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notifier.core.delivery.outcome import MAX_READ_BODY_BYTES, ErrorClass, Excerpt
from notifier.delivery.reading import MAX_ANSWER_BYTES, AnswerReader
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
    b"X-Foo : a\r\n",
    b": a\r\n",
    b"content-length: 3\r\n",
    b"content-length : two\r\n",
    b"transfer-encoding: gzip\r\n",
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
    """Read all pieces as a connection does; return the reply and whether the connection is reusable."""
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
def test_splitting_the_bytes_changes_nothing(said: bytes, places: list[int]) -> None:
    at = [0, *sorted({place for place in places if place < len(said)}), len(said)]
    pieces = [said[start:end] for start, end in pairwise(at)]
    whole, reusable = read([said])
    parts, parts_reusable = read(pieces)
    assert parts == whole
    # Line feeds between answers are skipped, unless no request is waiting.
    assert reusable or not parts_reusable


@given(st.lists(st.one_of(st.binary(max_size=300), answers), max_size=20))
def test_any_bytes_are_read_to_an_end(pieces: list[bytes]) -> None:
    reply, reusable = read(pieces)
    assert reply.error is not None or reply.status is not None
    assert (reply.error is None) == (reply.status is not None)
    assert not (reply.error and reusable)
    assert len(reply.body) <= 4096
    assert all(value.isprintable() for value in reply.headers.values())


@given(st.sampled_from([b"x-a: b\r\n", b"x", b"x-long: ", b"\xff"]), st.integers(1, 70_000))
def test_no_head_is_read_forever(filler: bytes, piece_size: int) -> None:
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


def test_a_head_may_be_as_long_as_the_limit_and_no_longer() -> None:
    start, end = b"HTTP/1.1 200 OK\r\nx-pad: ", b"\r\ncontent-length: 0\r\n\r\n"
    for size, error in ((MAX_ANSWER_BYTES, None), (MAX_ANSWER_BYTES + 1, ErrorClass.TOO_LARGE_HEADERS)):
        reply, _ = read([start + b"x" * (size - len(start + end)) + end])
        assert reply.error is error


def test_the_number_of_headers_does_not_matter() -> None:
    reply, reusable = read([b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 5000 + b"content-length: 0\r\n\r\n"])
    assert (reply.status, reply.error, reusable) == (200, None, True)


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokay", b"ok"),
        (b"HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok", b"ok"),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", b"ok"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 9\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            b"ok",
        ),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\n\n", b"ok"),
        (b"HTTP/1.1 204 No\r\ncontent-length: 2\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 2\r\n\r\nok", b"ok"),
    ],
)
def test_a_malformed_answer_is_read_and_closes_the_connection(answer: bytes, body: bytes) -> None:
    reply, reusable = read([answer])
    assert (reply.error, reply.body, reusable) == (None, body, False)


@pytest.mark.parametrize(
    "answer",
    [
        b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200\r\ncontent-length:2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length:\t2 \r\nserver: \xff\r\n\r\nok",
        b"HTTP/1.1 204 No\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n2 ;a=b\r\nok\r\n000\r\nx: y\r\n\r\n",
    ],
)
def test_a_well_formed_answer_keeps_the_connection(answer: bytes) -> None:
    reply, reusable = read([answer])
    assert (reply.status, reply.error, reusable) == (int(answer.split()[1]), None, True)


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        (b"HTTP/1.1 503 No\r\nRetry-After : 7\r\n\r\n", "7"),
        (b"HTTP/1.1 503 No\r\nretry-after:\r\n 7\r\n\r\n", "7"),
        (b"HTTP/1.1 429 No\r\nretry-after: 7\r\ncontent-length: 9\r\n\r\ncut", "7"),
    ],
)
def test_useful_headers_are_read_from_a_malformed_head(answer: bytes, kept: str) -> None:
    reply, _ = read([answer])
    assert reply.headers == {"retry-after": kept}


def test_headers_of_an_interim_answer_are_not_those_of_the_final_one() -> None:
    interim = b"HTTP/1.1 103 Hints\r\nretry-after: 9\r\n\r\n"
    reply, _ = read([interim + b"HTTP/1.1 200 OK\r\nserver: s\r\ncontent-length: 0\r\n\r\n"])
    assert reply.headers == {"server": "s"}


def test_a_length_in_an_interim_answer_does_not_apply_to_the_final_one() -> None:
    reply, _ = read([b"HTTP/1.1 100 Continue\r\ncontent-length: 5\r\n\r\nHTTP/1.1 200 OK\r\n\r\nok"])
    assert (reply.status, reply.error, reply.body) == (200, None, b"ok")


def test_a_trailer_is_not_a_header() -> None:
    reply, reusable = read(
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nretry-after: 9\r\nserver: s\r\n\r\n"]
    )
    assert (reply.headers, reply.error, reusable) == ({}, None, True)


def test_the_first_of_two_headers_counts_but_every_retry_after() -> None:
    lines = b"Retry-After: 1\r\nserver: a\r\nretry-after: 2\r\nServer: b\r\ncontent-length: 0\r\n\r\n"
    reply, _ = read([b"HTTP/1.1 503 No\r\n" + lines])
    assert reply.headers == {"retry-after": "1, 2", "server": "a"}


def test_surplus_bytes_beyond_the_limit_count_as_surplus() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-pad: "
    padded = head + b"x" * (MAX_ANSWER_BYTES - len(head) - 4) + b"\r\n\r\n"
    assert read([padded]) == (Reply(status=200), True)
    assert read([padded + b"!"]) == (Reply(status=200), False)


@pytest.mark.parametrize("size", [4096, 5000, MAX_READ_BODY_BYTES])
def test_a_body_is_read_up_to_the_requested_size(size: int) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (size + 1)
    reader = AnswerReader()
    reader.expect(Excerpt(body_bytes=size))
    reader.feed(head)
    for _ in range(size):
        assert not reader.finished
        reader.feed(b"x")
    assert reader.finished
    assert (len(reader.reply.body), reader.reusable) == (size, False)
    reader.expect()
    reader.feed(head + b"x" * (size + 1))
    assert len(reader.reply.body) == 4096


@pytest.mark.parametrize("size", [0, 4095, MAX_READ_BODY_BYTES + 1])
def test_the_requested_size_has_a_minimum_and_a_maximum(size: int) -> None:
    with pytest.raises(ValueError, match="65536"):
        Excerpt(body_bytes=size)


def test_requested_headers_are_read_in_addition_to_the_useful_ones() -> None:
    lines = b'ETag: "1"\r\nserver: s\r\nx-left: 5\r\nX-Left: 6\r\ncontent-length: 0\r\n\r\n'
    answer = b"HTTP/1.1 103 Hints\r\netag: early\r\n\r\nHTTP/1.1 200 OK\r\n" + lines
    reader = AnswerReader()
    reader.expect(Excerpt(headers=("etag", "x-left")))
    reader.feed(answer)
    assert reader.reply.headers == {"server": "s", "etag": '"1"', "x-left": "5"}
    reader.expect()
    reader.feed(answer)
    assert reader.reply.headers == {"server": "s"}
