"""The upper bound: aiohttp's client under uvloop that only posts prepared requests.

``python -m benchmarks.bare FILE`` posts the requests in a file, 64 at a time, and prints the monotonic second
at which it began and the CPU seconds that it took.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import aiohttp
import uvloop
from yarl import URL

from benchmarks.workload import CONCURRENCY

Ready: TypeAlias = tuple[URL, dict[str, str], bytes]


def read_requests(path: Path) -> list[Ready]:
    """Read everything in advance, so that only sending is measured."""
    with path.open() as file:
        lines = [json.loads(line) for line in file]
    return [(URL(line["url"]), line["headers"], line["body"].encode()) for line in lines]


async def post_all(requests: Iterator[Ready]) -> None:
    """Post the requests over kept connections, and read each answer."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def post_some() -> None:
            for url, headers, body in requests:
                async with session.post(url, data=body, headers=headers) as answer:
                    await answer.read()

        async with asyncio.TaskGroup() as group:
            for _ in range(CONCURRENCY):
                group.create_task(post_some())


def run(path: Path) -> None:
    """Post a file of requests."""
    requests = read_requests(path)
    began_at, before = time.monotonic(), time.process_time()
    uvloop.run(post_all(iter(requests)))
    print(began_at, time.process_time() - before, flush=True)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
