"""How arq runs the workers: ``space-notifier worker``, or ``arq workers.settings.WorkerSettings``.

Nothing is read from the environment at import: :func:`__getattr__` builds ``WorkerSettings`` when arq asks.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

import structlog
import uvloop
from arq.cron import cron
from arq.worker import Worker as ArqWorker
from arq.worker import create_worker
from redis.exceptions import RedisError

from notifier.config import Settings, load_settings
from notifier.core.delivery.kinds.table import KINDS, Kinds
from notifier.errors import ConfigError, NotifierError, UnavailableError
from notifier.runtime import Runtime, open_runtime, report_concerns
from notifier.store import Retrying, connect, fault_of, key_id_of, schema
from notifier.store.job_queue import JOB_EXPIRES_MS, from_job, job_queue, to_job
from notifier.telemetry import configure_logging
from workers.clients import delivery_client, x_client
from workers.context import WORKER, Worker
from workers.deliver import LARGEST_WINDOW
from workers.failures import adopt_standings
from workers.housekeeping import beat, trim
from workers.jobs import JOB_SECONDS, listen, start
from workers.siblings import new_worker_id

POLL_SECONDS: Final = 1.0
"""How often arq looks for what repeats. Wakeups do not pass through arq."""

CANCEL_AGAIN_SECONDS: Final = 0.02
"""A cancellation can be swallowed inside redis-py."""

GRACE_SECONDS: Final = 16
"""How long a worker that is told to stop may finish what is in flight: a request's time-out and a bit."""

RESTART_SECONDS: Final = 0.5
"""The pause before arq's loop is started again."""

GC_THRESHOLDS: Final = (50_000, 20, 100)

SPARE_FILES: Final = 128
"""Open files beside the sockets of deliveries: Redis, X, logs."""

UNUSABLE: Final = 2
"""The exit code of a command that cannot run, as with ``space-notifier``."""

log = structlog.get_logger(__name__)


async def _start(ctx: dict[str, Any]) -> None:
    if WORKER in ctx:
        return  # arq's loop is started again; what it works with is in place.
    settings: Settings = ctx["settings"]
    stack: AsyncExitStack = ctx["stack"]
    runtime = await stack.enter_async_context(
        open_runtime(settings, retrying=ctx["retrying"], kinds=ctx["kinds"])
    )
    connections = LARGEST_WINDOW * settings.delivery_partitions
    _allow_files(connections + SPARE_FILES)
    client = await stack.enter_async_context(delivery_client(runtime, max_connections=connections))
    x = x_client(runtime)
    if x is not None:
        await stack.enter_async_context(x)
    ctx[WORKER] = worker = Worker(new_worker_id(), runtime, x, client, start=start)
    if x is not None:
        await adopt_standings(worker)
    ctx["beat"] = asyncio.create_task(beat(worker))
    ctx["listening"] = asyncio.create_task(listen(worker))
    if ctx["started"] is not None:
        ctx["started"](worker)
    log.info("worker.started", worker_id=worker.id, observes=x is not None)
    await report_concerns(runtime.store)
    await _warn_of_lost_keys(runtime)


async def _warn_of_lost_keys(runtime: Runtime) -> None:
    """Say at once what would otherwise show only when something is to be delivered."""
    endpoints = await runtime.store.endpoints.all()
    sealed_under = {key_id_of(sealed) for each in endpoints.values() for sealed in each.sealed}
    lost = sorted(key_id for key_id in sealed_under if not runtime.secrets.has(key_id))
    if lost:
        log.warning("worker.master_keys_missing", key_ids=lost, setting="NOTIFIER_MASTER_KEYS")


def _allow_files(wanted: int) -> None:
    """Raise this process's limit of open files, so that every attempt can have its socket."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    if target < wanted:
        log.warning("worker.few_files", limit=target, wanted=wanted)


async def _stop(ctx: dict[str, Any]) -> None:
    async with ctx["stack"]:
        worker: Worker | None = ctx.pop(WORKER, None)
        if worker is None:
            return  # It did not come so far as to start, or was stopped before.
        worker.stopping.set()
        await _end([ctx["listening"]])
        await _ended(lambda: worker.background)  # arq's own command comes here with all of it running
        ctx["retrying"].end()  # What waits no longer for Redis has had its time.
        await ctx["beat"]
        try:
            await worker.runtime.store.telemetry.add(worker.runtime.tally.take())
            await worker.runtime.store.workers.sign_off(worker.id)
        except UnavailableError as error:
            log.warning("worker.stopped_without_redis", reason=error.message)
    log.info("worker.stopped", worker_id=worker.id)


def worker_settings(settings: Settings) -> dict[str, Any]:
    """Return what arq needs to run a worker.

    Raises:
        ConfigError: There is no Redis URL.
    """
    if settings.redis_url is None:
        raise ConfigError("NOTIFIER_REDIS_URL: is needed here; only `space-notifier up` has its own server")
    retrying = Retrying()
    return {
        "cron_jobs": [
            cron(trim, minute={17, 47}, second=17, max_tries=1, keep_result=0),
        ],
        "queue_name": schema.JOBS(),
        "redis_pool": job_queue(connect(settings.redis_url, decode=False, retrying=retrying)),
        "job_serializer": to_job,
        "job_deserializer": from_job,
        "expires_extra_ms": JOB_EXPIRES_MS,
        "on_startup": _start,
        "on_shutdown": _stop,
        "poll_delay": POLL_SECONDS,
        "job_timeout": JOB_SECONDS,
        "keep_result": 0,
        "log_results": False,
        "job_completion_wait": GRACE_SECONDS,
        "ctx": {
            "settings": settings,
            "stack": AsyncExitStack(),
            "retrying": retrying,
            "started": None,
            "kinds": KINDS,
        },
    }


def run_worker(settings: Settings) -> None:
    """Run one worker until SIGTERM or SIGINT; what is in flight is finished first.

    Raises:
        UnavailableError: Redis refuses us for good.
    """
    # Each attempt leaves a few hundred objects behind that end with it, and by default the collector walks
    # the whole heap, modules and all, again and again for their sake: a quarter of the worker's time.
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)

    async def main() -> None:
        stop = asyncio.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signum, stop.set)
        await run_until(stop, settings)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


async def run_until(
    stop: asyncio.Event,
    settings: Settings,
    *,
    started: Callable[[Worker], None] | None = None,
    kinds: Kinds = KINDS,
) -> None:
    """Run one worker in this event loop until ``stop`` is set; it waits while Redis does not serve.

    arq's own way to stop is to cancel its jobs and its main task. A cancelled job can be cut in the middle of
    a delivery, and a cancellation can be swallowed, or leave a connection behind, inside redis-py. So arq is
    told that it is in burst mode and has had its burst: it begins nothing more, and its jobs end as ours do.
    Only what does not end in time is cancelled.

    Raises:
        UnavailableError: Redis refuses us for good.
    """
    worker = create_worker(worker_settings(settings), handle_signals=False)
    worker.ctx["started"] = started
    worker.ctx["kinds"] = kinds
    retrying: Retrying = worker.ctx["retrying"]
    main = asyncio.create_task(_run(worker))
    ends = [asyncio.create_task(event.wait()) for event in (stop, retrying.refused)]
    try:
        await asyncio.wait({main, *ends}, return_when=asyncio.FIRST_COMPLETED)
        if WORKER in worker.ctx:
            worker.ctx[WORKER].stopping.set()
        worker.burst, worker.max_burst_jobs = True, 0
        if not retrying.refused.is_set():
            await _ended(lambda: _in_flight(worker))
    finally:
        await _end([main, *ends, *_in_flight(worker)])
        await _close(worker)
    if retrying.refusal is not None:
        raise fault_of(retrying.refusal) from retrying.refusal
    error = None if main.cancelled() else main.exception()
    if error is not None and not stop.is_set():
        raise error


async def _run(worker: ArqWorker) -> None:
    """Run arq's loop, and start it again where Redis failed it and its client could not wait it out."""
    while True:
        try:
            return await worker.async_run()
        except (RedisError, OSError) as error:
            if WORKER not in worker.ctx or worker.ctx[WORKER].stopping.is_set():
                raise fault_of(error) from error
            log.warning("worker.queue_failed", reason=fault_of(error).message)
        await asyncio.sleep(RESTART_SECONDS)


async def _ended(in_flight: Callable[[], set[asyncio.Task[Any]]]) -> None:
    """Wait for what is in flight; where Redis is away, it may come back in time to record what it became."""
    with suppress(TimeoutError):
        async with asyncio.timeout(GRACE_SECONDS):
            while tasks := in_flight():
                await asyncio.wait(tasks)


def _in_flight(worker: ArqWorker) -> set[asyncio.Task[Any]]:
    """Return arq's jobs that have not ended, and ours."""
    background = worker.ctx[WORKER].background if WORKER in worker.ctx else set()
    return {*(task for task in worker.tasks.values() if not task.done()), *background}


async def _end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel what has not ended, until it has: a cancellation can be swallowed."""
    while running := {task for task in tasks if not task.done()}:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=CANCEL_AGAIN_SECONDS)


async def _close(worker: ArqWorker) -> None:
    """Close what the worker holds, also where Redis is gone."""
    worker.ctx["retrying"].end()
    for task in worker.tasks.values():
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("worker.job_failed", error=type(error).__name__)
    worker.tasks.clear()  # arq would raise what they ended with, and close nothing
    try:
        await worker.close()
    except (RedisError, OSError):
        # arq tries to delete its report before it calls us; there is none without Redis.
        await _stop(worker.ctx)
        await worker.pool.close(close_connection_pool=True)


def __getattr__(name: str) -> type:
    if name != "WorkerSettings":
        raise AttributeError(name)
    try:
        settings = load_settings()
        configure_logging(settings.log_format, settings.log_level)
        asyncio.run(_check_start(settings))
        return type("WorkerSettings", (), worker_settings(settings))
    except NotifierError as error:
        # arq would print a traceback; this is its command, but the line and the code are ours.
        sys.stderr.write(f"space-notifier: {error.message}\n")
        raise SystemExit(UNUSABLE) from None


async def _check_start(settings: Settings) -> None:
    async with open_runtime(settings):
        pass
