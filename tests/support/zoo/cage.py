"""The cage: it serves an animal on loopback and keeps count of what gets through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from notifier.core.delivery.outcome import ErrorClass
from tests.support.peers import read_request, reset


@dataclass(slots=True)
class Cage:
    """What came to the animal and what it got rid of.

    ``connections`` were accepted, ``open`` of them are still so; ``requests`` arrived whole;
    ``bytes_out`` were taken off the animal, by the client or by the system in between.
    """

    url: str = ""
    connections: int = 0
    open: int = 0
    requests: int = 0
    bytes_out: int = 0


class Visit:
    """One connection, seen from the animal's side."""

    def __init__(self, cage: Cage, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._cage = cage
        self._reader = reader
        self._writer = writer

    async def request(self) -> bytes:
        """Read one whole request."""
        got = await read_request(self._reader)
        self._cage.requests += 1
        return got

    async def one_byte(self) -> bytes:
        """Read the first byte of whatever comes."""
        return await self._reader.readexactly(1)

    async def say(self, data: bytes) -> None:
        """Write, and wait until most of it is gone."""
        self._writer.write(data)
        await self._writer.drain()
        self._cage.bytes_out += len(data)

    async def flood(self, data: bytes) -> None:
        """Say it over and over, until the other side goes."""
        while True:
            await self.say(data)

    async def drip(self, data: bytes) -> None:
        """Say it byte by byte, over and over, always soon enough to look alive."""
        while True:
            for byte in data:
                await self.say(bytes((byte,)))
                await asyncio.sleep(0.01)

    async def hold(self) -> None:
        """Keep the connection until the other side goes."""
        while await self._reader.read(65_536):
            pass

    def end_writing(self) -> None:
        """Close this half alone."""
        self._writer.write_eof()

    def reset(self) -> None:
        """Cut the connection off."""
        reset(self._writer)


Behaviour: TypeAlias = Callable[[Visit], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Animal:
    """A behaviour and what a meeting with it has to come to.

    ``takes_time`` says that only the time-out ends the meeting; ``keeps`` that its connection is as good as
    any for the next request.
    """

    behave: Behaviour
    status: int | None
    error: ErrorClass | None
    takes_time: bool
    keeps: bool

    def __str__(self) -> str:
        return self.behave.__name__


class House(list[Animal]):
    """The animals of one kind; :meth:`animal` brings another in."""

    def animal(
        self,
        status: int | None = None,
        error: ErrorClass | None = None,
        *,
        takes_time: bool = False,
        keeps: bool = False,
    ) -> Callable[[Behaviour], Behaviour]:
        """Take in a behaviour and what has to come of it."""

        def take_in(behave: Behaviour) -> Behaviour:
            self.append(Animal(behave, status, error, takes_time, keeps))
            return behave

        return take_in


@asynccontextmanager
async def cage(behave: Behaviour, *, port: int = 0, **server: Any) -> AsyncIterator[Cage]:
    """Serve an animal; one that is cut off, or cannot agree on TLS, is no failure."""
    counts = Cage()
    visits: set[asyncio.Task[None]] = set()

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        counts.connections += 1
        counts.open += 1
        try:
            await behave(Visit(counts, reader, writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        except RuntimeError as error:
            if "closed" not in str(error):  # how uvloop says that the other side is gone
                raise
        finally:
            counts.open -= 1

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(visit(reader, writer))
        visits.add(task)
        task.add_done_callback(visits.discard)
        task.add_done_callback(lambda _: writer.close())  # also of one that is cancelled before it begins

    listener = await asyncio.start_server(connected, "127.0.0.1", port, **server)
    scheme = "https" if server.get("ssl") else "http"
    counts.url = f"{scheme}://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield counts
    finally:
        listener.close()
        for task in list(visits):
            task.cancel()
        await asyncio.gather(*visits, return_exceptions=True)
