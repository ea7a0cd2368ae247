"""The cost of a POST alone: our client and aiohttp's, with the same requests to the same receiver."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.processes import PYTHON, line_of, piped
from benchmarks.sink_client import SinkClient, running_sink
from benchmarks.workload import NOW, write_requests
from notifier.core.delivery.request import build_request
from notifier.core.delivery.signing import generate_secret, parse_signing_key

CLIENTS: Final = (("aiohttp", "benchmarks.bare"), ("ours", "benchmarks.lean"))
ENDPOINTS: Final = 100
BODY: Final = b'{"padding":"' + b"x" * 1000 + b'"}'


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one POST: microseconds of CPU, and the rate per second."""

    cpu_us: float
    per_second: float


async def posting(console: Console, *, requests: int, rounds: int) -> None:
    """Measure the two in turn and print the medians and the ratio."""
    costs: dict[str, list[Cost]] = {name: [] for name, _ in CLIENTS}
    for number in range(rounds):
        for name, module in CLIENTS:
            console.print(f"[dim]posting alone, round {number + 1}: {name}[/dim]")
            costs[name].append(await _measure(module, requests))
    console.print(_table(requests, costs))


async def _measure(module: str, count: int) -> Cost:
    with TemporaryDirectory(prefix="notifier-bench-") as name:
        folder = Path(name)
        async with running_sink(folder) as sink:
            file = folder / "requests.jsonl"
            _write(file, sink, count)
            log = folder / "sender.log"
            async with piped(PYTHON, "-m", module, str(file), log=log) as sender:
                arrivals = await sink.wait_for(count)
                began_at, cpu_seconds = map(float, (await line_of(sender, log)).split())
    return Cost(cpu_seconds * 1e6 / count, count / (arrivals.last_at - began_at))


def _write(file: Path, sink: SinkClient, count: int) -> None:
    keys = [parse_signing_key(generate_secret(bytes(range(32))))]
    write_requests(
        file,
        (
            build_request(
                url=f"{sink.url}/{number % ENDPOINTS}",
                event_id=f"evt_{number}",
                body=BODY,
                content_type="application/json",
                keys=keys,
                timestamp=int(NOW),
            )
            for number in range(count)
        ),
    )


def _table(requests: int, costs: dict[str, list[Cost]]) -> Table:
    table = Table("", "CPU µs a POST", "to aiohttp's", "per second", title=f"{requests} POSTs alone")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, done in costs.items():
        ratios = [ours.cpu_us / theirs.cpu_us for ours, theirs in zip(done, costs["aiohttp"], strict=True)]
        table.add_row(
            name,
            f"{median(cost.cpu_us for cost in done):.1f}",
            f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})",
            f"{median(cost.per_second for cost in done):.0f}",
        )
    return table
