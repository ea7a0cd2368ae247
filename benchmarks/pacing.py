"""Receivers with a rate limit: how long until they have all events, and how many they refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Protocol

from rich.console import Console
from rich.table import Table

from benchmarks.processes import WORKER, process, valkey
from benchmarks.serving import NO_CONTENT, Connection
from benchmarks.sink import WEBHOOK_ID
from benchmarks.waiting import wait_until
from benchmarks.workload import load, register, settings_of, subscribers, test_event
from notifier.core.delivery.endpoint import DEFAULT_MAX_CONCURRENCY
from notifier.runtime import Runtime, open_runtime

RATES: Final = (1, 5, 50)
AT_ONCE: Final = 2
WORK_SECONDS: Final = 0.3
"""How long a receiver that accepts two at a time is busy with one."""

RETRY_AFTER_SECONDS: Final = 1
PATIENCE: Final = 3.0
"""How many times as long as the pace allows to wait."""

MIN_PATIENCE_SECONDS: Final = 60.0
BACKLOG: Final = 1024
REFUSED: Final = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n%s\r\n"
NAMED: Final = b"retry-after: %d\r\n" % RETRY_AFTER_SECONDS


class Limit(Protocol):
    """The rate limit of a receiver."""

    @property
    def name(self) -> str:
        """The limit in words."""
        ...

    def take(self, now: float) -> float | None:
        """Accept a request and return how many seconds it takes, or None if it is refused."""
        ...

    def end(self) -> None:
        """Record the end of a request."""
        ...

    def seconds_for(self, count: int) -> float:
        """Return how long so many requests take at the allowed pace."""
        ...


@dataclass(slots=True)
class Bucket:
    """A token bucket that holds a second's worth."""

    per_second: int
    tokens: float = field(init=False)
    filled_at: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = self.per_second

    @property
    def name(self) -> str:
        """The limit in words."""
        return f"{self.per_second} a second"

    def take(self, now: float) -> float | None:
        """Take a token, if there is one."""
        self.tokens = min(self.per_second, self.tokens + (now - self.filled_at) * self.per_second)
        self.filled_at = now
        if self.tokens < 1:
            return None
        self.tokens -= 1
        return 0.0

    def end(self) -> None:
        """Do nothing: a request holds nothing."""

    def seconds_for(self, count: int) -> float:
        """Return how long it takes to fill so many tokens."""
        return count / self.per_second


@dataclass(slots=True)
class Places:
    """A limit of concurrent requests of a fixed duration."""

    count: int
    seconds: float
    taken: int = 0

    @property
    def name(self) -> str:
        """The limit in words."""
        return f"{self.count} at a time, {self.seconds * 1000:g} ms each"

    def take(self, _now: float) -> float | None:
        """Take a place, if one is free."""
        if self.taken == self.count:
            return None
        self.taken += 1
        return self.seconds

    def end(self) -> None:
        """Free a place."""
        self.taken -= 1

    def seconds_for(self, count: int) -> float:
        """Return how long so many requests take with every place in use."""
        return count * self.seconds / self.count


@dataclass(slots=True)
class Case:
    """One receiver and what it got; times are monotonic seconds."""

    limit: Limit
    names_pause: bool
    seen: set[bytes] = field(default_factory=set)
    refused: int = 0
    posts: int = 0
    first_at: float = 0.0
    last_at: float = 0.0

    def answer(self, head: bytes, transport: asyncio.Transport) -> None:
        """Accept or refuse a delivery."""
        if self.posts == 0:
            self.first_at = time.monotonic()
        self.posts += 1
        seconds = self.limit.take(time.monotonic())
        if seconds is None:
            self.refused += 1
            transport.write(REFUSED % (NAMED if self.names_pause else b""))
        elif seconds:
            asyncio.get_running_loop().call_later(seconds, self._end, head, transport)
        else:
            self._end(head, transport)

    def _end(self, head: bytes, transport: asyncio.Transport) -> None:
        self.limit.end()
        event = WEBHOOK_ID.search(head)
        self.seen.add(event[1] if event else b"")
        self.last_at = time.monotonic()
        transport.write(NO_CONTENT)


async def pacing(console: Console, *, events: int) -> None:
    """Measure all receivers side by side, as endpoints of one worker, and print a line for each."""
    cases = [Case(limit, names_pause) for names_pause in (True, False) for limit in _limits()]
    longest = max(case.limit.seconds_for(events) for case in cases)
    console.print(f"[dim]{events} events each to {len(cases)} receivers: {longest:.0f} s at best[/dim]")
    with TemporaryDirectory(prefix="notifier-bench-") as name:
        folder = Path(name)
        async with _serving(cases) as url, valkey(folder) as (redis_url, _):
            settings = settings_of(redis_url, folder)
            async with open_runtime(load(settings)) as runtime:
                await _queue_events(runtime, url, len(cases), events)
                async with process(*WORKER, log=folder / "worker.log", settings=settings):
                    await _until_all_have(cases, events, longest)
    console.print(_table(cases, events))


def _limits() -> list[Limit]:
    return [*(Bucket(rate) for rate in RATES), Places(AT_ONCE, WORK_SECONDS)]


async def _queue_events(runtime: Runtime, url: str, count: int, events: int) -> None:
    """Queue every event for its endpoint before the worker starts."""
    made = subscribers(runtime, url, count, max_concurrency=DEFAULT_MAX_CONCURRENCY)
    await register(runtime, made)
    endpoints = [each.endpoint for each in made]
    for number in range(events):
        for endpoint in endpoints:
            await runtime.store.events.commit(test_event(number, endpoint.id))


async def _until_all_have(cases: Sequence[Case], events: int, longest: float) -> None:
    async def have_all() -> bool:
        return all(len(case.seen) == events for case in cases)

    patience = max(PATIENCE * longest, MIN_PATIENCE_SECONDS)
    await wait_until(have_all, seconds=patience, what="every receiver has every event", every=0.1)


@asynccontextmanager
async def _serving(cases: Sequence[Case]) -> AsyncIterator[str]:
    def answer(head: bytes, _body: bytes, transport: asyncio.Transport) -> None:
        number = int(head.split(b" ", 2)[1].removeprefix(b"/"))
        cases[number].answer(head, transport)

    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(answer), "127.0.0.1", 0, backlog=BACKLOG
    )
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _table(cases: Sequence[Case], events: int) -> Table:
    title = f"{events} events at once to receivers that answer 429 beyond what they allow"
    table = Table("allows", "Retry-After", "at best", "took", "to best", "refused", title=title)
    for column in table.columns[2:]:
        column.justify = "right"
    for case in cases:
        best, took = case.limit.seconds_for(events), case.last_at - case.first_at
        table.add_row(
            case.limit.name,
            f"{RETRY_AFTER_SECONDS} s" if case.names_pause else "none",
            f"{best:.1f} s",
            f"{took:.1f} s",
            f"{took / best:.2f}",
            f"{100 * case.refused / case.posts:.1f} %",
        )
    return table
