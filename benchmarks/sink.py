"""A receiver that costs next to nothing: it answers 204 to every POST, counts, and notes when they came.

``python -m benchmarks.sink`` prints the port that it took. ``GET`` on any path gives what was counted,
``DELETE`` begins the count anew. Times are those of the monotonic
clock, which all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass, field
from typing import Final, cast

import uvloop

HEAD_END: Final = b"\r\n\r\n"
CONTENT_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")
WEBHOOK_ID: Final = re.compile(rb"(?i)\r\nwebhook-id: *([^\r]+)")
NO_CONTENT: Final = b"HTTP/1.1 204 No Content\r\n\r\n"
BACKLOG: Final = 1024


@dataclass(slots=True)
class Count:
    """What came in so far. ``seen`` holds path and webhook-id of each POST, so that doubles show."""

    posts: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    seen: set[bytes] = field(default_factory=set)

    def add(self, head: bytes) -> None:
        """Note one POST by its head."""
        self.last_at = time.monotonic()
        if self.posts == 0:
            self.first_at = self.last_at
        self.posts += 1
        event = WEBHOOK_ID.search(head)
        self.seen.add(head.split(b" ", 2)[1] + (event[1] if event else b""))

    def as_json(self) -> bytes:
        """Write the count, the doubles left out in ``distinct``."""
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

    def answer(self, head: bytes) -> bytes:
        """Take one request, whose body has been read and dropped, and give the answer."""
        if head.startswith(b"POST"):
            self.count.add(head)
            return NO_CONTENT
        if head.startswith(b"DELETE"):
            self.count = Count()
            return NO_CONTENT
        body = self.count.as_json()
        return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
            len(body),
            body,
        )


class Connection(asyncio.Protocol):
    """One keep-alive connection that carries requests with a content-length."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        received = self._received + data
        while (head_end := received.find(HEAD_END)) >= 0:
            head = received[:head_end]
            length = CONTENT_LENGTH.search(head)
            end = head_end + len(HEAD_END) + (int(length[1]) if length else 0)
            if len(received) < end:
                break
            received = received[end:]
            self._transport.write(self._sink.answer(head))
        self._received = received


async def serve() -> None:
    """Listen on a free port of 127.0.0.1 until the process is ended."""
    sink = Sink()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(sink), "127.0.0.1", 0, backlog=BACKLOG
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
