"""Name lookups on threads of their own, with a limit of their own.

The event loop's shared threads are few: a handful of endpoints with slow name servers would hold up the
lookups of all the others. And a lookup that hangs must end before the request's own time-out does, or a dead
resolver of ours would be held against the receivers.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

from aiohttp.abc import AbstractResolver, ResolveResult

_THREADS = 32


class Destination(NamedTuple):
    """Where to connect to: the family of the address, the address as a number, and the port."""

    family: int
    address: str
    port: int


class ThreadResolver(AbstractResolver):
    """Resolves with ``getaddrinfo`` and gives up after ``timeout_seconds``.

    Nothing is kept: connections are, and a name's next address counts from the next one on.
    """

    def __init__(self, *, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="resolver")

    async def lookup(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[Destination]:
        """Find the addresses of a name, in the order to be tried; an address is its own.

        Raises:
            socket.gaierror: There is no such name, or (``EAI_AGAIN``) no resolver answered in time.
            UnicodeError: A label of the name is empty or too long.
        """
        literal = _literal(host, port)
        if literal is not None:
            return [literal]
        lookup = partial(
            socket.getaddrinfo,
            host,
            port,
            type=socket.SOCK_STREAM,
            family=family,
            flags=socket.AI_ADDRCONFIG,
        )
        try:
            async with asyncio.timeout(self._timeout_seconds):
                found = await asyncio.get_running_loop().run_in_executor(self._executor, lookup)
        except TimeoutError as error:
            raise socket.gaierror(
                socket.EAI_AGAIN, f"no answer from the resolver within {self._timeout_seconds:g} s"
            ) from error
        return [
            Destination(found_family, str(sockaddr[0]), port) for found_family, _, _, _, sockaddr in found
        ]

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Do the same for aiohttp, by which proxies are reached."""
        return [
            ResolveResult(
                hostname=host,
                host=found.address,
                port=port,
                family=found.family,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found in await self.lookup(host, port, family)
        ]

    async def close(self) -> None:
        """Let go of the threads; lookups that have not begun are dropped."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _literal(host: str, port: int) -> Destination | None:
    """Read an address in its plain form; one with a scope needs the system, which knows its interfaces."""
    try:
        if ":" not in host:
            return Destination(socket.AF_INET, str(IPv4Address(host)), port)
        if "%" not in host:
            return Destination(socket.AF_INET6, str(IPv6Address(host)), port)
    except AddressValueError:
        pass
    return None
