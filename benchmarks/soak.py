"""A whole day compressed into minutes: does anything grow?"""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeAlias

import aiohttp
from rich.console import Console
from rich.table import Table

from benchmarks.busy import SCENARIO, Activity, receiving
from benchmarks.processes import (
    PYTHON,
    WORKER,
    BenchmarkError,
    can_read_usage,
    line_of,
    piped,
    process,
    tail_of,
    usage_of,
    valkey,
)
from benchmarks.waiting import wait_until
from benchmarks.workload import load, settings_of
from notifier.runtime import Runtime, open_runtime
from notifier.store import schema
from notifier.store.doctor import Finding, findings
from notifier.store.doctor.keyspace import read_keyspace

DAY_SECONDS: Final = 86_400
SAMPLES: Final = 60
WARM_UP_SHARE: Final = 0.1
"""The share of samples that is ignored, while the log fills up to its retention."""

RETENTION_SHARE: Final = 0.05
SHORTEST_RETENTION_SECONDS: Final = 5.0
RESTARTS: Final = 6
WATCHED: Final = ("API", "worker")
COUNT: Final[Mapping[str, Callable[[Any, str], object]]] = {
    "string": lambda pipe, name: pipe.exists(name),
    "hash": lambda pipe, name: pipe.hlen(name),
    "set": lambda pipe, name: pipe.scard(name),
    "zset": lambda pipe, name: pipe.zcard(name),
}
"""The command that counts what a key of a type holds."""

ADMIN_KEY: Final = "soak"
START_SECONDS: Final = 20.0
SETTLE_SECONDS: Final = 20.0
MIB: Final = 2**20

QUICK: Final[Mapping[str, str]] = {
    "admin_key": ADMIN_KEY,
    "port": "0",
    "x_bearer_token": "none",
    "poll_discovery_seconds": "2",
    "poll_near_seconds": "1",
    "poll_live_seconds": "1",
    "poll_scheduled_seconds": "2",
    "near_window_seconds": "10",
    "confirm_seconds": "1",
    "reminder_minutes": "0.05",
    "overdue_seconds": "5",
    "retry_schedule_seconds": "0.5,1,2",
    "request_timeout_seconds": "2",
    "lease_seconds": "7",
}
"""X is polled as often as its limits allow in so short a day."""

Sample: TypeAlias = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Noise:
    """How much a gauge may grow: a share of its first value, and at least an absolute amount."""

    share: float
    least: float

    def allows(self, first: float, last: float) -> bool:
        """Return whether the change is within the noise."""
        return last - first <= max(first * self.share, self.least)


GAUGES: Final[Mapping[str, Noise]] = {
    "keys that are wrong": Noise(0, 0),
    "permanent keys": Noise(0.2, 30),
    "members of permanent keys": Noise(0.25, 300),
    "all keys": Noise(0.25, 300),
    "pending deliveries": Noise(0.5, 200),
    "server: used MiB": Noise(0.15, 2),
    "server: clients": Noise(0.1, 4),
    "API: open files": Noise(0.1, 8),
    "API: resident MiB": Noise(0.05, 4),
    "worker: open files": Noise(0.2, 24),
    "worker: resident MiB": Noise(0.05, 6),
}


@dataclass(frozen=True, slots=True)
class Installation:
    """An installation whose processes are measured, without the second worker, which is restarted."""

    runtime: Runtime
    url: str
    processes: Mapping[str, Process]
    settings: dict[str, str]
    folder: Path


async def soak(console: Console, *, minutes: float) -> None:
    """Run the day, print the samples, and check whether anything grew.

    Raises:
        BenchmarkError: Something grew, a process exited, or the database is inconsistent at the end.
    """
    if not can_read_usage():
        console.print("soak: skipped, because this system has no /proc")
        return
    seconds = minutes * 60
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="notifier-bench-")))
        receivers, url = await stack.enter_async_context(receiving())
        installation = await _installation(stack, folder, seconds)
        headers = {"authorization": f"Bearer {ADMIN_KEY}"}
        api = await stack.enter_async_context(aiohttp.ClientSession(installation.url, headers=headers))
        activity = Activity(installation.runtime, api, url, seconds)
        await activity.begin()
        samples = await _run_activity(console, installation, activity, seconds)
        await activity.end()
        faults = await _faults(installation.runtime)
    console.print(_table(samples, minutes))
    console.print(
        f"{receivers.received:,} attempts received, {activity.calls:,} calls of the API, "
        f"a second worker stopped or killed {RESTARTS} times.\n"
        "asyncio's tasks cannot be counted from outside, but what they hold shows as files and memory.",
        highlight=False,
    )
    if faults:
        raise BenchmarkError("the database at the end:\n" + "\n".join(map(str, faults)))
    if grown := [name for name, noise in GAUGES.items() if not noise.allows(*_ends(samples, name))]:
        raise BenchmarkError(f"these grew: {', '.join(grown)}")


async def _installation(stack: AsyncExitStack, folder: Path, seconds: float) -> Installation:
    """Start the server, the stand-in for X, the API and the measured worker."""
    redis_url, server = await stack.enter_async_context(valkey(folder))
    log = folder / "x.log"
    simulate = ("simulate", SCENARIO, "--port", "0", "--speed", str(DAY_SECONDS / seconds))
    x = await stack.enter_async_context(piped(PYTHON, "-m", "notifier.cli", *simulate, log=log))
    more = {
        "x_api_url": (await line_of(x, log)).rpartition(" ")[2],
        "retention_days": str(max(seconds * RETENTION_SHARE, SHORTEST_RETENTION_SECONDS) / DAY_SECONDS),
    }
    settings = settings_of(redis_url, folder, **QUICK, **more)
    runtime = await stack.enter_async_context(open_runtime(load(settings)))
    log = folder / "api.log"
    command = (PYTHON, "-m", "notifier.cli", "api")
    api = await stack.enter_async_context(process(*command, log=log, settings=settings))
    url = await _url_of(api, log)
    log = folder / "worker.log"
    worker = await stack.enter_async_context(process(*WORKER, log=log, settings=settings))
    return Installation(
        runtime, url, {"server": server, "X": x, "API": api, "worker": worker}, settings, folder
    )


async def _url_of(api: Process, log: Path) -> str:
    """Return the URL of the API once it serves."""

    def serving() -> dict[str, str] | None:
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        return next((line for line in lines if line["event"] == "serving"), None)

    async def is_serving() -> bool:
        if api.returncode is not None:
            raise BenchmarkError(f"the API ended early:\n{tail_of(log)}")
        return serving() is not None

    await wait_until(is_serving, seconds=START_SECONDS, what="the API serves")
    return (serving() or {})["url"]


async def _run_activity(
    console: Console, installation: Installation, activity: Activity, seconds: float
) -> list[Sample]:
    """Run the activity and the second worker, and return samples."""
    samples = []
    others = [
        asyncio.create_task(activity.run()),
        asyncio.create_task(_restart_repeatedly(installation, seconds)),
    ]
    try:
        for number in range(SAMPLES):
            # A failure of the other tasks ends the wait for the next sample.
            await asyncio.wait(others[:1], timeout=seconds / SAMPLES)
            if others[0].done():
                others[0].result()
            samples.append(await _sample(installation))
            if number % 10 == 9:
                console.print(f"[dim]soak: {(number + 1) / SAMPLES:.0%} of {seconds:g} s[/dim]")
    finally:
        await _ended(others)
    return samples


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended: a cancellation can be swallowed inside redis-py."""
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=1)


async def _restart_repeatedly(installation: Installation, seconds: float) -> None:
    """Restart the second worker repeatedly; every other time it is killed."""
    for number in range(RESTARTS + 1):
        log = installation.folder / "restless.log"
        async with process(*WORKER, log=log, settings=installation.settings) as worker:
            await asyncio.sleep(seconds / (RESTARTS + 1))
            if number % 2:
                worker.kill()
                await worker.wait()


async def _faults(runtime: Runtime) -> list[Finding]:
    """Return the findings of the doctor once there are none or the last attempts have ended."""
    deadline = asyncio.get_running_loop().time() + SETTLE_SECONDS
    while found := await findings(runtime.store):
        if asyncio.get_running_loop().time() > deadline:
            break
    return found


async def _sample(installation: Installation) -> Sample:
    """Read every gauge.

    Raises:
        BenchmarkError: A process ended.
    """
    for name, running in installation.processes.items():
        if running.returncode is not None:
            raise BenchmarkError(
                f"{name} ended early:\n{tail_of(installation.folder / f'{name.lower()}.log')}"
            )
    database = installation.runtime.store.database
    keyspace = await read_keyspace(database)
    permanent = {row: keyspace.names(row) for row in keyspace.places if row.life is not schema.Life.EXPIRES}
    async with database.pipeline() as pipe:
        for row, names in permanent.items():
            for name in names:
                COUNT[row.type](pipe, name)
        counts = await pipe.execute()
    gauges = await installation.runtime.store.gauges(now=installation.runtime.clock())
    info = await database.redis.info()
    usage = {name: usage_of(running.pid) for name, running in installation.processes.items()}
    return {
        "keys that are wrong": len(keyspace.findings),
        "permanent keys": sum(map(len, permanent.values())),
        "members of permanent keys": sum(counts),
        "all keys": sum(map(len, keyspace.places.values())),
        "pending deliveries": gauges.deliveries_pending,
        "server: used MiB": info["used_memory"] / MIB,
        "server: clients": info["connected_clients"],
        **{f"{name}: open files": _open_files(installation.processes[name].pid) for name in WATCHED},
        **{f"{name}: resident MiB": usage[name].resident_bytes / MIB for name in WATCHED},
    }


def _open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _ends(samples: Sequence[Sample], name: str) -> tuple[float, float]:
    """Return the medians of a gauge in the first and the last quarter, without the warm-up."""
    steady = samples[int(len(samples) * WARM_UP_SHARE) :]
    quarter = len(steady) // 4
    first, last = steady[:quarter], steady[-quarter:]
    return median(each[name] for each in first), median(each[name] for each in last)


def _table(samples: Sequence[Sample], minutes: float) -> Table:
    table = Table(
        *("", "first quarter", "last quarter", "growth", "most", "verdict"),
        title=f"A busy day in {minutes:g} minutes: medians of {len(samples)} samples",
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for name, noise in GAUGES.items():
        first, last = _ends(samples, name)
        most = max(sample[name] for sample in samples)
        verdict = "steady" if noise.allows(first, last) else "grows"
        table.add_row(name, f"{first:.1f}", f"{last:.1f}", f"{last - first:+.1f}", f"{most:.1f}", verdict)
    return table
