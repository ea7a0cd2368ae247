"""Animals that answer badly: what they have decided is known, and all else costs the connection."""

from __future__ import annotations

from tests.support.zoo.cage import House, Visit

UGLY = House()


@UGLY.animal(200)
async def repeats_its_length(visit: Visit) -> None:
    """Says its length twice, and the same both times."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok")
    await visit.hold()


@UGLY.animal(200)
async def lists_its_length_twice(visit: Visit) -> None:
    """The same in one header."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nok")
    await visit.hold()


@UGLY.animal(200)
async def says_its_length_in_letters(visit: Visit) -> None:
    """Has a length that is no number."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\nok")
    await visit.hold()


@UGLY.animal(200)
async def has_a_length_and_no_chunks(visit: Visit) -> None:
    """Names chunks beside a length, and sends none."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nok")
    await visit.hold()


@UGLY.animal(200)
async def names_a_coding_that_nobody_knows(visit: Visit) -> None:
    """Has a transfer coding of its own."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: banana\r\ncontent-length: 2\r\n\r\nok")
    await visit.hold()


@UGLY.animal(200)
async def chunks_twice(visit: Visit) -> None:
    """Names the chunks twice, as two layers of middleware do."""
    await visit.request()
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n"
    await visit.say(head + b"2\r\nok\r\n0\r\n\r\n")
    await visit.hold()


@UGLY.animal(200)
async def puts_a_space_before_the_colon(visit: Visit) -> None:
    """Writes its headers as prose."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\nX-Foo : a\r\ncontent-length : 2\r\n\r\nok")
    await visit.hold()


@UGLY.animal(200)
async def has_a_header_without_a_name(visit: Visit) -> None:
    """Begins a line with the colon."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\n: a\r\ncontent-length: 2\r\n\r\nok")
    await visit.hold()


@UGLY.animal(200)
async def has_odd_names(visit: Visit) -> None:
    """Has names that no token can be."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\nX Foo: a\r\nx-\xff\x00: b\r\n(c): d\r\ncontent-length: 2\r\n\r\nok")
    await visit.hold()


@UGLY.animal(200)
async def folds_its_first_header(visit: Visit) -> None:
    """Begins with the continuation of nothing."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\n folded\r\ncontent-length: 2\r\n\r\nok")
    await visit.hold()


@UGLY.animal(200)
async def has_a_lone_carriage_return(visit: Visit) -> None:
    """Ends a line by half of what ends one."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\nserver: a\rvia: b\r\ncontent-length: 2\r\n\r\nok")
    await visit.hold()


@UGLY.animal(200)
async def puts_two_spaces_before_its_status(visit: Visit) -> None:
    """Has a status line that is nearly one."""
    await visit.request()
    await visit.say(b"HTTP/1.1  200  OK\r\ncontent-length: 2\r\n\r\nok")
    await visit.hold()


@UGLY.animal(200)
async def answers_by_another_version(visit: Visit) -> None:
    """Names a version that is not spoken this way."""
    await visit.request()
    await visit.say(b"HTTP/2 200\r\ncontent-length: 2\r\n\r\nok")
    await visit.hold()


@UGLY.animal(200)
async def is_ugly_before_it_answers(visit: Visit) -> None:
    """Sends a hint that is no better written than the rest."""
    await visit.request()
    await visit.say(
        b"HTTP/1.1 103 Hints\r\nX-Foo : a\r\nno colon\r\n\r\nHTTP/1.1 200 OK\r\nX-Foo : a\r\n\r\n"
    )


@UGLY.animal(204)
async def has_nothing_and_sends_chunks(visit: Visit) -> None:
    """Says that there is nothing, and sends it in chunks."""
    await visit.request()
    await visit.say(b"HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    await visit.hold()


@UGLY.animal(204)
async def says_nothing_of_its_body_and_sends_one(visit: Visit) -> None:
    """The same without a word of it."""
    await visit.request()
    await visit.say(b"HTTP/1.1 204 No Content\r\n\r\nok")
    await visit.hold()


@UGLY.animal(304)
async def is_not_modified_and_sends_it(visit: Visit) -> None:
    """Sends what has not changed."""
    await visit.request()
    await visit.say(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\nok")
    await visit.hold()


@UGLY.animal(200)
async def cuts_its_body_in_1_0(visit: Visit) -> None:
    """Is old, and breaks off."""
    await visit.request()
    await visit.say(b"HTTP/1.0 200 OK\r\ncontent-length: 100\r\n\r\nabc")


@UGLY.animal(200)
async def stays_in_1_0(visit: Visit) -> None:
    """Is old, and would be asked again."""
    await visit.request()
    await visit.say(b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok")
    await visit.hold()


@UGLY.animal(500)
async def fails_and_breaks_off(visit: Visit) -> None:
    """Fails, and its body with it."""
    await visit.request()
    await visit.say(b"HTTP/1.1 500 No\r\ncontent-length: 100\r\n\r\nabc")


@UGLY.animal(410)
async def is_gone_in_broken_chunks(visit: Visit) -> None:
    """Is gone, and says so badly."""
    await visit.request()
    await visit.say(b"HTTP/1.1 410 Gone\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n")
    await visit.hold()


@UGLY.animal(503)
async def fails_in_ugly_headers(visit: Visit) -> None:
    """Fails, and cannot spell."""
    await visit.request()
    await visit.say(
        b"HTTP/1.1 503 Busy\r\nX-Foo : a\r\nno colon\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"
    )
    await visit.hold()


@UGLY.animal(200)
async def resets_after_the_head(visit: Visit) -> None:
    """Cuts the connection off once it has said that all is well."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
    visit.reset()


@UGLY.animal(200)
async def has_one_long_header(visit: Visit) -> None:
    """Comes close to what a head may have."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\nx-long: " + b"x" * 60_000 + b"\r\ncontent-length : 0\r\n\r\n")
    await visit.hold()


@UGLY.animal(200, keeps=True)
async def compresses_nonsense(visit: Visit) -> None:
    """Calls gzip what is none: nobody here opens it."""
    while True:
        await visit.request()
        await visit.say(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nnone")


@UGLY.animal(200)
async def codes_its_body_for_ever(visit: Visit) -> None:
    """Has a coding of its own and no length, so that only a close could end it."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: banana\r\n\r\nok")
    await visit.hold()
