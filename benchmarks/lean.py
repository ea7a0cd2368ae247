"""Our own client, configured as in the workers, under uvloop, that only posts prepared requests.

``python -m benchmarks.lean FILE`` posts the requests in a file, 64 at a time, and prints the monotonic second
at which it began and the CPU seconds that it took.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import uvloop

from benchmarks.workload import CONCURRENCY
from notifier.core.delivery.request import DeliveryRequest
from notifier.delivery.client import DeliveryClient, DeliveryClientSettings

LOOPBACK = (ip_network("127.0.0.0/8"),)


def read_requests(path: Path) -> list[DeliveryRequest]:
    """Read everything in advance, so that only sending is measured."""
    with path.open() as file:
        lines = [json.loads(line) for line in file]
    return [DeliveryRequest(line["url"], line["headers"], line["body"].encode()) for line in lines]


async def post_all(requests: Iterator[DeliveryRequest]) -> None:
    """Post the requests over kept connections."""
    async with DeliveryClient(DeliveryClientSettings(allowed_networks=LOOPBACK)) as client:

        async def post_some() -> None:
            for request in requests:
                await client.send(request)

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
