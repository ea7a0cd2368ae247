"""Commands that run until a signal, in the process of their tests."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import aiohttp
import pytest

from notifier.cli.demo_record import EXPECTED_COUNT
from notifier.cli.simulation import Simulation, simulated_source
from notifier.cli.up import run_up
from notifier.runtime import open_runtime
from tests.support.commands import Running, run_command, run_command_beside, running_command
from tests.support.pipeline import MASTER_KEY, quick_settings
from tests.support.wait import wait_until

URL = re.compile(r"http://127\.0\.0\.1:\d+")


@pytest.fixture
def collector_as_before() -> Iterator[None]:
    """Undo what a worker does to the garbage collector."""
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


async def status_of(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status


async def a_worker_reported(redis_url: str) -> bool:
    async with open_runtime(quick_settings(redis_url)) as runtime:
        return await runtime.store.workers.reported_within(10, now=runtime.clock())


def test_the_api_serves_until_a_signal(redis_url: str) -> None:
    async def visit(running: Running) -> None:
        await running.wait_for("serving")
        (url,) = URL.findall(running.output)
        assert await status_of(f"{url}/healthz") == 200
        assert await status_of(f"{url}/readyz") == 503  # there is no worker

    done = run_command_beside(visit, "api", REDIS_URL=redis_url, MASTER_KEYS=MASTER_KEY, PORT="0")
    assert done.code == 0
    assert len(re.findall(r"^    snk_[\w-]+$", done.output, re.MULTILINE)) == 1
    assert "Traceback" not in done.errors


@pytest.mark.usefixtures("collector_as_before")
def test_a_worker_works_until_a_signal(redis_url: str) -> None:
    async def visit(running: Running) -> None:
        await running.wait_for("worker.started")
        await wait_until(lambda: a_worker_reported(redis_url))

    done = run_command_beside(visit, "worker", REDIS_URL=redis_url, MASTER_KEYS=MASTER_KEY)
    assert (done.code, done.output) == (0, "")
    assert "worker.stopped" in done.errors


@pytest.mark.usefixtures("collector_as_before")
def test_a_supervised_worker_ends_when_its_supervisor_closes_its_input(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr(import_module("notifier.cli.worker"), "STANDARD_INPUT", reading)

    async def visit(running: Running) -> None:
        await running.wait_for("worker.started")
        os.close(writing)
        await wait_until(running.ended.is_set)

    done = run_command_beside(visit, "worker", "--supervised", REDIS_URL=redis_url, MASTER_KEYS=MASTER_KEY)
    os.close(reading)
    assert done.code == 0
    assert "worker.stopped" in done.errors


def test_the_stand_in_answers_until_a_signal() -> None:
    async def visit(running: Running) -> None:
        await running.wait_for("Running demo at speed 1e+06 on http://")
        (url,) = URL.findall(running.output)
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{url}/_simulator/status") as answer,
        ):
            document = await answer.json()
        assert (document["contract"], document["ended"]) == ("legacy", True)

    options = ("--port", "0", "--contract", "legacy", "--speed", "1000000")
    assert run_command_beside(visit, "simulate", "demo", *options).code == 0


async def test_up_runs_the_stand_in_beside_the_rest(tmp_path: Path) -> None:
    work = run_up(workers=0, source=simulated_source(Simulation("demo", speed=1e6)))
    settings = {"PORT": "0", "ADMIN_KEY": "key", "DATA_DIR": str(tmp_path / "data")}
    async with running_command(work, **settings) as up:
        await up.wait_for("simulating")
        (url,) = URL.findall(up.output)
        assert await status_of(f"{url}/_simulator/status") == 200
        await wait_until((tmp_path / "data" / "valkey" / "url").exists)


def test_a_demo_that_takes_too_long_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("notifier.cli.demo"), "DEADLINE_SECONDS", 0.0)
    done = run_command("demo")
    assert done.code == 1
    assert "Timed out after 0 s." in done.output
    assert f"0 of {EXPECTED_COUNT} events" in done.output
    assert "the demo failed" in done.output
