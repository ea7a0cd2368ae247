"""Name lookups on threads of their own, with a limit of their own.

The event loop's shared threads are few: a handful of endpoints with slow name servers would hold up the
lookups of all the others. And a lookup that hangs must end before the request's own time-out does, or a dead
resolver of ours would be held against the receivers.

The other way round, a receiver whose own name servers are dead must not pass for a fault of ours, which is
never counted: its deliveries would be tried for ever. Where a lookup brings no answer, the resolver is asked
about a neighbour of the name; if it has anything to say about that, it works.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any, Final, NamedTuple, TypeAlias

_THREADS = 32

_NEIGHBOUR: Final = "nic"
"""Nearly every top-level domain has a name like that. That there is none is as good an answer."""

Answered: TypeAlias = "asyncio.Future[list[Any]]"


class Destination(NamedTuple):
    """Where to connect to: the family of the address, the address as a number, and the port."""

    family: int
    address: str
    port: int


class ThreadResolver:
    """Resolves with ``getaddrinfo`` and gives up after ``timeout_seconds``; then it asks whose fault that is.

    Nothing is kept: connections are, and a name's next address counts from the next one on. Who asks what is
    being asked already waits for the same answer, so that a name takes up one thread, however many
    deliveries are in flight to it.
    """

    def __init__(self, *, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="resolver")
        self._in_flight: dict[tuple[str, int, socket.AddressFamily], Answered] = {}

    async def lookup(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[Destination]:
        """Find the addresses of a name, in the order to be tried; an address is its own.

        Raises:
            socket.gaierror: There is no such name, its name servers do not answer (``EAI_FAIL``), or our
                resolver does not (``EAI_AGAIN``).
            UnicodeError: A label of the name is empty or too long.
        """
        literal = _literal(host, port)
        if literal is not None:
            return [literal]
        try:
            found = await self._ask(host, port, family)
        except socket.gaierror as error:
            if error.errno == socket.EAI_AGAIN and await self._works_near(host, port):
                text = f"its name servers do not answer ({error.strerror})"
                raise socket.gaierror(socket.EAI_FAIL, text) from error
            raise
        return [
            Destination(found_family, str(sockaddr[0]), port) for found_family, _, _, _, sockaddr in found
        ]

    async def close(self) -> None:
        """Let go of the threads; lookups that have not begun are dropped."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _works_near(self, host: str, port: int) -> bool:
        """Return whether the resolver has an answer about another name under the same top-level domain."""
        above, _, top = host.rstrip(".").rpartition(".")
        if not above:
            return False
        try:
            await self._ask(f"{_NEIGHBOUR}.{top}", port, socket.AF_UNSPEC)
        except socket.gaierror as error:
            return error.errno != socket.EAI_AGAIN
        return True

    async def _ask(self, host: str, port: int, family: socket.AddressFamily) -> list[Any]:
        asked = self._in_flight.get((host, port, family)) or self._begin(host, port, family)
        # Not cancelled with the caller that waits: others may wait, and a thread cannot be called back.
        await asyncio.wait([asked], timeout=self._timeout_seconds)
        if not asked.done():
            raise socket.gaierror(
                socket.EAI_AGAIN, f"no answer from the resolver within {self._timeout_seconds:g} s"
            )
        return asked.result()

    def _begin(self, host: str, port: int, family: socket.AddressFamily) -> Answered:
        lookup = partial(
            socket.getaddrinfo,
            host,
            port,
            type=socket.SOCK_STREAM,
            family=family,
            flags=socket.AI_ADDRCONFIG,
        )
        asked: Answered = asyncio.get_running_loop().run_in_executor(self._executor, lookup)
        self._in_flight[host, port, family] = asked

        def ended(_: Answered) -> None:
            del self._in_flight[host, port, family]
            if not asked.cancelled():
                asked.exception()  # taken note of, where everybody who waited has given up

        asked.add_done_callback(ended)
        return asked


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
