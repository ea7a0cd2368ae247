"""Recoveries in Redis: what an endpoint missed, and the work of sending it again.

All times are the server's: those at which events were committed, and the present one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from notifier.core.delivery.endpoint import Endpoint
from notifier.core.delivery.recovery import (
    MOST_WAITING,
    PUT_OFF_SECONDS,
    Recovery,
    RecoveryStatus,
    Span,
    read_span,
    wants_back,
)
from notifier.core.events.event import EventType
from notifier.core.model.ids import EndpointId, EventId, RecoveryId
from notifier.errors import ConflictError, NotFoundError
from notifier.store import schema
from notifier.store.database import Database
from notifier.store.events import read_routing
from notifier.store.paging import Page, page_of, slice_of
from notifier.store.partitions import Partitions
from notifier.store.scripts import Script, script

START_RECOVERY: Final[Script[str]] = script("start_recovery")
CANCEL_RECOVERY: Final[Script[str]] = script("cancel_recovery")
ADVANCE_RECOVERY: Final[Script[str]] = script("advance_recovery")
RECOVER: Final[Script[tuple[int, int]]] = script("recover")
FIND_SERIAL: Final[Script[int]] = script("find_serial")
READ_LOG: Final[Script[list[Any]]] = script("read_log")
FIND_MISSED: Final[Script[tuple[int, list[str]]]] = script("find_missed")

BATCH: Final = 250
"""How many events one script call reads: about a millisecond of the server's time."""

ROUTINGS: Final = 10_000
"""How many judgements on who wants what are remembered: most events of one Space are routed alike."""

CLOCK_SLACK_SECONDS: Final = 60.0
"""How far a server's clock may have been set back: the log is in order by serial, and by time only about."""


class LogEntry(NamedTuple):
    """An event as the log has it; ``at`` is the epoch ms of its commit."""

    id: EventId
    serial: int
    type: str
    routing: str
    at: int
    space: str
    sequence: str
    is_waiting: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """A stretch of the log, as one endpoint sees it.

    Attributes:
        position: Serial number of its last event.
        considered: How many events of the span there are in it.
        missed: Those that the endpoint missed and would want, in the order of the log.
        waiting: How many deliveries of the endpoint wait for nothing but the receiver, as far as it matters:
            from ``MOST_WAITING`` on they are not all counted.
    """

    position: int
    considered: int
    missed: Sequence[LogEntry]
    waiting: int


@dataclass(frozen=True, slots=True)
class Advance:
    """What a step of a recovery has done: its status now, None where it is gone, and whom to wake.

    Attributes:
        partitions: The partition that has work now and no wakeup on its way.
    """

    status: RecoveryStatus | None
    partitions: set[int]


class Recoveries:
    """Count, start, work off, cancel."""

    def __init__(self, database: Database, partitions: Partitions, *, ttl_seconds: int) -> None:
        self._database = database
        self._partitions = partitions
        self._ttl = ttl_seconds

    async def read_span(self, since: str, until: str | None) -> Span:
        """Read a span by the server's clock.

        Raises:
            InvalidInputError: It is none.
        """
        return read_span(since, until, now=await self._now(), kept_seconds=self._ttl)

    async def span_since(self, since: float) -> Span:
        """Return the span from an epoch second until now."""
        return Span(since, max(since, await self._now()))

    async def count(self, endpoint: Endpoint, span: Span) -> int:
        """Count what an endpoint has missed and would want, whether or not it is enabled."""
        return sum([len(batch.missed) async for batch in self._walk(endpoint, span)])

    async def start(self, recovery_id: RecoveryId, endpoint: Endpoint, span: Span, *, count: int) -> Recovery:
        """Have all that an endpoint missed sent again.

        Raises:
            ConflictError: The endpoint has a recovery that still runs; ``existing_id`` names it.
        """
        first, last = await self._bounds(span)
        now = await self._now()
        recovery = Recovery(
            id=recovery_id,
            endpoint_id=endpoint.id,
            span=span,
            status=RecoveryStatus.RUNNING,
            count=count,
            considered=0,
            queued=0,
            position=first,
            last=last,
            reason=None,
            created_at=now,
            updated_at=now,
            finished_at=None,
        )
        fields = [each for pair in _record(recovery).items() for each in pair]
        running = await self._database.run(
            START_RECOVERY,
            keys=[schema.RECOVERY(recovery_id), schema.RECOVERIES(endpoint.id), schema.RECOVERING()],
            args=[recovery_id, self._ttl, int(now * 1000), *fields],
        )
        if running:
            raise ConflictError(
                f"{running} still runs for {endpoint.id}; wait for its end or cancel it.", existing_id=running
            )
        return recovery

    async def get(self, endpoint_id: str, recovery_id: str) -> Recovery:
        """Read one recovery of an endpoint.

        Raises:
            NotFoundError: There is none.
        """
        found = await self._read([recovery_id])
        if found[0] is None or found[0].endpoint_id != endpoint_id:
            raise NotFoundError.of("recovery", recovery_id)
        return found[0]

    async def page(self, endpoint_id: str, *, limit: int, cursor: str | None) -> Page[Recovery]:
        """List the recoveries of an endpoint, newest first."""
        rows = await slice_of(self._database, schema.RECOVERIES(endpoint_id), limit=limit, cursor=cursor)
        found = await self._read([recovery_id for recovery_id, _ in rows])
        return page_of(
            [(recovery, serial) for recovery, (_, serial) in zip(found, rows, strict=True)], limit=limit
        )

    async def cancel(self, recovery_id: str) -> RecoveryStatus:
        """End a recovery that runs; returns its status before. What it has made due still goes out."""
        before = await self._database.run(
            CANCEL_RECOVERY, keys=[schema.RECOVERY(recovery_id)], args=[recovery_id]
        )
        if not before:
            raise NotFoundError.of("recovery", recovery_id)
        return RecoveryStatus(before)

    async def due(self, *, limit: int) -> list[Recovery]:
        """List the recoveries to go on with, the one that has waited longest first."""
        now = int(await self._now() * 1000)
        async with self._database.translated():
            recovery_ids = await self._database.redis.zrangebyscore(
                schema.RECOVERING(), "-inf", now, start=0, num=limit
            )
        found = dict(zip(recovery_ids, await self._read(recovery_ids), strict=True))
        gone = [recovery_id for recovery_id, recovery in found.items() if recovery is None]
        if gone:
            async with self._database.translated():
                await self._database.redis.zrem(schema.RECOVERING(), *gone)
        return [recovery for recovery in found.values() if recovery is not None]

    async def next_batch(self, recovery: Recovery, endpoint: Endpoint) -> Batch:
        """Read what comes next in a recovery."""
        wants = _wishes(endpoint)
        return await self._batch(
            endpoint, wants, recovery.span, recovery.position, recovery.last, most_waiting=MOST_WAITING
        )

    async def put_off(self, recovery: Recovery) -> None:
        """Leave a recovery alone for a while."""
        at = int((await self._now() + PUT_OFF_SECONDS) * 1000)
        async with self._database.pipeline() as pipe:
            pipe.zadd(schema.RECOVERING(), {recovery.id: at}, xx=True)
            pipe.expire(schema.RECOVERY(recovery.id), self._ttl)
            await pipe.execute()

    async def advance(self, recovery: Recovery, batch: Batch) -> Advance:
        """Make what a batch holds due and take the recovery on, or end it where its endpoint does not go on.

        Doing it again, or in two workers at once, changes nothing.
        """
        partition = self._partitions.of(recovery.endpoint_id)
        queued, needs_wakeup = await self._database.run(
            RECOVER,
            keys=[schema.RECOVERED(partition, recovery.id), schema.READY(partition)],
            args=[
                *(recovery.endpoint_id, recovery.position, self._ttl),
                *(each for entry in batch.missed for each in _owed(entry)),
            ],
        )
        status = await self._database.run(
            ADVANCE_RECOVERY,
            keys=[schema.RECOVERY(recovery.id)],
            args=[
                *(recovery.id, recovery.position, batch.position),
                *(batch.considered, queued, self._ttl),
            ],
        )
        return Advance(RecoveryStatus(status) if status else None, {partition} if needs_wakeup else set())

    async def _walk(self, endpoint: Endpoint, span: Span) -> AsyncIterator[Batch]:
        position, last = await self._bounds(span)
        wants = _wishes(endpoint)
        while position < last:
            batch = await self._batch(endpoint, wants, span, position, last, most_waiting=0)
            position = batch.position
            yield batch

    async def _batch(
        self,
        endpoint: Endpoint,
        wants: Callable[[str, str], bool],
        span: Span,
        position: int,
        last: int,
        *,
        most_waiting: int,
    ) -> Batch:
        moved, *rows = await self._database.run(
            READ_LOG, keys=[schema.EVENTS()], args=[position, last, BATCH]
        )
        entries = [_entry(row) for row in rows]
        within = [each for each in entries if span.since * 1000 <= each.at <= span.until * 1000]
        # What is yet to be dispatched is on its way. Read first: it may be dispatched before the next call.
        dispatched = {each.id: each for each in within if not each.is_waiting}
        waiting, missed = await self._database.run(
            FIND_MISSED,
            keys=[self._partitions.key(schema.HISTORY, endpoint.id)],
            args=[endpoint.id, position, moved, most_waiting, *dispatched],
        )
        found = [dispatched[EventId(event_id)] for event_id in missed]
        wanted = [each for each in found if wants(each.type, each.routing)]
        return Batch(moved, len(within), wanted, waiting)

    async def _bounds(self, span: Span) -> tuple[int, int]:
        """Return the serials between which a span lies; the first is exclusive, and both are generous."""
        edges = [span.since - CLOCK_SLACK_SECONDS, span.until + CLOCK_SLACK_SECONDS]
        first, last = [
            await self._database.run(FIND_SERIAL, keys=[schema.EVENTS()], args=[int(edge * 1000)])
            for edge in edges
        ]
        return first, last

    async def _read(self, recovery_ids: Sequence[str]) -> list[Recovery | None]:
        async with self._database.pipeline() as pipe:
            for recovery_id in recovery_ids:
                pipe.hgetall(schema.RECOVERY(recovery_id))
            return [read_recovery(row) if row else None for row in await pipe.execute()]

    async def _now(self) -> float:
        async with self._database.translated():
            seconds, microseconds = await self._database.redis.time()
        return float(seconds + microseconds / 1e6)


def _entry(row: Sequence[Any]) -> LogEntry:
    event_id, serial, event_type, routing, at, space, sequence, is_waiting = row
    return LogEntry(
        EventId(event_id), int(serial), event_type, routing, int(at), space, sequence, bool(is_waiting)
    )


def _owed(entry: LogEntry) -> tuple[str | int, ...]:
    """Return an event as the script takes it that makes it due."""
    return entry.id, entry.serial, entry.space, entry.sequence


def _wishes(endpoint: Endpoint) -> Callable[[str, str], bool]:
    """Return what decides by type and routing, as logged, whether an endpoint wants an event."""

    @lru_cache(ROUTINGS)
    def wants(event_type: str, routing: str) -> bool:
        return wants_back(endpoint, EventType(event_type), read_routing(routing))

    return wants


def _record(recovery: Recovery) -> dict[str, str | int]:
    """Write what the store keeps; times in ms, as the scripts write them."""
    return {
        "id": recovery.id,
        "endpoint": recovery.endpoint_id,
        "since": int(recovery.span.since * 1000),
        "until": int(recovery.span.until * 1000),
        "clamped": int(recovery.span.is_clamped),
        "status": recovery.status,
        "count": recovery.count,
        "considered": recovery.considered,
        "queued": recovery.queued,
        "position": recovery.position,
        "last": recovery.last,
        "reason": recovery.reason or "",
        "created_at": int(recovery.created_at * 1000),
        "updated_at": int(recovery.updated_at * 1000),
        "finished_at": "",
    }


def read_recovery(row: dict[str, Any]) -> Recovery:
    """Read a record.

    Raises:
        KeyError, ValueError: It is none.
    """
    return Recovery(
        id=RecoveryId(row["id"]),
        endpoint_id=EndpointId(row["endpoint"]),
        span=Span(int(row["since"]) / 1000, int(row["until"]) / 1000, is_clamped=row["clamped"] == "1"),
        status=RecoveryStatus(row["status"]),
        count=int(row["count"]),
        considered=int(row["considered"]),
        queued=int(row["queued"]),
        position=int(row["position"]),
        last=int(row["last"]),
        reason=row["reason"] or None,
        created_at=int(row["created_at"]) / 1000,
        updated_at=int(row["updated_at"]) / 1000,
        finished_at=int(row["finished_at"]) / 1000 if row["finished_at"] else None,
    )
