"""The guard on dialled addresses: it makes the sockets, so no way leads around it.

A resolver of our own could not do this: literal addresses never reach a resolver, and a name may resolve to
something else between a check and the dial.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from notifier.core.addresses import check_address

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Network, IPv6Network

    from notifier.delivery.resolver import Destination


def guarded_socket(destination: Destination, allowed: Sequence[IPv4Network | IPv6Network]) -> socket.socket:
    """Make the socket for one resolved address, ready to be connected without blocking.

    Args:
        destination: The address, a number and not a name.
        allowed: Networks that may be reached although they are not public.

    Raises:
        AddressError: The address is forbidden; no socket was made.
        OSError: This machine has none to spare.
    """
    check_address(destination.address, allowed)
    made = socket.socket(destination.family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setblocking(False)
    # An answer may wait for the last segment of its request; a request is written at once anyhow.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made
