"""Animals that would fill our memory."""

from __future__ import annotations

import gzip

from notifier.core.delivery.outcome import ErrorClass
from tests.support.zoo.cage import House, Visit

FLOODING = House()

TOO_LARGE = ErrorClass.TOO_LARGE_HEADERS
MEGABYTE = b"x" * 1_000_000
BOMB = gzip.compress(bytes(1_000_000)) * 50
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@FLOODING.animal(error=TOO_LARGE)
async def has_one_endless_header(visit: Visit) -> None:
    """Sends 10 MB of one value, and would go on."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\nx-long: ")
    await visit.flood(MEGABYTE)


@FLOODING.animal(error=TOO_LARGE)
async def has_an_endless_header_name(visit: Visit) -> None:
    """The same before the colon."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\n")
    await visit.flood(MEGABYTE)


@FLOODING.animal(error=TOO_LARGE)
async def has_endless_headers(visit: Visit) -> None:
    """Sends header after header, each of them harmless."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\n")
    await visit.flood(b"x-many: 1\r\n" * 10_000)


@FLOODING.animal(200)
async def has_more_headers_than_anyone_needs(visit: Visit) -> None:
    """Sends a thousand short headers and an end: many in number, and within the bounds in bytes."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1000 + b"content-length : 0\r\n\r\n")
    await visit.hold()


@FLOODING.animal(error=TOO_LARGE)
async def has_an_endless_reason(visit: Visit) -> None:
    """Never ends its status line."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 ")
    await visit.flood(MEGABYTE)


@FLOODING.animal(error=TOO_LARGE)
async def has_endless_interim_answers(visit: Visit) -> None:
    """Sends interim answers as fast as they go."""
    await visit.request()
    await visit.flood(b"HTTP/1.1 102 Processing\r\n\r\n" * 1000)


@FLOODING.animal(error=TOO_LARGE)
async def hides_headers_in_interim_answers(visit: Visit) -> None:
    """Spreads too many headers over early hints."""
    await visit.request()
    await visit.flood(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 50)


@FLOODING.animal(200, keeps=True)
async def clears_its_throat(visit: Visit) -> None:
    """Sends a hundred interim answers before a good one: odd, and within bounds."""
    while True:
        await visit.request()
        await visit.say(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
        await visit.say(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


@FLOODING.animal(200)
async def has_an_endless_body(visit: Visit) -> None:
    """Announces a terabyte and means it."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n")
    await visit.flood(MEGABYTE)


@FLOODING.animal(200)
async def has_an_endless_body_of_no_length(visit: Visit) -> None:
    """Streams for as long as anybody listens."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\n\r\n")
    await visit.flood(MEGABYTE)


@FLOODING.animal(200)
async def has_endless_small_chunks(visit: Visit) -> None:
    """Streams chunks of one byte: six bytes of frame around each."""
    await visit.request()
    await visit.say(CHUNKED)
    await visit.flood(b"1\r\nx\r\n" * 10_000)


@FLOODING.animal(200)
async def has_an_endless_chunk_extension(visit: Visit) -> None:
    """Sends no byte of body, but a chunk extension without end."""
    await visit.request()
    await visit.say(CHUNKED + b"1;a=")
    await visit.flood(MEGABYTE)


@FLOODING.animal(200)
async def has_an_endless_trailer(visit: Visit) -> None:
    """Ends its body and goes on in one trailer: past the head, where nobody expects headers."""
    await visit.request()
    await visit.say(CHUNKED + b"0\r\nx-trailer: ")
    await visit.flood(MEGABYTE)


@FLOODING.animal(200)
async def has_endless_trailers(visit: Visit) -> None:
    """The same in many."""
    await visit.request()
    await visit.say(CHUNKED + b"0\r\n")
    await visit.flood(b"retry-after: 1\r\n" * 10_000)


@FLOODING.animal(200)
async def drops_a_gzip_bomb(visit: Visit) -> None:
    """Sends 48 kB that would unpack to 50 MB."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(BOMB))
    await visit.say(BOMB)
    await visit.hold()


@FLOODING.animal(200)
async def nests_encodings(visit: Visit) -> None:
    """Names a compression of the transfer itself, which some clients undo without being asked."""
    bomb = gzip.compress(BOMB)
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n%x\r\n" % len(bomb))
    await visit.say(bomb + b"\r\n0\r\n\r\n")


@FLOODING.animal(error=ErrorClass.PROTOCOL)
async def floods_before_it_is_asked(visit: Visit) -> None:
    """Does not wait for a request."""
    await visit.flood(MEGABYTE)
