"""An event through an idle system: from X's answer, a commit, or a call of the API until its POST."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Final

import aiohttp
from rich.console import Console
from rich.table import Table

from benchmarks.processes import PYTHON, WORKER, BenchmarkError, free_port, process, valkey
from benchmarks.serving import NO_CONTENT, Answer, Connection, json_answer
from benchmarks.waiting import wait_until
from benchmarks.workload import load, register, settings_of, space_answer, subscribers, test_event
from notifier.core.model.ids import EndpointId, WatchId
from notifier.core.model.watch import OnFirstSight, Watch, WatchKind
from notifier.runtime import Runtime, open_runtime
from notifier.store import Job

API: Final = (PYTHON, "-m", "notifier.cli", "api")
SPACE_ID: Final = "1benchLATENCY"
POLL_SECONDS: Final = "0.2"
WARM_UP: Final = 5
EVENT_SECONDS: Final = 10.0
LONGEST_PAUSE_SECONDS: Final = 0.05
TITLE: Final = re.compile(rb'"title":"Number ([0-9]+)"')
MESSAGE: Final = re.compile(rb'"message":"number ([0-9]+)"')


class Ends:
    """Both ends of the pipeline in this process: X, with a new title in each answer, and the receiver."""

    def __init__(self) -> None:
        self.began: dict[int, float] = {}
        self.ended: dict[int, float] = {}
        self._answers = 0

    def x(self, _head: bytes, _body: bytes, transport: asyncio.Transport) -> None:
        """Answer a lookup; the clock starts when the answer is written."""
        self._answers += 1
        transport.write(json_answer(json.dumps(space_answer(SPACE_ID, f"Number {self._answers}")).encode()))
        self.began[self._answers] = time.perf_counter()

    def receiver(self, _head: bytes, body: bytes, transport: asyncio.Transport) -> None:
        """Answer a delivery; the clock stops before the answer."""
        now = time.perf_counter()
        # The Space comes before its previous values, so the first title is the new one.
        number = TITLE.search(body) or MESSAGE.search(body)
        if number is not None:
            self.ended.setdefault(int(number[1]), now)
        transport.write(NO_CONTENT)

    def in_turn(self, _head: bytes, _body: bytes, transport: asyncio.Transport) -> None:
        """Answer a delivery that is the only one on its way."""
        self.ended[len(self.began)] = time.perf_counter()
        transport.write(NO_CONTENT)

    def missing(self, count: int) -> list[int]:
        """Return which of the first events, including the warm-up, did not arrive."""
        return [number for number in range(1, WARM_UP + count + 1) if number not in self.ended]

    def delays(self, count: int) -> list[float]:
        """Return the seconds that each event after the warm-up took.

        Raises:
            BenchmarkError: One never arrived.
        """
        if lost := self.missing(count):
            raise BenchmarkError(f"these events never arrived: {lost}")
        return [self.ended[each] - self.began[each] for each in range(WARM_UP + 1, WARM_UP + count + 1)]


async def latency(console: Console, *, events: int) -> None:
    """Measure both ways, one event at a time, and print the percentiles."""
    table = Table("", "p50", "p95", "p99", "max", title=f"{events} events one at a time: milliseconds")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, measure in (
        ("X has answered → POST received", from_answer),
        ("another process commits → POST received", from_commit),
        ("the API is called → POST received", from_call),
    ):
        console.print(f"[dim]{name}[/dim]")
        table.add_row(name, *(f"{value * 1000:.1f}" for value in _percentiles(await measure(events))))
    console.print(table)


async def from_answer(count: int) -> list[float]:
    """Let a worker poll a Space whose title changes each time."""
    ends = Ends()
    async with _serving(ends.x) as x_url, _serving(ends.receiver) as url:
        more = {"x_api_url": x_url, "x_bearer_token": "none", "poll_live_seconds": POLL_SECONDS}
        async with _running(more) as runtime:
            await register(runtime, subscribers(runtime, url, 1))
            await runtime.store.watches.create(_watch(), now=runtime.clock())
            await runtime.wakeup.ring(Job.OBSERVE)

            async def is_done() -> bool:
                return not ends.missing(count)

            await wait_until(is_done, seconds=EVENT_SECONDS + count * 1.0, what="every title was delivered")
    return ends.delays(count)


async def from_commit(count: int) -> list[float]:
    """Commit events one by one as the API does for a test."""
    ends = Ends()
    async with _serving(ends.receiver) as url, _running({}) as runtime:
        receivers = subscribers(runtime, url, 1)
        await register(runtime, receivers)
        for number in range(1, count + WARM_UP + 1):
            await _commit_one(runtime, ends, number, receivers[0].endpoint.id)
            # Not synchronized with the workers' polling.
            await asyncio.sleep(random.uniform(0, LONGEST_PAUSE_SECONDS))  # noqa: S311  guards nothing
    return ends.delays(count)


async def from_call(count: int) -> list[float]:
    """Have the API send test events one by one."""
    ends = Ends()
    port, key = free_port(), "a-key-for-benchmarks"
    async with _serving(ends.in_turn) as url, _running({"port": str(port), "admin_key": key}, API) as runtime:
        receivers = subscribers(runtime, url, 1)
        await register(runtime, receivers)
        root = f"http://127.0.0.1:{port}"
        async with aiohttp.ClientSession(root, headers={"Authorization": f"Bearer {key}"}) as session:
            await _until_serving(session)
            for number in range(1, count + WARM_UP + 1):
                ends.began[number] = time.perf_counter()
                async with session.post(f"/v1/endpoints/{receivers[0].endpoint.id}/test") as answer:
                    answer.raise_for_status()
                await _until_arrived(ends, number)
                await asyncio.sleep(random.uniform(0, LONGEST_PAUSE_SECONDS))  # noqa: S311  guards nothing
    return ends.delays(count)


async def _until_serving(session: aiohttp.ClientSession) -> None:
    async def serves() -> bool:
        try:
            async with session.get("/readyz") as answer:
                return answer.status == HTTPStatus.OK
        except aiohttp.ClientConnectionError:
            return False

    await wait_until(serves, seconds=EVENT_SECONDS, what="the API serves")


async def _until_arrived(ends: Ends, number: int) -> None:
    async def has_arrived() -> bool:
        return number in ends.ended

    await wait_until(has_arrived, seconds=EVENT_SECONDS, what=f"event {number} arrived", every=0.002)


async def _commit_one(runtime: Runtime, ends: Ends, number: int, endpoint: EndpointId) -> None:
    ends.began[number] = time.perf_counter()
    await runtime.store.events.commit(test_event(number, endpoint))
    await _until_arrived(ends, number)


@asynccontextmanager
async def _running(more: dict[str, str], *others: Sequence[str]) -> AsyncIterator[Runtime]:
    """Run a worker, and other processes by their commands, with these settings."""
    with TemporaryDirectory(prefix="notifier-bench-") as name:
        folder = Path(name)
        async with valkey(folder) as (url, _):
            settings = settings_of(url, folder, **more)
            async with open_runtime(load(settings)) as runtime, AsyncExitStack() as stack:
                for number, command in enumerate((WORKER, *others)):
                    log = folder / f"process{number}.log"
                    await stack.enter_async_context(process(*command, log=log, settings=settings))
                yield runtime


@asynccontextmanager
async def _serving(answer: Answer) -> AsyncIterator[str]:
    server = await asyncio.get_running_loop().create_server(lambda: Connection(answer), "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _watch() -> Watch:
    return Watch(
        id=WatchId("wch_bench"),
        kind=WatchKind.SPACE,
        target=SPACE_ID,
        subject=SPACE_ID,
        on_first_sight=OnFirstSight.ANNOUNCE,
        created_at=time.time(),
    )


def _percentiles(seconds: Sequence[float]) -> tuple[float, float, float, float]:
    cuts = quantiles(seconds, n=100, method="inclusive")
    return cuts[49], cuts[94], cuts[98], max(seconds)
