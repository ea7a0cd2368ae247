"""A busy day of a whole installation: events, healthy and failing receivers, and changing endpoints."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import aiohttp

from benchmarks.processes import BenchmarkError
from benchmarks.serving import NO_CONTENT, Connection
from benchmarks.workload import commits
from notifier.runtime import Runtime
from notifier.simulator.files import load_scenario
from notifier.store import Job

KINDS: Final = ("good", "failing", "slow", "gone")
"""Receivers: 204; every other time 503; 204 after a second; 410."""

UNAVAILABLE: Final = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
GONE: Final = b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n"
SLOW_SECONDS: Final = 1.0
ENDPOINTS: Final = 24
SCENARIO: Final = "day"

EVENT_EVERY: Final = 0.25
TEST_EVERY: Final = 0.2
ENDPOINT_EVERY: Final = 2.0
WATCH_EVERY: Final = 3.0
REDELIVERY_EVERY: Final = 0.5
TRIMS: Final = 48
"""How often the workers trim in the compressed day, which is every half hour."""

Action: TypeAlias = Callable[[], Awaitable[None]]


class Receivers:
    """All receivers; the first part of the path says which kind."""

    def __init__(self) -> None:
        self.received = 0

    def answer(self, head: bytes, _body: bytes, transport: asyncio.Transport) -> None:
        """Answer a delivery."""
        self.received += 1
        kind = head.split(b"/", 2)[1].decode()
        if kind == "slow":
            asyncio.get_running_loop().call_later(SLOW_SECONDS, _write, transport, NO_CONTENT)
        elif kind == "gone":
            transport.write(GONE)
        else:
            transport.write(UNAVAILABLE if kind == "failing" and self.received % 2 else NO_CONTENT)


def _write(transport: asyncio.Transport, answer: bytes) -> None:
    if not transport.is_closing():
        transport.write(answer)


@asynccontextmanager
async def receiving() -> AsyncIterator[tuple[Receivers, str]]:
    """Run the receivers in this process; yield them and their URL."""
    receivers = Receivers()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(receivers.answer), "127.0.0.1", 0, backlog=1024
    )
    async with server:
        yield receivers, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@dataclass(slots=True)
class Activity:
    """The activity of the day, through the API where it has a call for it.

    Attributes:
        api: A session with the API's URL and the admin key.
        receivers: The URL under which all receivers are.
        seconds: How long the compressed day lasts.
    """

    runtime: Runtime
    api: aiohttp.ClientSession
    receivers: str
    seconds: float
    calls: int = 0
    _endpoints: deque[str] = field(default_factory=deque)
    _watches: deque[tuple[str, str]] = field(default_factory=deque)
    _made: int = 0
    _chance: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311  guards nothing

    async def begin(self) -> None:
        """Add the first endpoints, and a watch for everyone in the scenario."""
        for _ in range(ENDPOINTS):
            await self._add_endpoint()
        for user in load_scenario(SCENARIO).users:
            await self._add_watch(str(user.id))

    async def run(self) -> None:
        """Run until cancelled.

        Raises:
            BenchmarkError: The API failed.
        """
        events = commits(10**9)

        async def commit() -> None:
            await self.runtime.store.spaces.commit([next(events)])
            await self.runtime.wakeup.ring(Job.DISPATCH)

        actions = (
            (commit, EVENT_EVERY),
            (self._test, TEST_EVERY),
            (self._replace_endpoint, ENDPOINT_EVERY),
            (self._replace_watch, WATCH_EVERY),
            (self._redeliver, REDELIVERY_EVERY),
            (self._trim, self.seconds / TRIMS),
        )
        try:
            async with asyncio.TaskGroup() as group:
                for action, every in actions:
                    group.create_task(_repeat(action, every))
        except* BenchmarkError as failures:
            raise failures.exceptions[0] from None

    async def end(self) -> None:
        """Delete every endpoint and every watch."""
        while self._endpoints:
            await self._call("DELETE", f"/v1/endpoints/{self._endpoints.popleft()}")
        while self._watches:
            await self._call("DELETE", f"/v1/watches/{self._watches.popleft()[0]}")
        await self._trim()

    async def _test(self) -> None:
        await self._call("POST", f"/v1/endpoints/{self._chance.choice(self._endpoints)}/test")

    async def _add_endpoint(self) -> None:
        kind = KINDS[self._made % len(KINDS)]
        self._made += 1
        body = {"url": f"{self.receivers}/{kind}/{self._made}", "event_types": ["*"]}
        made = await self._call("POST", "/v1/endpoints", body)
        self._endpoints.append(made["id"])

    async def _replace_endpoint(self) -> None:
        await self._add_endpoint()
        await self._call("DELETE", f"/v1/endpoints/{self._endpoints.popleft()}")

    async def _add_watch(self, user: str) -> None:
        made = await self._call("POST", "/v1/watches", {"kind": "creator", "target": user})
        self._watches.append((made["id"], user))

    async def _replace_watch(self) -> None:
        watch, user = self._watches.popleft()
        await self._call("DELETE", f"/v1/watches/{watch}")
        await self._add_watch(user)

    async def _redeliver(self) -> None:
        page = await self._call("GET", "/v1/deliveries?limit=50")
        if page["data"]:
            delivery = self._chance.choice(page["data"])["id"]
            await self._call("POST", f"/v1/deliveries/{delivery}/redeliver")

    async def _trim(self) -> None:
        store = self.runtime.store
        await store.events.trim()
        await store.endpoints.trim()
        await store.spaces.trim()

    async def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401  JSON
        """Call the API; it may refuse what was deleted or disabled in the meantime."""
        self.calls += 1
        try:
            async with self.api.request(method, path, json=body) as answer:
                document = await answer.json() if answer.content_length else None
        except aiohttp.ClientError as error:
            raise BenchmarkError(f"{method} {path}: {type(error).__name__}") from error
        if answer.status >= 500:
            raise BenchmarkError(f"{method} {path}: {answer.status}: {document}")
        return document


async def _repeat(action: Action, every: float) -> None:
    while True:
        await action()
        await asyncio.sleep(every)
