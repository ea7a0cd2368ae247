"""A minimal HTTP server: keep-alive, content-length, and an immediate answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Final, TypeAlias, cast

HEAD_END: Final = b"\r\n\r\n"
CONTENT_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")
NO_CONTENT: Final = b"HTTP/1.1 204 No Content\r\n\r\n"

Answer: TypeAlias = Callable[[bytes, bytes, asyncio.Transport], None]
"""Takes the head and the body of a request, and writes the answer."""


class Connection(asyncio.Protocol):
    """One connection."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        received = self._received + data
        while (head_end := received.find(HEAD_END)) >= 0:
            head = received[:head_end]
            length = CONTENT_LENGTH.search(head)
            start = head_end + len(HEAD_END)
            end = start + (int(length[1]) if length else 0)
            if len(received) < end:
                break
            body, received = received[start:end], received[end:]
            self._answer(head, body, self._transport)
        self._received = received


def json_answer(body: bytes) -> bytes:
    """Return a 200 with a JSON body."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body
