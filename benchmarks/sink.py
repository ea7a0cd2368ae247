"""A cheap receiver: it answers 204 to every POST, counts them, and records the times.

``python -m benchmarks.sink`` prints the port that it took. ``GET`` on any path returns the count, ``DELETE``
resets it. Times are those of the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass, field
from typing import Final

import uvloop

from benchmarks.serving import NO_CONTENT, Connection, json_answer

WEBHOOK_ID: Final = re.compile(rb"(?i)\r\nwebhook-id: *([^\r]+)")
BACKLOG: Final = 1024


@dataclass(slots=True)
class Count:
    """What has arrived so far. ``seen`` holds path and webhook-id of each POST, to find duplicates."""

    posts: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    seen: set[bytes] = field(default_factory=set)

    def add(self, head: bytes) -> None:
        """Count one POST by its head."""
        self.last_at = time.monotonic()
        if self.posts == 0:
            self.first_at = self.last_at
        self.posts += 1
        event = WEBHOOK_ID.search(head)
        self.seen.add(head.split(b" ", 2)[1] + (event[1] if event else b""))

    def as_json(self) -> bytes:
        """Return the count as JSON, without duplicates in ``distinct``."""
        return json.dumps(
            {
                "posts": self.posts,
                "distinct": len(self.seen),
                "first_at": self.first_at,
                "last_at": self.last_at,
            }
        ).encode()


class Sink:
    """The count that all connections share."""

    def __init__(self) -> None:
        self.count = Count()

    def answer(self, head: bytes, _body: bytes, transport: asyncio.Transport) -> None:
        """Answer one request, whose body was read completely."""
        if head.startswith(b"POST"):
            self.count.add(head)
            transport.write(NO_CONTENT)
        elif head.startswith(b"DELETE"):
            self.count = Count()
            transport.write(NO_CONTENT)
        else:
            transport.write(json_answer(self.count.as_json()))


async def serve() -> None:
    """Listen on a free port of 127.0.0.1 until the process is ended."""
    sink = Sink()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(sink.answer), "127.0.0.1", 0, backlog=BACKLOG
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
