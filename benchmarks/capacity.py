"""The cost of following many Spaces: decisions that change nothing, Redis' memory, one worker."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.processes import Usage, can_read_usage, usage_of, valkey
from benchmarks.workload import PATIENCE, load, settings_of
from notifier.core.model.answers import read_answer
from notifier.core.model.ids import SpaceId, WatchId
from notifier.core.model.instants import rfc3339
from notifier.core.model.observation import Call, Observation, Question
from notifier.core.model.watch import Watch, WatchKind
from notifier.core.spaces.decide import PollContext, decide
from notifier.runtime import open_runtime
from notifier.source import BATCH
from workers.applying import apply_spaces
from workers.clients import delivery_client
from workers.context import Worker

DECIDED: Final = 10_000
ROUNDS: Final = 5
WATCHES: Final = 100
PEOPLE: Final = 4
MIB: Final = 2**20
ANSWER_SECONDS: Final = 0.1
FAR: Final = 4_000_000_000.0
"""The planned start of the Spaces in epoch seconds, so late that no timer fires and no poll is urgent."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The usage at one moment: ours, the server's, and the server's data in bytes."""

    at: float
    worker: Usage
    server: Usage
    data_bytes: int


async def capacity(console: Console, *, spaces: int) -> None:
    """Measure, and print what it took."""
    _print_decisions(console)
    if not can_read_usage():
        console.print("following many Spaces: skipped, because this system has no /proc")
        return
    with TemporaryDirectory(prefix="notifier-bench-") as name:
        folder = Path(name)
        async with valkey(folder) as (url, server), _worker(url, folder) as worker:
            snapshots = [await _take_snapshot(worker, server.pid)]
            for number in range(3):
                began_at = time.time()
                for observation in _observations(spaces, began_at):
                    await apply_spaces(worker, observation.question.subjects, observation)
                snapshots.append(await _take_snapshot(worker, server.pid))
                console.print(f"[dim]{spaces:,} Spaces, pass {number + 1}[/dim]")
    console.print(_table(spaces, snapshots))


def _print_decisions(console: Console) -> None:
    """Decide on Spaces that have not changed since the first sighting, and print the CPU time of each."""
    now = time.time()
    first, second = (list(_observations(DECIDED, now + later)) for later in (0.0, 600.0))
    context = PollContext((WatchId("wch_bench"),))
    pairs = []
    for before, after in zip(first, second, strict=True):
        for space_id in before.snapshots:
            seen = decide(None, before.evidence(space_id), patience=PATIENCE, context=context)
            pairs.append((seen.known, after.evidence(space_id)))
    rounds = []
    for _ in range(ROUNDS):
        began_at = time.process_time()
        for known, evidence in pairs:
            decide(known, evidence, patience=PATIENCE, context=context)
        rounds.append((time.process_time() - began_at) / len(pairs) * 1e6)
    console.print(
        f"deciding on {len(pairs):,} unchanged snapshots: {median(rounds):.1f} µs of CPU each, "
        f"median of {ROUNDS} rounds ({min(rounds):.1f} to {max(rounds):.1f})",
        highlight=False,
    )


@asynccontextmanager
async def _worker(url: str, folder: Path) -> AsyncIterator[Worker]:
    """Make this process a worker that follows the creators but never asks X or delivers anything."""
    async with (
        open_runtime(load(settings_of(url, folder, log_level="WARNING"))) as runtime,
        delivery_client(runtime, max_connections=1) as client,
    ):
        for number in range(WATCHES):
            creator = _creator(number)
            watch = Watch(
                id=WatchId(f"wch_{number:016}"),
                kind=WatchKind.CREATOR,
                target=creator,
                subject=creator,
                created_at=runtime.clock(),
            )
            await runtime.store.watches.create(watch, now=runtime.clock())
        yield Worker("bench", runtime, None, client)


async def _take_snapshot(worker: Worker, server_pid: int) -> Snapshot:
    memory = await worker.runtime.store.database.redis.info("memory")
    return Snapshot(time.perf_counter(), usage_of(os.getpid()), usage_of(server_pid), memory["used_memory"])


def _observations(spaces: int, now: float) -> Iterator[Observation]:
    """Yield answers to lookups of Spaces that are planned for later, a hundred in each."""
    for start in range(0, spaces, BATCH):
        numbers = range(start, min(start + BATCH, spaces))
        question = Question(Call.LOOKUP, tuple(_space_id(number) for number in numbers))
        found = [_space(number) for number in numbers]
        people = {person for space in found for person in space["speaker_ids"]}
        users = [{"id": each, "name": f"Somebody {each}", "username": f"user{each[-9:]}"} for each in people]
        body = {"data": found, "includes": {"users": users}}
        yield read_answer(question, body, now, now + ANSWER_SECONDS)


def _space(number: int) -> dict[str, Any]:
    """Return what X answers about a Space with its own people besides its creator."""
    others = [str(10**18 + number * PEOPLE + each) for each in range(1, PEOPLE)]
    people = [_creator(number % WATCHES), *others]
    return {
        "id": _space_id(number),
        "state": "scheduled",
        "title": f"A talk about how to build things that last, part {number}",
        "lang": "en",
        "creator_id": people[0],
        "created_at": "2025-10-09T08:00:00.000Z",
        "updated_at": "2025-10-09T08:00:01.000Z",
        "scheduled_start": rfc3339(FAR + number),
        "is_ticketed": False,
        "participant_count": 0,
        "subscriber_count": 12,
        "host_ids": people[:2],
        "speaker_ids": people,
        "invited_user_ids": people[2:],
    }


def _space_id(number: int) -> SpaceId:
    return SpaceId(f"1{number:012}")


def _creator(number: int) -> str:
    return str(10**18 - 1 - number)


def _table(spaces: int, snapshots: list[Snapshot]) -> Table:
    title = f"{spaces:,} Spaces with {PEOPLE} people each, {WATCHES} watches, one worker"
    columns = ("seen first", "unchanged", "unchanged, again")
    table = Table("", *columns, title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    empty, *after = snapshots
    steps = list(zip(snapshots, after, strict=False))
    data_bytes = [snapshot.data_bytes - empty.data_bytes for snapshot in after]
    table.add_row("server: bytes for each Space", *(f"{each / spaces:,.0f}" for each in data_bytes))
    table.add_row("server: MB in all", *(f"{snapshot.data_bytes / 1e6:.1f}" for snapshot in after))
    table.add_row("server: resident MiB", *(f"{each.server.resident_bytes / MIB:.1f}" for each in after))
    table.add_row("worker: resident MiB", *(f"{each.worker.resident_bytes / MIB:.1f}" for each in after))
    rates = [spaces / (now.at - then.at) for then, now in steps]
    table.add_row("Spaces a second", *(f"{rate:,.0f}" for rate in rates))
    worker = [now.worker.cpu_seconds - then.worker.cpu_seconds for then, now in steps]
    server = [now.server.cpu_seconds - then.server.cpu_seconds for then, now in steps]
    for name, seconds in {"worker": worker, "server": server}.items():
        table.add_row(f"{name}: CPU ms for each", *(f"{each / spaces * 1000:.3f}" for each in seconds))
    return table
