"""All in one: the embedded server, the API in this process, the workers as its children."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from notifier.api.app import create_app
from notifier.api.serving import ApiRunner
from notifier.cli.serving import bind, port_of, served
from notifier.cli.supervision import Child
from notifier.cli.valkey import embedded_valkey
from notifier.config import ENV_PREFIX, Settings, load_settings
from notifier.runtime import Runtime, open_runtime

WORKER_STOP_SECONDS: Final = 17.5
POLL_AGAIN_SECONDS: Final = 0.05
PATIENCE_SECONDS: Final = 10.0
DATA_FOLDER: Final = "valkey"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Stack:
    """A running installation: the API's runtime and URL, and its start in epoch seconds."""

    runtime: Runtime
    url: str
    started_at: float

    async def ready(self) -> None:
        """Wait until one of our workers has reported; the API already answers."""
        warn_at = self.started_at + PATIENCE_SECONDS
        while not await self._worker_reported():
            if time.time() >= warn_at:
                log.warning("worker.silent", reason="no worker has reported yet; lines above may say why")
                warn_at = float("inf")
            await asyncio.sleep(POLL_AGAIN_SECONDS)

    async def _worker_reported(self) -> bool:
        now = time.time()
        return await self.runtime.store.workers.reported_within(now - self.started_at, now=now)


@asynccontextmanager
async def all_in_one(overrides: Mapping[str, str], *, workers: int) -> AsyncIterator[Stack]:
    """Start everything, and stop it in reverse order: the workers first, the embedded server last.

    Args:
        overrides: Settings (attribute names, values as text) that override the environment, also in workers.
        workers: The number of worker processes.

    Raises:
        ConfigError: A setting is invalid, the port is in use, or the data directory cannot be used.
        UnavailableError: Redis does not answer.
    """
    async with AsyncExitStack() as stack:
        settings = load_settings(**overrides)
        listening = stack.enter_context(
            bind(settings.host, settings.port, names="NOTIFIER_HOST, NOTIFIER_PORT")
        )
        effective = {**overrides, "port": str(port_of(listening))}
        if settings.redis_url is None:
            effective["redis_url"] = await stack.enter_async_context(
                embedded_valkey(settings.data_dir / DATA_FOLDER)
            )
        settings = load_settings(**effective)
        runtime = await stack.enter_async_context(open_runtime(settings))
        await stack.enter_async_context(served(create_app(runtime), listening, runner_of=ApiRunner))
        started_at = time.time()
        await stack.enter_async_context(_worker_processes(workers, effective))
        yield Stack(runtime, settings.base_url, started_at)


@asynccontextmanager
async def serve_api(settings: Settings) -> AsyncIterator[Runtime]:
    """Serve the API alone.

    Raises:
        ConfigError: There is no Redis URL, or the port is in use.
        UnavailableError: Redis does not answer.
    """
    with bind(settings.host, settings.port, names="NOTIFIER_HOST, NOTIFIER_PORT") as listening:
        effective = settings.model_copy(update={"port": port_of(listening)})
        async with (
            open_runtime(effective) as runtime,
            served(create_app(runtime), listening, runner_of=ApiRunner),
        ):
            yield runtime


@asynccontextmanager
async def _worker_processes(count: int, overrides: Mapping[str, str]) -> AsyncIterator[None]:
    spawn = partial(_spawn_worker, overrides)
    children: list[Child] = []
    try:
        for number in range(1, count + 1):
            child = await Child.start(f"worker-{number}", spawn)
            children.append(child)
        yield
    finally:
        await asyncio.gather(*(child.stop(patience=WORKER_STOP_SECONDS) for child in children))


async def _spawn_worker(overrides: Mapping[str, str]) -> Process:
    """Start a worker in its own session, so that a terminal's Ctrl-C reaches it only through us.

    Its standard input stays open as long as we run: when it closes, the worker knows that we were killed.
    """
    settings = {ENV_PREFIX + name.upper(): value for name, value in overrides.items()}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # nothing is imported from the current directory
        "-m",
        "notifier.cli",
        "worker",
        "--supervised",
        env={**os.environ, **settings},
        stdin=PIPE,
        start_new_session=True,
    )
