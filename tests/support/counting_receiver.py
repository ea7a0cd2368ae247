"""A cheap receiver, for thousands of deliveries a second from one real worker."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from dataclasses import dataclass
from types import TracebackType
from typing import Final, NamedTuple, Self

from standardwebhooks import Webhook

from benchmarks.serving import NO_CONTENT, Connection
from tests.support.pipeline import SECRET
from tests.support.processes import free_port

FAILURE: Final = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"
HEADER: Final = re.compile(rb"(?i)\r\n(webhook-[a-z]+): *([^\r]+)")
VERIFIED_EACH: Final = 100
"""The signature of every n-th request is verified, by the standardwebhooks library."""


class Arrival(NamedTuple):
    """One request; ``accepted`` if it was answered with 2xx, ``timestamp`` from its header."""

    event_id: str
    accepted: bool
    timestamp: int


@dataclass(frozen=True, slots=True)
class PathBehaviour:
    """How a path behaves: its delay in seconds, and whether it fails every n-th request (0 for none)."""

    delay: float = 0.0
    fails_each: int = 0


class CountingReceiver:
    """An HTTP server on 127.0.0.1 that records requests and keeps its port across restarts.

    >>> async with CountingReceiver({"/shaky": PathBehaviour(fails_each=10)}) as receiver:
    ...     receiver.arrivals["/shaky"]
    """

    def __init__(self, behaviours: dict[str, PathBehaviour] | None = None, *, verifies: bool = True) -> None:
        self.arrivals: dict[str, list[Arrival]] = defaultdict(list)
        self.accepted = 0
        self.verified = 0
        self.port = free_port()
        self._behaviours = defaultdict(PathBehaviour, behaviours or {})
        self._verifies = verifies
        self._webhook = Webhook(SECRET)
        self._server: asyncio.Server | None = None
        self._transports: set[asyncio.Transport] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def url(self, path: str) -> str:
        """Return the absolute URL of ``path``."""
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def requests(self) -> int:
        """The number of requests to all paths."""
        return sum(map(len, self.arrivals.values()))

    async def start(self) -> None:
        """Start listening."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self._answer), "127.0.0.1", self.port, backlog=1024
        )

    def stop(self) -> None:
        """Close all connections and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for transport in self._transports:
            transport.close()
        self._transports.clear()

    def _answer(self, head: bytes, body: bytes, transport: asyncio.Transport) -> None:
        self._transports.add(transport)
        path = head.split(b" ", 2)[1].decode()
        arrivals, behaviour = self.arrivals[path], self._behaviours[path]
        headers = {name.decode().lower(): value.decode() for name, value in HEADER.findall(head)}
        accepted = not behaviour.fails_each or (len(arrivals) + 1) % behaviour.fails_each != 0
        arrivals.append(Arrival(headers["webhook-id"], accepted, int(headers["webhook-timestamp"])))
        self.accepted += accepted
        if self._verifies and len(arrivals) % VERIFIED_EACH == 1:
            self._webhook.verify(body, headers, json_parse=False)
            self.verified += 1
        answer = NO_CONTENT if accepted else FAILURE
        if behaviour.delay:
            asyncio.get_running_loop().call_later(behaviour.delay, _write, transport, answer)
        else:
            transport.write(answer)


def _write(transport: asyncio.Transport, answer: bytes) -> None:
    if not transport.is_closing():  # the sender may have been killed in the meantime
        transport.write(answer)
