"""Reports about a server that may lose data: at the start, by the doctor and by ``/v1/system``."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import redis
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs
from typer.testing import CliRunner

from notifier import __version__
from notifier.api.system import SystemView
from notifier.cli import app as cli
from notifier.runtime import Runtime, open_runtime, report_concerns
from notifier.server import create_server
from notifier.store import Severity
from notifier.store.concerns import CONCERNS
from notifier.store.needs import acl_rules
from tests.support.admin_api import KEY, Serve, problem
from tests.support.pipeline import add_endpoint, numbered_event, quick_settings
from tests.support.processes import RedisServer
from tests.support.receiver import Receiver
from tests.support.wait import wait_until

pytestmark = pytest.mark.server

CHANGED: Final = ("maxmemory", "maxmemory-policy", "appendonly")
SETTINGS: Final = {
    "redis.evicts": {"maxmemory-policy": "allkeys-lru"},
    "redis.without_aof": {"appendonly": "no"},
}
FAULTS: Final = {concern.name for _, concern in CONCERNS if concern.severity is Severity.FAULT}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server for this module only, since its settings are changed."""
    with RedisServer(tmp_path_factory.mktemp("concerning")) as running:
        yield running


@pytest.fixture
def admin(server: RedisServer) -> Iterator[redis.Redis]:
    """A connection that may change the server's settings, which are restored afterwards."""
    with redis.Redis(port=server.port, decode_responses=True) as client:
        client.flushall()
        before = {name: client.config_get(name)[name] for name in CHANGED}
        yield client
        for name, value in before.items():
            client.config_set(name, value)
        client.replicaof("NO", "ONE")
        client.acl_deluser("limited")
        # A server that writes its first append-only file ignores a request to shut down.
        while (
            persistence_of(client)["aof_rewrite_in_progress"]
            or persistence_of(client)["aof_rewrite_scheduled"]
        ):
            time.sleep(0.01)


def persistence_of(client: redis.Redis) -> dict[str, Any]:
    """Return the persistence information of the server."""
    said: Any = client.info("persistence")
    return dict(said)


@asynccontextmanager
async def runtime_at(url: str) -> AsyncIterator[Runtime]:
    async with open_runtime(quick_settings(url)) as runtime:
        yield runtime


async def logged(runtime: Runtime) -> list[tuple[str, str]]:
    """Return the log entries of a start, as level and name."""
    with capture_logs() as lines:
        await report_concerns(runtime.store)
    assert all(line["reason"] and line["remedy"] for line in lines)
    return [(line["log_level"], line["event"]) for line in lines]


async def system(runtime: Runtime, serve: Serve) -> dict[str, Any]:
    client = await serve(runtime)
    response = await client.get("/v1/system", headers=KEY)
    assert response.status == 200
    document: dict[str, Any] = await response.json()
    SystemView.model_validate(document)
    return document


async def run_cli(*arguments: str, url: str) -> Any:
    """Run a command in another thread, with the server in its settings."""
    environment = {"NOTIFIER_REDIS_URL": url}
    return await asyncio.to_thread(CliRunner().invoke, cli, [*arguments], env=environment)


async def test_a_correctly_configured_server_raises_no_concern(
    server: RedisServer, admin: redis.Redis, serve: Serve
) -> None:
    assert admin.ping()
    async with runtime_at(server.url) as runtime:
        assert await logged(runtime) == []
        assert (await system(runtime, serve))["warnings"] == []
    result = await run_cli("doctor", url=server.url)
    assert (result.exit_code, result.stdout) == (0, "Nothing is wrong.\n")


@pytest.mark.parametrize(("name", "settings"), SETTINGS.items(), ids=SETTINGS.keys())
async def test_a_setting_that_loses_data_is_reported_everywhere(
    name: str, settings: dict[str, str], server: RedisServer, admin: redis.Redis, serve: Serve
) -> None:
    for setting, value in settings.items():
        admin.config_set(setting, value)
    async with runtime_at(server.url) as runtime:
        assert await logged(runtime) == [("warning", name)]
        (warning,) = (await system(runtime, serve))["warnings"]
    assert warning["name"] == name
    for setting, value in settings.items():
        assert f"{setting} is {value}" in warning["text"]
    result = await run_cli("doctor", url=server.url)
    assert name in result.output
    assert result.exit_code == (1 if name in FAULTS else 0)


@pytest.mark.parametrize("policy", ["allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-ttl"])
async def test_every_policy_that_evicts_is_named(
    policy: str, server: RedisServer, admin: redis.Redis
) -> None:
    admin.config_set("maxmemory-policy", policy)
    async with runtime_at(server.url) as runtime:
        assert await logged(runtime) == [("warning", "redis.evicts")]


async def test_a_replica_is_reported_everywhere(
    server: RedisServer, admin: redis.Redis, serve: Serve
) -> None:
    async with runtime_at(server.url) as runtime:
        admin.replicaof("127.0.0.1", "1")
        assert ("warning", "redis.is_replica") in await logged(runtime)
        document = await system(runtime, serve)
    assert document["redis"]["role"] == "replica"
    assert "redis.is_replica" in {each["name"] for each in document["warnings"]}
    result = await run_cli("doctor", url=server.url)
    assert (result.exit_code, "redis.is_replica" in result.output) == (0, True)


async def test_failing_writes_are_reported_everywhere(
    server: RedisServer, admin: redis.Redis, serve: Serve
) -> None:
    """A directory in place of the snapshot file has the same effect as a full disk."""
    in_the_way = server.data_dir / "dump.rdb"
    in_the_way.mkdir()
    admin.bgsave()
    await wait_until(lambda: persistence_of(admin)["rdb_last_bgsave_status"] == "err")
    try:
        async with runtime_at(server.url) as runtime:
            assert await logged(runtime) == [("warning", "redis.cannot_save")]
            assert not (await system(runtime, serve))["redis"]["persistence"]["writes_succeed"]
        assert (await run_cli("doctor", url=server.url)).exit_code == 1
    finally:
        in_the_way.rmdir()
        admin.save()


async def test_settings_that_the_user_may_not_read_are_unknown(
    server: RedisServer, admin: redis.Redis, serve: Serve
) -> None:
    setuser: Any = admin.execute_command
    setuser("ACL", "SETUSER", "limited", "on", ">word", *acl_rules().split())
    admin.config_set("maxmemory-policy", "allkeys-lru")
    url = server.url.replace("//", "//limited:word@")
    async with runtime_at(url) as runtime:
        assert await logged(runtime) == [("info", "redis.not_known")]
        document = await system(runtime, serve)
    assert document["redis"]["memory"] is None
    assert document["redis"]["persistence"] is None
    assert document["redis"]["version"]
    result = await run_cli("doctor", url=url)
    assert (result.exit_code, "redis.not_known" in result.output) == (0, True)


async def test_the_system_is_described(server: RedisServer, admin: redis.Redis, serve: Serve) -> None:
    admin.config_set("maxmemory", "1gb")
    async with Receiver() as receiver, runtime_at(server.url) as runtime:
        await add_endpoint(runtime, receiver, "/hook", event_types=("*",))
        await runtime.store.events.commit(numbered_event(1))
        now = runtime.clock()
        await runtime.store.workers.report("older", now=now - 5)
        await runtime.store.workers.report("newer", now=now)
        document = await system(runtime, serve)
    assert document["version"] == __version__
    assert [each["id"] for each in document["workers"]] == ["newer", "older"]
    said: Any = admin.execute_command("HELLO")  # type: ignore[no-untyped-call]
    hello = dict(zip(said[::2], said[1::2], strict=True))
    described = document["redis"]
    assert (described["server"], described["version"]) == (hello["server"], hello["version"])
    assert described["role"] == "primary"
    assert described["memory"]["limit_bytes"] == 2**30
    assert described["memory"]["used_bytes"] > 0
    assert described["memory"]["policy"] == "noeviction"
    assert described["persistence"]["append_only"]
    assert described["persistence"]["writes_succeed"]
    assert document["counts"] == {
        "watches": 0,
        "spaces": 0,
        "events": 1,
        "endpoints": 1,
        "deliveries_pending": 0,
    }


async def test_it_needs_a_key_and_is_described_by_its_model(
    server: RedisServer, admin: redis.Redis, serve: Serve
) -> None:
    assert admin.ping()
    async with runtime_at(server.url) as runtime:
        client = await serve(runtime)
        await problem(await client.get("/v1/system"), 401)
        document = await (await client.get("/openapi.json")).json()
    schema = document["paths"]["/v1/system"]["get"]["responses"]["200"]["content"]["application/json"][
        "schema"
    ]
    described = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert set(described["properties"]) == set(SystemView.model_fields) == set(described["required"])


async def test_the_command_prints_the_same_information(
    server: RedisServer, admin: redis.Redis, serve: Serve
) -> None:
    admin.config_set("appendonly", "no")
    async with runtime_at(server.url) as runtime:
        document = await system(runtime, serve)
        async with TestServer(create_server(runtime)) as api:
            options = ["--url", str(api.make_url("")).rstrip("/"), "--key", "test-key"]
            as_json = await run_cli("system", "--json", *options, url=server.url)
            as_text = await run_cli("system", *options, url=server.url)
    printed = json.loads(as_json.stdout)
    del printed["redis"]["memory"]["used_bytes"], document["redis"]["memory"]["used_bytes"]
    assert printed == document
    lines = [line.split() for line in as_text.stdout.splitlines()]
    assert ["redis.role", "primary"] in lines
    assert ["redis.persistence.append_only", "false"] in lines
    assert any(line[:2] == ["risk", "redis.without_aof"] for line in lines)


def test_the_docs_show_every_field_and_concern() -> None:
    docs = Path(__file__).parents[2] / "docs"
    section = (docs / "api.md").read_text().partition("\n## System\n")[2].partition("\n## ")[0]
    example = json.loads(section.partition("```json\n")[2].partition("```")[0])
    shown = SystemView.model_validate(example).model_dump(mode="json", exclude_unset=True)
    assert shown.keys() == SystemView.model_fields.keys()
    operations = (docs / "operating.md").read_text()
    rows = {f"| `{concern.name}` | {concern.severity} |" for _, concern in CONCERNS}
    assert {row for row in rows if row not in operations} == set()
