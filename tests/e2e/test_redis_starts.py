"""Every command that needs Redis exits with one line and code 2 if Redis does not work."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import redis

import workers.settings
from tests.support.commands import run_command, run_program
from tests.support.pipeline import MASTER_KEY
from tests.support.processes import RedisServer
from tests.support.stand_ins import Visitor, answering, closes, listening, speaks_http
from tests.support.threads import in_a_thread

SPACE_NOTIFIER = (sys.executable, "-m", "notifier.cli")
ARQ = (str(Path(sys.executable).with_name("arq")), "workers.settings.WorkerSettings")
PROCESSES: Mapping[str, tuple[str, ...]] = {"api": (*SPACE_NOTIFIER, "api"), "arq": ARQ}
COMMANDS = ("api", "worker", "up", "doctor", "rotate-master-key", "arq")


def start(command: str, url: str) -> tuple[int, str]:
    """Run a command in this process until it exits; return its exit code and output."""
    settings = {"REDIS_URL": url, "MASTER_KEYS": MASTER_KEY, "PORT": "0"}
    if command == "arq":
        done = run_program(lambda: workers.settings.WorkerSettings, **settings)
    else:
        done = run_command(command, **settings)
    return done.code, done.output + done.errors


async def start_process(command: str, url: str, directory: Path) -> tuple[int | None, str]:
    """Run a command in a process of its own until it exits; return its exit code and output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NOTIFIER_")} | {
        "NOTIFIER_REDIS_URL": url,
        "NOTIFIER_MASTER_KEYS": MASTER_KEY,
        "NOTIFIER_PORT": "0",
    }
    process = await asyncio.create_subprocess_exec(
        *PROCESSES[command],
        cwd=directory,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(30):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, output.decode()


def see_one_line(code: int | None, output: str, says: str) -> None:
    lines = [line for line in output.splitlines() if "no master key here" not in line]
    assert (code, len(lines)) == (2, 1), output
    assert lines[0].startswith("space-notifier: NOTIFIER_REDIS_URL: "), output
    assert says in lines[0]
    assert "hunter2" not in output


@pytest.mark.parametrize("command", PROCESSES)
async def test_a_process_with_a_wrong_url(command: str, tmp_path: Path) -> None:
    code, output = await start_process(command, "redis://:hunter2@127.0.0.1:1/abc", tmp_path)
    see_one_line(code, output, "has a database that is not a number")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_url(command: str) -> None:
    see_one_line(*start(command, "redis://:hunter2@127.0.0.1:1/abc"), "has a database that is not a number")


@pytest.mark.server
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_with_a_wrong_password(command: str, redis_server: RedisServer) -> None:
    with redis.Redis(port=redis_server.port) as admin:
        admin.config_set("requirepass", "word")
        try:
            url = f"redis://:hunter2@127.0.0.1:{redis_server.port}/0"
            see_one_line(*start(command, url), "WRONGPASS invalid username-password pair")
        finally:
            admin.config_set("requirepass", "")


LOADING = answering({"PING": b"-LOADING Redis is loading the dataset in memory\r\n"})
FULL = answering({"PING": b"-ERR max number of clients reached\r\n"})


@pytest.mark.parametrize("command", ["api", "worker"])
@pytest.mark.parametrize(
    ("visitor", "says"),
    [
        (closes, "Connection"),
        (speaks_http, "does not speak Redis's protocol"),
        (LOADING, "LOADING Redis is loading the dataset in memory"),
        (FULL, "ERR max number of clients reached"),
    ],
    ids=["hangs up", "a web server", "loading", "too many clients"],
)
def test_a_server_that_does_not_serve(command: str, visitor: Visitor, says: str) -> None:
    with in_a_thread(listening(visitor)) as port:
        see_one_line(*start(command, f"redis://127.0.0.1:{port}/0"), says)


@pytest.mark.server
@pytest.mark.parametrize("command", ["api", "worker"])
def test_a_user_that_lacks_a_command(command: str, redis_server: RedisServer) -> None:
    with redis.Redis(port=redis_server.port) as admin:
        admin.acl_setuser(
            "limited", enabled=True, passwords="+word", keys=["*"], commands=["+@all", "-hgetall"]
        )
        try:
            url = f"redis://limited:word@127.0.0.1:{redis_server.port}/0"
            see_one_line(*start(command, url), "the user may not run HGETALL on the keys")
        finally:
            admin.acl_deluser("limited")
