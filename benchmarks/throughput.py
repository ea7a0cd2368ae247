"""How many deliveries a second one worker makes, beside a client that only posts and a job per delivery."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final, TypeAlias

from rich.console import Console
from rich.table import Table

from benchmarks import naive
from benchmarks.processes import PYTHON, WORKER, can_read_usage, line_of, piped, process, usage_of, valkey
from benchmarks.receiving import Arrivals, SinkClient, running_sink
from benchmarks.waiting import wait_until
from benchmarks.workload import (
    Shape,
    commits,
    fill_outbox,
    load,
    register,
    requests,
    settings_of,
    shapes,
    subscribers,
    test_event,
    write_requests,
)
from notifier.runtime import Runtime, open_runtime

WARM_UP: Final = 20
SETTLE_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement; CPU is in milliseconds per delivery, 0 where it is not known."""

    per_second: float
    sender_ms: float = 0.0
    server_ms: float = 0.0


Measure: TypeAlias = Callable[[Shape, SinkClient, Path], Awaitable[Run]]


async def throughput(console: Console, *, deliveries: int, rounds: int) -> None:
    """Measure every shape, the three designs in turn, and print the medians and the ratios."""
    for shape in shapes(deliveries):
        # A job per delivery takes long and knows no shapes: one shape says it.
        designs = DESIGNS if shape.events > 1 and shape.endpoints > 1 else DESIGNS[:2]
        runs: dict[str, list[Run]] = {name: [] for name, _ in designs}
        for number in range(rounds):
            for name, measure in designs:
                console.print(f"[dim]{shape.name}, round {number + 1}: {name}[/dim]")
                runs[name].append(await _measured(measure, shape))
        console.print(_table(shape, runs))


async def _measured(measure: Measure, shape: Shape) -> Run:
    with TemporaryDirectory(prefix="notifier-bench-") as name:
        folder = Path(name)
        async with running_sink(folder) as sink:
            return await measure(shape, sink, folder)


async def measure_bare(shape: Shape, sink: SinkClient, folder: Path) -> Run:
    """Post equally signed bodies with nothing around them; from the client's start to the last arrival."""
    async with valkey(folder) as (url, _), open_runtime(load(settings_of(url, folder))) as runtime:
        receivers = subscribers(runtime, sink.url, shape.endpoints)
    file = folder / "requests.jsonl"
    write_requests(file, requests(list(commits(shape.events)), receivers))
    log = folder / "bare.log"
    async with piped(PYTHON, "-m", "benchmarks.bare", str(file), log=log) as sender:
        arrivals = await sink.wait_for(shape.deliveries)
        began_at, cpu_seconds = map(float, (await line_of(sender, log)).split())
    return Run(_rate(shape, arrivals, began_at), cpu_seconds * 1000 / shape.deliveries)


async def measure_naive(shape: Shape, sink: SinkClient, folder: Path) -> Run:
    """Run a worker that has one job per delivery; from the first arrival to the last."""
    async with valkey(folder) as (url, server):
        async with open_runtime(load(settings_of(url, folder))) as runtime:
            receivers = subscribers(runtime, sink.url, shape.endpoints)
        await naive.enqueue(url, list(commits(shape.events)), receivers)
        async with process(PYTHON, "-m", "benchmarks.naive", url, log=folder / "naive.log") as worker:
            begun = await sink.wait_for(1)
            with _cpu(worker.pid) as of_worker, _cpu(server.pid) as of_server:
                arrivals = await sink.wait_for(shape.deliveries)
    left = max(shape.deliveries - begun.distinct, 1)
    return Run(
        _rate(shape, arrivals, arrivals.first_at),
        of_worker.seconds * 1000 / left,
        of_server.seconds * 1000 / left,
    )


async def measure_pipeline(shape: Shape, sink: SinkClient, folder: Path) -> Run:
    """Run a warm worker over a full outbox; from the nudge for it, with the dispatch, to the last arrival."""
    async with valkey(folder) as (url, server):
        settings = settings_of(url, folder)
        log = folder / "worker.log"
        async with (
            open_runtime(load(settings)) as runtime,
            process(*WORKER, log=log, settings=settings) as worker,
        ):
            await _prepare(runtime, shape, sink)
            with _cpu(worker.pid) as of_worker, _cpu(server.pid) as of_server:
                began_at = time.monotonic()
                await runtime.nudge.dispatch()
                arrivals = await sink.wait_for(shape.deliveries)
                await _all_settled(runtime)
    return Run(
        _rate(shape, arrivals, began_at),
        of_worker.seconds * 1000 / shape.deliveries,
        of_server.seconds * 1000 / shape.deliveries,
    )


async def _prepare(runtime: Runtime, shape: Shape, sink: SinkClient) -> None:
    """Register endpoints, let the worker make some deliveries, and fill the outbox behind its back."""
    receivers = subscribers(runtime, sink.url, shape.endpoints)
    await register(runtime, receivers)
    for number in range(WARM_UP):
        await runtime.store.events.commit(test_event(number, receivers[0].endpoint.id))
    await runtime.nudge.dispatch()
    await sink.wait_for(WARM_UP)
    await _all_settled(runtime)
    await sink.reset()
    await fill_outbox(runtime, list(commits(shape.events)))


async def _all_settled(runtime: Runtime) -> None:
    async def is_settled() -> bool:
        gauges = await runtime.store.gauges(now=runtime.clock())
        return gauges["notifier_deliveries_pending"] == 0

    await wait_until(is_settled, seconds=SETTLE_SECONDS, what="every delivery is settled")


DESIGNS: Final[tuple[tuple[str, Measure], ...]] = (
    ("bare client", measure_bare),
    ("pipeline", measure_pipeline),
    ("job per delivery", measure_naive),
)


def _rate(shape: Shape, arrivals: Arrivals, began_at: float) -> float:
    return shape.deliveries / (arrivals.last_at - began_at)


@dataclass(slots=True)
class Spent:
    """CPU seconds."""

    seconds: float = 0.0


@contextmanager
def _cpu(pid: int) -> Iterator[Spent]:
    """Measure the CPU time that a process spends meanwhile."""
    spent = Spent()
    before = usage_of(pid).cpu_seconds if can_read_usage() else 0.0
    yield spent
    spent.seconds = usage_of(pid).cpu_seconds - before if can_read_usage() else 0.0


def _table(shape: Shape, runs: dict[str, list[Run]]) -> Table:
    title = f"{shape.deliveries} deliveries: {shape.endpoints} endpoints x {shape.events} events"
    table = Table("", "per second", "pipeline to this", "CPU ms: sender", "CPU ms: server", title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, done in runs.items():
        ratios = [
            ours.per_second / other.per_second for ours, other in zip(runs["pipeline"], done, strict=True)
        ]
        table.add_row(
            name,
            _spread([run.per_second for run in done], 0),
            "" if name == "pipeline" else _spread(ratios, 2),
            _known(median(run.sender_ms for run in done)),
            _known(median(run.server_ms for run in done)),
        )
    return table


def _spread(values: list[float], digits: int) -> str:
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def _known(milliseconds: float) -> str:
    return f"{milliseconds:.3f}" if milliseconds else ""
