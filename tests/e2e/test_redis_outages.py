"""Workers and API survive outages of Redis: no process exits, nothing is lost."""

from __future__ import annotations

import asyncio
import resource
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import redis

from tests.support.chaos import worker_process
from tests.support.flow import flowing
from tests.support.processes import RedisServer
from tests.support.sentinel import sentinel_setup
from tests.support.wait import wait_until

pytestmark = [pytest.mark.server, pytest.mark.no_cover]

DELIVERIES: Final = 2000
THROUGH_FAILOVERS: Final = 5000
FROZEN_SECONDS: Final = 20.0
AWAY_SECONDS: Final = 1.5

SLOW_TO_LOAD: Final = {"key-load-delay": "1000", "loading-process-events-interval-bytes": "1024"}
"""Hidden settings of the server: each key of its file takes a millisecond, as though the file were large."""


async def restart(server: RedisServer) -> None:
    """Stop the server and start it again."""
    await asyncio.to_thread(server.stop)
    await asyncio.sleep(AWAY_SECONDS)
    await asyncio.to_thread(server.start)


async def load_a_large_file(server: RedisServer) -> None:
    """Restart the server with a file that takes seconds to load."""
    with redis.Redis(port=server.port, decode_responses=True) as client:
        client.bgrewriteaof()
        await wait_until(lambda: not client.info("persistence")["aof_rewrite_in_progress"])
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)


async def pause(server: RedisServer) -> None:
    """Pause the server's command processing for a while."""
    with redis.Redis(port=server.port) as client:
        client.client_pause(3000)
    await asyncio.sleep(3)


async def freeze(server: RedisServer) -> None:
    """Freeze the server's process for a while."""
    server.signal(signal.SIGSTOP)
    await asyncio.sleep(FROZEN_SECONDS)
    server.signal(signal.SIGCONT)


async def refuse_clients(server: RedisServer) -> None:
    """Set the client limit so that no connection is left."""
    with redis.Redis(port=server.port) as client:
        client.config_set("maxclients", 1)
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await asyncio.sleep(AWAY_SECONDS)
        client.config_set("maxclients", 1000)


async def make_a_replica(server: RedisServer) -> None:
    """Have the server refuse writes, like a demoted primary."""
    with redis.Redis(port=server.port) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        await asyncio.sleep(AWAY_SECONDS)
        client.execute_command("REPLICAOF", "NO", "ONE")


async def fill_the_disk(server: RedisServer) -> None:
    """Prevent the server's files from growing."""
    unlimited = resource.RLIM_INFINITY
    with redis.Redis(port=server.port, decode_responses=True) as client:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (1, unlimited))
        await wait_until(lambda: client.info("persistence")["aof_last_write_status"] == "err")
        await asyncio.sleep(AWAY_SECONDS)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
        await wait_until(lambda: client.info("persistence")["aof_last_write_status"] == "ok")


async def kill_connections(server: RedisServer) -> None:
    """Cut every connection, ten times."""
    with redis.Redis(port=server.port) as client:
        for _ in range(10):
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await asyncio.sleep(0.1)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "happens",
    [
        restart,
        load_a_large_file,
        pause,
        freeze,
        refuse_clients,
        make_a_replica,
        fill_the_disk,
        kill_connections,
    ],
)
async def test_a_worker_and_the_api_survive(
    happens: Callable[[RedisServer], Awaitable[None]], tmp_path: Path
) -> None:
    with RedisServer(tmp_path / "redis", options=SLOW_TO_LOAD) as server:
        async with flowing(server.url, tmp_path, workers=1, deliveries=DELIVERIES) as flow:
            await happens(server)
            await flow.goes_on()
            await flow.check()
            log = flow.log()
            lost, back = (sum(word in line for line in log) for word in ("redis.lost", "redis.back"))
            assert lost == back <= 1, "\n".join(log)


async def test_a_worker_stopped_without_redis_shuts_down_cleanly(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as server, worker_process(server.url, tmp_path) as worker:
        await worker.wait_for("worker.started")
        await asyncio.to_thread(server.stop)
        await worker.wait_for("redis.lost")
        worker.signal(signal.SIGTERM)
        assert await worker.wait() == 0
        for noise in ("Traceback", "Unclosed", "never retrieved"):
            assert noise not in worker.output, worker.output


@pytest.mark.timeout(180)
async def test_two_workers_and_the_api_survive_two_sentinel_failovers(tmp_path: Path) -> None:
    with sentinel_setup(tmp_path) as servers:
        await wait_until(
            servers.is_replicating, timeout=30, interval=0.1, message="the Sentinels know each other"
        )
        async with flowing(servers.url, tmp_path, workers=2, deliveries=THROUGH_FAILOVERS) as flow:
            for _ in range(2):
                old = servers.primary
                old.kill()
                await wait_until(
                    partial(servers.has_replaced, old),
                    timeout=30,
                    interval=0.05,
                    message="a failover",
                )
                await flow.goes_on()
                await asyncio.to_thread(old.start)
                await wait_until(
                    servers.is_replicating, timeout=30, interval=0.1, message="the old one follows"
                )
            await flow.check()
