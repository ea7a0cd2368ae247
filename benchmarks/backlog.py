"""Pending deliveries: Redis' memory for each, and whether many of them slow a claim or a worker."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.fanout import Peak
from benchmarks.processes import WORKER, can_read_usage, process, usage_of, valkey
from benchmarks.sink_client import SinkClient, running_sink
from benchmarks.waiting import wait_until
from benchmarks.workload import (
    COMMITTED_AT_ONCE,
    CONCURRENCY,
    commits,
    load,
    register,
    settings_of,
    subscribers,
)
from notifier.core.delivery.delivery import Attempt, DeliveryStatus
from notifier.core.delivery.endpoint import Endpoint
from notifier.core.model.ids import ATTEMPT_PREFIX, AttemptId, EventId
from notifier.runtime import Runtime, open_runtime
from notifier.store import Claim, Commit, Owed, Settlement

FEW: Final = 1_000
"""The pending deliveries that many are compared with."""

DRAINED: Final = 10_000
"""How many a worker delivers while its memory is watched."""

SPREADS: Final = (1_000, 10)
"""Over how many endpoints the pending deliveries are spread."""

ROUNDS: Final = 16
TURNS: Final = 8
"""Turns in each round; together they claim fewer than ``FEW``."""

LEASE_SECONDS: Final = 600.0
"""Long enough that no lease expires during a run, however slow the machine."""

REWRITE_SECONDS: Final = 300.0

PARTITION: Final = 0
"""The only one: a claim then has to choose among all endpoints."""

MIB: Final = 2**20


@dataclass(slots=True)
class Setup:
    """A database with endpoints, their receiver, and an endless supply of events."""

    runtime: Runtime
    server_pid: int
    sink: SinkClient
    endpoints: Sequence[Endpoint]
    settings: dict[str, str]
    folder: Path
    events: Iterator[Commit] = field(default_factory=lambda: commits(10**9))


@dataclass(frozen=True, slots=True)
class Turns:
    """Turns that settle and claim a batch: median milliseconds, and CPU milliseconds of each."""

    elapsed: float
    ours: float
    server: float


@dataclass(frozen=True, slots=True)
class Backlog:
    """The figures of one spread; memory in bytes."""

    endpoints: int
    pending: int
    a_delivery: float
    an_event: float
    few: Turns
    many: Turns
    peak_few: int
    peak_many: int


async def backlog(console: Console, *, pending: int) -> None:
    """Measure over each number of endpoints, and print what it took."""
    measured = []
    for endpoints in SPREADS:
        with TemporaryDirectory(prefix="notifier-bench-") as name:
            folder = Path(name)
            async with running_sink(folder) as sink, valkey(folder) as (url, server):
                settings = settings_of(url, folder, delivery_partitions="1")
                async with open_runtime(load(settings)) as runtime:
                    made = subscribers(runtime, sink.url, endpoints)
                    await register(runtime, made)
                    setup = Setup(
                        runtime, server.pid, sink, [each.endpoint for each in made], settings, folder
                    )
                    measured.append(await _measured(console, setup, pending))
    console.print(_table(measured))


async def _measured(console: Console, setup: Setup, pending: int) -> Backlog:
    title = f"[dim]{len(setup.endpoints):,} endpoints:"
    console.print(f"{title} {FEW:,} pending deliveries[/dim]")
    few = []
    for _ in range(ROUNDS):
        await _commit_events(setup, FEW)
        few.append(await _turns(setup, TURNS))
        await _turns(setup, FEW)
    console.print(f"{title} a worker at {DRAINED:,}[/dim]")
    await _commit_events(setup, DRAINED)
    peak_few = await _peak_of_worker(setup)
    console.print(f"{title} {pending:,}[/dim]")
    a_delivery, an_event = await _commit_events(setup, pending)
    many = [await _turns(setup, TURNS) for _ in range(ROUNDS)]
    console.print(f"{title} a worker at {pending:,}[/dim]")
    return Backlog(
        endpoints=len(setup.endpoints),
        pending=pending,
        a_delivery=a_delivery,
        an_event=an_event,
        few=_together(few),
        many=_together(many),
        peak_few=peak_few,
        peak_many=await _peak_of_worker(setup),
    )


async def _commit_events(setup: Setup, pending: int) -> tuple[float, float]:
    """Commit and dispatch events; return the bytes per delivery and per event."""
    store = setup.runtime.store
    events = list(islice(setup.events, max(pending // len(setup.endpoints), 1)))
    empty = await _memory_used(setup)
    for start in range(0, len(events), COMMITTED_AT_ONCE):
        await store.spaces.commit(events[start : start + COMMITTED_AT_ONCE])
    logged = await _memory_used(setup)
    complete: list[EventId] = []
    while entries := (await store.events.undispatched(limit=COMMITTED_AT_ONCE, complete=complete)).entries:
        complete = [entry.id for entry in entries]
        async for _ in store.queue.owe([Owed(entry, setup.endpoints) for entry in entries]):
            pass
    dispatched = await _memory_used(setup)
    await _until_rewritten(setup)
    return (dispatched - logged) / (len(events) * len(setup.endpoints)), (logged - empty) / len(events)


async def _memory_used(setup: Setup) -> int:
    """Return how much memory the server uses, without buffers for clients and the disk."""
    memory = await setup.runtime.store.database.redis.info("memory")
    return int(memory["used_memory"] - memory["mem_clients_normal"] - memory["mem_aof_buffer"])


async def _until_rewritten(setup: Setup) -> None:
    """Wait until the server has rewritten its file, which would count as a cost otherwise."""

    async def is_written() -> bool:
        persistence = await setup.runtime.store.database.redis.info("persistence")
        return not (persistence["aof_rewrite_in_progress"] or persistence["aof_rewrite_scheduled"])

    await wait_until(is_written, seconds=REWRITE_SECONDS, what="the server has written its file again")


async def _turns(setup: Setup, most: int) -> Turns:
    """Claim batches and settle them as delivered, until none is left or for ``most`` turns."""
    queue = setup.runtime.store.queue
    turn = await queue.turn(PARTITION, (), limit=CONCURRENCY, lease_seconds=LEASE_SECONDS)
    elapsed: list[float] = []
    ours, server = time.process_time(), _cpu_seconds(setup.server_pid)
    while turn.claims and len(elapsed) < most:
        began_at = time.perf_counter()
        done = [_delivered(claim) for claim in turn.claims]
        turn = await queue.turn(PARTITION, done, limit=CONCURRENCY, lease_seconds=LEASE_SECONDS)
        elapsed.append((time.perf_counter() - began_at) * 1000)
    ours, server = time.process_time() - ours, _cpu_seconds(setup.server_pid) - server
    done = [_delivered(claim) for claim in turn.claims]
    await queue.turn(PARTITION, done, limit=0, lease_seconds=LEASE_SECONDS)
    return Turns(median(elapsed), ours * 1000 / len(elapsed), server * 1000 / len(elapsed))


def _cpu_seconds(pid: int) -> float:
    return usage_of(pid).cpu_seconds if can_read_usage() else 0.0


def _delivered(claim: Claim) -> Settlement:
    attempt = Attempt(
        id=AttemptId(f"{ATTEMPT_PREFIX}{random.getrandbits(80):020x}"),
        number=claim.attempts_made + 1,
        trigger=claim.trigger,
        started_at=claim.committed_at,
        outcome=DeliveryStatus.DELIVERED,
        reason="the receiver answered 204",
        status_code=204,
        duration_ms=1.234,
    )
    return Settlement(claim, DeliveryStatus.DELIVERED, attempt, claim.attempts_made + 1, succeeded=True)


def _together(rounds: list[Turns]) -> Turns:
    """Combine rounds of equally many turns; the kernel's ticks are too coarse for one of them."""
    return Turns(
        median(each.elapsed for each in rounds),
        mean(each.ours for each in rounds),
        mean(each.server for each in rounds),
    )


async def _peak_of_worker(setup: Setup) -> int:
    """Let a worker deliver for a while; return its peak memory since its start."""
    await setup.sink.reset()
    log = setup.folder / "worker.log"
    async with process(*WORKER, log=log, settings=setup.settings) as worker:
        await setup.sink.wait_for(DRAINED)
        return Peak(worker.pid).read()


def _table(measured: list[Backlog]) -> Table:
    table = Table("", *(f"{each.endpoints:,} endpoints" for each in measured))
    table.title = f"{measured[0].pending:,} pending deliveries compared with {FEW:,}"
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("server: bytes for each pending delivery", *(f"{each.a_delivery:.0f}" for each in measured))
    table.add_row(
        "server: bytes for each event, in addition", *(f"{each.an_event:,.0f}" for each in measured)
    )
    pairs = [(each.few, each.many) for each in measured]
    batch = f"settle and claim {CONCURRENCY}, ms"
    table.add_row(f"{batch}: at {FEW:,}", *(f"{few.elapsed:.2f}" for few, _ in pairs))
    table.add_row(f"{batch}: at {measured[0].pending:,}", *(f"{many.elapsed:.2f}" for _, many in pairs))
    table.add_row("ratio", *(f"{many.elapsed / few.elapsed:.2f}" for few, many in pairs))
    if can_read_usage():
        cpu = "the same in CPU ms, ours and the server's"
        table.add_row(f"{cpu}: at {FEW:,}", *(f"{few.ours:.2f}, {few.server:.2f}" for few, _ in pairs))
        table.add_row(
            f"{cpu}: at {measured[0].pending:,}",
            *(f"{many.ours:.2f}, {many.server:.2f}" for _, many in pairs),
        )
        table.add_row(
            "ratio", *(f"{(many.ours + many.server) / (few.ours + few.server):.2f}" for few, many in pairs)
        )
    peaks = (
        (f"worker, at most, MiB: with {DRAINED:,} pending", [each.peak_few for each in measured]),
        (f"worker, at most, MiB: with {measured[0].pending:,}", [each.peak_many for each in measured]),
    )
    for name, held in peaks:
        table.add_row(name, *(f"{each / MIB:.1f}" if each else "" for each in held))
    return table
