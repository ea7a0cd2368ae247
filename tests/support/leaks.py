"""Checks for what a test must not leave behind: unknown keys, connections to the server, tasks."""

from __future__ import annotations

import asyncio
import time
from typing import Final, cast

import redis

from notifier.store import connect
from notifier.store.database import Database
from notifier.store.doctor.keyspace import read_keyspace
from notifier.store.schema import place_of

CLOSING_SECONDS: Final = 5.0
"""How long the server may take to notice a closed connection, and a loop to end cancelled tasks."""

REPORTED: Final = ("sn:", "arq:")
"""The prefixes that the doctor examines; it ignores the keys of other programs."""

SERVER_TASK_PREFIX: Final = "RequestHandler."
"""The prefix of aiohttp's tasks for a server connection and its requests."""


def stray_keys(url: str) -> list[str]:
    """Return every key that is unknown, has the wrong type, or lacks its TTL."""
    # A separate loop that never becomes the current one, because pytest-asyncio keeps its own.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(_stray_keys(url))


async def _stray_keys(url: str) -> list[str]:
    database = Database(connect(url))
    try:
        found = [str(finding) for finding in (await read_keyspace(database)).findings]
        unknown_keys = [
            key
            async for key in database.redis.scan_iter(count=1000)
            if place_of(key) is None and not key.startswith(REPORTED)
        ]
    finally:
        await database.close()
    return sorted({*found, *unknown_keys})


def clients_left(client: redis.Redis) -> list[dict[str, str]]:
    """Return all connections to the server but that of ``client``, after some time to close."""
    deadline = time.monotonic() + CLOSING_SECONDS
    while True:
        mine = client.client_id()
        everyone = cast("list[dict[str, str]]", client.client_list())
        others = [each for each in everyone if int(each["id"]) != mine]
        if not others or time.monotonic() >= deadline:
            return others
        time.sleep(0.01)


async def tasks_left() -> list[str]:
    """Return all tasks of this loop but the caller's, after some time for cancelled ones to end.

    Tasks of a test's own slow receiver are left out: they may still be answering a closed connection.
    """
    others = {task for task in asyncio.all_tasks() - {asyncio.current_task()} if not _belongs_to_server(task)}
    if others:
        _, others = await asyncio.wait(others, timeout=CLOSING_SECONDS)
    return sorted(repr(task) for task in others)


def _belongs_to_server(task: asyncio.Task[object]) -> bool:
    return getattr(task.get_coro(), "__qualname__", "").startswith(SERVER_TASK_PREFIX)
