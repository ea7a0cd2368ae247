"""Sending endpoints again what they missed."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from notifier.core.delivery.recovery import MOST_WAITING, Recovery, RecoveryStatus
from notifier.store import Job, Store
from notifier.store.recoveries import Batch
from workers.context import Worker

AT_ONCE: Final = 20
"""How many recoveries take a turn before the list is read again."""

LONGEST_RUN_SECONDS: Final = 30.0
"""After this long the job ends and wakes another, which may run in a worker with less to do."""

log = structlog.get_logger(__name__)


async def recover(worker: Worker) -> None:
    """Job: continue every recovery, a batch of each in turn.

    Any number of workers may do so at once: a batch is made due once, and counted once.
    """
    store, wakeup = worker.runtime.store, worker.runtime.wakeup
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + LONGEST_RUN_SECONDS
    while not worker.stopping.is_set():
        running = await store.recoveries.due(limit=AT_ONCE)
        if not running:
            return
        for recovery in running:
            await wakeup.deliver(await _go_on(store, recovery))
        if loop.time() >= ends_at:
            await wakeup.ring(Job.RECOVER)
            return


async def _go_on(store: Store, recovery: Recovery) -> set[int]:
    """Take a recovery a batch further; returns the partition that needs a wakeup."""
    endpoint = (await store.endpoints.get_many([recovery.endpoint_id])).get(recovery.endpoint_id)
    if endpoint is None or endpoint.is_held:
        return await _advance(store, recovery, Batch(recovery.position, 0, (), 0))
    batch = await store.recoveries.next_batch(recovery, endpoint)
    if batch.waiting > MOST_WAITING:
        await store.recoveries.put_off(recovery)
        return set()
    return await _advance(store, recovery, batch)


async def _advance(store: Store, recovery: Recovery, batch: Batch) -> set[int]:
    advance = await store.recoveries.advance(recovery, batch)
    if advance.status is RecoveryStatus.DONE:
        log.info("recovery.done", recovery_id=recovery.id, endpoint_id=recovery.endpoint_id)
    elif advance.status in (RecoveryStatus.CANCELED, RecoveryStatus.FAILED):
        log.warning("recovery.ended_early", recovery_id=recovery.id, endpoint_id=recovery.endpoint_id)
    return advance.partitions
