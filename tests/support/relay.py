"""A forward proxy on loopback: it opens tunnels, hands absolute requests on, and notes what it was asked."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.support.peers import peer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(slots=True)
class Relay:
    """Where the proxy listens, and the heads of what it was asked for."""

    url: str = ""
    heads: list[bytes] = field(default_factory=list)

    @property
    def connections(self) -> int:
        """How many connections were used."""
        return len(self.heads)


@asynccontextmanager
async def relay(**server: Any) -> AsyncIterator[Relay]:
    """Serve a proxy that leads to receivers on 127.0.0.1, whatever their names."""
    made = Relay()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        made.heads.append(head)
        method, target, _ = head.split(b" ", 2)
        address = urlsplit(b"//" + target if method == b"CONNECT" else target)
        onward = await asyncio.open_connection("127.0.0.1", address.port)
        if method == b"CONNECT":
            writer.write(b"HTTP/1.0 200 Connection established\r\n\r\n")
        else:
            onward[1].write(head)
        try:
            await pass_on((reader, writer), onward)
        finally:
            onward[1].transport.abort()

    async with peer(serve, **server) as url:
        made.url = url
        yield made


async def pass_on(
    one: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    other: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """Copy both ways until either side ends; what it said before is passed on."""
    ways = [asyncio.ensure_future(_copy(one[0], other[1])), asyncio.ensure_future(_copy(other[0], one[1]))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
