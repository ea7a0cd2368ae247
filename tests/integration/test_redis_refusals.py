"""A server that does not work as Redis causes one prompt error that quotes it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
import redis

from notifier.errors import UnavailableError, UnusableServerError
from notifier.runtime import open_runtime
from notifier.store import Database, connect, connection, schema
from notifier.store.connection import ANSWER_SECONDS, CONNECT_SECONDS
from notifier.store.scripts import script
from tests.support.admin_api import KEY, Serve
from tests.support.pipeline import quick_settings
from tests.support.processes import RedisServer
from tests.support.stand_ins import (
    Visitor,
    answering,
    closes,
    listed,
    listening,
    sentinel_of,
    speaks_http,
    stays_silent,
)
from tests.support.wait import wait_until

pytestmark = pytest.mark.server

PROMISED_SECONDS: Final = 10.0
"""How soon a call of the API is answered that Redis does not serve."""

each_database = pytest.mark.parametrize("database", [0, 3], ids=["database 0", "another database"])
"""Where there is something to select, commands are sent while the connection is being made."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server for this module only, since its settings are changed."""
    with RedisServer(tmp_path_factory.mktemp("refusing")) as running:
        yield running


@pytest.fixture
def admin(server: RedisServer) -> Iterator[redis.Redis]:
    """A connection that may change the server's settings, which are restored afterwards."""
    with redis.Redis(port=server.port, decode_responses=True) as client:
        before = {name: client.config_get(name)[name] for name in CHANGED}
        yield client
        for name, value in before.items():
            client.config_set(name, value)
        client.replicaof("NO", "ONE")
        client.flushall()


CHANGED: Final = ("requirepass", "maxclients", "maxmemory")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the time-outs, since the answers never arrive in these tests."""
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(connection, "SENTINEL_SECONDS", 0.2)


@asynccontextmanager
async def database_at(url: str) -> AsyncIterator[Database]:
    database = Database(connect(url))
    try:
        yield database
    finally:
        await database.close()


async def fault_at(url: str) -> UnavailableError:
    """Return the error of the first command."""
    async with database_at(url) as database:
        with pytest.raises(UnavailableError) as refused:
            await database.ping()
    return refused.value


async def put(database: Database, value: str) -> None:
    async with database.pipeline() as pipe:
        pipe.set("sn:key", value)
        await pipe.execute()


def serves(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ResponseError:
        return False


async def ping_for_ever(database: Database) -> None:
    while True:
        await database.ping()


@each_database
async def test_a_missing_password(database: int, server: RedisServer, admin: redis.Redis) -> None:
    admin.config_set("requirepass", "word")
    fault = await fault_at(f"redis://127.0.0.1:{server.port}/{database}")
    assert isinstance(fault, UnusableServerError)
    assert fault.message == "Redis does not serve: NOAUTH Authentication required."


async def test_a_wrong_password(server: RedisServer, admin: redis.Redis) -> None:
    admin.config_set("requirepass", "word")
    fault = await fault_at(f"redis://:hunter2@127.0.0.1:{server.port}/0")
    assert isinstance(fault, UnusableServerError)
    assert fault.message.startswith("Redis does not serve: WRONGPASS ")
    assert "hunter2" not in fault.message


async def test_an_unexpected_password(server: RedisServer) -> None:
    fault = await fault_at(f"redis://:hunter2@127.0.0.1:{server.port}/0")
    assert isinstance(fault, UnusableServerError)
    assert "called without any password configured" in fault.message
    assert "hunter2" not in fault.message


async def test_a_database_number_that_does_not_exist(server: RedisServer) -> None:
    fault = await fault_at(f"redis://127.0.0.1:{server.port}/99")
    assert isinstance(fault, UnusableServerError)
    assert fault.message == "Redis does not serve: ERR DB index is out of range"


async def test_too_many_clients(server: RedisServer, admin: redis.Redis) -> None:
    admin.config_set("maxclients", "1")
    fault = await fault_at(server.url)
    assert type(fault) is UnavailableError
    assert fault.message == "Redis does not serve: ERR max number of clients reached"


async def test_a_server_without_free_memory(server: RedisServer, admin: redis.Redis) -> None:
    admin.config_set("maxmemory", "1")
    async with database_at(server.url) as database:
        with pytest.raises(
            UnavailableError, match="Redis does not serve: OOM command not allowed"
        ) as refused:
            await put(database, "hunter2")
    assert "hunter2" not in refused.value.message


async def test_a_key_of_another_type_under_a_script(server: RedisServer, admin: redis.Redis) -> None:
    admin.set(schema.OUTBOX(), "x")
    async with database_at(server.url) as database:
        with pytest.raises(UnavailableError, match="Redis does not serve: WRONGTYPE Operation against a key"):
            await database.run(script("waiting_work"), keys=[schema.OUTBOX()], args=[1])


async def test_a_replica(server: RedisServer, admin: redis.Redis) -> None:
    admin.replicaof("127.0.0.1", "1")
    async with database_at(server.url) as database:
        with pytest.raises(UnavailableError, match="READONLY You can't write against a read only replica"):
            await put(database, "x")


async def test_a_script_that_does_not_end(server: RedisServer, admin: redis.Redis) -> None:
    admin.config_set("busy-reply-threshold", "50")
    with redis.Redis(port=server.port) as other, socket.create_connection(("127.0.0.1", server.port)) as busy:
        busy.sendall(b"EVAL 'while true do end' 0\r\n")
        try:
            async with database_at(server.url) as database:
                with pytest.raises(UnavailableError, match="Redis does not serve: BUSY ") as refused:
                    await ping_for_ever(database)
        finally:
            other.execute_command("SCRIPT", "KILL")
            await wait_until(lambda: serves(other))
    assert type(refused.value) is UnavailableError


@each_database
@pytest.mark.parametrize("login", ["", ":word@"], ids=["no password", "password"])
@pytest.mark.parametrize(
    ("visitor", "says", "lasts"),
    [(closes, "Connection", False), (speaks_http, "what is there does not speak Redis's protocol", True)],
    ids=["hangs up", "a web server"],
)
async def test_other_servers_at_the_address(
    visitor: Visitor, says: str, lasts: bool, login: str, database: int
) -> None:
    async with listening(visitor) as port:
        fault = await fault_at(f"redis://{login}127.0.0.1:{port}/{database}")
    assert says in fault.message
    assert isinstance(fault, UnusableServerError) == lasts


@pytest.mark.parametrize(
    "words", ["LOADING Redis is loading the dataset in memory", "MISCONF Errors writing"]
)
async def test_a_server_that_is_not_ready_yet(words: str) -> None:
    async with listening(answering({"PING": f"-{words}\r\n".encode()})) as port:
        fault = await fault_at(f"redis://127.0.0.1:{port}/0")
    assert type(fault) is UnavailableError
    assert fault.message == f"Redis does not serve: {words}"


async def test_a_closed_port() -> None:
    fault = await fault_at("redis://127.0.0.1:1/0")
    assert type(fault) is UnavailableError
    assert "127.0.0.1:1" in fault.message


def test_a_call_to_a_silent_server_is_bounded() -> None:
    """The connection and the missing answer each have a time-out, and nothing is sent again."""
    assert CONNECT_SECONDS + ANSWER_SECONDS < PROMISED_SECONDS


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("login", ["", ":word@"], ids=["no password", "password"])
async def test_a_silent_server_is_given_up_for_all_callers_at_once(login: str) -> None:
    """With a lock around connecting, they would time out one after the other."""
    async with listening(stays_silent) as port, database_at(f"redis://{login}127.0.0.1:{port}/0") as database:
        async with asyncio.timeout(3.0):
            outcomes = await asyncio.gather(*(database.ping() for _ in range(20)), return_exceptions=True)
    assert {str(outcome) for outcome in outcomes} == {
        f"Redis does not serve: Timeout reading from 127.0.0.1:{port}"
    }


@pytest.mark.usefixtures("impatient")
async def test_the_api_answers_503_in_the_servers_words(
    server: RedisServer, admin: redis.Redis, serve: Serve
) -> None:
    async with open_runtime(quick_settings(server.url)) as runtime:
        client = await serve(runtime)
        admin.config_set("requirepass", "word")
        admin.client_kill_filter(_type="normal", skipme=True)
        for path, says in (
            ("/readyz", "redis: NOAUTH Authentication required."),
            ("/v1/watches", "Redis does not serve: NOAUTH Authentication required."),
            ("/v1/system", "Redis does not serve: NOAUTH "),
        ):
            response = await client.get(path, headers=KEY)
            assert response.status == 503
            assert (await response.json())["detail"].startswith(says)


@pytest.mark.parametrize(
    ("service", "says", "lasts"),
    [
        ("other", "no Sentinel names a primary for 'other'; 1 of 1 do not know the name", True),
        ("main", "Redis does not serve: Error 111 connecting to 127.0.0.1:1", False),
    ],
    ids=["unknown service", "its primary is away"],
)
async def test_errors_of_a_sentinel(service: str, says: str, lasts: bool) -> None:
    async with listening(sentinel_of("main", 1)) as port:
        fault = await fault_at(f"redis+sentinel://127.0.0.1:{port}/{service}")
    assert says in fault.message
    assert isinstance(fault, UnusableServerError) == lasts


@pytest.mark.usefixtures("impatient")
async def test_an_unreachable_sentinel_does_not_hide_the_others(server: RedisServer) -> None:
    async with (
        listening(stays_silent) as silent,
        listening(sentinel_of("main", server.port)) as knowing,
        database_at(f"redis+sentinel://127.0.0.1:1,127.0.0.1:{silent},127.0.0.1:{knowing}/main") as database,
    ):
        await database.ping()


async def test_unreachable_sentinels_are_a_temporary_failure() -> None:
    fault = await fault_at("redis+sentinel://127.0.0.1:1,127.0.0.1:2/main")
    assert type(fault) is UnavailableError
    assert "no Sentinel names a primary for 'main'" in fault.message


async def test_a_server_in_place_of_a_sentinel(server: RedisServer) -> None:
    fault = await fault_at(f"redis+sentinel://127.0.0.1:{server.port}/main")
    assert isinstance(fault, UnusableServerError)
    assert "unknown command 'SENTINEL'" in fault.message


@pytest.mark.parametrize(
    ("hello", "says"),
    [
        ({"server": "redis", "version": "6.2.14", "mode": "standalone"}, "redis 6.2.14 is too old"),
        ({"server": "redis", "version": "7.2.4", "mode": "sentinel"}, "a Sentinel is there"),
        ({"server": "redis", "version": "7.2.4", "mode": "cluster"}, "a node of Redis Cluster is there"),
        (None, "ERR unknown command"),
    ],
    ids=["too old", "a Sentinel", "a cluster", "as old as can be"],
)
async def test_a_server_that_cannot_do_the_work_stops_the_start(
    hello: dict[str, str] | None, says: str, tmp_path: Path
) -> None:
    answers = {"PING": b"+PONG\r\n"}
    if hello is not None:
        answers["HELLO"] = listed(*(part for pair in hello.items() for part in pair))
    async with listening(answering(answers)) as port:
        settings = quick_settings(f"redis://127.0.0.1:{port}/0", data_dir=tmp_path)
        with pytest.raises(UnusableServerError, match=f"NOTIFIER_REDIS_URL: .*{says}"):
            async with open_runtime(settings):
                pass
