"""The jobs of a worker by their names, and the wakeups that start them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from notifier.errors import UnavailableError
from notifier.store import Job, JobName
from workers.challenge import challenge
from workers.context import Worker
from workers.deliver import deliver
from workers.dispatch import empty_outbox
from workers.observe import observe
from workers.recover import recover
from workers.timers import fire_timers

WAIT_SECONDS: Final = 2.0
"""How long a blocking read lasts: less than the client gives a server to answer."""

JOB_SECONDS: Final = 180.0
"""Longer than any job takes; what exceeds it is cancelled, and the leases make up for it."""

PAUSE_SECONDS: Final = 0.5

log = structlog.get_logger(__name__)


async def apply_changes(worker: Worker) -> None:
    """Job: tell the partitions of endpoints that were changed."""
    await worker.runtime.store.endpoints.apply_changes()


JOBS: Final[Mapping[str, Callable[[Worker], Awaitable[object]]]] = {
    Job.OBSERVE: observe,
    Job.DISPATCH: empty_outbox,
    Job.TIMERS: fire_timers,
    Job.RECOVER: recover,
    Job.CHALLENGE: challenge,
    Job.APPLY: apply_changes,
}


def start(worker: Worker, job: JobName) -> None:
    """Run a job in the background."""
    worker.spawn(job, _run(worker, job))


async def listen(worker: Worker) -> None:
    """Start the jobs that somebody rings for, until the worker stops."""
    while not worker.stopping.is_set():
        try:
            job = await worker.runtime.wakeup.next(seconds=WAIT_SECONDS)
        except UnavailableError as error:
            log.warning("worker.wakeups_failed", reason=error.message)
        except Exception:
            # A worker that no longer listens would do nothing but sweep.
            log.exception("worker.wakeups_failed")
        else:
            if job is not None:
                start(worker, job)
            continue
        await asyncio.sleep(PAUSE_SECONDS)


async def _run(worker: Worker, job: JobName) -> None:
    name, _, partition = job.partition(":")
    async with asyncio.timeout(JOB_SECONDS):
        if name == Job.DELIVER:
            await deliver(worker, int(partition))
        elif name in JOBS:
            await JOBS[name](worker)
        else:
            # A newer process rang for it, and its sweep will again.
            log.warning("worker.unknown_job", job=job)
