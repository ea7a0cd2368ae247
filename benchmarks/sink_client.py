"""A client of the sink, which starts it and reads its count."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from benchmarks.processes import PYTHON, BenchmarkError, line_of, piped

POLL_AGAIN_SECONDS: Final = 0.05
STALL_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What arrived: POSTs, distinct ones, and the monotonic seconds of the first and the last."""

    posts: int
    distinct: int
    first_at: float
    last_at: float


class SinkClient:
    """A sink in a process of its own."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self.url = url

    async def reset(self) -> None:
        """Reset the count."""
        async with self._session.delete(self.url):
            pass

    async def read(self) -> Arrivals:
        """Read the count."""
        async with self._session.get(self.url) as answer:
            return Arrivals(**await answer.json())

    async def wait_for(self, count: int) -> Arrivals:
        """Wait until so many distinct POSTs have arrived.

        Raises:
            BenchmarkError: No more arrived for a while.
        """
        seen, moved_at = -1, asyncio.get_running_loop().time()
        while (arrivals := await self.read()).distinct < count:
            now = asyncio.get_running_loop().time()
            if arrivals.distinct != seen:
                seen, moved_at = arrivals.distinct, now
            elif now - moved_at > STALL_SECONDS:
                raise BenchmarkError(f"only {seen} of {count} deliveries came")
            await asyncio.sleep(POLL_AGAIN_SECONDS)
        return arrivals


@asynccontextmanager
async def running_sink(folder: Path) -> AsyncIterator[SinkClient]:
    """Run a sink."""
    log = folder / "sink.log"
    async with piped(PYTHON, "-m", "benchmarks.sink", log=log) as child, aiohttp.ClientSession() as session:
        yield SinkClient(session, f"http://127.0.0.1:{await line_of(child, log)}")
