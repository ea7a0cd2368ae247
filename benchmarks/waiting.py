"""Waiting for something to become true."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from benchmarks.processes import BenchmarkError


async def wait_until(
    is_true: Callable[[], Awaitable[bool]], *, seconds: float, what: str, every: float = 0.02
) -> None:
    """Ask every so often.

    Raises:
        BenchmarkError: It did not become true in time.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    while not await is_true():
        if asyncio.get_running_loop().time() > deadline:
            raise BenchmarkError(f"after {seconds:g} s still not: {what}")
        await asyncio.sleep(every)
