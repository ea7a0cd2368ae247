"""Sending requests over pooled connections; the route opens new ones."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from notifier.core.delivery.outcome import ErrorClass
from notifier.delivery.failures import SEND_FAILURES, describe_failure
from notifier.delivery.message import message_of, target_of
from notifier.delivery.reply import Reply

if TYPE_CHECKING:
    from notifier.core.delivery.outcome import Excerpt
    from notifier.core.delivery.request import DeliveryRequest
    from notifier.delivery.dial import Route
    from notifier.delivery.message import Origin
    from notifier.delivery.pool import Pool
    from notifier.delivery.resolver import ThreadResolver
    from notifier.delivery.wire import Connection


class Sender:
    """Sends requests to receivers.

    Args:
        pool: The connections.
        route: Opens new ones.
        resolver: The resolver of the route, to be closed with the rest.
    """

    def __init__(self, pool: Pool, route: Route, resolver: ThreadResolver) -> None:
        self._pool = pool
        self._route = route
        self._resolver = resolver

    async def send(self, request: DeliveryRequest, *, deadline: float, fresh: bool) -> Reply:
        """Send ``request`` once and return the reply; only a cancellation is raised.

        Args:
            request: The request to send.
            deadline: By the loop's clock; for waiting, connecting, writing and reading together.
            fresh: Whether to ignore kept connections.
        """
        try:
            target = target_of(request.url)
            message = message_of(self._route.head(request.method, target), request)
        except ValueError as error:
            return _failed(error)
        if not (self._pool.try_lease(target.origin) or await self._lease(target.origin, deadline)):
            # It is not this receiver's fault if all connections are in use.
            return Reply(error=ErrorClass.LOCAL, detail="no connection was free in time")
        try:
            return await self._send_to(target.origin, message, deadline, request.excerpt, fresh=fresh)
        except SEND_FAILURES as error:
            return _failed(error)
        finally:
            self._pool.release(target.origin)

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()
        await self._resolver.close()

    async def _lease(self, origin: Origin, deadline: float) -> bool:
        try:
            async with asyncio.timeout_at(deadline):
                await self._pool.lease(origin)
        except TimeoutError:
            return False
        return True

    async def _send_to(
        self, origin: Origin, message: bytes, deadline: float, excerpt: Excerpt, *, fresh: bool
    ) -> Reply:
        connection = None if fresh else self._pool.take(origin)
        if connection is None:
            connection = await self._dial(origin, deadline)
        reply = await connection.exchange(message, deadline, excerpt)
        self._pool.keep(connection)
        return self._route.review(reply, origin)

    async def _dial(self, origin: Origin, deadline: float) -> Connection:
        self._pool.make_room()
        try:
            async with asyncio.timeout_at(deadline):
                connection = await self._route.dial(origin, self._pool, deadline)
        except TimeoutError as error:
            raise TimeoutError("no connection was established in time") from error
        self._pool.opened(connection)
        return connection


def _failed(error: BaseException) -> Reply:
    error_class, detail = describe_failure(error)
    return Reply(error=error_class, detail=detail)
