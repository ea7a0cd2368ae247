"""Wakeups: rung for once, taken by one worker, and run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from notifier.errors import UnavailableError
from notifier.runtime import Runtime, open_runtime
from notifier.store import Job, JobName, Wakeup, deliver_job, schema
from notifier.store.wakeup import is_job
from tests.support.pipeline import add_endpoint, numbered_event, quick_settings
from tests.support.receiver import Receiver
from tests.support.wait import wait_until
from workers import housekeeping, jobs
from workers.clients import delivery_client
from workers.context import Worker

pytestmark = pytest.mark.server

SHORT = 0.05


@pytest.fixture
async def runtime(redis_url: str) -> AsyncIterator[Runtime]:
    async with open_runtime(quick_settings(redis_url)) as runtime:
        yield runtime


@pytest.fixture
async def worker(runtime: Runtime) -> AsyncIterator[Worker]:
    """A worker that runs what is rung for."""
    async with delivery_client(runtime, max_connections=4) as client:
        worker = Worker("alone", runtime, None, client, start=jobs.start)
        listening = asyncio.create_task(jobs.listen(worker))
        yield worker
        worker.stopping.set()
        await runtime.wakeup.ring(Job.DISPATCH)  # ends the read that it waits in
        await listening
        while worker.background:
            await asyncio.wait(worker.background)


async def test_a_job_is_rung_for_once_and_the_longest_waiting_is_taken_first(runtime: Runtime) -> None:
    wakeup = runtime.wakeup
    await wakeup.ring(Job.OBSERVE, deliver_job(2))
    await runtime.store.database.redis.zincrby(schema.WAKEUPS(), -1, deliver_job(2))
    await wakeup.ring(deliver_job(2), Job.OBSERVE)
    assert [await wakeup.next(seconds=SHORT) for _ in range(3)] == [deliver_job(2), Job.OBSERVE, None]


async def test_nothing_to_ring_for_is_no_error(runtime: Runtime) -> None:
    await runtime.wakeup.ring()
    assert await runtime.wakeup.next(seconds=SHORT) is None


async def test_each_wakeup_goes_to_one_of_those_who_wait(runtime: Runtime) -> None:
    waiting = [asyncio.create_task(runtime.wakeup.next(seconds=2.0)) for _ in range(3)]
    await runtime.wakeup.ring(Job.OBSERVE)
    await runtime.wakeup.ring(Job.RECOVER)
    taken = await asyncio.gather(*waiting)
    assert sorted(taken, key=str) == [None, Job.OBSERVE, Job.RECOVER]


@pytest.mark.parametrize(
    ("name", "known"),
    [
        *((job, job is not Job.DELIVER) for job in Job),
        ("deliver:0", True),
        ("deliver:1023", True),
        ("deliver:", False),
        ("deliver:x", False),
        ("sing", False),
        ("", False),
    ],
)
def test_the_names_of_jobs(name: str, known: bool) -> None:
    assert is_job(name) is known


def test_every_job_can_be_run() -> None:
    assert {*jobs.JOBS, Job.DELIVER} == set(Job)


async def test_a_wakeup_by_another_process_delivers(runtime: Runtime, worker: Worker) -> None:
    async with Receiver() as receiver:
        await add_endpoint(runtime, receiver, "/hook", event_types=("*",))
        await runtime.store.events.commit(numbered_event(1))
        await runtime.wakeup.ring(Job.DISPATCH)
        await receiver.wait_for("/hook", 1)
        await wait_until(lambda: not worker.background)


async def test_what_cannot_be_run_is_logged_and_the_next_is(
    runtime: Runtime, worker: Worker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail(_: Worker) -> None:
        raise ZeroDivisionError

    ran: list[Worker] = []

    async def recover(worker: Worker) -> None:
        ran.append(worker)

    monkeypatch.setattr(jobs, "JOBS", {Job.OBSERVE: fail, Job.RECOVER: recover})
    for job in ("sing", Job.OBSERVE, Job.RECOVER):
        await runtime.wakeup.ring(job)
    await wait_until(lambda: ran and not worker.background)
    assert ran == [worker]
    out = capsys.readouterr().out
    assert "worker.unknown_job" in out
    assert "worker.job_failed" in out
    assert "ZeroDivisionError" in out


@pytest.mark.parametrize("error", [UnavailableError("Redis does not serve"), ZeroDivisionError()])
async def test_a_worker_listens_again_after_a_failure(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    class FailsOnce(Wakeup):
        failed = False

        async def next(self, *, seconds: float) -> JobName | None:
            if not self.failed:
                self.failed = True
                raise error
            return await super().next(seconds=seconds)

    monkeypatch.setattr(jobs, "PAUSE_SECONDS", 0.0)
    wakeup = FailsOnce(runtime.store.database)
    started: list[JobName] = []
    async with delivery_client(runtime, max_connections=1) as client:
        worker = Worker("alone", replace(runtime, wakeup=wakeup), None, client)
        worker.start = lambda _, job: started.append(job)
        monkeypatch.setattr(jobs, "start", worker.start)
        listening = asyncio.create_task(jobs.listen(worker))
        await wakeup.ring(Job.APPLY)
        await wait_until(lambda: started)
        worker.stopping.set()
        await wakeup.ring(Job.APPLY)
        await listening
    assert (wakeup.failed, started[0]) == (True, Job.APPLY)


async def test_no_fault_ends_the_sweep(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    swept: list[Worker] = []

    async def sweep(worker: Worker) -> None:
        swept.append(worker)
        if len(swept) == 1:
            raise ZeroDivisionError

    monkeypatch.setattr(housekeeping, "sweep", sweep)
    monkeypatch.setattr(housekeeping, "HEARTBEAT_SECONDS", 0.0)
    async with delivery_client(runtime, max_connections=1) as client:
        worker = Worker("alone", runtime, None, client)
        beating = asyncio.create_task(housekeeping.beat(worker))
        await wait_until(lambda: len(swept) > 1)
        worker.stopping.set()
        await beating
    assert "worker.sweep_failed" in capsys.readouterr().out


class TestAlarms:
    async def test_the_sooner_of_two_alarms_goes_off(self, worker: Worker) -> None:
        started: list[JobName] = []
        worker.start = lambda _, job: started.append(job)
        job = deliver_job(1)
        worker.start_in(job, 60.0)
        worker.start_in(job, 0.0)
        worker.start_in(job, 30.0)
        await wait_until(lambda: started)
        assert started == [job]
        assert worker.alarms == {}

    async def test_an_alarm_rings_for_any_worker(self, runtime: Runtime) -> None:
        async with delivery_client(runtime, max_connections=1) as client:
            worker = Worker("alone", runtime, None, client)
            worker.ring_in(Job.OBSERVE, 0.0)
            assert await runtime.wakeup.next(seconds=2.0) == Job.OBSERVE
            await wait_until(lambda: not worker.background)

    async def test_a_worker_that_stops_starts_nothing_more(self, runtime: Runtime) -> None:
        async with delivery_client(runtime, max_connections=1) as client:
            worker = Worker("alone", runtime, None, client)
            worker.stopping.set()
            worker.ring_in(Job.OBSERVE, 0.0)
            await wait_until(lambda: not worker.alarms)
            assert await runtime.wakeup.next(seconds=SHORT) is None
