"""One event for very many endpoints: the time to the first and the last POST, and the memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.processes import WORKER, can_read_usage, process, usage_of, valkey
from benchmarks.sink_client import SinkClient, running_sink
from benchmarks.waiting import wait_until
from benchmarks.workload import Subscriber, commits, load, register, settings_of, subscribers
from notifier.runtime import Runtime, open_runtime
from notifier.store import Commit, Job, schema

MIB: Final = 2**20
START_SECONDS: Final = 20.0
SETTLE_SECONDS: Final = 60.0
TURNS: Final = 5
"""How many events are measured in either case."""


@dataclass(frozen=True, slots=True)
class FanOut:
    """What one event took: seconds until the first and the last POST, and the worker's resident bytes."""

    first: float
    last: float
    before: int
    peak: int


class Peak:
    """The peak memory of a process since the last reset (``proc(5)``), in bytes."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")

    def forget(self) -> None:
        """Reset the peak to the present use."""
        if can_read_usage():
            (self._folder / "clear_refs").write_text("5")

    def read(self) -> int:
        """Return the peak since then; 0 on a system that does not support it."""
        if not can_read_usage():
            return 0
        status = (self._folder / "status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024


async def fanout(console: Console, *, endpoints: int) -> None:
    """Measure, and print what it took."""
    steady: list[FanOut] = []
    changed: list[FanOut] = []
    with TemporaryDirectory(prefix="notifier-bench-") as name:
        folder = Path(name)
        async with running_sink(folder) as sink, valkey(folder) as (url, _):
            settings = settings_of(url, folder)
            async with (
                open_runtime(load(settings)) as runtime,
                process(*WORKER, log=folder / "worker.log", settings=settings) as worker,
            ):
                made = subscribers(runtime, sink.url, endpoints)
                await register(runtime, made)
                await _until_started(runtime)
                events = commits(2 * TURNS + 1)
                await _measured(runtime, sink, worker.pid, events, endpoints)
                for number in range(TURNS):
                    console.print(f"[dim]fan-out, round {number + 1}[/dim]")
                    steady.append(await _measured(runtime, sink, worker.pid, events, endpoints))
                    await _change_one(runtime, made[number])
                    changed.append(await _measured(runtime, sink, worker.pid, events, endpoints))
    console.print(_table(endpoints, {"nothing has changed": steady, "one endpoint has changed": changed}))


async def _measured(
    runtime: Runtime, sink: SinkClient, worker: int, events: Iterator[Commit], endpoints: int
) -> FanOut:
    """Commit the next event, and wait until every endpoint has it and the worker has recorded that."""
    await sink.reset()
    peak = Peak(worker)
    peak.forget()
    before = usage_of(worker).resident_bytes if can_read_usage() else 0
    await runtime.store.spaces.commit([next(events)])
    began_at = time.monotonic()
    await runtime.wakeup.ring(Job.DISPATCH)
    arrivals = await sink.wait_for(endpoints)

    async def is_settled() -> bool:
        gauges = await runtime.store.gauges(now=runtime.clock())
        return gauges.deliveries_pending == 0

    await wait_until(is_settled, seconds=SETTLE_SECONDS, what="every delivery is settled", every=0.1)
    return FanOut(arrivals.first_at - began_at, arrivals.last_at - began_at, before, peak.read())


async def _change_one(runtime: Runtime, subscriber: Subscriber) -> None:
    """Change an endpoint, which makes every worker read the endpoints again."""
    now = await runtime.store.endpoints.get(subscriber.endpoint.id)
    await runtime.store.endpoints.save(replace(now, description="changed"), replacing=now)


async def _until_started(runtime: Runtime) -> None:
    async def has_started() -> bool:
        return bool(await runtime.store.database.redis.zcard(schema.WORKERS()))

    await wait_until(has_started, seconds=START_SECONDS, what="the worker has started")


def _table(endpoints: int, cases: dict[str, list[FanOut]]) -> Table:
    table = Table(
        *("", "first POST, ms", "last POST, ms", "worker before, MiB", "worker maximum, MiB"),
        title=f"One event to {endpoints:,} endpoints, one worker: median (least-most) of {TURNS}",
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for name, runs in cases.items():
        table.add_row(
            name,
            _spread([run.first * 1000 for run in runs]),
            _spread([run.last * 1000 for run in runs]),
            _spread([run.before / MIB for run in runs]) if can_read_usage() else "",
            _spread([run.peak / MIB for run in runs]) if can_read_usage() else "",
        )
    return table


def _spread(values: list[float]) -> str:
    return f"{median(values):.0f} ({min(values):.0f}-{max(values):.0f})"
