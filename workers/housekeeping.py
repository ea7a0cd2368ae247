"""What repeats: the sweep, which makes up for what was lost, the heartbeat, and the trimming of the log."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any, Final

import structlog

from notifier.core.polling.health import after_answer
from notifier.errors import UnavailableError, VersionConflictError
from notifier.store import deliver_job
from workers.context import Worker, worker_of
from workers.health import note_health
from workers.siblings import release_dead

HEARTBEAT_SECONDS: Final = 1.0

log = structlog.get_logger(__name__)


async def sweep(worker: Worker) -> None:
    """Wake workers for everything that is due, whether or not earlier wakeups arrived."""
    runtime = worker.runtime
    for partition in range(runtime.store.partitions.count):
        if worker.may_have_lost_claims(partition):
            worker.start(worker, deliver_job(partition))
    await runtime.wakeup.ring(*await runtime.store.waiting_work(now=runtime.clock()))
    await _end_idle_outages(worker)


async def _end_idle_outages(worker: Worker) -> None:
    """End the outages of calls that are no longer made, since no answer could end them.

    Left standing, one would also keep the same kind of outage of another call from being announced.
    """
    store = worker.runtime.store
    health, _ = await store.health.read()
    if not health.calls:
        return
    queues = await store.polls.queues(now=worker.runtime.clock())
    for call in health.calls:
        if not queues[call].waiting and not queues[call].in_flight:
            await note_health(worker, partial(after_answer, call=call))


async def trim(ctx: dict[str, Any]) -> None:
    """Job: drop what the indexes say of events and Spaces that have expired."""
    store = worker_of(ctx).runtime.store
    events, owed, spaces = await store.events.trim(), await store.endpoints.trim(), await store.spaces.trim()
    if events or owed or spaces:
        log.info("store.trimmed", events=events, owed=owed, spaces=spaces)


async def beat(worker: Worker) -> None:
    """Once a second report that the worker is alive, hand over its counts, and sweep, until it stops.

    The sweep is no cron of arq's: that goes by the wall clock, and would rest for an hour when the clock is
    set back by one.
    """
    runtime = worker.runtime
    while not worker.stopping.is_set():
        counts = runtime.tally.take()
        try:
            await runtime.store.workers.report(worker.id, now=runtime.clock())
            await runtime.store.telemetry.add(counts)
        except UnavailableError as error:
            runtime.tally.give_back(counts)
            log.warning("worker.heartbeat_failed", reason=error.message)
        except Exception:
            log.exception("worker.heartbeat_failed")
        try:
            await release_dead(worker)
            await sweep(worker)
        except (UnavailableError, VersionConflictError) as error:
            log.warning("worker.sweep_failed", reason=error.message)
        except Exception:
            # The sweep makes up for whatever fails elsewhere, so no fault of ours may end it.
            log.exception("worker.sweep_failed")
        with suppress(TimeoutError):
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await worker.stopping.wait()
