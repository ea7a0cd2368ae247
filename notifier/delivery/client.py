"""The HTTP client that posts deliveries to receivers that nobody vouches for.

One session for all endpoints: pooled connections, no cookies, no redirects, nothing from the environment, no
decompression, a bounded answer, one time-out over all of it, and the guard at every dial.
"""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Self

import aiohttp
from multidict import istr
from yarl import URL

from notifier.core.outcome import KEPT_HEADERS, MAX_KEPT_BODY_BYTES, Answer, ErrorClass
from notifier.delivery.failures import POST_FAILURES, describe_failure, is_stale_connection, well_formed
from notifier.delivery.guard import DialGuard, begin_dial
from notifier.delivery.resolver import ThreadResolver

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ipaddress import IPv4Network, IPv6Network
    from types import TracebackType

    from notifier.core.request import DeliveryRequest
    from notifier.delivery.guard import DialRecord

STALE_WINDOW_SECONDS: Final = 1.0
"""A dead pooled connection shows within a round trip. Trying again after a later end could make one attempt
last two time-outs, longer than the lease on the delivery."""

MAX_KEPT_HEADER_CHARS: Final = 256

_RETRY_AFTER: Final = istr("retry-after")
_KEPT: Final = tuple((istr(name), name) for name in KEPT_HEADERS)

_parsed_url = lru_cache(maxsize=8192)(URL)


@dataclass(frozen=True, slots=True)
class DeliveryClientSettings:
    """How deliveries go out.

    Attributes:
        timeout_seconds: Over connect, request, headers and the kept part of the body together.
        resolve_timeout_seconds: Over a name lookup; shorter than the time-out of the whole.
        allowed_networks: Networks that may be reached although they are not public.
        proxy: URL of an outbound proxy. It then has to refuse forbidden addresses itself.
        max_connections: Open at a time; a POST beyond that waits, and its time-out runs meanwhile.
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
    """Posts requests and tells what came back; use it as an async context manager.

    >>> async with DeliveryClient(DeliveryClientSettings()) as client:
    ...     answer = await client.post(request)
    """

    def __init__(self, settings: DeliveryClientSettings) -> None:
        self._settings = settings
        self._proxy_host = URL(settings.proxy).raw_host if settings.proxy else None

    async def __aenter__(self) -> Self:
        settings = self._settings
        self._resolver = ThreadResolver(timeout_seconds=settings.resolve_timeout_seconds)
        connector = aiohttp.TCPConnector(
            socket_factory=DialGuard(settings.allowed_networks, enforce=settings.proxy is None),
            resolver=self._resolver,
            limit=settings.max_connections,
            limit_per_host=settings.max_connections_per_host,
            keepalive_timeout=settings.keepalive_seconds,
            ssl=settings.ssl_context or True,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=settings.timeout_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            proxy=settings.proxy,
            skip_auto_headers=("accept-encoding",),
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()
        await self._resolver.close()

    async def post(self, request: DeliveryRequest) -> Answer:
        """Post ``request`` once and return what came back, whatever that is.

        A pooled connection that turns out dead is replaced once, at once. That is no second attempt: nothing
        was answered on it, and a receiver drops what it has seen by its ``webhook-id``.

        Returns:
            An answer with a status, or with the class of the error.
        """
        started = time.perf_counter()
        dial = begin_dial()
        try:
            return await self._exchange(request, dial, started)
        except POST_FAILURES as error:
            elapsed = time.perf_counter() - started
            if not is_stale_connection(error, dial) or elapsed > STALE_WINDOW_SECONDS:
                return self._failure(error, dial, started)
        dial = begin_dial()
        try:
            return await self._exchange(request, dial, started)
        except POST_FAILURES as error:
            return self._failure(error, dial, started)

    async def _exchange(self, request: DeliveryRequest, dial: DialRecord, started: float) -> Answer:
        response = await self._session.post(
            _parsed_url(request.url), data=request.body, headers=request.headers, allow_redirects=False
        )
        body = bytearray()
        error: ErrorClass | None = None
        detail = ""
        try:
            content = response.content
            while len(body) < MAX_KEPT_BODY_BYTES and not content.at_eof():
                body += await content.read(MAX_KEPT_BODY_BYTES - len(body))
        except POST_FAILURES as failure:
            # Without its end an answer is none, but its status helps the operator.
            error, detail = describe_failure(failure, dial, proxy_host=self._proxy_host)
        finally:
            if not response.closed:
                response.close()
        if self._proxy_host is not None and response.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            error, detail = ErrorClass.PROXY, "the proxy wants credentials"
        headers = response.headers
        return Answer(
            response.status,
            error,
            headers.get(_RETRY_AFTER),
            (time.perf_counter() - started) * 1000,
            detail,
            _kept_headers(headers),
            bytes(body),
        )

    def _failure(self, error: BaseException, dial: DialRecord, started: float) -> Answer:
        error_class, detail = describe_failure(error, dial, proxy_host=self._proxy_host)
        return Answer(None, error_class, None, (time.perf_counter() - started) * 1000, detail)


def _kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: well_formed(headers[key][:MAX_KEPT_HEADER_CHARS]) for key, name in _KEPT if key in headers}
