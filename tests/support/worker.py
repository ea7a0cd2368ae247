"""A complete worker inside the test's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from notifier.config import Settings
from notifier.core.delivery.kinds.table import KINDS, Kinds
from tests.support.wait import wait_until
from workers.context import Worker
from workers.settings import run_until


@asynccontextmanager
async def running_worker(settings: Settings, *, kinds: Kinds = KINDS) -> AsyncIterator[Worker]:
    """Run a worker as its process does, with jobs, sweep and heartbeat, until the block ends."""
    stop = asyncio.Event()
    started: list[Worker] = []
    main = asyncio.create_task(run_until(stop, settings, started=started.append, kinds=kinds))
    try:
        await wait_until(lambda: started or main.done(), message="the worker starts")
        if main.done():
            main.result()
        yield started[0]
    finally:
        stop.set()
        await main
