"""The delivery queue and the records of deliveries in Redis.

A delivery that was never attempted has no record: it is an entry in its endpoint's due queue, and everything
else about it follows from its id (docs/architecture.md, "What a pending delivery costs").
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter

from notifier.core.delivery import Attempt, Delivery, DeliveryStatus, Trigger
from notifier.core.ids import EndpointId, EventId, delivery_id, split_delivery_id
from notifier.errors import ConflictError, NotFoundError
from notifier.store import keys
from notifier.store.database import Argument, Database, ScriptCall, script
from notifier.store.events import Events
from notifier.store.paging import Page, read_cursor, slice_of
from notifier.store.partitions import Partitions

ATTEMPT = TypeAdapter(Attempt)
DISPATCH_CHUNK: Final = 500
"""How many endpoints one script call makes an event owed to: about a millisecond of the server's time."""
WALKED_AT_ONCE: Final = 250


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery under a lease.

    Attributes:
        lease_end: Epoch ms by the server's clock; also the token by which the holder settles.
        body: The event's full payload; empty when the event is no longer kept.
        committed_at: When the event was committed, epoch seconds.
        attempts_made: All attempts so far.
        base: Attempts before the last redelivery; the retry schedule counts from there.
    """

    event_id: EventId
    endpoint_id: EndpointId
    lease_end: int
    attempts_made: int
    base: int
    trigger: Trigger
    body: bytes
    committed_at: float


@dataclass(frozen=True, slots=True)
class Settlement:
    """What becomes of a claimed delivery.

    Attributes:
        status: Where the delivery stands now.
        delay: Seconds until the next attempt, for a pending one.
        attempts_made: All attempts that count, this one among them if it does.
        resume_after: Seconds for which the endpoint gets nothing more, 0 for none.
        succeeded: Whether the receiver answered well; None where that is not known.
    """

    claim: Claim
    status: DeliveryStatus
    attempt: Attempt
    attempts_made: int
    delay: float = 0.0
    resume_after: float = 0.0
    succeeded: bool | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """What a turn at a partition gave.

    Attributes:
        stale: How many leases had run out; those deliveries are settled by whoever holds them now.
        generation: Of the endpoints' records, at the moment of the claims.
    """

    stale: int
    claims: Sequence[Claim]
    generation: str


class Deliveries:
    """Claim, settle, and look up."""

    def __init__(
        self, database: Database, partitions: Partitions, events: Events, *, ttl_seconds: int
    ) -> None:
        self._database = database
        self._partitions = partitions
        self._events = events
        self._ttl = ttl_seconds

    async def owe(self, wanted: Sequence[tuple[EventId, Sequence[EndpointId]]]) -> set[int]:
        """Make events owed to endpoints and take them out of the outbox; repeating it changes nothing.

        Returns:
            The partitions that have work now and no nudge on its way.
        """
        nudges: set[int] = set()
        batch: list[ScriptCall] = []
        placed_in_batch = 0
        for event_id, endpoint_ids in wanted:
            for start in range(0, max(len(endpoint_ids), 1), DISPATCH_CHUNK):
                chunk = endpoint_ids[start : start + DISPATCH_CHUNK]
                batch.append(
                    self._dispatch_call(event_id, chunk, last=start + DISPATCH_CHUNK >= len(endpoint_ids))
                )
                placed_in_batch += len(chunk)
                if placed_in_batch >= DISPATCH_CHUNK:
                    nudges.update(*await self._database.run_all(batch))
                    batch, placed_in_batch = [], 0
        nudges.update(*await self._database.run_all(batch))
        return nudges

    def _dispatch_call(
        self, event_id: EventId, endpoint_ids: Sequence[EndpointId], *, last: bool
    ) -> ScriptCall:
        placed: list[Argument] = []
        for endpoint_id in endpoint_ids:
            placed += [endpoint_id, self._partitions.of(endpoint_id)]
        return ScriptCall(script("dispatch"), [keys.OUTBOX], [event_id, int(last), self._ttl, *placed])

    async def turn(
        self, partition: int, settlements: Sequence[Settlement], *, limit: int, lease_seconds: float
    ) -> Turn:
        """Record outcomes and claim up to ``limit`` due deliveries of a partition, in one round trip.

        The endpoints take turns, and what the outcomes set free can be claimed at once.
        """
        calls = [self._settle_call(partition, settlements)] if settlements else []
        if limit > 0:
            calls.append(
                ScriptCall(
                    script("claim"),
                    [keys.ready(partition), keys.nudged(f"deliver:{partition}")],
                    [limit, int(lease_seconds * 1000)],
                )
            )
        answers = await self._database.run_all(calls)
        stale = answers.pop(0) if settlements else 0
        generation, rows = answers.pop(0) if limit > 0 else ("", [])
        return Turn(stale, [_claim(row) for row in rows], generation)

    def _settle_call(self, partition: int, settlements: Sequence[Settlement]) -> ScriptCall:
        batch = [
            [
                settlement.claim.endpoint_id,
                settlement.claim.event_id,
                settlement.claim.lease_end,
                settlement.status,
                int(settlement.delay * 1000),
                settlement.attempts_made,
                settlement.attempt.reason,
                ATTEMPT.dump_json(settlement.attempt).decode(),
                int(settlement.resume_after * 1000),
                settlement.succeeded,
            ]
            for settlement in settlements
        ]
        return ScriptCall(script("settle"), [keys.ready(partition)], [self._ttl, json.dumps(batch)])

    async def redeliver(self, delivery: str) -> int:
        """Make a delivery due at once; gives its partition.

        Raises:
            NotFoundError: There is no such delivery, or its event or endpoint is gone.
            ConflictError: An attempt is under way.
        """
        found = await self.get(delivery)
        partition = self._partitions.of(found.endpoint_id)
        done = await self._database.run(
            "redeliver",
            keys=[keys.delivery(delivery), keys.ready(partition)],
            args=[found.endpoint_id, found.event_id, self._ttl],
        )
        if done == 0:
            raise NotFoundError(f"The event or the endpoint of delivery {delivery} is gone.")
        if done > 1:
            raise ConflictError(f"An attempt at delivery {delivery} is under way; ask again later.")
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
                pipe.sismember(keys.owed(event_id), endpoint_id)
                pipe.exists(keys.delivery(delivery))
                known = await pipe.execute()
            if any(known):
                return (await self._read([owed]))[0]
        raise NotFoundError.of("delivery", delivery)

    async def attempts(self, delivery: str) -> tuple[Attempt, ...]:
        """List the attempts made at a delivery, oldest first."""
        async with self._database.translated():
            documents = await self._database.redis.lrange(keys.attempts(delivery), 0, -1)
        return tuple(ATTEMPT.validate_json(document) for document in documents)

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

        A cursor is ``<serial of the event>-<deliveries of it already given>``.
        """
        from_serial, skip = _read_position(cursor)
        found: list[Delivery] = []
        async for event, serial, owed in self._owed_back(from_serial, endpoint_id, event_id, space_id):
            start = skip if serial == from_serial else 0
            for offset in range(start, len(owed), limit):
                chunk = await self._read([(event, each) for each in owed[offset : offset + limit]])
                for position, delivery in enumerate(chunk, start=offset + 1):
                    if status in (None, delivery.status):
                        found.append(delivery)
                    if len(found) == limit:
                        return Page(tuple(found), f"{serial}-{position}")
        return Page(tuple(found), None)

    async def _owed_back(
        self, serial: int | None, endpoint_id: str | None, event_id: str | None, space_id: str | None
    ) -> AsyncIterator[tuple[EventId, int, list[EndpointId]]]:
        """Go back through the log, from the event with this serial on, with whom each event is owed to."""
        index = keys.owes(endpoint_id) if endpoint_id is not None else keys.EVENTS
        cursor = None if serial is None else str(serial + 1)
        while True:
            if event_id is None:
                rows = await slice_of(self._database, index, limit=WALKED_AT_ONCE, cursor=cursor)
            else:
                rows = await self._only(index, event_id, before=cursor)
            async with self._database.pipeline() as pipe:
                for event, _ in rows:
                    pipe.hget(keys.event(event), "space")
                    pipe.smembers(keys.owed(event))
                answers = await pipe.execute()
            for (event, at), space, owed in zip(rows, answers[::2], answers[1::2], strict=True):
                if space_id in (None, space):
                    wanted = owed if endpoint_id is None else owed & {endpoint_id}
                    yield EventId(event), at, sorted(wanted)
            if len(rows) < WALKED_AT_ONCE:
                return
            cursor = str(rows[-1][1])

    async def _only(self, index: str, event_id: str, *, before: str | None) -> list[tuple[str, int]]:
        async with self._database.translated():
            serial = await self._database.redis.zscore(index, event_id)
        is_there = serial is not None and (before is None or serial < int(before))
        return [(event_id, int(serial))] if is_there else []

    async def _read(self, owed: Sequence[tuple[EventId, EndpointId]]) -> list[Delivery]:
        """Read the records of deliveries."""
        async with self._database.pipeline() as pipe:
            for event_id, endpoint_id in owed:
                pipe.hmget(
                    keys.delivery(delivery_id(event_id, endpoint_id)),
                    ["status", "attempts", "reason", "settled_at"],
                )
                pipe.zscore(keys.due(endpoint_id), event_id)
                pipe.hget(keys.event(event_id), "at")
                pipe.exists(keys.endpoint(endpoint_id))
            rows = await pipe.execute()
        return [_delivery(each, *rows[number * 4 : number * 4 + 4]) for number, each in enumerate(owed)]


def _claim(row: Sequence[Any]) -> Claim:
    endpoint_id, event_id, lease_end, attempts, base, manual, body, at = row
    return Claim(
        EventId(event_id),
        EndpointId(endpoint_id),
        int(lease_end),
        attempts,
        base,
        Trigger.MANUAL if manual else Trigger.SCHEDULED,
        body.encode(),
        at / 1000,
    )


def _delivery(
    owed: tuple[EventId, EndpointId],
    record: Sequence[str | None],
    due_at: float | None,
    committed_at: str | None,
    has_endpoint: int,
) -> Delivery:
    """Put a delivery together; one without a record was never attempted."""
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
        next_attempt_at=due_at / 1000 if due_at and known is DeliveryStatus.PENDING else None,
        settled_at=int(settled_at) / 1000 if settled_at else None,
        last_reason=reason,
    )


def _read_position(cursor: str | None) -> tuple[int | None, int]:
    if cursor is None:
        return None, 0
    serial, _, skip = cursor.partition("-")
    return read_cursor(serial), read_cursor(skip or "0")
