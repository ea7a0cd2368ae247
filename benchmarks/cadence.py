"""How soon our cadence notices changes, compared with fixed intervals and as many requests."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median, quantiles
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.sightings import Lag
from benchmarks.simulated_spaces import Change, Ending, Kind
from benchmarks.week import (
    REPLICA_LAG,
    REPLICA_TURN,
    Outcome,
    Week,
    equal_paces,
    run_fixed,
    run_ours,
)
from notifier.core.model.observation import Call
from notifier.core.polling.buckets import WINDOW_SECONDS

OURS: Final = "ours"
AGAINST: Final = "one interval"
"""The poller that the goal refers to."""

GOOD_DAYS: Final = "good days"
BAD_DAYS: Final = "bad days"

STARVED_SECONDS: Final = WINDOW_SECONDS
"""A poll that is overdue by more than this has starved."""

PLANNED: Final = frozenset({Kind.DAY_AHEAD, Kind.HOUR_AHEAD})
KINDS: Final = frozenset(Kind)
ENDINGS: Final = frozenset(Ending)

ROWS: Final[Mapping[str, tuple[Change, frozenset[Kind], frozenset[Ending]]]] = {
    "start, scheduled": (Change.STARTED, PLANNED, ENDINGS),
    "  planned a day ahead": (Change.STARTED, frozenset({Kind.DAY_AHEAD}), ENDINGS),
    "  planned an hour ahead": (Change.STARTED, frozenset({Kind.HOUR_AHEAD}), ENDINGS),
    "start, spontaneous": (Change.STARTED, frozenset({Kind.SPONTANEOUS}), ENDINGS),
    "end, reported by X": (Change.ENDED, KINDS, frozenset({Ending.REPORTED})),
    "end, not found": (Change.ENDED, KINDS, frozenset({Ending.GONE})),
    "announced": (Change.ANNOUNCED, KINDS, ENDINGS),
    "rescheduled": (Change.RESCHEDULED, KINDS, ENDINGS),
    "canceled, reported by X": (Change.CANCELED, KINDS, frozenset({Ending.REPORTED})),
    "canceled, not found": (Change.CANCELED, KINDS, frozenset({Ending.GONE})),
}


async def cadence(console: Console, *, days: float, bad_days: bool = False) -> None:
    """Simulate the same days with each poller, and print what each noticed and what it cost.

    With ``bad_days``, also print ours with one creator and one Space that make every request fail that names
    them, and every third answer from a lagging replica.
    """
    loop = asyncio.get_running_loop()
    # A fork would inherit the event loop; the children need nothing but their arguments.
    with ProcessPoolExecutor(min(os.cpu_count() or 1, 2), mp_context=get_context("spawn")) as pool:
        weeks = [Week(days=days, shared=shared) for shared in (False, True)]
        ours = await asyncio.gather(*(loop.run_in_executor(pool, run_ours, week) for week in weeks))
        for week, outcome in zip(weeks, ours, strict=True):
            paces = equal_paces(week, outcome)
            runs = [loop.run_in_executor(pool, run_fixed, week, pace) for pace in paces.values()]
            outcomes = dict(zip([OURS, *paces], [outcome, *await asyncio.gather(*runs)], strict=True))
            _print(console, week, outcomes)
        if bad_days:
            week = Week(days=days, bad=True)
            outcomes = {GOOD_DAYS: ours[0], BAD_DAYS: await loop.run_in_executor(pool, run_ours, week)}
            print_bad_days(console, week, outcomes)


def _print(console: Console, week: Week, outcomes: Mapping[str, Outcome]) -> None:
    buckets = "one bucket for both calls" if week.shared else "a bucket for each call"
    sizes = f"{week.creators:,} creators, {week.spaces_a_day} Spaces a day"
    console.rule(f"{week.days:g} simulated days, {sizes}, {buckets}")
    console.print(_lags("Seconds until it was noticed, median / p95", outcomes, of=OURS, to=AGAINST))
    console.print(_costs("What it took", week, outcomes))
    ours = outcomes[OURS]
    console.print(_waits("Seconds between two polls of the same Space or creator, ours", ours))
    _print_counts(console, ours)


def print_bad_days(console: Console, week: Week, outcomes: Mapping[str, Outcome]) -> None:
    """Print our figures for bad and good days; all of them are for the healthy subjects alone."""
    console.rule(
        f"{week.days:g} simulated days, one creator and one Space fail every request that names them, "
        f"1 answer in {REPLICA_TURN} is {REPLICA_LAG:g} s old"
    )
    console.print(_lags("Seconds until it was noticed, median / p95", outcomes, of=BAD_DAYS, to=GOOD_DAYS))
    console.print(_costs("What it took", week, outcomes))
    console.print(_waits("Seconds between two polls of the same healthy subject", outcomes[BAD_DAYS]))
    _print_counts(console, outcomes[BAD_DAYS])


def _print_counts(console: Console, ours: Outcome) -> None:
    for what, count in ours.counts.items():
        console.print(f"{what}: {count:,}", highlight=False)
    starved = [reason for reason, wait in ours.waits.items() if wait.overdue > STARVED_SECONDS]
    console.print(f"more than {STARVED_SECONDS:g} s overdue: {', '.join(starved) or 'nothing'}\n")


def _lags(title: str, outcomes: Mapping[str, Outcome], *, of: str, to: str) -> Table:
    """Return a table of the lags, with the ratio of one poller's medians to another's."""
    table = Table("what", "how many", *outcomes, "ratio", title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, row in ROWS.items():
        seconds = {poller: _of(row, outcome.lags) for poller, outcome in outcomes.items()}
        noticed = {poller: [each for each in lags if each is not None] for poller, lags in seconds.items()}
        if all(len(each) > 1 for each in noticed.values()):
            ratio = median(noticed[of]) / median(noticed[to])
            cells = [f"{median(each):.1f} / {_p95(each):.1f}" for each in noticed.values()]
            table.add_row(name, f"{len(seconds[of]):,}", *cells, f"{ratio:.2f}")
    never = [sum(lag.seconds is None for lag in outcome.lags) for outcome in outcomes.values()]
    table.add_row("never noticed", f"{len(outcomes[of].lags):,}", *map(str, never), "")
    table.add_row("noticed, but false", "", *(str(each.untrue) for each in outcomes.values()), "")
    return table


def _of(row: tuple[Change, frozenset[Kind], frozenset[Ending]], lags: Sequence[Lag]) -> list[float | None]:
    change, kinds, endings = row
    return [
        lag.seconds for lag in lags if lag.change is change and lag.kind in kinds and lag.ending in endings
    ]


def _p95(seconds: Sequence[float]) -> float:
    return quantiles(seconds, n=20, method="inclusive")[-1]


def _costs(title: str, week: Week, outcomes: Mapping[str, Outcome]) -> Table:
    table = Table("", *outcomes, title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    quarters = week.days * 96
    each = list(outcomes.values())
    for call in (Call.LOOKUP, Call.CREATORS):
        counts = [outcome.requests.get(call, 0) for outcome in each]
        table.add_row(f"requests, {call}", *(f"{count:,}" for count in counts))
    totals = [sum(outcome.requests.values()) for outcome in each]
    table.add_row("requests in 15 minutes, mean", *(f"{total / quarters:.1f}" for total in totals))
    table.add_row("requests in 15 minutes, most", *(str(outcome.busiest) for outcome in each))
    table.add_row("requests that X refused", *(str(outcome.refused) for outcome in each))
    table.add_row("Space reads a day", *(f"{outcome.space_reads / week.days:,.0f}" for outcome in each))
    table.add_row("  US dollars a day", *(f"{outcome.spaces_usd / week.days:.2f}" for outcome in each))
    table.add_row("  with their people", *(f"{outcome.usd / week.days:.2f}" for outcome in each))
    return table


def _waits(title: str, outcome: Outcome) -> Table:
    columns = ("polls", "wanted, median", "median", "p95", "longest", "most overdue")
    table = Table("class", *columns, title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    for reason, wait in outcome.waits.items():
        times = (wait.planned, wait.actual, wait.p95, wait.longest, max(wait.overdue, 0.0))
        table.add_row(reason, f"{wait.polls:,}", *(f"{seconds:,.1f}" for seconds in times))
    return table
