"""The workers' client waits for a failing server, and repeats only what it must."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.exceptions import DataError, NoPermissionError, RedisError, ResponseError, WatchError
from structlog.testing import capture_logs

from notifier.store import Retrying
from notifier.store.connection import connect
from tests.support.processes import RedisServer
from tests.support.wait import wait_until

pytestmark = pytest.mark.server


@pytest.fixture
def server(tmp_path: Path) -> Any:
    with RedisServer(tmp_path / "redis") as started:
        yield started


@pytest.fixture
def retrying() -> Retrying:
    return Retrying()


@pytest.fixture
async def client(server: RedisServer, retrying: Retrying) -> AsyncIterator[Any]:
    made: Any = connect(server.url, retrying=retrying)
    yield made
    retrying.end()
    await made.aclose(close_connection_pool=True)


def ask(server: RedisServer, *command: str) -> Any:
    """Run a command on a separate connection."""
    with redis.Redis(port=server.port, decode_responses=True) as other:
        return other.execute_command(*command)


@pytest.mark.parametrize("turns", range(4))
async def test_no_connection_is_handed_out_while_it_closes(client: Any, turns: int) -> None:
    many = range(20)
    await asyncio.gather(*(client.ping() for _ in many))
    closing = asyncio.create_task(client.connection_pool.disconnect(inuse_connections=False))
    for _ in range(turns):
        await asyncio.sleep(0)
    assert await asyncio.gather(*(client.ping() for _ in many)) == [True] * len(many)
    await closing
    assert client.retrying.repeats == 0


async def test_a_blocking_read_waits_for_a_server_that_was_a_replica(
    server: RedisServer, client: Any, retrying: Retrying
) -> None:
    reading = asyncio.create_task(client.bzpopmin("queue", timeout=4))
    await wait_until(lambda: int(ask(server, "INFO", "clients")["blocked_clients"]) == 1)
    ask(server, "REPLICAOF", "127.0.0.1", "1")
    await wait_until(lambda: retrying.waits, message="the read waits for the server")
    ask(server, "REPLICAOF", "NO", "ONE")
    ask(server, "ZADD", "queue", "1", "job")
    assert await reading == ("queue", "job", 1.0)


async def test_commands_and_pipelines_wait_for_a_restart_and_log_it_once(
    server: RedisServer, client: Any
) -> None:
    await client.set("before", 1)
    await asyncio.to_thread(server.stop)
    with capture_logs() as logs:
        alone = asyncio.create_task(client.incr("alone"))
        pipeline = client.pipeline(transaction=False).incr("piped").get("before")
        together = asyncio.create_task(pipeline.execute())
        await wait_until(lambda: logs, message="the loss is logged")
        await asyncio.to_thread(server.start)
        assert await alone == 1
        assert await together == [1, "1"]
    assert [each["event"] for each in logs] == ["redis.lost", "redis.back"]
    assert f"connecting to 127.0.0.1:{server.port}" in logs[0]["reason"]


async def test_a_single_broken_connection_is_not_logged(server: RedisServer, client: Any) -> None:
    await client.set("key", 1)
    with capture_logs() as logs:
        for _ in range(5):
            ask(server, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            assert await client.get("key") == "1"
    assert logs == []


async def test_only_refused_commands_of_a_pipeline_are_repeated(server: RedisServer, client: Any) -> None:
    ask(server, "SET", "counted", "0")
    ask(server, "HSET", "hash", "field", "value")
    ask(server, "CONFIG", "SET", "maxmemory", "1")
    # HDEL needs no memory and succeeds; SET does not.
    pipeline = client.pipeline(transaction=False)
    pipeline.hdel("hash", "field").set("key", "value").get("counted")
    waiting = asyncio.create_task(pipeline.execute())
    await wait_until(lambda: not ask(server, "HEXISTS", "hash", "field"), message="the first one is done")
    assert not waiting.done()
    ask(server, "CONFIG", "SET", "maxmemory", "0")
    assert await waiting == [1, True, "0"]  # a second HDEL would have returned 0


async def test_a_transaction_waits_as_a_whole(server: RedisServer, client: Any) -> None:
    ask(server, "CONFIG", "SET", "maxmemory", "1")
    waiting = asyncio.create_task(client.pipeline(transaction=True).incr("one").incr("two").execute())
    await wait_until(lambda: ask(server, "INFO", "errorstats"), message="it was refused")
    ask(server, "CONFIG", "SET", "maxmemory", "0")
    assert await waiting == [1, 1]


async def test_a_watch_with_a_broken_connection_is_repeated(server: RedisServer, client: Any) -> None:
    async with client.pipeline(transaction=True) as pipeline:
        await pipeline.watch("watched")
        ask(server, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert await pipeline.exists("watched") == 0
        ask(server, "SET", "watched", "1")
        pipeline.multi()
        pipeline.set("done", 1)
        with pytest.raises(WatchError):
            await pipeline.execute()
    assert await client.get("done") is None


@pytest.mark.parametrize("fault", ["NOREPLICAS", "READONLY"])
async def test_the_client_waits_for_a_server_that_does_not_accept_writes(
    server: RedisServer, client: Any, fault: str
) -> None:
    if fault == "READONLY":
        ask(server, "REPLICAOF", "127.0.0.1", "1")
    else:
        ask(server, "CONFIG", "SET", "min-replicas-to-write", "1")
    waiting = asyncio.create_task(client.set("key", 1))
    await wait_until(lambda: client.retrying.waits, message="the command waits")
    if fault == "READONLY":
        ask(server, "REPLICAOF", "NO", "ONE")
    else:
        ask(server, "CONFIG", "SET", "min-replicas-to-write", "0")
    assert await waiting


async def test_a_refusal_is_raised_at_once_and_remembered(server: RedisServer, client: Any) -> None:
    await client.set("key", 1)
    ask(server, "ACL", "SETUSER", "default", "-get")
    with pytest.raises(NoPermissionError):
        await client.get("key")
    assert client.retrying.refused.is_set()


async def test_a_wrong_command_is_raised_but_is_not_a_refusal(client: Any) -> None:
    await client.set("key", "text")
    with pytest.raises(ResponseError, match="wrong kind"):
        await client.lpush("key", 1)
    assert not client.retrying.refused.is_set()


async def test_an_unserializable_command_is_raised_at_once(client: Any) -> None:
    with pytest.raises(DataError):
        await client.set("key", object())
    assert client.retrying.repeats == 0


async def test_nothing_waits_after_the_shutdown(server: RedisServer, client: Any) -> None:
    await client.set("key", 1)
    await asyncio.to_thread(server.stop)
    waiting = asyncio.create_task(client.get("key"))
    await wait_until(lambda: client.retrying.waits, message="the command waits")
    client.retrying.end()
    with pytest.raises(RedisError):
        await waiting
