"""Child processes that are restarted when they die, and stopped by their own id."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Self, TypeAlias

import structlog

FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0
STEADY_SECONDS: Final = 60.0
"""A process that ran this long counts as healthy: if it dies, the pauses start over."""

Spawn: TypeAlias = Callable[[], Awaitable[Process]]

log = structlog.get_logger(__name__)


def pause_after(lived: float, previous: float | None) -> float:
    """Return the seconds to wait before restarting a process that ran for ``lived`` seconds.

    The pauses double while it keeps dying early, so that a process that cannot run costs very little.
    """
    if previous is None or lived >= STEADY_SECONDS:
        return FIRST_PAUSE_SECONDS
    return min(previous * 2, LONGEST_PAUSE_SECONDS)


class Child:
    """One process that is kept running until :meth:`stop`."""

    def __init__(self, name: str, spawn: Spawn, process: Process) -> None:
        self._name = name
        self._spawn = spawn
        self._process = process
        self._stopping = asyncio.Event()
        self._keeper = asyncio.create_task(self._keep())

    @classmethod
    async def start(cls, name: str, spawn: Spawn) -> Self:
        """Start a process and keep it running; ``name`` identifies it in the log.

        Raises:
            OSError: It cannot be started at all.
        """
        return cls(name, spawn, await spawn())

    async def stop(self, *, patience: float) -> None:
        """Ask the process to exit, and kill it after ``patience`` seconds."""
        self._stopping.set()
        self._terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._keeper), patience)
        if not self._keeper.done():
            log.error("child.killed", child=self._name, pid=self._process.pid, after_seconds=patience)
            self._process.kill()
        await self._keeper

    async def _keep(self) -> None:
        loop, pause = asyncio.get_running_loop(), None
        while True:
            born = loop.time()
            exit_code = await self._process.wait()
            if self._stopping.is_set():
                return
            lived = loop.time() - born
            pause = pause_after(lived, pause)
            log.error(
                "child.died",
                child=self._name,
                pid=self._process.pid,
                exit_code=exit_code,
                lived_seconds=round(lived, 1),
                restart_in_seconds=pause,
            )
            if not await self._start_again(pause):
                return

    async def _start_again(self, pause: float) -> bool:
        """Wait and restart the process; return False if it is to stop instead."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            if self._stopping.is_set():
                return False
            try:
                self._process = await self._spawn()
            except OSError as error:
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                reason = error.strerror
                log.error("child.not_started", child=self._name, reason=reason, restart_in_seconds=pause)  # noqa: TRY400  the reason is enough
                continue
            if self._stopping.is_set():  # asked to stop while it was being started
                self._terminate()
            return True

    def _terminate(self) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):  # it has just exited
                self._process.terminate()
