"""A worker killed in the middle of its work: how long until all has arrived, and how much came twice."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.processes import WORKER, process, valkey
from benchmarks.sink_client import SinkClient, running_sink
from benchmarks.waiting import wait_until
from benchmarks.workload import commits, fill_outbox, load, register, settings_of, subscribers
from notifier.runtime import Runtime, open_runtime
from notifier.store import Job, schema

ENDPOINTS: Final = 100
EVENTS: Final = 50
KILLED_AT: Final = 0.4
"""The share of the deliveries that has arrived when the worker is killed."""

PAUSE_SECONDS: Final = 0.3
"""Until it is started again."""

START_SECONDS: Final = 20.0
SETTLE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Crash:
    """One round: the seconds since the kill until all had arrived, and the duplicates then."""

    seconds: float
    duplicates: int


async def crash(console: Console, *, rounds: int) -> None:
    """Measure, and print what it took."""
    done = []
    for number in range(rounds):
        console.print(f"[dim]kill -9, round {number + 1}[/dim]")
        with TemporaryDirectory(prefix="notifier-bench-") as name:
            done.append(await _measured(Path(name)))
    console.print(_table(done))


async def _measured(folder: Path) -> Crash:
    async with running_sink(folder) as sink, valkey(folder) as (url, _):
        settings = settings_of(url, folder)
        async with open_runtime(load(settings)) as runtime:
            await register(runtime, subscribers(runtime, sink.url, ENDPOINTS))
            async with process(*WORKER, log=folder / "worker.log", settings=settings) as worker:
                await _until_started(runtime)
                await fill_outbox(runtime, list(commits(EVENTS)))
                await runtime.wakeup.ring(Job.DISPATCH)
                await _until_arrived(sink, int(ENDPOINTS * EVENTS * KILLED_AT))
                worker.kill()
                killed_at = time.monotonic()
                await worker.wait()
            await asyncio.sleep(PAUSE_SECONDS)
            async with process(*WORKER, log=folder / "worker.log", settings=settings):
                arrivals = await sink.wait_for(ENDPOINTS * EVENTS)
                seconds = arrivals.last_at - killed_at
                await _all_settled(runtime)
                arrivals = await sink.read()
    return Crash(seconds, arrivals.posts - arrivals.distinct)


async def _until_arrived(sink: SinkClient, count: int) -> None:
    """Wait for so many deliveries, and look without a pause."""
    while (await sink.read()).distinct < count:
        pass


async def _until_started(runtime: Runtime) -> None:
    async def has_started() -> bool:
        return bool(await runtime.store.database.redis.zcard(schema.WORKERS()))

    await wait_until(has_started, seconds=START_SECONDS, what="the worker has started")


async def _all_settled(runtime: Runtime) -> None:
    async def is_settled() -> bool:
        gauges = await runtime.store.gauges(now=runtime.clock())
        return gauges.deliveries_pending == 0

    await wait_until(is_settled, seconds=SETTLE_SECONDS, what="every delivery is settled", every=0.1)


def _table(rounds: list[Crash]) -> Table:
    table = Table(
        *("seconds until all had arrived", "duplicates"),
        title=f"kill -9 within {ENDPOINTS * EVENTS:,} deliveries: median (least-most) of {len(rounds)}",
    )
    seconds = [each.seconds for each in rounds]
    twice = [each.duplicates for each in rounds]
    table.add_row(
        f"{median(seconds):.1f} ({min(seconds):.1f}-{max(seconds):.1f})",
        f"{median(twice):.0f} ({min(twice)}-{max(twice)})",
    )
    return table
