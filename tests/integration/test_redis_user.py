"""A Redis user with exactly the permissions in docs/operating.md, which are sufficient and necessary."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import redis

from notifier.core.delivery.recovery import RecoveryStatus
from notifier.core.model.ids import RecoveryId
from notifier.core.model.watch import WatchKind
from notifier.errors import UnusableServerError
from notifier.runtime import open_runtime
from notifier.store import Job
from notifier.store.doctor import findings
from notifier.store.needs import COMMANDS, KEYS, TRANSACTION_COMMANDS, acl_rules
from tests.support.pipeline import add_endpoint, add_watch, quick_settings, running_simulator
from tests.support.processes import RedisServer
from tests.support.receiver import Receiver
from tests.support.wait import wait_until
from tests.support.worker import running_worker

pytestmark = pytest.mark.server

USER = "notifier"
SCENARIO = """
users: [{id: "1", name: Host, username: host}]
spaces:
  - id: SPACE1
    creator_id: "1"
    timeline:
      - {at: 0s, set: {state: live, title: First, started_at: -60s, host_ids: ["1"]}}
      - {at: 1s, set: {title: Second}}
"""


@pytest.fixture
def admin(redis_server: RedisServer, redis_url: str) -> Iterator[redis.Redis]:
    """A client with all permissions, which deletes the test user at the end."""
    assert redis_url
    with redis.Redis(port=redis_server.port, decode_responses=True) as client:
        client.acl_log_reset()
        yield client
        client.acl_deluser(USER)
        client.acl_log_reset()


def allow(admin: redis.Redis, rules: str) -> str:
    """Create the user with exactly these rules; return the URL."""
    setuser: Any = admin.execute_command
    setuser("ACL", "SETUSER", USER, "reset", "on", ">word", *rules.split())
    port = admin.connection_pool.connection_kwargs["port"]
    return f"redis://{USER}:word@127.0.0.1:{port}/0"


async def test_the_whole_pipeline_works_for_the_user_of_the_docs(admin: redis.Redis) -> None:
    url = allow(admin, acl_rules())
    async with Receiver() as receiver, running_simulator(SCENARIO) as x_url:
        settings = quick_settings(url, x_url=x_url)
        async with open_runtime(settings) as runtime, running_worker(settings):
            endpoint = await add_endpoint(runtime, receiver, "/hook")
            await add_watch(runtime, WatchKind.CREATOR, "1")
            first = await receiver.wait_for("/hook", 2)
            span = await runtime.store.recoveries.read_span("2001-01-01T00:00:00Z", None)
            recovery = RecoveryId("rec_1")
            await runtime.store.recoveries.start(recovery, endpoint, span, count=2)
            await runtime.wakeup.ring(Job.RECOVER)

            async def is_done() -> bool:
                found = await runtime.store.recoveries.get(endpoint.id, recovery)
                return found.status is RecoveryStatus.DONE

            await wait_until(is_done)
            assert await runtime.store.counts()
            assert await runtime.metrics_text()
        async with open_runtime(settings) as runtime:
            assert await findings(runtime.store) == []
    assert [each.json["type"] for each in first] == ["space.started", "space.title_changed"]
    log: Any = admin.acl_log()
    refused = {entry["object"] for entry in log}
    assert refused <= {"info", "dbsize"}, "asked for where it is allowed, and done without"


async def test_the_pipeline_starts_without_dangerous_commands(admin: redis.Redis) -> None:
    settings = quick_settings(allow(admin, "~* &* +@all -@dangerous"))
    async with open_runtime(settings), running_worker(settings):
        pass


@pytest.mark.parametrize("command", [*COMMANDS, *TRANSACTION_COMMANDS])
async def test_each_command_that_is_refused_stops_the_start_by_its_name(
    admin: redis.Redis, command: str
) -> None:
    settings = quick_settings(allow(admin, f"{acl_rules()} -{command.lower()}"))
    with pytest.raises(UnusableServerError) as refused:
        async with open_runtime(settings):
            pass
    name = command.replace("|", " ")
    assert refused.value.message.startswith(f"NOTIFIER_REDIS_URL: the user may not run {name} on the keys")
    assert admin.keys() == [], "trying a command changes nothing"


@pytest.mark.parametrize("pattern", KEYS)
async def test_keys_that_are_refused_stop_the_start(admin: redis.Redis, pattern: str) -> None:
    settings = quick_settings(allow(admin, f"~{pattern} +@all"))
    with pytest.raises(UnusableServerError, match="the user may not run"):
        async with open_runtime(settings):
            pass


async def test_a_user_that_may_only_read_stops_the_start(admin: redis.Redis) -> None:
    settings = quick_settings(allow(admin, "~* +@all -@write"))
    with pytest.raises(UnusableServerError, match=r"may not run DEL, EXPIRE, .* on the keys"):
        async with open_runtime(settings):
            pass


def test_the_docs_have_the_line_to_copy() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
    command = page.partition("ACL SETUSER notifier on ")[2].partition("```")[0]
    assert " ".join(command.replace("\\\n", " ").split()) == f">PASSWORD {acl_rules()}"


def test_the_scripts_run_nothing_else() -> None:
    scripts = files("notifier.store") / "lua"
    folders = (scripts, scripts / "lib")
    found = [each for folder in folders for each in folder.iterdir() if each.name.endswith(".lua")]
    run = {name for each in found for name in re.findall(r"call\(\s*'([A-Z]+)'", each.read_text())}
    assert len(run) > 20
    assert run - set(COMMANDS) == set()
