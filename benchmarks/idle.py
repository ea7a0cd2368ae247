"""The cost of an idle ``space-notifier up``: the time until ready, CPU and memory."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.processes import (
    PYTHON,
    BenchmarkError,
    Usage,
    can_read_usage,
    family_of,
    process,
    proportional_bytes_of,
    tail_of,
    usage_of,
)
from benchmarks.waiting import wait_until

READY: Final = '"event":"ready"'
READY_SECONDS: Final = 30.0
SETTLE_SECONDS: Final = 2.0
MIB: Final = 2**20
TICK: Final = 0.01
"""Linux counts CPU time in hundredths of a second."""


async def idle(console: Console, *, seconds: float) -> None:
    """Start all in one without a token, let it idle, and print what each process used."""
    if not can_read_usage():
        console.print("idle: skipped, because this system has no /proc")
        return
    with TemporaryDirectory(prefix="notifier-bench-") as name:
        folder = Path(name)
        log = folder / "up.log"
        settings = {"data_dir": str(folder / "data"), "port": "0", "log_format": "json"}
        began_at = time.monotonic()
        async with process(PYTHON, "-m", "notifier.cli", "up", log=log, settings=settings) as up:

            async def is_ready() -> bool:
                if up.returncode is not None:
                    raise BenchmarkError(f"`up` ended early:\n{tail_of(log)}")
                return READY in log.read_text(errors="replace")

            await wait_until(is_ready, seconds=READY_SECONDS, what="`up` is ready", every=0.01)
            ready_after = time.monotonic() - began_at
            await asyncio.sleep(SETTLE_SECONDS)
            family = family_of(up.pid)
            before = [usage_of(pid) for pid in family]
            await asyncio.sleep(seconds)
            after = [usage_of(pid) for pid in family]
            shares = [proportional_bytes_of(pid) for pid in family]
    console.print(_table(before, after, shares, seconds=seconds, ready_after=ready_after))


def _table(
    before: list[Usage], after: list[Usage], proportional: list[int], *, seconds: float, ready_after: float
) -> Table:
    title = f"Idle for {seconds:g} s; ready after {ready_after:.2f} s"
    table = Table("process", "CPU, % of a core", "resident MiB", "PSS, MiB", title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    shares = [
        (now.cpu_seconds - then.cpu_seconds) * 100 / seconds for then, now in zip(before, after, strict=True)
    ]
    roles = _roles(after)
    for role, share, usage, pss in zip(roles, shares, after, proportional, strict=True):
        table.add_row(
            role,
            f"{share:.2f}" if share else f"under {TICK * 100 / seconds:.2f}",
            f"{usage.resident_bytes / MIB:.1f}",
            f"{pss / MIB:.1f}",
        )
    resident = sum(usage.resident_bytes for usage in after)
    table.add_row("all", f"{sum(shares):.2f}", f"{resident / MIB:.1f}", f"{sum(proportional) / MIB:.1f}")
    return table


def _roles(family: list[Usage]) -> list[str]:
    """Name the processes: the first one is `up` with the API, its Python children are workers."""
    named = ["valkey" if "valkey" in usage.name else "worker" for usage in family]
    return ["up and API", *named[1:]]
