"""The route through a SOCKS5 proxy: everything is a tunnel.

python-socks speaks the protocol (RFC 1928, RFC 1929) on a connection of ours. So the dial has the same limits
as any other, and we see how far the handshake came: until the proxy has been asked for the tunnel, a failure
cannot be the receiver's.
"""

from __future__ import annotations

import asyncio
import errno
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self, cast

from python_socks import ProxyError as SocksError
from python_socks import ProxyType
from python_socks.async_.asyncio.v2 import Proxy

from notifier.delivery.dial import Route
from notifier.delivery.proxy import reached_by
from notifier.errors import ProxyError

if TYPE_CHECKING:
    from notifier.delivery.message import Origin
    from notifier.delivery.pool import Pool
    from notifier.delivery.proxy import ProxyServer
    from notifier.delivery.wire import Connection

_CREDENTIALS_VERSION: Final = 1
"""The first byte of a message with user and password; that of every other message is 5."""

_NO_ANSWER_BEHIND: Final = {
    3: errno.ENETUNREACH,
    4: errno.EHOSTUNREACH,
    5: errno.ECONNREFUSED,
    6: errno.EHOSTUNREACH,  # as the kernel reports a TTL that expired on the way
}
"""The replies of a working proxy when the receiver behind it does not answer."""


class Stage(StrEnum):
    """The last message that the proxy was sent."""

    NOTHING = "nothing"
    GREETING = "greeting"
    CREDENTIALS = "credentials"
    REQUEST = "request"


_REFUSALS: Final = {
    Stage.GREETING: "the proxy requires credentials or does not speak SOCKS5",
    Stage.CREDENTIALS: "the proxy does not accept the credentials",
    Stage.REQUEST: "the proxy's answer to the SOCKS5 request is invalid",
}


class SocksProxy(Route):
    """The route through a proxy that speaks SOCKS5."""

    def __init__(self, server: ProxyServer) -> None:
        self._server = server

    async def dial(self, origin: Origin, pool: Pool, deadline: float) -> Connection:
        """Open a tunnel to the receiver, and TLS in it where the receiver speaks that."""
        until = reached_by(deadline)
        handshake = await self._server.reach(lambda: Handshake(until), until)
        try:
            await self._proxy(handshake).connect(
                origin.host, origin.port, timeout=deadline - asyncio.get_running_loop().time()
            )
        except (SocksError, OSError, EOFError, ValueError) as error:
            raise _failure(error, handshake.stage) from error
        connection = await handshake.hand_over(pool.connection(origin))
        if not origin.tls or not connection.usable:
            return connection
        return await connection.begin_tls(self._server.trust, origin.host.rstrip("."))

    def _proxy(self, handshake: Handshake) -> Proxy:
        server = self._server
        return Proxy(
            ProxyType.SOCKS5,
            host="",  # never dialled, because something is in front of it
            port=0,
            username=server.user,
            password=server.password,
            rdns=True,
            forward=cast("Proxy", handshake),
        )


class Handshake(asyncio.StreamReaderProtocol):
    """The connection to the proxy during the handshake.

    To python-socks it is the proxy in front of the proxy, which it asks for a connection instead of dialling
    itself, and also the stream that it gets.

    Args:
        until: When the proxy must be ready for the request for the tunnel, by the loop's clock.

    Attributes:
        stage: How far it came.
    """

    def __init__(self, until: float) -> None:
        self._received = asyncio.StreamReader()
        super().__init__(self._received)
        self._until = until
        self.stage = Stage.NOTHING

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        super().connection_made(transport)
        self._wire = cast("asyncio.Transport", transport)

    async def connect(self, **_: object) -> Self:
        """Return the stream to the proxy."""
        return self

    async def write(self, data: bytes) -> None:
        """Send one message."""
        if data[0] == _CREDENTIALS_VERSION:
            self.stage = Stage.CREDENTIALS
        else:
            self.stage = Stage.GREETING if self.stage is Stage.NOTHING else Stage.REQUEST
        self._wire.write(data)

    async def read_exactly(self, length: int) -> bytes:
        """Return the next bytes; only the answer to the last message may take longer than ``until``."""
        async with asyncio.timeout_at(None if self.stage is Stage.REQUEST else self._until):
            return await self._received.readexactly(length)

    async def close(self) -> None:
        """Close without waiting for anything."""
        self._wire.abort()

    async def hand_over(self, connection: Connection) -> Connection:
        """Return ``connection``, which gets everything that follows the handshake.

        Raises:
            OSError: The connection has ended.
        """
        self._received.feed_eof()  # so that nothing is waited for
        surplus = await self._received.read()
        self._wire.set_protocol(connection)
        connection.connection_made(self._wire)
        if surplus:
            connection.data_received(surplus)
        return connection


def _failure(error: Exception, stage: Stage) -> Exception:
    """Return why there is no tunnel; it is the receiver's failure only if the proxy works."""
    if isinstance(error, SocksError) and error.error_code is not None:
        text = f"the proxy answered the SOCKS5 request with {error.error_code:d}: {error}"
        number = _NO_ANSWER_BEHIND.get(error.error_code)
        return ProxyError(text) if number is None else OSError(number, text)
    if isinstance(error, ValueError) and stage is not Stage.REQUEST:
        return ValueError("the host's name is too long, or a part of it is empty or too long")
    failure: Exception
    if isinstance(error, TimeoutError):
        failure = TimeoutError(f"the proxy did not answer the SOCKS5 {stage} in time")
    elif isinstance(error, OSError | EOFError):
        failure = ConnectionResetError(f"the proxy closed the connection after the SOCKS5 {stage}")
    else:
        failure = ProxyError(_REFUSALS[stage])
    return failure if stage is Stage.REQUEST else ProxyError(str(failure))
