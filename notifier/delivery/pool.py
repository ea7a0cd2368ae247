"""The pool of connections: how many may be in use, which are kept, and who is next."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final

from notifier.delivery.deadlines import Deadlines
from notifier.delivery.wire import Connection

if TYPE_CHECKING:
    from notifier.delivery.message import Origin

CLOSE_SECONDS: Final = 1.0
"""An aborted connection is gone within two iterations of the loop, but stopping must not depend on it."""


class Pool:
    """Keeps connections for reuse and limits how many are open.

    A lease is the right to one connection, open or yet to be dialled. Leases are granted in order of request,
    except that a host at its limit does not block those behind it. Of the idle connections to a host the
    newest is used first, so that the others can expire; if leases and idle connections together would be too
    many, the oldest idle one is closed.

    Args:
        limit: Leases at a time.
        limit_per_host: The same per host and port; 0 for no limit.
        keepalive_seconds: How long an idle connection stays open.
    """

    def __init__(self, *, limit: int, limit_per_host: int, keepalive_seconds: float) -> None:
        self._limit = limit
        self._limit_per_host = limit_per_host
        self._keepalive_seconds = keepalive_seconds
        self._loop = asyncio.get_running_loop()
        self._deadlines = Deadlines(self._loop)
        self._leases = 0
        self._leases_of: dict[Origin, int] = {}
        self._waiting: deque[tuple[Origin, asyncio.Future[None]]] = deque()
        self._open: set[Connection] = set()
        self._idle: OrderedDict[Connection, None] = OrderedDict()
        self._idle_of: dict[Origin, dict[Connection, None]] = {}  # the newest last
        self._sweeper: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Future[None] | None = None

    @property
    def open_count(self) -> int:
        """How many connections are open, in use or idle."""
        return len(self._open)

    @property
    def idle_count(self) -> int:
        """How many connections are kept for later."""
        return len(self._idle)

    @property
    def lease_count(self) -> int:
        """How many leases are out."""
        return self._leases

    def try_lease(self, origin: Origin) -> bool:
        """Take a lease if one is free."""
        if self._leases >= self._limit or not self._host_has_room(origin):
            return False
        self._count(origin, 1)
        return True

    async def lease(self, origin: Origin) -> None:
        """Wait for a lease; a caller that is cancelled holds none."""
        if self.try_lease(origin):
            return
        turn = self._loop.create_future()
        self._waiting.append((origin, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(origin)  # it was granted at the moment of the cancellation
            turn.cancel()
            raise

    def release(self, origin: Origin) -> None:
        """Return a lease and grant it to the next in line."""
        self._count(origin, -1)
        if self._waiting:
            self._grant()

    def take(self, origin: Origin) -> Connection | None:
        """Take the newest usable idle connection to ``origin``, if there is one."""
        idle = self._idle_of.get(origin)
        while idle:
            connection = next(reversed(idle))
            self._forget_idle(connection)
            if connection.usable:
                return connection
        return None

    def connection(self, origin: Origin, *, opens_tunnel: bool = False) -> Connection:
        """Return the protocol of a connection to be dialled; see :meth:`opened`."""
        return Connection(
            self._loop, origin, deadlines=self._deadlines, lost=self.lost, opens_tunnel=opens_tunnel
        )

    def make_room(self) -> None:
        """Close the oldest idle connection if one more would be too many; called before a dial."""
        if self._idle and self._leases + len(self._idle) > self._limit:
            oldest = next(iter(self._idle))
            self._forget_idle(oldest)
            oldest.abort()

    def keep(self, connection: Connection) -> None:
        """Keep a connection for the next request, if it is usable."""
        if not connection.usable:
            return
        connection.idle_since = self._loop.time()
        self._idle[connection] = None
        self._idle_of.setdefault(connection.origin, {})[connection] = None
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(self._keepalive_seconds, self._sweep)

    def opened(self, connection: Connection) -> None:
        """Record a new connection.

        Called when the dial has ended and not when the connection is made: if a dial is cancelled between the
        two, uvloop closes the connection without calling the protocol.
        """
        if connection.usable:
            self._open.add(connection)

    def lost(self, connection: Connection) -> None:
        """Forget a closed connection."""
        self._open.discard(connection)
        if connection in self._idle:
            self._forget_idle(connection)
        if not self._open and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)

    async def close(self) -> None:
        """Close every connection and wait until they are gone."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        self._deadlines.close()
        for connection in self._open:
            connection.abort()
        if self._open:
            self._emptied = self._loop.create_future()
            await asyncio.wait([self._emptied], timeout=CLOSE_SECONDS)

    def _host_has_room(self, origin: Origin) -> bool:
        return not self._limit_per_host or self._leases_of.get(origin, 0) < self._limit_per_host

    def _count(self, origin: Origin, change: int) -> None:
        self._leases += change
        if self._limit_per_host:
            count = self._leases_of.get(origin, 0) + change
            if count:
                self._leases_of[origin] = count
            else:
                del self._leases_of[origin]

    def _grant(self) -> None:
        """Grant the free lease to the first in line whose host has room."""
        held_up = []
        while self._waiting:
            origin, turn = self._waiting.popleft()
            if turn.done():
                continue
            if self._host_has_room(origin):
                self._count(origin, 1)
                turn.set_result(None)
                break
            held_up.append((origin, turn))
        self._waiting.extendleft(reversed(held_up))

    def _forget_idle(self, connection: Connection) -> None:
        del self._idle[connection]
        idle = self._idle_of[connection.origin]
        del idle[connection]
        if not idle:
            del self._idle_of[connection.origin]

    def _sweep(self) -> None:
        """Close connections that were idle for too long, and schedule the next check."""
        self._sweeper = None
        while self._idle:
            oldest = next(iter(self._idle))
            until = oldest.idle_since + self._keepalive_seconds
            if until > self._loop.time():
                self._sweeper = self._loop.call_at(until, self._sweep)
                return
            self._forget_idle(oldest)
            oldest.abort()
