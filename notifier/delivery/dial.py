"""Getting a connection: look the name up, check each address as it is dialled, connect, and begin TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Final

from notifier.delivery.guard import guarded_socket
from notifier.delivery.wire import Connection
from notifier.errors import AddressError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Network, IPv6Network

    from notifier.delivery.message import Origin
    from notifier.delivery.pool import Pool
    from notifier.delivery.resolver import Destination, ThreadResolver

MAX_ADDRESSES: Final = 8
"""Of one name in one attempt: whoever owns a name must not have us knock on a hundred doors."""

FIRST_TRIES_SECONDS: Final = 2.0
"""At most, for an address that others come after: one that swallows packets must leave time for them."""


class Dialler:
    """Dials origins for a pool.

    Args:
        resolver: Finds the addresses of names.
        allowed: Networks that may be reached although they are not public.
        tls: What to trust, instead of the system's certificates.
    """

    def __init__(
        self,
        resolver: ThreadResolver,
        allowed: Sequence[IPv4Network | IPv6Network],
        tls: ssl.SSLContext | None,
    ) -> None:
        self._resolver = resolver
        self._allowed = tuple(allowed)
        self._tls = tls or _trusting_the_system()

    async def dial(self, origin: Origin, pool: Pool, deadline: float) -> Connection:
        """Open a connection to ``origin``.

        Raises:
            AddressError: Every address of the name is forbidden.
            OSError: No address could be connected to, or TLS failed.
            ValueError: The name cannot be one.
        """
        destinations = await self._resolver.lookup(origin.host, origin.port)
        connected = await self._connect_one_of(_in_turns(destinations), deadline)
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: Connection(loop, pool, origin),
            sock=connected,
            ssl=self._tls if origin.tls else None,
            server_hostname=origin.host.rstrip(".") if origin.tls else None,
        )
        return connection

    async def _connect_one_of(self, destinations: list[Destination], deadline: float) -> socket.socket:
        """Connect to the first address that lets us; the clearest failure is raised where none does."""
        blocked: AddressError | None = None
        failure: OSError = socket.gaierror(socket.EAI_NONAME, "the name has no address")
        loop = asyncio.get_running_loop()
        dialled = False
        for left in range(len(destinations), 0, -1):
            patience = deadline - loop.time()
            if left > 1:
                patience = min(patience / left, FIRST_TRIES_SECONDS)
            try:
                async with asyncio.timeout(patience):
                    return await self._connect(destinations[-left])
            except AddressError as error:
                blocked = error
            except OSError as error:
                failure, dialled = error, True
        if blocked is not None and not dialled:
            raise blocked
        raise failure

    async def _connect(self, destination: Destination) -> socket.socket:
        made = guarded_socket(destination, self._allowed)
        try:
            await asyncio.get_running_loop().sock_connect(made, destination.sockaddr)
        except BaseException:
            made.close()
            raise
        return made


def _in_turns(destinations: list[Destination]) -> list[Destination]:
    """Take the families in turns, in the resolver's order: where one is cut off, that costs one try."""
    first = [found for found in destinations if found.family == destinations[0].family]
    second = [found for found in destinations if found.family != destinations[0].family]
    in_turns = chain.from_iterable(zip_longest(first, second))
    return [found for found in in_turns if found is not None][:MAX_ADDRESSES]


def _trusting_the_system() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
