"""The effect of hanging receivers on the others: from commit to POST, without and with them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.processes import WORKER, process, valkey
from benchmarks.serving import NO_CONTENT, Connection
from benchmarks.sink import WEBHOOK_ID
from benchmarks.waiting import wait_until
from benchmarks.workload import commits, load, register, settings_of, subscribers
from notifier.core.delivery.endpoint import DEFAULT_MAX_CONCURRENCY
from notifier.runtime import Runtime, open_runtime
from notifier.store import Commit, Job, schema

ENDPOINTS: Final = 100
HANGING: Final = 10
EVENTS_A_SECOND: Final = 20
TIMEOUT_SECONDS: Final = 5.0
WARM_UP: Final = 20
START_SECONDS: Final = 20.0
PATIENCE_SECONDS: Final = 30.0
BACKLOG: Final = 1024


class Receivers:
    """All endpoints in this process. Those with the first numbers may hang; the others answer at once."""

    def __init__(self) -> None:
        self.hanging = 0
        self.hung = 0
        self.arrived: dict[tuple[int, str], float] = {}

    def answer(self, head: bytes, _body: bytes, transport: asyncio.Transport) -> None:
        """Record when a delivery arrived, and answer it unless the endpoint hangs."""
        now = time.perf_counter()
        number = int(head.split(b" ", 2)[1].removeprefix(b"/"))
        if number < self.hanging:
            self.hung += 1
            return
        event = WEBHOOK_ID.search(head)
        if event is not None:
            self.arrived.setdefault((number, event[1].decode()), now)
        transport.write(NO_CONTENT)


@dataclass(frozen=True, slots=True)
class Stream:
    """The result of a stream of events.

    Attributes:
        delays: Per event and healthy endpoint: when the event was committed, in seconds since the stream
            began, and the seconds until it was received.
        hung: How many attempts timed out, or were about to.
    """

    delays: Sequence[tuple[float, float]]
    hung: int

    def percentiles(self, *, until: float = float("inf")) -> tuple[float, float, float]:
        """Return p50, p99 and the maximum, in seconds, of the events committed by then."""
        seconds = [delay for at, delay in self.delays if at <= until]
        cuts = quantiles(seconds, n=100, method="inclusive")
        return cuts[49], cuts[98], max(seconds)


async def isolation(console: Console, *, seconds: float) -> None:
    """Measure a stream to all endpoints without and with some that hang, and print both."""
    streams = []
    for hanging in (0, HANGING):
        console.print(f"[dim]{hanging} of {ENDPOINTS} endpoints hang[/dim]")
        streams.append(await _measured(hanging, seconds))
    console.print(_table(*streams, seconds=seconds))


async def _measured(hanging: int, seconds: float) -> Stream:
    with TemporaryDirectory(prefix="notifier-bench-") as name:
        folder = Path(name)
        receivers = Receivers()
        async with _serving(receivers) as url, valkey(folder) as (redis_url, _):
            settings = settings_of(redis_url, folder, request_timeout_seconds=str(TIMEOUT_SECONDS))
            async with (
                open_runtime(load(settings)) as runtime,
                process(*WORKER, log=folder / "worker.log", settings=settings),
            ):
                made = subscribers(runtime, url, ENDPOINTS, max_concurrency=DEFAULT_MAX_CONCURRENCY)
                await register(runtime, made)
                await _until_started(runtime)
                every = list(commits(WARM_UP + int(EVENTS_A_SECOND * seconds)))
                await _stream(runtime, receivers, every[:WARM_UP])
                receivers.hanging = hanging
                return await _stream(runtime, receivers, every[WARM_UP:])


async def _stream(runtime: Runtime, receivers: Receivers, made: Sequence[Commit]) -> Stream:
    """Commit one event after the other at a steady pace, and wait until the healthy endpoints have all."""
    loop = asyncio.get_running_loop()
    committed: dict[str, float] = {}
    began_at, loop_began_at = time.perf_counter(), loop.time()
    for number, commit in enumerate(made):
        await asyncio.sleep(loop_began_at + number / EVENTS_A_SECOND - loop.time())
        await runtime.store.spaces.commit([commit])
        committed[commit.events[0].id] = time.perf_counter()
        await runtime.wakeup.ring(Job.DISPATCH)

    # The same endpoints are measured in both runs.
    wanted = [(number, event) for event in committed for number in range(HANGING, ENDPOINTS)]

    async def have_all() -> bool:
        return all(each in receivers.arrived for each in wanted)

    await wait_until(
        have_all, seconds=PATIENCE_SECONDS, what="the healthy endpoints have every event", every=0.2
    )
    delays = [
        (committed[event] - began_at, receivers.arrived[number, event] - committed[event])
        for number, event in wanted
    ]
    return Stream(delays, receivers.hung)


async def _until_started(runtime: Runtime) -> None:
    async def has_started() -> bool:
        return bool(await runtime.store.database.redis.zcard(schema.WORKERS()))

    await wait_until(has_started, seconds=START_SECONDS, what="the worker has started")


@asynccontextmanager
async def _serving(receivers: Receivers) -> AsyncIterator[str]:
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(receivers.answer), "127.0.0.1", 0, backlog=BACKLOG
    )
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _table(without: Stream, with_hanging: Stream, *, seconds: float) -> Table:
    title = (
        f"{EVENTS_A_SECOND} events a second to {ENDPOINTS} endpoints for {seconds:g} s: "
        f"milliseconds from commit to POST at the same {ENDPOINTS - HANGING}"
    )
    table = Table("", "p50", "p99", "max", "p99 to none", "hung", title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    plain = without.percentiles()
    table.add_row("none hangs", *_milliseconds(plain), "", "")
    for name, until, hung in (
        (f"{HANGING} hang", float("inf"), str(with_hanging.hung)),
        ("until the first time-out", TIMEOUT_SECONDS, ""),
    ):
        found = with_hanging.percentiles(until=until)
        # Compared with the same period, because the start can be slower by itself.
        ratio = found[1] / without.percentiles(until=until)[1]
        table.add_row(name, *_milliseconds(found), f"{ratio:.2f}", hung)
    return table


def _milliseconds(percentiles: tuple[float, float, float]) -> list[str]:
    return [f"{value * 1000:.1f}" for value in percentiles]
