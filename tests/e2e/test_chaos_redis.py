"""Chaos tests with a crashing or silent server, and an unreachable receiver."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from notifier.core.delivery import breaker
from notifier.errors import UnavailableError
from notifier.store import Commit, schema
from tests.support.chaos import (
    ROUND,
    SPACES,
    DeliveryLoad,
    open_load,
    restarted_on_exit,
    space_commit,
    worker_process,
)
from tests.support.counting_receiver import CountingReceiver
from tests.support.processes import NotifierProcess, RedisServer, is_stopped
from tests.support.wait import wait_until

pytestmark = [pytest.mark.server, pytest.mark.no_cover]

OUT_OF_REACH_SECONDS = 30.0


async def commit_whatever_happens(load: DeliveryLoad, commits: Sequence[Commit]) -> None:
    """Commit as the poller does: read and retry whatever failed or conflicted."""
    for each in commits:
        await wait_until(
            partial(_is_committed, load, each), timeout=60, interval=0.05, message="it can be committed"
        )
        load.record_committed(each)


async def _is_committed(load: DeliveryLoad, commit: Commit) -> bool:
    space_id = commit.known.space.id
    spaces = load.runtime.store.spaces
    with suppress(UnavailableError):
        if (await spaces.read_many([space_id]))[space_id].version > commit.version:
            return True  # It was committed before, but the acknowledgement was lost.
        return await spaces.commit([commit]) == [True]
    return False


@pytest.mark.timeout(240)
async def test_kill_9_of_the_server_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    # Writes of a killed process survive in the kernel, so this tests how our scripts and clients handle
    # a crash. With `appendfsync always` the same holds for a power failure.
    with RedisServer(tmp_path / "redis", appendfsync="always") as server:
        worker = worker_process(server.url, tmp_path)
        async with open_load(server.url) as load, restarted_on_exit(worker) as ended:
            await load.commit_round()
            await load.accepted(ROUND // 4)
            load.rounds += 1
            commits = [space_commit(number, load.rounds) for number in range(SPACES)]
            going_on = asyncio.create_task(commit_whatever_happens(load, commits))
            await wait_until(lambda: len(load.events) > ROUND // 10 + SPACES, message="more is committed")
            server.kill()
            acknowledged: list[str] = [*load.events]
            assert not going_on.done()
            assert load.receiver.accepted < ROUND
            await worker.wait_for("redis.lost", timeout=60)
            await asyncio.to_thread(server.start)
            assert len(await load.runtime.store.events.get_many(acknowledged)) == len(acknowledged)
            assert await load.record_interrupted() > 0
            await going_on
            await load.settled()
            await load.check()
            assert ended == []


@pytest.mark.timeout(240)
async def test_30_s_without_redis_and_an_unreachable_receiver_lose_nothing(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as server:
        worker = worker_process(server.url, tmp_path)
        async with (
            open_load(server.url) as load,
            CountingReceiver() as away,
            restarted_on_exit(worker) as ended,
        ):
            await load.add_endpoint("/away", away)
            await load.commit_round()
            await wait_until(lambda: away.accepted >= 50, timeout=60, message="the receiver gets something")
            away.stop()
            await load.commit_plain(0)  # the receiver may have had everything else before it stopped
            await breaker_opens(load, "/away")
            await load.commit_round()
            await load.accepted(load.receiver.accepted + ROUND // 10)

            # The worker is frozen while its attempts in flight are recorded; then its server is silent.
            await freeze(worker)
            assert await load.record_interrupted() > 0
            await freeze(server)
            worker.signal(signal.SIGCONT)
            assert away.accepted < len(load.events)
            assert load.receiver.accepted < 2 * ROUND
            await asyncio.sleep(OUT_OF_REACH_SECONDS)
            server.signal(signal.SIGCONT)
            await away.start()

            await load.settled()
            await load.check()
            failed = int(await run_of(load, "/away", "failed"))
            probes = 3
            assert failed <= breaker.FAILURES_IN_A_ROW + load.endpoints["/away"].max_concurrency + probes
            assert ended == []


async def freeze(process: NotifierProcess | RedisServer) -> None:
    """Stop a process, and wait until it has stopped, which may take time on a busy machine."""
    process.signal(signal.SIGSTOP)
    await wait_until(lambda: is_stopped(process.pid), message="the process is stopped")


async def breaker_opens(load: DeliveryLoad, path: str) -> None:
    """Wait until the breaker of a failing receiver opens."""

    async def is_open() -> bool:
        return float(await run_of(load, path, "open_until")) > 0

    await wait_until(is_open, timeout=60, message="the breaker opens")


async def run_of(load: DeliveryLoad, path: str, name: str) -> str:
    """Return a field of an endpoint's state."""
    store = load.runtime.store
    return str(
        await store.database.redis.hget(store.partitions.key(schema.STATE, load.endpoints[path].id), name)
        or 0
    )
