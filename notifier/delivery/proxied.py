"""The way through an outbound proxy, which aiohttp goes: absolute requests, tunnels, credentials.

The proxy is the only address that is dialled, and it has to refuse forbidden addresses itself.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextvars import ContextVar
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from multidict import istr
from yarl import URL

from notifier.core.outcome import KEPT_HEADERS, MAX_KEPT_BODY_BYTES, ErrorClass
from notifier.delivery.failures import class_of_lookup, describe_failure, text_of
from notifier.delivery.message import target_of
from notifier.delivery.reply import Reply, recordable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import AddrInfoType

    from notifier.core.request import DeliveryRequest
    from notifier.delivery.resolver import ThreadResolver

SEND_FAILURES: Final = (aiohttp.ClientError, HttpProcessingError, OSError, ValueError)

_BY_TYPE: Final[tuple[tuple[tuple[type[BaseException], ...], ErrorClass], ...]] = (
    ((aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError), ErrorClass.CONNECTION_RESET),
    ((aiohttp.ClientResponseError, HttpProcessingError), ErrorClass.PROTOCOL),
    ((aiohttp.NonHttpUrlClientError,), ErrorClass.INVALID_URL),
)
"""The first row that fits counts."""

_TUNNEL_GOT_NO_ANSWER: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})
"""What a working proxy answers when the receiver behind it does not."""

_TOO_LARGE: Final = ("Got more than", "Too many headers")

_KEPT: Final = tuple((istr(name), name) for name in KEPT_HEADERS)

_dialled: ContextVar[bool] = ContextVar("dialled", default=False)
"""Whether the current send made a socket, so that its connection is none that was kept."""


class ProxiedSender:
    """Sends through a proxy.

    Args:
        proxy: Its URL.
        resolver: Finds its address.
        max_connections: Open at a time.
        max_connections_per_host: The same per host and port; 0 for no limit.
        keepalive_seconds: How long an idle connection stays open.
        tls: What to trust, instead of the system's certificates.
    """

    def __init__(
        self,
        proxy: str,
        resolver: ThreadResolver,
        *,
        max_connections: int,
        max_connections_per_host: int,
        keepalive_seconds: float,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._proxy_host = URL(proxy).raw_host
        self._resolver = resolver
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                socket_factory=_noted_socket,
                resolver=resolver,
                limit=max_connections,
                limit_per_host=max_connections_per_host,
                keepalive_timeout=keepalive_seconds,
                ssl=tls or True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            proxy=proxy,
            skip_auto_headers=("accept-encoding",),
        )

    async def send(self, request: DeliveryRequest, *, deadline: float, fresh: bool) -> Reply:  # noqa: ARG002
        """Send ``request`` once and tell what came; aiohttp does not let us ask for a fresh connection."""
        reply = Reply()
        _dialled.set(False)
        try:
            url = _as_written(request.url)
        except ValueError as error:
            return Reply(error=ErrorClass.INVALID_URL, detail=text_of(error))
        try:
            async with (
                asyncio.timeout_at(deadline),
                self._session.post(
                    url,
                    data=request.body,
                    headers=request.headers,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None),
                ) as response,
            ):
                await self._read(response, reply)
        except SEND_FAILURES as error:
            reply.error, reply.detail = self._describe(error)
            reply.stale = not _dialled.get() and _ended_without_a_byte(error)
        return reply

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
        await self._resolver.close()

    async def _read(self, response: aiohttp.ClientResponse, reply: Reply) -> None:
        reply.status = response.status
        reply.headers = _kept_headers(response.headers)
        if response.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            reply.error, reply.detail = ErrorClass.PROXY, "the proxy wants credentials"
        content = response.content
        while len(reply.body) < MAX_KEPT_BODY_BYTES and not content.at_eof():
            reply.body += await content.read(MAX_KEPT_BODY_BYTES - len(reply.body))
        if not content.at_eof():
            response.close()

    def _describe(self, error: BaseException) -> tuple[ErrorClass, str]:
        if isinstance(error, aiohttp.ClientHttpProxyError):
            no_answer = error.status in _TUNNEL_GOT_NO_ANSWER
            return (
                ErrorClass.UNREACHABLE if no_answer else ErrorClass.PROXY,
                f"the proxy answered the tunnel with {error.status}",
            )
        if isinstance(error, aiohttp.ClientConnectorError) and error.host == self._proxy_host:
            return ErrorClass.PROXY, text_of(error.os_error)
        return _class_of(error), _text_of(error)


def _as_written(url: str) -> URL:
    """Give a URL as aiohttp sends it, with the path and the query that the direct way sends.

    Raises:
        ValueError: It leads nowhere; the message says why.
    """
    _, path, _ = target_of(url).head.split(" ", 2)
    return URL(f"{URL(url).origin()}{path}", encoded=True)


def _noted_socket(addr_info: AddrInfoType) -> socket.socket:
    _dialled.set(True)
    family, kind, protocol, _, _ = addr_info
    return socket.socket(family, kind, protocol)


def _kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: recordable(headers[key]) for key, name in _KEPT if key in headers}


def _ended_without_a_byte(error: BaseException) -> bool:
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return isinstance(error.message, str)  # otherwise it holds the part of an answer that came
    return isinstance(error, ConnectionResetError | BrokenPipeError)


def _class_of(error: BaseException) -> ErrorClass:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return class_of_lookup(error.os_error)
    if isinstance(error, aiohttp.ClientResponseError) and error.message.startswith(_TOO_LARGE):
        return ErrorClass.TOO_LARGE_HEADERS
    for types, error_class in _BY_TYPE:
        if isinstance(error, types):
            return error_class
    return describe_failure(error)[0]


def _text_of(error: BaseException) -> str:
    """Say it in one short line of our own or of the system's.

    What aiohttp says of an answer quotes it. An answer may repeat the event, and where its content has to be
    erased only the headers and the body of an attempt go.
    """
    if isinstance(error, aiohttp.ClientConnectorError):
        return text_of(error.os_error)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "closed without an answer" if isinstance(error.message, str) else "closed amid the headers"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the body did not come whole"
    return text_of(error) if isinstance(error, OSError | aiohttp.InvalidURL) else ""
