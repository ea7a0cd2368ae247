"""One connection to a receiver: a request is sent in one write, and at most one answer is read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

from notifier.core.delivery.outcome import RECORDED, ErrorClass
from notifier.delivery.reading import AnswerReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from notifier.core.delivery.outcome import Excerpt
    from notifier.delivery.deadlines import Deadlines
    from notifier.delivery.message import Origin
    from notifier.delivery.reply import Reply
    from notifier.delivery.trust import Trust


DOUBT_SECONDS: Final = 1.0
"""The wait for the rest of an answer whose head leaves open where it ends; the status is already known."""


class Connection(asyncio.Protocol):
    """A connection of the pool.

    It is closed at once when it cannot be reused. A graceful close is not worth the wait: a receiver that
    stops reading could keep the socket open as long as it likes.

    Args:
        loop: The running loop.
        origin: What it leads to.
        deadlines: Expires exchanges that take too long.
        lost: Called with the connection when it is gone.
        opens_tunnel: Whether its only request is a CONNECT to a proxy.
    """

    __slots__ = (
        "_asked",
        "_deadlines",
        "_loop",
        "_lost",
        "_reader",
        "_reused",
        "_transport",
        "_waiter",
        "idle_since",
        "origin",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        origin: Origin,
        *,
        deadlines: Deadlines,
        lost: Callable[[Connection], None],
        opens_tunnel: bool = False,
    ) -> None:
        self._loop = loop
        self._deadlines = deadlines
        self._lost = lost
        self._reader = AnswerReader(opens_tunnel=opens_tunnel)
        self._asked = False
        self._reused = False
        self._waiter: asyncio.Future[None] | None = None
        self.origin = origin
        self.idle_since = 0.0

    @property
    def usable(self) -> bool:
        """Whether a request may be sent."""
        return not self._transport.is_closing()

    def abort(self) -> None:
        """Close without waiting for anything."""
        self._transport.abort()

    async def exchange(self, message: bytes, deadline: float, excerpt: Excerpt = RECORDED) -> Reply:
        """Send ``message`` and return its answer, before ``deadline`` by the loop's clock."""
        reader = self._reader
        if self._asked or not reader.finished:  # as it is where a fresh connection broke off meanwhile
            reader.expect(excerpt)
        self._reused = self._asked
        self._asked = True
        if not reader.finished:  # a fresh connection may have been closed in the meantime
            self._waiter = self._loop.create_future()
            self._deadlines.watch(self, deadline)
            self._transport.write(message)
            try:
                await self._waiter
            except asyncio.CancelledError:
                self._transport.abort()
                raise
            finally:
                self._deadlines.forget(self)
                self._waiter = None
        if not reader.reusable or self._transport.get_write_buffer_size():
            # A receiver that answered before it read the whole request still waits for the rest of it.
            self._transport.abort()
        return reader.reply

    async def begin_tls(self, trust: Trust, server_name: str) -> Connection:
        """Start TLS with the receiver at the end of the tunnel; return the connection that replaces this one.

        Raises:
            OSError: TLS failed.
        """
        secured = Connection(self._loop, self.origin, deadlines=self._deadlines, lost=self._lost)
        context = trust.context_for(server_name)
        try:
            transport = await self._loop.start_tls(
                self._transport, secured, context, server_hostname=server_name
            )
        except BaseException:
            self._transport.abort()
            raise
        if transport is None:
            raise ConnectionResetError("closed during the TLS handshake")
        trust.check(server_name, transport)
        secured.connection_made(transport)
        return secured

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read on, or close: bytes before a request would be taken for its answer."""
        reader = self._reader
        if not self._asked:
            reader.fail(ErrorClass.PROTOCOL, "sent data before the request")
        if reader.finished:
            reader.reusable = False
            self._transport.abort()
            return
        reader.feed(data)
        if reader.in_doubt and not reader.finished:
            self._deadlines.shorten(self, self._loop.time() + DOUBT_SECONDS)
        self._wake_if_finished()

    def eof_received(self) -> None:
        """Treat the end of the peer's half as the end of the connection."""
        self._end(None)
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the exchange and leave the pool."""
        self._end(exc)
        self._lost(self)

    def _end(self, error: Exception | None) -> None:
        reader = self._reader
        if reader.finished:
            return
        reader.end(error)
        reply = reader.reply
        reply.stale = self._reused and reader.untouched and reply.error is ErrorClass.CONNECTION_RESET
        self._wake_if_finished()

    def expire(self) -> None:
        """Stop waiting for the answer."""
        reader = self._reader
        if reader.finished:
            return
        if reader.reply.status is not None:
            detail = "the body did not end in time"
        elif reader.untouched:
            detail = "connected, but no answer came in time"
        else:
            detail = "the headers did not end in time"
        reader.fail(ErrorClass.TIMEOUT, detail)
        self._wake_if_finished()

    def _wake_if_finished(self) -> None:
        if self._reader.finished and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
