"""An application on sockets: aiohttp's runner with our own connections."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiohttp import HttpVersion11, web
from aiohttp.web_protocol import ERROR

from notifier.http.connection import Connection
from notifier.http.limits import MAX_HEADER_BYTES, MAX_HEADERS, MAX_URL_BYTES, ConnectionLimits
from notifier.http.problems import from_http

REFUSED: Final = ERROR._replace(version=HttpVersion11)
"""Stands for a request that could not be read; aiohttp's own would be answered as HTTP/1.0."""


class HttpServer(web.Server):
    """Makes a :class:`Connection` for each client, up to a number."""

    def __init__(self, application: web.Server, limits: ConnectionLimits, **options: Any) -> None:  # noqa: ANN401
        self._answer = application.request_handler
        self._make_request_of = application.request_factory
        super().__init__(self._handle, request_factory=self._request, **options)
        self.limits = limits
        self._loop = asyncio.get_running_loop()

    def __call__(self) -> Connection:
        """Return the protocol of a new connection."""
        return Connection(
            self,
            self,
            loop=self._loop,
            access_log=None,
            keepalive_timeout=self.limits.idle,
            lingering_time=self.limits.linger,
            max_line_size=MAX_URL_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
            auto_decompress=False,
        )

    def admits(self, newcomer: Connection) -> bool:
        """Make room for one more connection, if necessary by closing the oldest idle one.

        So half-sent and idle connections, however many, cannot keep other clients out.
        """
        if len(self.connections) <= self.limits.connections:
            return True
        for other in self.connections:
            if other is not newcomer and isinstance(other, Connection) and other.may_go:
                other.force_close()
                return True
        return False

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except web.HTTPException as answer:  # raised before any middleware: by a route's check of Expect
            return from_http(request, answer)

    def _request(self, message: Any, *rest: Any) -> web.BaseRequest:  # noqa: ANN401  aiohttp's arguments
        return self._make_request_of(REFUSED if message is ERROR else message, *rest)


class HttpRunner(web.AppRunner):
    """Runs an application on an :class:`HttpServer`."""

    __slots__ = ("_limits",)

    def __init__(
        self,
        app: web.Application,
        *,
        limits: ConnectionLimits | None = None,
        **options: Any,  # noqa: ANN401  the options of aiohttp's runner
    ) -> None:
        super().__init__(app, **options)
        self._limits = limits or ConnectionLimits()

    async def _make_server(self) -> web.Server:
        return HttpServer(await super()._make_server(), self._limits)
