"""One client's connection: what is refused before there is a request, and how long anything may take.

aiohttp answers what its parser refuses in plain text, logs it as a server error, and waits forever for the
rest of a request. Here the refusals are problem documents, and every wait has a deadline (docs/api.md,
"Connections").
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

import structlog
from aiohttp import StreamReader, web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

from notifier.errors import (
    BadRequestError,
    HeadersTooLargeError,
    NotifierError,
    RequestTimeoutError,
    UnavailableError,
    UriTooLongError,
)
from notifier.http.limits import MAX_HEADER_BYTES, MAX_HEADERS, MAX_URL_BYTES, ConnectionLimits
from notifier.http.problems import problem_bytes, problem_response

INTERNAL_STATUS: Final = 500
TOO_MANY_HEADERS: Final = "Too many headers"
"""How aiohttp's parser begins that refusal, which has no class of its own."""

log = structlog.get_logger(__name__)


class Admission(Protocol):
    """What a connection needs of its server."""

    limits: ConnectionLimits

    def admits(self, newcomer: Connection) -> bool:
        """Return whether there is room for one more connection."""


class Connection(RequestHandler):
    """aiohttp's protocol with deadlines, and with problem documents for what its parser refuses."""

    __slots__ = ("_admission", "_body", "_broken", "_deadline", "_gone", "_has_half_head", "_lasting")

    def __init__(self, admission: Admission, *args: Any, **options: Any) -> None:  # noqa: ANN401  aiohttp's own
        super().__init__(*args, **options)
        self._admission = admission
        self._deadline: asyncio.TimerHandle | None = None
        self._gone = asyncio.Event()
        self._body: StreamReader | None = None
        self._broken = False
        self._has_half_head = False
        self._lasting: asyncio.Timeout | None = None

    @property
    def limits(self) -> ConnectionLimits:
        """How long this connection may keep the server waiting."""
        return self._admission.limits

    @property
    def has_request(self) -> bool:
        """Whether a request has arrived whose answer the client does not have yet."""
        return self._request_in_progress or bool(self._messages)

    @property
    def may_go(self) -> bool:
        """Whether the connection can be closed without losing an answer."""
        return self.connected and not self.has_request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request, or refuse it and close if there is no room."""
        super().connection_made(transport)
        if not self._admission.admits(self):
            self._hang_up(UnavailableError("Too many connections are open; try again."))
            return
        if self.transport is not None:
            # So that an answer counts as taken only when none of it is left here.
            self.transport.set_write_buffer_limits(high=0)
        self._expect(self.limits.head, self._head_is_late)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End all waiting."""
        self._expect_nothing()
        self._gone.set()
        self._end_stream()
        super().connection_lost(exc)

    def close(self) -> None:
        """Take no further request, and let the current one end; a stream ends now."""
        super().close()
        self._end_stream()

    def cut(self) -> None:
        """Hang up at once, so that the client cannot take what it has for a whole answer."""
        if self.transport is not None:
            self.transport.abort()

    @asynccontextmanager
    async def lasting(self) -> AsyncIterator[None]:
        """Bound a stream by the connection: cancelled inside when it ends, which is no error outside."""
        until = self._loop.time() if self._close or self._gone.is_set() else None
        lasting = asyncio.timeout_at(until)
        try:
            async with lasting:
                self._lasting = lasting
                yield
        except TimeoutError:
            if not lasting.expired():
                raise
        finally:
            self._lasting = None

    def data_received(self, data: bytes) -> None:
        """Parse what came in, and move the deadline on to what is missing now."""
        was_idle = not self.has_request and (self._body is None or self._body.is_eof())
        seen = self._request_count
        super().data_received(data)
        if self._request_count > seen:
            self._take_in()
        elif was_idle and not self._has_half_head and not self._force_close:
            if self._request_count:
                self._expect(self.limits.head, self._head_is_late)
            self._has_half_head = True

    def handle_error(
        self,
        request: BaseRequest,
        status: int = INTERNAL_STATUS,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  quotes the request, credentials included
    ) -> web.StreamResponse:
        """Return the problem document for what failed outside the application.

        Raises:
            ConnectionError: The client is gone, or has a part of an answer already.
        """
        if isinstance(exc, ConnectionError):
            raise exc
        if request.writer.output_size > 0:
            raise ConnectionResetError("an answer has begun already")
        if status == INTERNAL_STATUS:
            log.error("api.failed", exc_info=exc)
            error = NotifierError("Something went wrong on our side; the log says what.")
        else:
            self._broken = True
            error = refusal_of(exc)
            log.debug("api.refused", status=error.status, kind=type(exc).__name__)
        response = problem_response(error)
        response.force_close()
        return response

    async def finish_response(
        self, request: BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer, for no longer than a client may take to read it."""
        self._expect_nothing()
        self._has_half_head = False
        if self._broken:
            resp.force_close()
        try:
            async with asyncio.timeout(self.limits.answer):
                sent = await super().finish_response(request, resp, start_time)
        except TimeoutError:
            log.debug("api.client_too_slow")
            self.cut()
            return resp, True
        if self._broken:
            await self._linger()
        return sent

    def _take_in(self) -> None:
        """Go on after the end of a head: a body may be missing, or the parser may have refused something."""
        message, body = self._messages[-1]
        self._has_half_head = False
        if isinstance(message, RawRequestMessage):
            self._body = body
            self._expect_nothing()
            if not body.is_eof():
                self._expect(self.limits.body, self._body_is_late)
        elif self._body is not None and not self._body.is_eof():
            self._messages.pop()
            self._break_body(web.RequestPayloadError("the body is not framed as HTTP/1.1 requires"))

    def _break_body(self, error: Exception) -> None:
        """End the reading of a body; once its request has been answered, it is no longer read."""
        self._broken = True
        if not self.has_request:
            self.force_close()
        elif self._body is not None:
            self._lingering_time = 0.0
            self._body.set_exception(error)

    def _head_is_late(self) -> None:
        if self._has_half_head:
            self._hang_up(RequestTimeoutError("The headers did not arrive in time."))
        else:
            self.force_close()

    def _body_is_late(self) -> None:
        if self._body is not None and not self._body.is_eof():
            self._break_body(RequestTimeoutError("The body did not arrive in time."))

    def _hang_up(self, error: NotifierError) -> None:
        """Answer while no request is in progress, and close."""
        log.debug("api.refused", status=error.status)
        if self.transport is not None:
            self.transport.write(problem_bytes(error))
        self.force_close()

    async def _linger(self) -> None:
        """Discard what is still coming, for a moment.

        To close at once would make the kernel reset the connection, and the client could lose the answer that
        says what was wrong (RFC 9112, 9.6).
        """
        self.close()  # from here on data_received discards
        if self.transport is None or not self.transport.can_write_eof():
            return
        self._resume_transport_reading()
        self.transport.write_eof()
        try:
            async with asyncio.timeout(self.limits.linger):
                await self._gone.wait()
        except TimeoutError:
            self.transport.abort()

    def _end_stream(self) -> None:
        if self._lasting is not None and not self._lasting.expired():
            self._lasting.reschedule(self._loop.time())

    def _expect(self, seconds: float, otherwise: Any) -> None:  # noqa: ANN401  a plain callback
        self._expect_nothing()
        self._deadline = self._loop.call_later(seconds, otherwise)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def refusal_of(error: BaseException | None) -> NotifierError:
    """Return our error for what aiohttp's parser refuses; it does not quote the request."""
    if isinstance(error, LineTooLong):
        if error.args[1] == MAX_URL_BYTES:
            return UriTooLongError(f"A URL may have up to {MAX_URL_BYTES} bytes.")
        return HeadersTooLargeError(f"A header may have up to {MAX_HEADER_BYTES} bytes.")
    if isinstance(error, BadHttpMessage) and error.message.startswith(TOO_MANY_HEADERS):
        return HeadersTooLargeError(f"A request may have up to {MAX_HEADERS} headers.")
    return BadRequestError("This is not a valid HTTP/1.1 request (RFC 9112).")
