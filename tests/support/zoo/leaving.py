"""Animals that go away in the middle of it."""

from __future__ import annotations

from notifier.core.delivery.outcome import ErrorClass
from tests.support.zoo.cage import House, Visit

LEAVING = House()

RESET = ErrorClass.CONNECTION_RESET
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@LEAVING.animal(error=RESET)
async def hangs_up_at_once(_visit: Visit) -> None:
    """Accepts and closes before it could have read anything."""


@LEAVING.animal(error=RESET)
async def resets_at_once(visit: Visit) -> None:
    """Accepts and resets: what a full backlog behind a load balancer looks like."""
    visit.reset()


@LEAVING.animal(error=RESET)
async def closes_its_half_and_stays(visit: Visit) -> None:
    """Ends its half before any answer and keeps the socket: its close would never come."""
    await visit.request()
    visit.end_writing()
    await visit.hold()


@LEAVING.animal(error=RESET)
async def hangs_up_after_the_request(visit: Visit) -> None:
    """Crashes on our event."""
    await visit.request()


@LEAVING.animal(error=RESET)
async def resets_after_the_request(visit: Visit) -> None:
    """Crashes on our event, and its kernel tells us so."""
    await visit.request()
    visit.reset()


@LEAVING.animal(error=RESET)
async def leaves_amid_the_status_line(visit: Visit) -> None:
    """Says that it is HTTP, and no more."""
    await visit.request()
    await visit.say(b"HTTP/1.1 20")


@LEAVING.animal(error=RESET)
async def leaves_amid_the_head(visit: Visit) -> None:
    """Looks like a success until the last moment; its head never ends."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n")


@LEAVING.animal(error=RESET)
async def leaves_after_an_interim_answer(visit: Visit) -> None:
    """Promises to go on."""
    await visit.request()
    await visit.say(b"HTTP/1.1 100 Continue\r\n\r\n")


@LEAVING.animal(200)
async def leaves_amid_the_body(visit: Visit) -> None:
    """Announces a hundred bytes and says three."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc")


@LEAVING.animal(200)
async def leaves_amid_a_chunk(visit: Visit) -> None:
    """Breaks off inside a chunk."""
    await visit.request()
    await visit.say(CHUNKED + b"a\r\nabc")


@LEAVING.animal(200)
async def leaves_between_chunks(visit: Visit) -> None:
    """Breaks off where the last chunk should be: a truncated body that looks whole."""
    await visit.request()
    await visit.say(CHUNKED + b"3\r\nabc\r\n")


@LEAVING.animal(200)
async def leaves_amid_the_trailers(visit: Visit) -> None:
    """Breaks off after the last chunk and before its end."""
    await visit.request()
    await visit.say(CHUNKED + b"0\r\nx-trailer: ")


@LEAVING.animal(200)
async def ends_a_body_of_no_length(visit: Visit) -> None:
    """Says no length, so that the end of the connection is the end of the body: old, and allowed."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\n\r\nthat is all")


@LEAVING.animal(200)
async def speaks_http_1_0(visit: Visit) -> None:
    """Is from 1996 and closes after each answer."""
    await visit.request()
    await visit.say(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok")


@LEAVING.animal(200)
async def says_that_it_closes_and_stays(visit: Visit) -> None:
    """Announces the close and leaves it to us: a connection that is kept would never be freed."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
    await visit.hold()
