"""``up``: everything in one, as a real process where its children, signals and locks matter."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from notifier.cli.up import run_up
from tests.support.commands import Running, running_command
from tests.support.installation import KEY
from tests.support.processes import NotifierProcess, free_port, is_alive
from tests.support.receiver import Receiver
from tests.support.wait import wait_until

CREATOR = {"kind": "creator", "target": "2244994945"}
SCENARIO = """
users: [{id: 2244994945, name: X Developers, username: TwitterDev}]
spaces:
  - id: 1zqKVXPQhvZJB
    creator_id: 2244994945
    timeline:
      - {at: 0s, set: {state: live, title: Hello, started_at: -10s}}
"""


class Installation:
    """One data directory with its settings, over several runs."""

    def __init__(self, directory: Path) -> None:
        (directory / "hello.yaml").write_text(SCENARIO)
        self.directory = directory
        self.port = free_port()
        self.runs = 0
        self.settings = {
            "PORT": str(self.port),
            "ADMIN_KEY": KEY,
            "POLL_DISCOVERY_SECONDS": "0.3",
            "ALLOW_HTTP": "true",
            "ALLOWED_NETWORKS": "127.0.0.0/8",
        }

    def up(self, *arguments: str, **settings: str) -> NotifierProcess:
        self.runs += 1
        return NotifierProcess(
            "up",
            *arguments,
            directory=self.directory,
            settings=self.settings | settings,
            name=f"up-{self.runs}",
        )

    @asynccontextmanager
    async def up_in_this_process(self, *, workers: int = 0, **settings: str) -> AsyncIterator[Running]:
        """Run ``up`` until it is ready; without workers, it never is, but has printed all the rest."""
        work = run_up(workers=workers)
        async with running_command(work, **(self.settings | settings)) as running:
            await running.wait_for("ready" if workers else "nothing is observed until")
            yield running

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session,
            session.request(method, f"http://127.0.0.1:{self.port}{path}", json=body) as response,
        ):
            assert response.status < 400, await response.text()
            return await response.json()


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


def children_of(pid: int) -> dict[int, str]:
    """Return the child processes of ``pid``, with their command lines."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child): Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ") for child in listed}


def end(pid: int) -> None:
    """Kill a process that a failed test would leave behind."""
    if is_alive(pid):
        os.kill(pid, signal.SIGKILL)


def child_like(pid: int, text: str) -> int:
    (child,) = (child for child, command in children_of(pid).items() if text in command)
    return child


async def test_an_event_passes_through_the_whole_installation_which_then_shuts_down_cleanly(
    installation: Installation,
) -> None:
    async with Receiver() as receiver:
        with installation.up("--simulate", "hello.yaml", "--workers", "2") as up:
            await up.wait_for("ready")
            endpoint = await installation.call("POST", "/v1/endpoints", {"url": receiver.url()})
            receiver.verify("/hook", endpoint["secret"])
            watch = {"kind": "creator", "target": "2244994945", "on_first_sight": "announce"}
            await installation.call("POST", "/v1/watches", watch)
            (request,) = await receiver.wait_for("/hook", timeout=20)
            children = children_of(up.pid)
            assert Counter("worker" in command for command in children.values()) == {True: 2, False: 1}
            began = time.monotonic()
            up.signal(signal.SIGTERM)
            assert await up.wait() == 0
            assert time.monotonic() - began < 20
            assert "Traceback" not in up.output
            assert "child.died" not in up.output
    assert request.json["type"] == "space.started"
    assert request.json["data"]["space"]["id"] == "1zqKVXPQhvZJB"
    assert request.verified
    assert not [pid for pid in children if is_alive(pid)]


async def test_up_needs_no_token_keeps_its_server_private_and_restarts_crashed_children(
    installation: Installation,
) -> None:
    with installation.up() as up:
        await up.wait_for("ready")
        assert "nothing is observed until NOTIFIER_X_BEARER_TOKEN is set" in up.output
        folder = installation.directory / "data" / "valkey"
        url = (folder / "url").read_text()
        command = children_of(up.pid)[child_like(up.pid, "valkey")]
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "url").stat().st_mode & 0o777 == 0o600
        password, _, _ = url.removeprefix("redis://:").partition("@")
        assert password not in command + up.output
        watch = await installation.call("POST", "/v1/watches", CREATOR)
        await wait_until(lambda: appended(installation, watch["id"]), message="nothing is on the disk")
        for part, goes_on in (("worker", "worker.started"), ("valkey", "redis.back")):
            await crash(up, part, goes_on)
            assert (await installation.call("GET", "/v1/watches"))["data"][0]["id"] == watch["id"]
    assert not (folder / "url").exists()


async def crash(up: NotifierProcess, part: str, goes_on: str) -> None:
    """Kill a child, and wait until another one is in its place and at work."""
    died, deaths = child_like(up.pid, part), up.output.count("child.died")
    os.kill(died, signal.SIGKILL)
    await wait_until(lambda: up.output.count("child.died") == deaths + 1, timeout=20)
    await wait_until(lambda: any(part in each for each in children_of(up.pid).values()), timeout=20)
    assert child_like(up.pid, part) != died
    await wait_until(lambda: goes_on in up.output.rpartition("child.died")[2], timeout=20)


def appended(installation: Installation, text: str) -> bool:
    folder = installation.directory / "data" / "valkey" / "appendonlydir"
    return any(text.encode() in path.read_bytes() for path in folder.glob("*.incr.aof"))


async def test_up_stopped_during_its_start_leaves_nothing_running(installation: Installation) -> None:
    with installation.up() as up:
        url = installation.directory / "data" / "valkey" / "url"
        await wait_until(url.exists, interval=0.001)
        children = children_of(up.pid)
        up.signal(signal.SIGTERM)
        assert await up.wait() == 0
        assert "Traceback" not in up.output
    assert not [pid for pid in children if is_alive(pid)]


async def test_data_survives_a_restart(installation: Installation) -> None:
    async with installation.up_in_this_process():
        watch = await installation.call("POST", "/v1/watches", CREATOR)
        endpoint = await installation.call("POST", "/v1/endpoints", {"url": "http://127.0.0.1:9999/hook"})
    async with installation.up_in_this_process():
        assert (await installation.call("GET", "/v1/watches"))["data"][0]["id"] == watch["id"]
        secret = await installation.call("GET", f"/v1/endpoints/{endpoint['id']}/secret")
    assert secret["secret"] == endpoint["secret"]


async def test_after_a_kill_the_next_run_takes_over(installation: Installation) -> None:
    with ExitStack() as left_behind:
        with installation.up() as up:
            await up.wait_for("ready")
            watch = await installation.call("POST", "/v1/watches", CREATOR)
            server, worker = child_like(up.pid, "valkey"), child_like(up.pid, "worker")
            left_behind.callback(end, server)
            left_behind.callback(end, worker)
            up.signal(signal.SIGKILL)
            await up.wait()
        await wait_until(
            lambda: not is_alive(worker), timeout=20, message="the worker outlives its supervisor"
        )
        assert is_alive(server)
        async with installation.up_in_this_process() as next_up:
            assert "valkey.taken_over" in next_up.output
            assert not is_alive(server)
            assert (await installation.call("GET", "/v1/watches"))["data"][0]["id"] == watch["id"]


async def test_a_data_directory_is_locked_by_one_run(installation: Installation) -> None:
    async with installation.up_in_this_process(workers=1):
        with installation.up(PORT="0") as second:
            assert await second.wait() == 2
            assert f"is in use by process {os.getpid()}" in second.output
        assert (await installation.call("GET", "/readyz")) == {"status": "ok"}


async def test_only_the_first_start_prints_the_admin_key(installation: Installation) -> None:
    async with installation.up_in_this_process(ADMIN_KEY="") as up:
        (key,) = {word for word in up.output.split() if word.startswith("snk_")}
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
            answer = await session.get(f"http://127.0.0.1:{installation.port}/v1/watches")
            assert answer.status == 200
    async with installation.up_in_this_process(ADMIN_KEY="") as up:
        assert "snk_" not in up.output
    stored = b"".join(path.read_bytes() for path in installation.directory.glob("data/**/*.aof"))
    assert stored
    assert key.encode() not in stored
