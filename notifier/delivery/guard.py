"""The guard on dialled addresses: it makes the connections, so nothing can bypass it.

A custom resolver could not do this: literal addresses never reach a resolver, and a name may resolve to
something else between a check and the dial. What is dialled here is the address that was checked.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, TypeVar

from notifier.core.delivery.addresses import check_address

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from ipaddress import IPv4Network, IPv6Network

    from notifier.delivery.resolver import Destination
    from notifier.delivery.trust import Trust

AnyProtocol = TypeVar("AnyProtocol", bound=asyncio.BaseProtocol)


async def connect_guarded(
    protocol: Callable[[], AnyProtocol],
    destination: Destination,
    allowed: Sequence[IPv4Network | IPv6Network],
    *,
    trust: Trust | None,
    server_name: str,
) -> AnyProtocol:
    """Connect to one resolved address.

    The loop creates the socket, for exactly the address that was checked, and no name is resolved again.
    There is no separate Python socket that would have to be closed in agreement with the loop.

    Args:
        protocol: Creates the protocol of the connection.
        destination: The address, a number and not a name.
        allowed: Networks that may be reached although they are not public.
        trust: The trusted certificates; None for a plain connection.
        server_name: The name that the certificate must have.

    Raises:
        AddressError: The address is forbidden; no packet went out.
        OSError: It cannot be connected to, or TLS failed.
    """
    check_address(destination.address, allowed)
    transport, made = await asyncio.get_running_loop().create_connection(
        protocol,
        destination.address,
        destination.port,
        family=destination.family,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        ssl=trust.context_for(server_name) if trust else None,
        server_hostname=server_name if trust else None,
    )
    if trust is not None:
        trust.check(server_name, transport)
    return made
