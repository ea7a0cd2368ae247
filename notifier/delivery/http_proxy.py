"""The route through an HTTP proxy: absolute requests for plain HTTP, tunnels for TLS."""

from __future__ import annotations

import base64
import errno
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from notifier.core.delivery.outcome import ErrorClass
from notifier.delivery.dial import Route
from notifier.delivery.message import rest_of
from notifier.delivery.proxy import reached_by
from notifier.errors import ProxyError

if TYPE_CHECKING:
    from notifier.delivery.message import Origin, Target
    from notifier.delivery.pool import Pool
    from notifier.delivery.proxy import ProxyServer
    from notifier.delivery.reply import Reply
    from notifier.delivery.wire import Connection

_NO_ANSWER_BEHIND: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})
"""The answers of a working proxy when the receiver behind it does not answer."""


class HttpProxy(Route):
    """The route through a proxy that speaks HTTP, possibly over TLS.

    Plain requests are not tunnelled, since many proxies refuse tunnels to any port but 443.
    """

    def __init__(self, server: ProxyServer) -> None:
        self._server = server
        self._credentials = _credentials(server.user, server.password)

    def head(self, method: str, target: Target) -> str:
        """Return the beginning of a request: to the proxy, or to the receiver at the end of a tunnel."""
        if target.origin.tls:
            return super().head(method, target)
        return method + rest_of(f"http://{target.host}{target.path}", target.host) + self._credentials

    def review(self, reply: Reply, origin: Origin) -> Reply:
        """Mark a reply in which the proxy requires credentials; in a tunnel it is the receiver's."""
        if reply.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and not origin.tls:
            reply.error, reply.detail = ErrorClass.PROXY, "the proxy requires credentials"
        return reply

    async def dial(self, origin: Origin, pool: Pool, deadline: float) -> Connection:
        """Open a connection to the proxy and, where the receiver speaks TLS, a tunnel through it."""
        connection = await self._server.reach(
            lambda: pool.connection(origin, opens_tunnel=origin.tls), reached_by(deadline)
        )
        if not origin.tls:
            return connection
        reply = await connection.exchange(self._request_for_tunnel(origin), deadline)
        if reply.status is None or reply.status // 100 != 2 or not connection.usable:  # noqa: PLR2004
            connection.abort()
            raise _refusal(reply)
        return await connection.begin_tls(self._server.trust, origin.host.rstrip("."))

    def _request_for_tunnel(self, origin: Origin) -> bytes:
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        authority = f"{host}:{origin.port}"
        head = f"CONNECT {authority} HTTP/1.1\r\nhost: {authority}{self._credentials}\r\n\r\n"
        return head.encode("ascii")


def _credentials(user: str | None, password: str | None) -> str:
    if user is None and password is None:
        return ""
    pair = f"{user or ''}:{password or ''}".encode("latin-1")
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
