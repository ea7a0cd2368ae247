"""The records of deliveries in Redis.

A delivery that was never attempted has no record: it is an entry in its endpoint's due queue, and everything
else about it follows from its id (docs/architecture.md, "What a pending delivery costs").
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Any, Final

from notifier.core.delivery.delivery import Attempt, Delivery, DeliveryStatus
from notifier.core.model.ids import EndpointId, EventId, delivery_id, split_delivery_id
from notifier.errors import ConflictError, NotFoundError
from notifier.store import schema
from notifier.store.database import Database
from notifier.store.delivery_queue import attempts_in
from notifier.store.paging import Page, read_cursor, slice_of
from notifier.store.partitions import Partitions
from notifier.store.schema import Key
from notifier.store.scripts import Script, script

REDELIVER: Final[Script[int]] = script("redeliver")

WALKED_AT_ONCE: Final = 250
EXAMINED_AT_MOST: Final = 2_500
"""How many events and deliveries are examined for one page, however few of them are wanted."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A stretch of the log, read backward.

    Attributes:
        owed: The deliveries on it, each with the cursor that continues after it.
        examined: How many events or deliveries it counts for.
        end: The cursor that continues after all of it.
    """

    owed: Sequence[tuple[str, tuple[EventId, EndpointId]]]
    examined: int
    end: str


class Deliveries:
    """Look up, list, send again."""

    def __init__(self, database: Database, partitions: Partitions, *, ttl_seconds: int) -> None:
        self._database = database
        self._partitions = partitions
        self._ttl = ttl_seconds

    async def redeliver(self, delivery: str) -> int:
        """Make a delivery due at once; returns its partition.

        Raises:
            NotFoundError: There is no such delivery, or its event or endpoint is gone.
            ConflictError: An attempt is in flight.
        """
        found = await self.get(delivery)
        partition = self._partitions.of(found.endpoint_id)
        async with self._database.translated():
            space_id, sequence, serial = await self._database.redis.hmget(
                schema.EVENT(found.event_id), "space", "sequence", "serial"
            )
        done = 0
        if serial is not None:
            done = await self._database.run(
                REDELIVER,
                keys=[schema.READY(partition)],
                args=[found.endpoint_id, found.event_id, space_id or "", sequence or 0, self._ttl],
            )
        if done == 0:
            raise NotFoundError(f"The event or the endpoint of delivery {delivery} is gone.")
        if done > 1:
            raise ConflictError(f"An attempt at delivery {delivery} is in flight; ask again later.")
        return partition

    async def get(self, delivery: str) -> Delivery:
        """Read one delivery.

        Raises:
            NotFoundError: There is none.
        """
        owed = split_delivery_id(delivery)
        if owed is not None:
            event_id, endpoint_id = owed
            async with self._database.pipeline() as pipe:
                pipe.sismember(schema.RECIPIENTS(self._partitions.of(endpoint_id), event_id), endpoint_id)
                pipe.exists(self._partitions.delivery(event_id, endpoint_id))
                known = await pipe.execute()
            if any(known):
                return (await self._read([owed]))[0]
        raise NotFoundError.of("delivery", delivery)

    async def attempts(self, delivery: str) -> tuple[Attempt, ...]:
        """List the attempts made at a delivery, oldest first."""
        owed = split_delivery_id(delivery)
        if owed is None:
            return ()
        async with self._database.translated():
            return attempts_in(await self._database.redis.hgetall(self._partitions.delivery(*owed)))

    async def page(
        self,
        *,
        limit: int,
        cursor: str | None,
        endpoint_id: str | None = None,
        event_id: str | None = None,
        space_id: str | None = None,
        status: DeliveryStatus | None = None,
    ) -> Page[Delivery]:
        """List deliveries, those of the latest events first.

        For a page about :data:`EXAMINED_AT_MOST` events and deliveries are examined at most. One that has
        not found ``limit`` by then is short, or empty, and its cursor goes on behind them. A cursor is
        ``<serial of an event>-<deliveries of it already examined>``.
        """
        at_once = WALKED_AT_ONCE if status is not None else limit
        found: list[Delivery] = []
        examined = 0
        async for stretch in self._way_back(cursor, at_once, endpoint_id, event_id, space_id):
            deliveries = await self._read([owed for _, owed in stretch.owed])
            for (place, _), delivery in zip(stretch.owed, deliveries, strict=True):
                if status in (None, delivery.status):
                    found.append(delivery)
                if len(found) == limit:
                    return Page(tuple(found), place)
            examined += stretch.examined
            if examined >= EXAMINED_AT_MOST:
                return Page(tuple(found), stretch.end)
        return Page(tuple(found), None)

    async def _way_back(
        self,
        cursor: str | None,
        at_once: int,
        endpoint_id: str | None,
        event_id: str | None,
        space_id: str | None,
    ) -> AsyncIterator[_Stretch]:
        """Go back through the log, from a cursor on, in stretches of up to ``at_once`` deliveries."""
        index = (
            self._partitions.key(schema.HISTORY, endpoint_id) if endpoint_id is not None else schema.EVENTS()
        )
        from_serial, skip = _read_position(cursor)
        before = None if from_serial is None else str(from_serial + 1)
        while True:
            if event_id is None:
                rows = await slice_of(self._database, index, limit=WALKED_AT_ONCE, cursor=before)
            else:
                rows = await self._only(index, event_id, before=before)
            passed = await self._owed(rows, endpoint_id, space_id)
            owed = [
                (f"{serial}-{number}", (event, each))
                for event, serial, endpoints in passed
                for number, each in enumerate(endpoints, start=1)
                if serial != from_serial or number > skip
            ]
            for start in range(0, len(owed), at_once):
                part = owed[start : start + at_once]
                yield _Stretch(part, len(part), end=part[-1][0])
            if len(passed) == len(rows) < WALKED_AT_ONCE:
                return
            last = passed[-1][1]
            yield _Stretch([], len(passed), end=str(last - 1))
            before = str(last)

    async def _owed(
        self, rows: Sequence[tuple[str, int]], endpoint_id: str | None, space_id: str | None
    ) -> list[tuple[EventId, int, list[EndpointId]]]:
        """Read the recipients of the first of these events, as many as one read may return."""
        async with self._database.pipeline() as pipe:
            for event, _ in rows:
                pipe.hget(schema.EVENT(event), "space")
                if endpoint_id is None:
                    for recipients in self._partitions.recipients(event):
                        pipe.scard(recipients)
                else:
                    pipe.sismember(schema.RECIPIENTS(self._partitions.of(endpoint_id), event), endpoint_id)
            answers = await pipe.execute()
        width = 1 + (self._partitions.count if endpoint_id is None else 1)
        counts = [
            sum(answers[start + 1 : start + width]) if space_id in (None, answers[start]) else 0
            for start in range(0, len(answers), width)
        ]
        within = max(bisect_right(list(accumulate(counts)), EXAMINED_AT_MOST), 1)
        passed = [(EventId(event), serial) for event, serial in rows[:within]]
        if endpoint_id is not None:
            owed = [[EndpointId(endpoint_id)] if count else [] for count in counts[:within]]
        else:
            owed = await self._members([event for event, _ in passed], counts[:within])
        return [(event, serial, each) for (event, serial), each in zip(passed, owed, strict=True)]

    async def _members(self, events: Sequence[EventId], counts: Sequence[int]) -> list[list[EndpointId]]:
        async with self._database.pipeline() as pipe:
            for event, count in zip(events, counts, strict=True):
                if count:
                    for recipients in self._partitions.recipients(event):
                        pipe.smembers(recipients)
            answers = iter(await pipe.execute())
        return [
            sorted(set().union(*islice(answers, self._partitions.count))) if count else [] for count in counts
        ]

    async def _only(self, index: Key, event_id: str, *, before: str | None) -> list[tuple[str, int]]:
        async with self._database.translated():
            serial = await self._database.redis.zscore(index, event_id)
        is_there = serial is not None and (before is None or serial < int(before))
        return [(event_id, int(serial))] if is_there else []

    async def _read(self, owed: Sequence[tuple[EventId, EndpointId]]) -> list[Delivery]:
        """Return the records of deliveries."""
        async with self._database.pipeline() as pipe:
            for event_id, endpoint_id in owed:
                pipe.hmget(
                    self._partitions.delivery(event_id, endpoint_id),
                    ["status", "attempts", "reason", "settled_at"],
                )
                pipe.zscore(self._partitions.key(schema.DUE, endpoint_id), event_id)
                pipe.hget(schema.EVENT(event_id), "at")
                pipe.exists(schema.ENDPOINT(endpoint_id))
                pipe.hget(self._partitions.key(schema.STATE, endpoint_id), "resume_at")
            rows = await pipe.execute()
        return [
            _delivery(each, *rows[start : start + 3], endpoint=rows[start + 3 : start + 5])
            for each, start in zip(owed, range(0, len(rows), 5), strict=True)
        ]


def _delivery(
    owed: tuple[EventId, EndpointId],
    record: Sequence[str | None],
    due_at: float | None,
    committed_at: str | None,
    *,
    endpoint: Sequence[Any],
) -> Delivery:
    """Return a delivery from its record; one without a record was never attempted.

    What is due while its endpoint is paused goes out when the pause ends. ``endpoint`` says whether it
    exists, and until when it is paused, in ms.
    """
    has_endpoint, resume_at = endpoint
    status, attempts, reason, settled_at = record
    known = DeliveryStatus(status or DeliveryStatus.PENDING)
    if known is DeliveryStatus.PENDING and not (has_endpoint and committed_at):
        known = DeliveryStatus.DISCARDED
    return Delivery(
        id=delivery_id(*owed),
        event_id=owed[0],
        endpoint_id=owed[1],
        status=known,
        created_at=int(committed_at or 0) / 1000,
        attempts_made=int(attempts or 0),
        next_attempt_at=_later(due_at, resume_at) if due_at and known is DeliveryStatus.PENDING else None,
        settled_at=int(settled_at) / 1000 if settled_at else None,
        last_reason=reason,
    )


def _later(due_at: float, resume_at: str | None) -> float:
    return max(due_at, float(resume_at or 0)) / 1000


def _read_position(cursor: str | None) -> tuple[int | None, int]:
    if cursor is None:
        return None, 0
    serial, _, skip = cursor.partition("-")
    return read_cursor(serial), read_cursor(skip or "0")
