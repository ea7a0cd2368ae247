"""Serves a hostile receiver on loopback and counts what gets through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from notifier.core.delivery.outcome import ErrorClass
from tests.support.peers import read_request, reset


@dataclass(slots=True)
class Counts:
    """What a hostile receiver received and sent.

    ``connections`` were accepted, of which ``open`` are still open; ``requests`` arrived completely;
    ``bytes_out`` were read by the client or buffered by the system.
    """

    url: str = ""
    connections: int = 0
    open: int = 0
    requests: int = 0
    bytes_out: int = 0


class Conn:
    """One connection, from the receiver's side."""

    def __init__(self, counts: Counts, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._counts = counts
        self._reader = reader
        self._writer = writer

    async def request(self) -> bytes:
        """Read one complete request."""
        got = await read_request(self._reader)
        self._counts.requests += 1
        return got

    async def one_byte(self) -> bytes:
        """Read the first byte of a request."""
        return await self._reader.readexactly(1)

    async def send(self, data: bytes) -> None:
        """Write, and wait until most of it is sent."""
        self._writer.write(data)
        await self._writer.drain()
        self._counts.bytes_out += len(data)

    async def flood(self, data: bytes) -> None:
        """Send the data repeatedly until the other side disconnects."""
        while True:
            await self.send(data)

    async def drip(self, data: bytes) -> None:
        """Send the data byte by byte, repeatedly, fast enough to look alive."""
        while True:
            for byte in data:
                await self.send(bytes((byte,)))
                await asyncio.sleep(0.01)

    async def hold(self) -> None:
        """Keep the connection until the other side disconnects."""
        while await self._reader.read(65_536):
            pass

    def end_writing(self) -> None:
        """Close the sending half only."""
        self._writer.write_eof()

    def reset(self) -> None:
        """Reset the connection."""
        reset(self._writer)


Behaviour: TypeAlias = Callable[[Conn], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class HostileReceiver:
    """A behaviour and the result that a delivery to it must have.

    ``times_out`` if only the time-out ends the attempt; ``keeps_connection`` if the next request may reuse
    the connection.
    """

    behave: Behaviour
    status: int | None
    error: ErrorClass | None
    times_out: bool
    keeps_connection: bool

    def __str__(self) -> str:
        return self.behave.__name__


class ReceiverList(list[HostileReceiver]):
    """The receivers of one kind; :meth:`receiver` adds one."""

    def receiver(
        self,
        status: int | None = None,
        error: ErrorClass | None = None,
        *,
        times_out: bool = False,
        keeps_connection: bool = False,
    ) -> Callable[[Behaviour], Behaviour]:
        """Register a behaviour with its expected result."""

        def register(behave: Behaviour) -> Behaviour:
            self.append(HostileReceiver(behave, status, error, times_out, keeps_connection))
            return behave

        return register


@asynccontextmanager
async def serve(behave: Behaviour, *, port: int = 0, **server: Any) -> AsyncIterator[Counts]:
    """Serve a receiver; a broken connection or a failed TLS handshake is not an error here."""
    counts = Counts()
    connections: set[asyncio.Task[None]] = set()

    async def conn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        counts.connections += 1
        counts.open += 1
        try:
            await behave(Conn(counts, reader, writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        except RuntimeError as error:
            if "closed" not in str(error):  # uvloop's error when the other side has disconnected
                raise
        finally:
            counts.open -= 1

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(conn(reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)
        task.add_done_callback(lambda _: writer.close())  # even if it is cancelled before it starts

    listener = await asyncio.start_server(connected, "127.0.0.1", port, **server)
    scheme = "https" if server.get("ssl") else "http"
    counts.url = f"{scheme}://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield counts
    finally:
        listener.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
