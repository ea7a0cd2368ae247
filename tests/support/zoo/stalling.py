"""Animals that take their time: each holds a connection, and an attempt with it, for as long as we let it."""

from __future__ import annotations

from notifier.core.delivery.outcome import ErrorClass
from tests.support.zoo.cage import House, Visit

STALLING = House()

LATE = ErrorClass.TIMEOUT


@STALLING.animal(error=LATE, takes_time=True)
async def never_answers(visit: Visit) -> None:
    """Takes the request and says nothing."""
    await visit.hold()


@STALLING.animal(error=LATE, takes_time=True)
async def drips_the_status_line(visit: Visit) -> None:
    """Begins to answer, a letter at a time: a time-out between reads never fires."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 ")
    await visit.drip(b"OK ")


@STALLING.animal(error=LATE, takes_time=True)
async def drips_headers(visit: Visit) -> None:
    """Adds to its headers, a byte at a time."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\n")
    await visit.drip(b"x-slow: zzz\r\n")


@STALLING.animal(error=LATE, takes_time=True)
async def drips_interim_answers(visit: Visit) -> None:
    """Is always just about to go on."""
    await visit.request()
    await visit.drip(b"HTTP/1.1 100 Continue\r\n\r\n")


@STALLING.animal(200, takes_time=True)
async def drips_a_body(visit: Visit) -> None:
    """Answers well and never gets to the end of its body."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n")
    await visit.drip(b"zzz")


@STALLING.animal(200, takes_time=True)
async def drips_chunks(visit: Visit) -> None:
    """The same in chunks of one byte."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    await visit.drip(b"1\r\nz\r\n")


@STALLING.animal(200, takes_time=True)
async def stops_before_the_last_chunk(visit: Visit) -> None:
    """Has said everything but that it is done."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n")
    await visit.hold()


@STALLING.animal(200, takes_time=True)
async def promises_more_than_it_has(visit: Visit) -> None:
    """Announces one byte more than there are."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok")
    await visit.hold()


@STALLING.animal(200, takes_time=True)
async def says_no_length_and_stays(visit: Visit) -> None:
    """Would have the end of its body be a close that never comes."""
    await visit.request()
    await visit.say(b"HTTP/1.1 200 OK\r\n\r\nok")
    await visit.hold()
