"""Running until a signal."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from notifier.cli.serving import run_until_signal


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_work_and_a_second_one_does_not_interrupt_the_cleanup(number: int) -> None:
    steps: list[str] = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            steps.append("signalled")
            os.kill(os.getpid(), number)
            await asyncio.sleep(0.1)  # long enough for the signal, which this process sends to itself
            steps.append("cleaned up")

    run_until_signal(work())
    assert steps == ["signalled", "cleaned up"]


def test_a_failure_of_the_work_is_raised_to_the_caller() -> None:
    async def work() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        run_until_signal(work())
