"""The HTTP client that sends deliveries to untrusted receivers.

No cookies, no redirects, nothing from the environment, no decompression, a bounded answer, one time-out for
all of it, and the guard at every dial. A proxy is another way to dial; everything else is the same.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from notifier.core.delivery.outcome import Answer
from notifier.delivery.dial import Dialler
from notifier.delivery.http_proxy import HttpProxy
from notifier.delivery.pool import Pool
from notifier.delivery.proxy import EVERYWHERE, ProxyServer
from notifier.delivery.resolver import ThreadResolver
from notifier.delivery.sender import Sender

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network
    from types import TracebackType

    from notifier.core.delivery.request import DeliveryRequest
    from notifier.delivery.dial import Route

STALE_WINDOW_SECONDS: Final = 1.0
"""A kept connection that is dead fails within a round trip. One that ends later may have been closed on
purpose, by a receiver that had begun to process the request."""


@dataclass(frozen=True, slots=True)
class DeliveryClientSettings:
    """How deliveries are sent.

    Attributes:
        timeout_seconds: For connecting, the request, the headers and the kept part of the body together.
        resolve_timeout_seconds: For a name lookup; at most a third of the whole time-out, so that a failing
            resolver of ours is recognized in time.
        allowed_networks: Networks that may be reached although they are not public.
        proxy: URL of an outbound proxy, which then has to refuse forbidden addresses itself.
        max_connections: How many may be open; a POST beyond that waits, and its time-out runs.
        max_connections_per_host: The same per host and port; 0 for no limit.
        keepalive_seconds: How long an idle connection stays open.
        ssl_context: What to trust instead of the system's certificates.
    """

    timeout_seconds: float = 15.0
    resolve_timeout_seconds: float = 5.0
    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    proxy: str | None = None
    max_connections: int = 512
    max_connections_per_host: int = 0
    keepalive_seconds: float = 30.0
    ssl_context: ssl.SSLContext | None = None


class DeliveryClient:
    """Sends requests and returns what came back; use it as an async context manager.

    >>> async with DeliveryClient(DeliveryClientSettings()) as client:
    ...     answer = await client.send(request)
    """

    def __init__(self, settings: DeliveryClientSettings) -> None:
        self._settings = settings

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._sender = _sender(self._settings)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._sender.close()

    async def send(self, request: DeliveryRequest) -> Answer:
        """Send ``request`` once and return the answer, or the error.

        A kept connection that turns out to be dead is replaced once, immediately. That is not a second
        attempt: nothing was answered on it, and receivers drop repeated ``webhook-id`` values.

        Returns:
            An answer with a status, or with the class of the error.
        """
        started = time.perf_counter()
        deadline = self._loop.time() + self._settings.timeout_seconds
        reply = await self._sender.send(request, deadline=deadline, fresh=False)
        if reply.stale and time.perf_counter() - started <= STALE_WINDOW_SECONDS:
            reply = await self._sender.send(request, deadline=deadline, fresh=True)
        return Answer(
            reply.status,
            reply.error,
            reply.headers.get("retry-after"),
            (time.perf_counter() - started) * 1000,
            reply.detail,
            reply.headers,
            reply.body,
        )


def _sender(settings: DeliveryClientSettings) -> Sender:
    resolver = ThreadResolver(
        timeout_seconds=min(settings.resolve_timeout_seconds, settings.timeout_seconds / 3)
    )
    pool = Pool(
        limit=settings.max_connections,
        limit_per_host=settings.max_connections_per_host,
        keepalive_seconds=settings.keepalive_seconds,
    )
    return Sender(pool, route_of(settings, resolver), resolver)


def route_of(settings: DeliveryClientSettings, resolver: ThreadResolver) -> Route:
    """Return the route to receivers: direct, or through the proxy in the settings."""
    if settings.proxy is None:
        return Dialler(resolver, settings.allowed_networks, settings.ssl_context)
    server = ProxyServer(settings.proxy, Dialler(resolver, EVERYWHERE, settings.ssl_context))
    if not server.speaks_socks:
        return HttpProxy(server)
    from notifier.delivery.socks_proxy import SocksProxy  # noqa: PLC0415 - few need it and its library

    return SocksProxy(server)
