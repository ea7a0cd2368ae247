"""Child processes: restarted with pauses after a crash, and always terminated at the end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.cli import supervision
from notifier.cli.supervision import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Child, pause_after
from tests.support.processes import is_alive
from tests.support.wait import wait_until


class Spawner:
    """Starts Python programs and records their processes."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.processes: list[Process] = []
        self.fails = False
        self.failures = 0

    async def __call__(self) -> Process:
        if self.fails:
            self.failures += 1
            raise OSError(12, "Cannot allocate memory")
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", self.program, stdout=PIPE)
        self.processes.append(process)
        return process


WAITS = "import time; print('up', flush=True); time.sleep(60)"
IGNORES_SIGTERM = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAITS}"


@given(st.lists(st.floats(0, 59), min_size=1, max_size=30))
def test_restart_pauses_grow_up_to_a_limit_while_a_process_keeps_crashing(lives: list[float]) -> None:
    pauses = [pause_after(lives[0], None)]
    for lived in lives[1:]:
        pauses.append(pause_after(lived, pauses[-1]))
    assert pauses[0] == FIRST_PAUSE_SECONDS
    assert all(before < after or after == LONGEST_PAUSE_SECONDS for before, after in pairwise(pauses))
    assert max(pauses) <= LONGEST_PAUSE_SECONDS


def test_a_long_run_resets_the_restart_pauses() -> None:
    assert pause_after(60.0, 16.0) == FIRST_PAUSE_SECONDS


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "FIRST_PAUSE_SECONDS", 0.01)


@pytest.mark.usefixtures("quick")
async def test_a_crashed_process_is_restarted() -> None:
    spawner = Spawner(WAITS)
    child = await Child.start("sleeper", spawner)
    os.kill(spawner.processes[0].pid, signal.SIGKILL)
    await wait_until(lambda: len(spawner.processes) == 2)
    await child.stop(patience=10)
    assert [process.returncode for process in spawner.processes] == [-signal.SIGKILL, -signal.SIGTERM]


@pytest.mark.usefixtures("quick")
async def test_supervision_continues_when_a_start_fails() -> None:
    spawner = Spawner(WAITS)
    child = await Child.start("sleeper", spawner)
    spawner.fails = True
    os.kill(spawner.processes[0].pid, signal.SIGKILL)
    await wait_until(lambda: spawner.failures == 2)
    spawner.fails = False
    await wait_until(lambda: len(spawner.processes) == 2)
    await child.stop(patience=10)


async def test_the_shutdown_does_not_wait_for_a_pause() -> None:
    spawner = Spawner("raise SystemExit(3)")
    child = await Child.start("broken", spawner)
    await spawner.processes[0].wait()
    await asyncio.wait_for(child.stop(patience=10), 5)
    assert len(spawner.processes) == 1


async def test_a_process_that_ignores_the_request_to_end_is_killed() -> None:
    spawner = Spawner(IGNORES_SIGTERM)
    child = await Child.start("stubborn", spawner)
    (process,) = spawner.processes
    assert process.stdout is not None
    await process.stdout.readline()
    await child.stop(patience=0.05)
    assert process.returncode == -signal.SIGKILL
    assert not is_alive(process.pid)
