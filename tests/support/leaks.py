"""What a test must not leave behind: keys that do not belong, connections to the server, tasks."""

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
"""How long the server may take to see that a client has hung up, and a loop to end what was canceled."""

REPORTED: Final = ("sn:", "arq:")
"""What the doctor examines; other programs' keys in its database are nothing to it."""

SERVER_S: Final = "RequestHandler."
"""How aiohttp's tasks for a connection to a server, and a request on it, begin."""


def stray_keys(url: str) -> list[str]:
    """Name every key that has no form of ours or another type, or that stays although it must expire."""
    # A loop of its own that is nobody's current one: pytest-asyncio goes on with the one that it has set.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(_stray_keys(url))


async def _stray_keys(url: str) -> list[str]:
    database = Database(connect(url))
    try:
        found = [str(finding) for finding in (await read_keyspace(database)).findings]
        strangers = [
            key
            async for key in database.redis.scan_iter(count=1000)
            if place_of(key) is None and not key.startswith(REPORTED)
        ]
    finally:
        await database.close()
    return sorted({*found, *strangers})


def clients_left(client: redis.Redis) -> list[dict[str, str]]:
    """Describe every connection to the server but that of ``client``, once hanging up has had its time."""
    deadline = time.monotonic() + CLOSING_SECONDS
    while True:
        mine = client.client_id()
        everyone = cast("list[dict[str, str]]", client.client_list())
        others = [each for each in everyone if int(each["id"]) != mine]
        if not others or time.monotonic() >= deadline:
            return others
        time.sleep(0.01)


async def tasks_left() -> list[str]:
    """Describe every task of this loop but the caller's, once what was canceled has had its time to end.

    A receiver that a test has made slow is none of ours, and goes on answering whom it has lost.
    """
    others = {task for task in asyncio.all_tasks() - {asyncio.current_task()} if not _is_a_server_s(task)}
    if others:
        _, others = await asyncio.wait(others, timeout=CLOSING_SECONDS)
    return sorted(repr(task) for task in others)


def _is_a_server_s(task: asyncio.Task[object]) -> bool:
    return getattr(task.get_coro(), "__qualname__", "").startswith(SERVER_S)
