"""A SOCKS5 proxy on loopback (RFC 1928, RFC 1929): strict with its clients, and as bad as a test wants."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType
from typing import Final, NamedTuple, NoReturn

from tests.support.peers import peer
from tests.support.relay import pass_on

VERSION: Final = 5
CREDENTIALS_VERSION: Final = 1
CONNECT: Final = 1
REFUSED: Final = 5

ANONYMOUS: Final = 0
WITH_CREDENTIALS: Final = 2
NO_METHOD: Final = 0xFF

NOT_BOUND: Final = b"\x01" + bytes(6)
IPV4_BOUND: Final = b"\x01\x7f\x00\x00\x01\x04\x38"
IPV6_BOUND: Final = b"\x04" + bytes(15) + b"\x01\x04\x38"
NAME_BOUND: Final = b"\x03\x09localhost\x04\x38"


class Step(IntEnum):
    """What the proxy has read when it answers."""

    GREETING = 1
    CREDENTIALS = 2
    REQUEST = 3


class Said(NamedTuple):
    """An answer in the place of the right one; then the proxy waits for the client to go, or goes itself."""

    data: bytes
    stays: bool = False


SILENCE: Final = Said(b"", stays=True)
GONE: Final = Said(b"")


class Asked(NamedTuple):
    """Where a tunnel should lead, and how that was written."""

    form: str
    host: str
    port: int


@dataclass(slots=True)
class SocksProxy:
    """Where the proxy listens, and what came to it."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    credentials: list[tuple[bytes, bytes]] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)
    open: int = 0

    @property
    def connections(self) -> int:
        """How many tunnels were asked for."""
        return len(self.asked)


@dataclass(frozen=True, slots=True)
class Manner:
    """How the proxy behaves.

    ``said`` replaces answers, ``pause`` is waited before each byte of one. With a ``user`` the proxy insists
    on credentials.
    """

    user: tuple[bytes, bytes] | None = None
    bound: bytes = IPV4_BOUND
    pause: float = 0.0
    said: Mapping[Step, Said] = field(default_factory=lambda: MappingProxyType({}))


class _BreachError(Exception):
    """The client breaks the protocol."""


class _OverError(Exception):
    """The proxy has said what it was to say."""


class _Visit:
    """One connection to the proxy."""

    def __init__(
        self,
        proxy: SocksProxy,
        manner: Manner,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._manner = manner
        self._reader = reader
        self._writer = writer

    async def serve(self) -> None:
        await self._negotiate()
        asked = await self._request()
        self._proxy.asked.append(asked)
        onward = await self._connect(asked.port)
        try:
            await self._answer(Step.REQUEST, bytes((VERSION, 0, 0)) + self._manner.bound)
            await pass_on((self._reader, self._writer), onward)
        finally:
            onward[1].transport.abort()

    async def _negotiate(self) -> None:
        version, count = await self._reader.readexactly(2)
        methods = await self._reader.readexactly(count)
        self._insist(version == VERSION, "the greeting has another version")
        self._insist(len(methods) == len(set(methods)) > 0, "no methods, or some of them twice")
        wanted = WITH_CREDENTIALS if self._manner.user else ANONYMOUS
        if wanted not in methods:
            await self._refuse(Step.GREETING, bytes((VERSION, NO_METHOD)))
        await self._answer(Step.GREETING, bytes((VERSION, wanted)))
        if self._manner.user:
            await self._authenticate(self._manner.user)

    async def _authenticate(self, user: tuple[bytes, bytes]) -> None:
        self._insist(await self._byte() == CREDENTIALS_VERSION, "the credentials have another version")
        name, password = await self._counted(), await self._counted()
        self._insist(name and password, "an empty user or password")
        self._proxy.credentials.append((name, password))
        if (name, password) != user:
            await self._refuse(Step.CREDENTIALS, bytes((CREDENTIALS_VERSION, 1)))
        await self._answer(Step.CREDENTIALS, bytes((CREDENTIALS_VERSION, 0)))

    async def _request(self) -> Asked:
        version, command, reserved = await self._reader.readexactly(3)
        self._insist((version, command, reserved) == (VERSION, CONNECT, 0), "not a CONNECT request")
        match await self._byte():
            case 1:
                form, host = "IPv4", str(IPv4Address(await self._reader.readexactly(4)))
            case 4:
                form, host = "IPv6", str(IPv6Address(await self._reader.readexactly(16)))
            case 3:
                form, host = "name", (await self._counted()).decode("ascii")
                self._insist(host, "an empty name")
            case _:
                raise _BreachError("an unknown type of address")
        (port,) = struct.unpack("!H", await self._reader.readexactly(2))
        self._insist(port, "no port")
        return Asked(form, host, port)

    async def _connect(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await self._refuse(Step.REQUEST, bytes((VERSION, REFUSED, 0)) + NOT_BOUND)

    async def _answer(self, step: Step, right: bytes) -> None:
        said = self._manner.said.get(step)
        data = right if said is None else said.data
        size = 1 if self._manner.pause else len(data) or 1
        for start in range(0, len(data), size):
            await asyncio.sleep(self._manner.pause)
            self._writer.write(data[start : start + size])
            await self._writer.drain()
        if said is not None:
            if said.stays:
                await self._reader.read()
            raise _OverError

    async def _refuse(self, step: Step, refusal: bytes) -> NoReturn:
        await self._answer(step, refusal)
        self._insist(not await self._reader.read(), "it goes on although it was refused")
        raise _OverError

    async def _byte(self) -> int:
        return (await self._reader.readexactly(1))[0]

    async def _counted(self) -> bytes:
        return await self._reader.readexactly(await self._byte())

    def _insist(self, is_kept: object, breach: str) -> None:
        if not is_kept:
            raise _BreachError(breach)


@asynccontextmanager
async def socks_proxy(manner: Manner = Manner()) -> AsyncIterator[SocksProxy]:
    """Serve a proxy that leads to 127.0.0.1, whatever the names, and see that its clients are correct."""
    made = SocksProxy()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.open += 1
        try:
            await _Visit(made, manner, reader, writer).serve()
        except _BreachError as breach:
            made.breaches.append(str(breach))
        except _OverError:
            pass
        finally:
            made.open -= 1

    async with peer(serve) as url:
        made.url = url.replace("http:", "socks5:")
        yield made
    assert made.breaches == []
