"""Receivers on loopback with a limit, which refuse the excess."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web
from aiohttp.test_utils import TestServer


class Limit(Protocol):
    """Decides on each request; ``seconds`` is how long an accepted one takes."""

    seconds: float

    def takes(self, now: float, in_flight: int) -> bool:
        """Return whether a request is accepted; ``in_flight`` are in progress."""
        ...


@dataclass(slots=True)
class Bucket:
    """A token bucket, initially full."""

    per_second: float
    size: float
    seconds: float = 0.0
    tokens: float = field(init=False)
    filled_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.tokens = self.size

    def takes(self, now: float, _in_flight: int) -> bool:
        """Take a token, if there is one."""
        self.tokens = min(self.size, self.tokens + (now - self.filled_at) * self.per_second)
        self.filled_at = now
        taken = self.tokens >= 1
        self.tokens -= taken
        return taken


@dataclass(slots=True)
class Places:
    """A limit of concurrent requests."""

    count: int
    seconds: float

    def takes(self, _now: float, in_flight: int) -> bool:
        """Return whether a slot is free."""
        return in_flight < self.count


@dataclass(slots=True)
class Closed:
    """Refuses the first requests, regardless of time."""

    requests: int
    seconds: float = 0.0

    def takes(self, _now: float, _in_flight: int) -> bool:
        """Return whether the first requests are over."""
        self.requests -= 1
        return self.requests < 0


@dataclass(slots=True)
class LimitedReceiver:
    """Records the ``webhook-id`` of each accepted request, and how many were refused."""

    limit: Limit
    refusal: int
    headers: Mapping[str, str]
    url: str = ""
    taken: list[str] = field(default_factory=list)
    refused: int = 0
    in_flight: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        """Accept or refuse a request."""
        await request.read()
        if not self.limit.takes(time.monotonic(), self.in_flight):
            self.refused += 1
            return web.Response(status=self.refusal, headers=self.headers)
        self.in_flight += 1
        try:
            await asyncio.sleep(self.limit.seconds)
        finally:
            self.in_flight -= 1
        self.taken.append(request.headers["webhook-id"])
        return web.Response(status=204)


@asynccontextmanager
async def limited(
    limit: Limit, *, refusal: int = 429, headers: Mapping[str, str] | None = None
) -> AsyncIterator[LimitedReceiver]:
    """Run a receiver that refuses requests with the status ``refusal`` and these headers."""
    receiver = LimitedReceiver(limit, refusal, headers or {})
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    async with TestServer(app) as server:
        receiver.url = str(server.make_url("/hook"))
        yield receiver
