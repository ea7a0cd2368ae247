"""Commands inside the test's process: much faster than a new one, and measured with the test.

What is about a process itself (signals, children, locks, the whole output) is tested with
:class:`tests.support.processes.NotifierProcess`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from io import StringIO
from threading import Event
from typing import TypeAlias

import pytest

from notifier.cli import main
from notifier.config import ENV_PREFIX
from tests.support.logs import logging_as_before
from tests.support.wait import wait_until


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended: its exit code and what it printed."""

    code: int
    output: str
    errors: str


@dataclass(frozen=True, slots=True)
class Running:
    """A command that runs in this process."""

    printed: StringIO = field(default_factory=StringIO)
    complained: StringIO = field(default_factory=StringIO)
    ended: Event = field(default_factory=Event)

    @property
    def output(self) -> str:
        """The output so far, then what went to standard error."""
        return self.printed.getvalue() + self.complained.getvalue()

    async def wait_for(self, text: str) -> None:
        """Wait until it has printed ``text``; fail at once if it ends first."""

        def found() -> bool:
            ended = self.ended.is_set()
            assert text in self.output or not ended, f"ended before {text!r}:\n{self.output}"
            return text in self.output

        await wait_until(found, message=lambda: f"no {text!r} in:\n{self.output}")


Visit: TypeAlias = Callable[[Running], Awaitable[None]]


def run_command(*arguments: str, **settings: str) -> Done:
    """Run ``space-notifier …`` in the current directory until it exits, with these settings only."""
    return run_program(main, *arguments, **settings)


def run_program(program: Callable[[], object], *arguments: str, **settings: str) -> Done:
    """Run any program of ours in the same way."""
    running = Running()
    with _as_its_process(running, arguments, settings):
        code = _exit_code_of(program)
    return Done(code, running.printed.getvalue(), running.complained.getvalue())


def run_command_beside(visit: Visit, *arguments: str, number: int = signal.SIGTERM, **settings: str) -> Done:
    """Run a command that lasts, and ``visit`` in another thread; its end is the signal that ends the command.

    The command has the main thread, which is the one that receives signals.
    """
    running = Running()

    async def visiting() -> None:
        try:
            await visit(running)
        finally:
            if not running.ended.is_set():
                os.kill(os.getpid(), number)

    with _as_its_process(running, arguments, settings), ThreadPoolExecutor(1) as thread:
        visited = thread.submit(asyncio.run, visiting())
        try:
            code = _exit_code_of(main)
        finally:
            running.ended.set()
        visited.result()
    return Done(code, running.printed.getvalue(), running.complained.getvalue())


def _exit_code_of(program: Callable[[], object]) -> int:
    with pytest.raises(SystemExit) as exit_:
        program()
    assert isinstance(exit_.value.code, int)
    return exit_.value.code


@asynccontextmanager
async def running_command(work: Coroutine[object, object, None], **settings: str) -> AsyncIterator[Running]:
    """Run what a command does until a signal, as a task of this event loop that ends with the block."""
    running = Running()
    with _as_its_process(running, (), settings):
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: running.ended.set())
        try:
            yield running
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@contextmanager
def _as_its_process(
    running: Running, arguments: Sequence[str], settings: Mapping[str, str]
) -> Iterator[None]:
    """Arrange what a command finds in a process of its own, and undo what it does to this one."""
    with (
        pytest.MonkeyPatch.context() as patch,
        logging_as_before(),
        redirect_stdout(running.printed),
        redirect_stderr(running.complained),
    ):
        for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
            patch.delenv(name)
        for name, value in settings.items():
            patch.setenv(ENV_PREFIX + name, value)
        patch.setenv("COLUMNS", "120")
        patch.setattr(sys, "argv", ["space-notifier", *arguments])
        patch.setattr(sys, "excepthook", sys.excepthook)  # typer replaces it
        yield
