"""Deliveries per second: one worker, compared with a client that only posts, a job per delivery, and two."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final, TypeAlias

from rich.console import Console
from rich.table import Table

from benchmarks import naive
from benchmarks.processes import (
    PYTHON,
    WORKER,
    can_read_usage,
    family_of,
    freeze,
    line_of,
    piped,
    process,
    resume,
    usage_of,
    valkey,
)
from benchmarks.sink_client import Arrivals, SinkClient, running_sink
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
from notifier.store import Job, schema

WARM_UP: Final = 20
START_SECONDS: Final = 20.0
SETTLE_SECONDS: Final = 20.0
TWO_WORKERS: Final = "two workers"


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement; CPU is in milliseconds per delivery, 0 where it is not known.

    Attributes:
        sender_ms: All workers together.
        rest_ms: Everything that is neither worker nor server: the receiver and the benchmark.
        shares: Each worker's part of ``sender_ms``, 0 to 1.
    """

    per_second: float
    sender_ms: float = 0.0
    server_ms: float = 0.0
    rest_ms: float = 0.0
    shares: tuple[float, ...] = ()

    @property
    def apart(self) -> float:
        """Deliveries per second if each worker, the server and the receiver had its own core."""
        return min(1000 * len(self.shares) / self.sender_ms, 1000 / self.server_ms)


Measure: TypeAlias = Callable[[Shape, SinkClient, Path], Awaitable[Run]]


async def throughput(console: Console, *, deliveries: int, rounds: int) -> None:
    """Measure every shape, the designs in turn, and print the medians and the ratios."""
    usual, *others = shapes(deliveries)
    for shape in (usual, *others):
        designs = DESIGNS if shape is usual else DESIGNS[:2]
        runs: dict[str, list[Run]] = {name: [] for name, _ in designs}
        for number in range(rounds):
            for name, measure in designs:
                console.print(f"[dim]{shape.name}, round {number + 1}: {name}[/dim]")
                runs[name].append(await _measured(measure, shape))
        two = runs.pop(TWO_WORKERS, [])
        console.print(_table(shape, runs))
        if two:
            console.print(_table_of_two(shape, runs["pipeline"], two))
            console.print(APART if can_read_usage() else "", highlight=False)


async def _measured(measure: Measure, shape: Shape) -> Run:
    with TemporaryDirectory(prefix="notifier-bench-") as name:
        folder = Path(name)
        async with running_sink(folder) as sink:
            return await measure(shape, sink, folder)


async def measure_bare(shape: Shape, sink: SinkClient, folder: Path) -> Run:
    """Post signed bodies with nothing else; from the client's start to the last arrival."""
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
            started = await sink.wait_for(1)
            with _cpu(worker.pid) as of_worker, _cpu(server.pid) as of_server:
                arrivals = await sink.wait_for(shape.deliveries)
    left = max(shape.deliveries - started.distinct, 1)
    return Run(
        _rate(shape, arrivals, arrivals.first_at),
        of_worker.seconds * 1000 / left,
        of_server.seconds * 1000 / left,
    )


async def measure_pipeline(shape: Shape, sink: SinkClient, folder: Path, *, workers: int = 1) -> Run:
    """Run warm workers over a full outbox; from the wakeup for it, with the dispatch, to the last arrival."""
    async with AsyncExitStack() as stack:
        url, server = await stack.enter_async_context(valkey(folder))
        settings = settings_of(url, folder)
        runtime = await stack.enter_async_context(open_runtime(load(settings)))
        running = [
            process(*WORKER, log=folder / f"worker{number}.log", settings=settings)
            for number in range(workers)
        ]
        pids = [(await stack.enter_async_context(each)).pid for each in running]
        await _prepare(runtime, shape, sink, workers=workers)
        freeze(pids)
        await fill_outbox(runtime, list(commits(shape.events)))
        rest = set(family_of(os.getpid())) - {server.pid, *pids} if can_read_usage() else set()
        with _cpu(*pids) as of_workers, _cpu(server.pid) as of_server, _cpu(*rest) as of_rest:
            began_at = time.monotonic()
            resume(pids)
            await runtime.wakeup.ring(Job.DISPATCH)
            arrivals = await sink.wait_for(shape.deliveries)
            await _all_settled(runtime)
    return Run(
        _rate(shape, arrivals, began_at),
        of_workers.seconds * 1000 / shape.deliveries,
        of_server.seconds * 1000 / shape.deliveries,
        of_rest.seconds * 1000 / shape.deliveries,
        tuple(each / max(of_workers.seconds, 0.01) for each in of_workers.each),
    )


async def _prepare(runtime: Runtime, shape: Shape, sink: SinkClient, *, workers: int) -> None:
    """Register endpoints, and let the workers make some deliveries."""
    receivers = subscribers(runtime, sink.url, shape.endpoints)
    await register(runtime, receivers)

    async def all_run() -> bool:
        return int(await runtime.store.database.redis.zcard(schema.WORKERS())) == workers

    await wait_until(all_run, seconds=START_SECONDS, what="every worker has started")
    for number in range(WARM_UP):
        await runtime.store.events.commit(test_event(number, receivers[0].endpoint.id))
    await sink.wait_for(WARM_UP)
    await _all_settled(runtime)
    await sink.reset()


async def _all_settled(runtime: Runtime) -> None:
    async def is_settled() -> bool:
        gauges = await runtime.store.gauges(now=runtime.clock())
        return gauges.deliveries_pending == 0

    await wait_until(is_settled, seconds=SETTLE_SECONDS, what="every delivery is settled")


DESIGNS: Final[tuple[tuple[str, Measure], ...]] = (
    ("bare client", measure_bare),
    ("pipeline", measure_pipeline),
    # A job per delivery is slow whatever the shape, and two workers are compared with one: the usual shape is
    # enough for both.
    ("job per delivery", measure_naive),
    (TWO_WORKERS, partial(measure_pipeline, workers=2)),
)

APART: Final = (
    "apart: deliveries per second by CPU time alone, as if each worker, the server and the receiver had\n"
    "its own core. They share this machine's cores, so the measured rate cannot show it."
)


def _rate(shape: Shape, arrivals: Arrivals, began_at: float) -> float:
    return shape.deliveries / (arrivals.last_at - began_at)


@dataclass(slots=True)
class Spent:
    """CPU seconds of each process."""

    each: tuple[float, ...] = ()

    @property
    def seconds(self) -> float:
        """The sum over all processes."""
        return sum(self.each)


@contextmanager
def _cpu(*pids: int) -> Iterator[Spent]:
    """Measure the CPU time that processes spend in the block; 0 if the system does not support it."""
    spent = Spent()
    known = pids if can_read_usage() else ()
    before = [usage_of(pid).cpu_seconds for pid in known]
    yield spent
    spent.each = tuple(usage_of(pid).cpu_seconds - then for pid, then in zip(known, before, strict=True))


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


def _table_of_two(shape: Shape, one: list[Run], two: list[Run]) -> Table:
    title = f"Two workers compared with one: {shape.endpoints} endpoints x {shape.events} events"
    columns = (
        "per second",
        "to one",
        "CPU ms: workers",
        "server",
        "the rest",
        "busier one",
        "apart",
        "to one",
    )
    table = Table("", *columns, title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, runs in (("one worker", one), (TWO_WORKERS, two)):
        ratios = [ours.per_second / other.per_second for ours, other in zip(runs, one, strict=True)]
        row = [f"{median(run.per_second for run in runs):.0f}", "" if runs is one else _spread(ratios, 2)]
        if can_read_usage():
            row += [
                _known(median(run.sender_ms for run in runs)),
                _known(median(run.server_ms for run in runs)),
                _known(median(run.rest_ms for run in runs)),
                f"{median(max(run.shares) for run in runs):.0%}",
                f"{median(run.apart for run in runs):.0f}",
                "" if runs is one else f"{median(r.apart for r in two) / median(r.apart for r in one):.2f}",
            ]
        table.add_row(name, *row)
    return table


def _spread(values: list[float], digits: int) -> str:
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def _known(milliseconds: float) -> str:
    return f"{milliseconds:.3f}" if milliseconds else ""
