"""A whole worker inside the test's own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from arq.worker import create_worker

from notifier.config import Settings
from tests.support.wait import wait_until
from workers.context import WORKER, Worker
from workers.settings import worker_settings


@asynccontextmanager
async def running_worker(settings: Settings) -> AsyncIterator[Worker]:
    """Run a worker as arq does, jobs, sweep and heartbeat, until the block ends."""
    worker = create_worker(worker_settings(settings), handle_signals=False)
    main = asyncio.create_task(worker.async_run())
    await wait_until(lambda: WORKER in worker.ctx or main.done(), message="the worker starts")
    try:
        if main.done():
            main.result()
        yield worker.ctx[WORKER]
    finally:
        main.cancel()
        with suppress(asyncio.CancelledError):
            await main
        await worker.close()
