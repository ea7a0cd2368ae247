"""Recoveries, statistics and the doctor from a terminal, against a running installation."""

from __future__ import annotations

import asyncio
import sys
from contextlib import chdir
from pathlib import Path

from redis.asyncio import Redis

from tests.support.commands import run_command
from tests.support.receiver import Receiver
from tests.support.terminal import Terminal


async def doctor(directory: Path) -> tuple[int, str]:
    """Run the doctor in this process, in the directory of an installation."""
    with chdir(directory):
        done = await asyncio.to_thread(run_command, "doctor")
    return done.code, done.output


async def doctor_process(directory: Path) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "notifier.cli", "doctor", cwd=directory, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    return process.returncode, printed.decode()


async def test_missed_events_are_recovered_and_counted(terminal: Terminal) -> None:
    async with Receiver() as receiver:
        away = await terminal.json("endpoints", "create", receiver.url("/away"), "--event-type", "*")
        other = await terminal.json("endpoints", "create", receiver.url("/other"), "--event-type", "*")
        await terminal.run("endpoints", "disable", away["id"])
        await receiver.wait_for("/other", 1)  # endpoint.disabled
        await terminal.run("endpoints", "enable", away["id"])
        since = "2001-01-01T00:00:00Z"
        counted = await terminal.json("endpoints", "recover", away["id"], "--since", since, "--dry-run")
        assert (counted["count"], counted["clamped"]) == (1, True)
        job = await terminal.json("endpoints", "recover", away["id"], "--since", since)
        (got,) = await receiver.wait_for("/away", 1)
    assert got.json["data"]["details"]["endpoint_id"] == away["id"]
    listed = await terminal.json("endpoints", "recoveries", away["id"])
    assert [each["id"] for each in listed["data"]] == [job["id"]]
    complaint = await terminal.run("endpoints", "cancel-recovery", away["id"], job["id"], exit_code=1)
    assert "done already" in complaint
    stats = await terminal.json("endpoints", "stats", other["id"])
    assert stats["deliveries"]["delivered"] == 1
    assert await doctor_process(terminal.directory) == (0, "Nothing is wrong.\n")
    url = (terminal.directory / "data" / "valkey" / "url").read_text()
    async with Redis.from_url(url) as redis:
        await redis.set("sn:stranger", 1)
    report = "sn:stranger: no key of ours has this form\n    keep other programs out of this database\n"
    assert await doctor(terminal.directory) == (1, report)
