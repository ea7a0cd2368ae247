"""Receivers on loopback that take so much and refuse the rest."""

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
    """Decides on each request; ``seconds`` is how long one that is taken is worked on."""

    seconds: float

    def takes(self, now: float, in_flight: int) -> bool:
        """Return whether a request is taken; ``in_flight`` are being worked on."""
        ...


@dataclass(slots=True)
class Bucket:
    """A token bucket that is full at first."""

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
    """So many at a time."""

    count: int
    seconds: float

    def takes(self, _now: float, in_flight: int) -> bool:
        """Return whether a place is free."""
        return in_flight < self.count


@dataclass(slots=True)
class Closed:
    """Closed for the first requests, however late they come."""

    requests: int
    seconds: float = 0.0

    def takes(self, _now: float, _in_flight: int) -> bool:
        """Return whether it has opened."""
        self.requests -= 1
        return self.requests < 0


@dataclass(slots=True)
class LimitedReceiver:
    """What came: the ``webhook-id`` of each request that was taken, and how many were refused."""

    limit: Limit
    refusal: int
    headers: Mapping[str, str]
    url: str = ""
    taken: list[str] = field(default_factory=list)
    refused: int = 0
    in_flight: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        """Take a request or refuse it."""
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
    """Run a receiver that answers ``refusal`` with these headers to what it does not take."""
    receiver = LimitedReceiver(limit, refusal, headers or {})
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    async with TestServer(app) as server:
        receiver.url = str(server.make_url("/hook"))
        yield receiver
