"""Answers without a known end: sent as they come, for as long as the connection lasts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import structlog
from aiohttp import web

from notifier.http.connection import Connection
from notifier.http.problems import route_name

log = structlog.get_logger(__name__)


async def stream(
    request: web.Request, response: web.StreamResponse, chunks: AsyncGenerator[bytes, None]
) -> web.StreamResponse:
    """Send a response chunk by chunk; whatever ends it, the generator is closed.

    It ends as a whole answer does when there are no more chunks, or the server is to stop. It is cut off, so
    that nobody takes a part for the whole, when a chunk cannot be made, or is not taken in time.
    """
    connection = request.protocol
    if not isinstance(connection, Connection):
        raise TypeError("streams need our own connections")
    async with aclosing(chunks):
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        try:
            async with connection.lasting():
                async for chunk in chunks:
                    if not await _is_taken(response, chunk, seconds=connection.limits.answer):
                        connection.cut()
                        break
        except Exception:
            log.exception("api.failed", method=request.method, route=route_name(request))
            connection.cut()
    return response


async def _is_taken(response: web.StreamResponse, chunk: bytes, *, seconds: float) -> bool:
    """Write a chunk; returns whether the client takes it, or at least has room for it before long."""
    try:
        async with asyncio.timeout(seconds):
            await response.write(chunk)
    except ConnectionError:
        return False
    except TimeoutError:
        log.debug("api.client_too_slow")
        return False
    return True
