"""Chaos tests with workers that are killed, stopped, or whose clock is stepped."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.chaos import ROUND, open_load, worker_process
from tests.support.chaos_clock import SteppedClock
from tests.support.processes import RedisServer

pytestmark = pytest.mark.no_cover

ROUNDS = 10
HOUR = 3600.0


@pytest.mark.timeout(300)
async def test_kill_9_in_ten_rounds_of_5000_deliveries_loses_none(tmp_path: Path) -> None:
    moments = random.Random(5)  # noqa: S311  chooses moments, reproducibly
    # One of two workers is killed each time; the other continues while it restarts.
    with RedisServer(tmp_path / "redis") as server, ExitStack() as running:
        async with open_load(server.url) as load:
            workers = [
                running.enter_context(worker_process(server.url, tmp_path, name=f"worker{number}"))
                for number in range(2)
            ]
            for number in range(ROUNDS):
                victim, survivor = workers[number % 2], workers[1 - number % 2]
                await victim.wait_for("worker.started", timeout=60)
                await load.commit_round()
                await load.accepted(load.receiver.accepted + moments.randrange(1, ROUND))
                # Stopped first, so that nobody finds it dead and releases its leases before they are noted.
                victim.signal(signal.SIGSTOP)
                assert await load.record_interrupted() > 0
                victim.signal(signal.SIGKILL)
                await victim.wait()
                assert survivor.exit_code is None
                victim.start()
            await load.settled()
            assert len(load.events) * len(load.endpoints) == ROUNDS * ROUND
            await load.check()
            assert load.receiver.verified > 0


async def test_sigterm_finishes_attempts_in_flight_and_sends_nothing_twice(
    tmp_path: Path,
) -> None:
    with RedisServer(tmp_path / "redis") as server, worker_process(server.url, tmp_path) as worker:
        async with open_load(server.url) as load:
            await load.commit_round()
            await load.accepted(ROUND // 4)
            worker.signal(signal.SIGTERM)
            assert await worker.wait() == 0
            assert load.receiver.accepted < ROUND
            assert await load.record_interrupted() == 0
            worker.start()
            await load.settled()
            await load.check()


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(HOUR, id="forward"),
        pytest.param(-HOUR, id="backward"),
    ],
)
async def test_stepping_the_clock_by_an_hour_neither_loses_nor_repeats_deliveries(
    tmp_path: Path, step: float
) -> None:
    clock = SteppedClock(tmp_path / "offset")
    began = time.time()
    with (
        RedisServer(tmp_path / "redis") as server,
        worker_process(server.url, tmp_path, variables=clock.variables) as worker,
    ):
        async with open_load(server.url, verifies=False) as load:
            await load.commit_round()
            await load.accepted(ROUND // 4)
            clock.step(step)
            assert load.receiver.accepted < ROUND
            await load.commit_round()
            await load.settled()
            await load.check()
            # The receiver sees the worker's clock in the timestamps.
            hours = Counter(
                round((each.timestamp - began) / HOUR)
                for arrivals in load.receiver.arrivals.values()
                for each in arrivals
            )
            assert hours.keys() == {0, step / HOUR}
            assert worker.exit_code is None
