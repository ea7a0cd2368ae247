"""The route through an outbound proxy: absolute requests for plain HTTP, tunnels for TLS.

The proxy is the only address that is dialled, and it has to refuse forbidden addresses itself.
"""

from __future__ import annotations

import asyncio
import base64
import errno
from http import HTTPStatus
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from yarl import URL

from notifier.core.delivery.outcome import ErrorClass
from notifier.delivery.failures import text_of
from notifier.delivery.message import Origin, rest_of
from notifier.errors import AddressError, ProxyError

if TYPE_CHECKING:
    from notifier.delivery.dial import Dialler
    from notifier.delivery.message import Target
    from notifier.delivery.pool import Pool
    from notifier.delivery.reply import Reply
    from notifier.delivery.wire import Connection

EVERYWHERE: Final = (ip_network("0.0.0.0/0"), ip_network("::/0"))
"""The networks a proxy may be in: any, since the operator configured it."""

SHARE_OF_TIME: Final = 2 / 3
"""The share of the time-out for connecting to the proxy; a slower connection is the proxy's fault."""

_NO_ANSWER_BEHIND: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})
"""The answers of a working proxy when the receiver behind it does not answer."""


class ProxyDialler:
    """The route through a proxy.

    Args:
        proxy: Its URL, which may hold a user and a password.
        dialler: The direct route to the proxy; what it trusts applies to receivers as well.
    """

    def __init__(self, proxy: str, dialler: Dialler) -> None:
        url = URL(proxy)
        self._proxy = Origin(url.scheme == "https", url.raw_host or "", url.port or 0)
        self._credentials = _credentials(url)
        self._dialler = dialler

    def head(self, method: str, target: Target) -> str:
        """Return the beginning of a request: to the proxy, or to the receiver at the end of a tunnel."""
        if target.origin.tls:
            return method + target.rest
        return method + rest_of(f"http://{target.host}{target.path}", target.host) + self._credentials

    def review(self, reply: Reply, origin: Origin) -> None:
        """Mark an answer in which the proxy requires credentials; in a tunnel it is the receiver's answer."""
        if reply.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and not origin.tls:
            reply.error, reply.detail = ErrorClass.PROXY, "the proxy requires credentials"

    async def dial(self, origin: Origin, pool: Pool, deadline: float) -> Connection:
        """Open a connection to the proxy and, where the receiver speaks TLS, a tunnel through it."""
        connection = await self._reach(origin, pool, deadline)
        if not origin.tls:
            return connection
        reply = await connection.exchange(self._request_for_tunnel(origin), deadline)
        if reply.status is None or reply.status // 100 != 2 or not connection.usable:  # noqa: PLR2004
            connection.abort()
            raise _refusal(reply)
        return await connection.begin_tls(self._dialler.trust, origin.host.rstrip("."))

    async def _reach(self, origin: Origin, pool: Pool, deadline: float) -> Connection:
        loop = asyncio.get_running_loop()
        until = loop.time() + (deadline - loop.time()) * SHARE_OF_TIME
        try:
            return await self._dialler.reach(
                self._proxy, lambda: pool.connection(origin, opens_tunnel=origin.tls), until
            )
        except (OSError, ValueError, AddressError) as error:
            raise ProxyError(text_of(error) or "no connection was established in time") from error

    def _request_for_tunnel(self, origin: Origin) -> bytes:
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        authority = f"{host}:{origin.port}"
        head = f"CONNECT {authority} HTTP/1.1\r\nhost: {authority}{self._credentials}\r\n\r\n"
        return head.encode("ascii")


def _credentials(url: URL) -> str:
    if url.user is None and url.password is None:
        return ""
    pair = f"{url.user or ''}:{url.password or ''}".encode("latin-1")
    return f"\r\nproxy-authorization: Basic {base64.b64encode(pair).decode()}"


def _refusal(reply: Reply) -> Exception:
    """Return why there is no tunnel; if the proxy works, that is the receiver's failure."""
    if reply.status is not None:
        text = f"the proxy answered the CONNECT request with {reply.status}"
        return OSError(errno.EHOSTUNREACH, text) if reply.status in _NO_ANSWER_BEHIND else ProxyError(text)
    text = f"the CONNECT request to the proxy failed: {reply.detail}"
    if reply.error is ErrorClass.TIMEOUT:
        return TimeoutError(text)
    if reply.error is ErrorClass.CONNECTION_RESET:
        return ConnectionResetError(text)
    return ProxyError(text)
