"""Opening a connection: look up the name, check each address as it is dialled, connect, and start TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from abc import ABC, abstractmethod
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Final

from notifier.delivery.guard import connect_guarded
from notifier.delivery.trust import Trust
from notifier.errors import AddressError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from ipaddress import IPv4Network, IPv6Network

    from notifier.delivery.guard import AnyProtocol
    from notifier.delivery.message import Origin, Target
    from notifier.delivery.pool import Pool
    from notifier.delivery.reply import Reply
    from notifier.delivery.resolver import Destination, ThreadResolver
    from notifier.delivery.wire import Connection

MAX_ADDRESSES: Final = 8
"""Tried per name and attempt: the owner of a name must not make us dial a hundred addresses."""

FIRST_TRIES_SECONDS: Final = 2.0
"""The limit for every address but the last: one that drops packets must leave time for the others."""


class Route(ABC):
    """A way to reach receivers: directly or through a proxy.

    By default a connection leads to the receiver, which gets the request and gives the answer.
    """

    @abstractmethod
    async def dial(self, origin: Origin, pool: Pool, deadline: float) -> Connection:
        """Open a connection to ``origin`` before ``deadline``, by the loop's clock.

        Raises:
            AddressError: Every address of the name is forbidden.
            OSError: No address could be connected to, or TLS failed.
            ProxyError: A proxy on this route failed.
            ValueError: The name is invalid.
        """

    def head(self, method: str, target: Target) -> str:
        """Return the beginning of a request for ``target``."""
        return method + target.rest

    def review(self, reply: Reply, origin: Origin) -> Reply:  # noqa: ARG002  a proxy's route needs it
        """Return a reply from ``origin``, marked as an error if a proxy gave it in the receiver's place."""
        return reply


class Dialler(Route):
    """The direct route.

    Args:
        resolver: Finds the addresses of names.
        allowed: Networks that may be reached although they are not public.
        tls: What to trust, instead of the system's certificates.

    Attributes:
        trust: The trusted certificates.
    """

    def __init__(
        self,
        resolver: ThreadResolver,
        allowed: Sequence[IPv4Network | IPv6Network],
        tls: ssl.SSLContext | None,
    ) -> None:
        self._resolver = resolver
        self._allowed = tuple(allowed)
        self.trust = Trust(tls)

    async def dial(self, origin: Origin, pool: Pool, deadline: float) -> Connection:
        """Open a connection to the receiver itself."""
        return await self.reach(origin, lambda: pool.connection(origin), deadline)

    async def reach(
        self, origin: Origin, protocol: Callable[[], AnyProtocol], deadline: float
    ) -> AnyProtocol:
        """Connect to the first address of ``origin`` that accepts a connection.

        Raises:
            AddressError: Every address of the name is forbidden.
            OSError: No address could be connected to (the last failure is raised), or TLS failed.
            ValueError: The name is invalid.
        """
        destinations = _in_turns(await self._resolver.lookup(origin.host, origin.port))
        blocked: AddressError | None = None
        failure: OSError | None = None
        for left in range(len(destinations), 0, -1):
            try:
                async with asyncio.timeout(_patience(deadline, left)):
                    return await self._connect(origin, destinations[-left], protocol)
            except ssl.SSLError:
                raise
            except AddressError as error:
                blocked = error
            except OSError as error:
                failure = error
        raise failure or blocked or socket.gaierror(socket.EAI_NONAME, "the name has no address")

    async def _connect(
        self, origin: Origin, destination: Destination, protocol: Callable[[], AnyProtocol]
    ) -> AnyProtocol:
        return await connect_guarded(
            protocol,
            destination,
            self._allowed,
            trust=self.trust if origin.tls else None,
            server_name=origin.host.rstrip("."),
        )


def _patience(deadline: float, left: int) -> float:
    """Return how many seconds the first of ``left`` addresses may take."""
    remaining = deadline - asyncio.get_running_loop().time()
    return remaining if left == 1 else min(remaining / left, FIRST_TRIES_SECONDS)


def _in_turns(destinations: list[Destination]) -> list[Destination]:
    """Return the destinations with address families alternating, so that a broken one costs one try."""
    first = [found for found in destinations if found.family == destinations[0].family]
    second = [found for found in destinations if found.family != destinations[0].family]
    in_turns = chain.from_iterable(zip_longest(first, second))
    return [found for found in in_turns if found is not None][:MAX_ADDRESSES]
