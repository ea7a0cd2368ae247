"""Name lookups on their own threads, with their own time-out.

The event loop has few shared threads: a handful of endpoints with slow name servers would delay the lookups
of all the others. And a lookup that hangs must end before the request's own time-out, or a dead resolver of
ours would count against the receivers.

Conversely, a receiver whose own name servers are dead must not count as a fault of ours, because those are
never counted: its deliveries would be tried forever. If a lookup gets no answer, the resolver is asked about
a neighbouring name; if it answers that, it works.
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
"""Nearly every top-level domain has this name. That it does not exist is as good an answer."""

Answered: TypeAlias = "asyncio.Future[list[Any]]"


class Destination(NamedTuple):
    """Where to connect to: the address family, the numeric address, and the port."""

    family: int
    address: str
    port: int


class ThreadResolver:
    """Resolves names with ``getaddrinfo``, giving up after ``timeout_seconds``.

    Nothing is cached, because connections are kept. Concurrent lookups of the same name share one answer, so
    that a name uses one thread, however many deliveries are in flight to it.
    """

    def __init__(self, *, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="resolver")
        self._in_flight: dict[tuple[str, int, socket.AddressFamily], Answered] = {}

    async def lookup(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[Destination]:
        """Return the addresses of a name, in the order to be tried; an address is returned unchanged.

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
        """Release the threads; lookups that have not begun are dropped."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _works_near(self, host: str, port: int) -> bool:
        """Return whether the resolver answers for another name under the same top-level domain."""
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
        # Not cancelled with the waiting caller: others may wait too, and a thread cannot be cancelled.
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
                asked.exception()  # marked as retrieved, even if every caller has given up

        asked.add_done_callback(ended)
        return asked


def _literal(host: str, port: int) -> Destination | None:
    """Return a literal address; one with a scope is left to the system, which knows its interfaces."""
    try:
        if ":" not in host:
            return Destination(socket.AF_INET, str(IPv4Address(host)), port)
        if "%" not in host:
            return Destination(socket.AF_INET6, str(IPv6Address(host)), port)
    except AddressValueError:
        pass
    return None
