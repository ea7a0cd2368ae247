"""Raw HTTP, for requests that no client library would send."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

PATIENCE_SECONDS: Final = 10.0
HEAD_END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """One response as it came over the wire."""

    version: str
    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def parse(cls, head: bytes, body: bytes) -> Self:
        line, *rows = head.decode("latin-1").split("\r\n")
        version, status, _ = line.split(" ", 2)
        pairs = (row.split(": ", 1) for row in rows)
        return cls(version, int(status), {name.lower(): value for name, value in pairs}, body)

    def problem(self) -> dict[str, Any]:
        """Check that this is a problem document over HTTP/1.1, and return it."""
        assert self.version == "HTTP/1.1"
        assert self.headers["content-type"].startswith("application/problem+json"), self
        document: dict[str, Any] = json.loads(self.body)
        assert document["status"] == self.status
        assert document["type"].startswith("/problems/")
        assert document["title"]
        assert document["detail"]
        return document


class RawConnection:
    """A connection on which a test controls every byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self) -> RawAnswer:
        """Read one response."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            head = (await self._reader.readuntil(HEAD_END)).removesuffix(HEAD_END)
            answer = RawAnswer.parse(head, b"")
            body = await self._reader.readexactly(int(answer.headers.get("content-length", "0")))
        return RawAnswer.parse(head, body)

    async def rest(self) -> bytes:
        """Read until the server closes or resets the connection."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                return await self._reader.read()
            except ConnectionResetError:
                return b""

    def reset(self) -> None:
        """Close the connection with a reset."""
        self._writer.transport.abort()


@asynccontextmanager
async def raw_connection(port: int, *, receive_buffer: int | None = None) -> AsyncIterator[RawConnection]:
    """Connect to a port of 127.0.0.1.

    Args:
        port: The port.
        receive_buffer: The size of the kernel's receive buffer; a small one makes a slow reader.
    """
    client = socket.socket()
    client.setblocking(False)
    if receive_buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=client, limit=2**16)
    try:
        yield RawConnection(reader, writer)
    finally:
        writer.transport.abort()
