"""The guard on dialled addresses: it makes the sockets, so no way leads around it.

A resolver of our own could not do this: literal addresses never reach a resolver, and a name may resolve to
something else between a check and the dial.
"""

from __future__ import annotations

import errno
import socket
from contextvars import ContextVar
from typing import TYPE_CHECKING

from notifier.core.addresses import check_address
from notifier.errors import AddressError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Network, IPv6Network

    from aiohttp import AddrInfoType


class DialRecord:
    """What one POST did to get a connection.

    Attributes:
        dialled: An address passed the guard, so the connection is not one from the pool.
        blocked: Why the last refused address was refused, or None.
    """

    __slots__ = ("blocked", "dialled")

    def __init__(self) -> None:
        self.dialled = False
        self.blocked: str | None = None

    @property
    def reused(self) -> bool:
        """Whether the connection came from the pool, if there was one at all."""
        return not self.dialled and self.blocked is None


_current: ContextVar[DialRecord] = ContextVar("dial_record")


def begin_dial() -> DialRecord:
    """Start the record of the POST that the current task is about to make.

    The record travels by context because the HTTP client gives a socket factory nothing but the address; the
    tasks that it races addresses in inherit the context.
    """
    record = DialRecord()
    _current.set(record)
    return record


class DialGuard:
    """A socket factory for ``aiohttp.TCPConnector`` that refuses forbidden addresses.

    Args:
        allowed: Networks that may be reached although they are not public.
        enforce: False behind a proxy: then only the proxy is dialled, and it is the one to keep the rule.
    """

    def __init__(self, allowed: Sequence[IPv4Network | IPv6Network], *, enforce: bool = True) -> None:
        self._allowed = tuple(allowed)
        self._enforce = enforce

    def __call__(self, addr_info: AddrInfoType) -> socket.socket:
        """Make the socket for one resolved address.

        Raises:
            PermissionError: The address is forbidden. It is an ``OSError`` so that the next address of the
                name is tried, as after any other failure to dial.
        """
        family, kind, protocol, _, address = addr_info
        record = _current.get()
        if self._enforce:
            try:
                check_address(address[0], self._allowed)
            except AddressError as error:
                record.blocked = error.message
                raise PermissionError(errno.EACCES, error.message) from error
        record.dialled = True
        return socket.socket(family, kind, protocol)
