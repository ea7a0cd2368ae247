"""Erases what X no longer has from stored events and deliveries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from notifier.core.events.event import redact
from notifier.core.model.ids import EndpointId, EventId, SpaceId
from notifier.store import schema
from notifier.store.database import Database
from notifier.store.delivery_queue import ATTEMPT, attempts_in
from notifier.store.partitions import Partitions
from notifier.store.scripts import Argument, Script, ScriptCall, script

REDACT_EVENT: Final[Script[int]] = script("redact_event")
REDACT_ATTEMPTS: Final[Script[int]] = script("redact_attempts")

EVENTS_AT_ONCE = 100

LAST_WORD_SECONDS = 43_200
"""How long a kind may still remember a Space whose content is erased: to take down what it has shown. It is
the half of the day that X leaves to receivers; once the erasure is delivered, nothing is remembered."""


class Redaction:
    """Reaches every copy of a Space's content outside its own record."""

    def __init__(self, database: Database, partitions: Partitions) -> None:
        self._database = database
        self._partitions = partitions

    async def redact(self, space_id: SpaceId) -> int | None:
        """Reduce the bodies of all events about a Space, and what was answered to their deliveries.

        What kinds of endpoints remember of it comes to its end soon.

        Ids, types and times stay. Doing it twice changes nothing.

        Returns:
            How many events there were; None where an attempt is in flight whose receiver may still repeat
            what it gets, so that it has to be done again.
        """
        async with self._database.pipeline() as pipe:
            pipe.zrange(schema.SPACE_EVENTS(space_id), 0, -1)
            pipe.smembers(schema.SPACE_MENTIONS(space_id))
            own, mentions = await pipe.execute()
        async with self._database.translated():
            now, _ = await self._database.redis.time()
        event_ids = [EventId(each) for each in dict.fromkeys((*own, *sorted(mentions)))]
        is_quiet = True
        for start in range(0, len(event_ids), EVENTS_AT_ONCE):
            chunk = event_ids[start : start + EVENTS_AT_ONCE]
            # In this order, so that every later claim has the reduced body (bodies.py).
            owed = await self._redact_bodies(space_id, chunk)
            await self._forget_bodies()
            is_quiet = await self._redact_attempts(owed) and is_quiet
            await self._end_memories(space_id, {endpoint_id for _, endpoint_id in owed}, now=now)
        return len(event_ids) if is_quiet else None

    async def _redact_bodies(
        self, space_id: SpaceId, event_ids: list[EventId]
    ) -> list[tuple[EventId, EndpointId]]:
        """Reduce the bodies of events; return the recipients of each."""
        async with self._database.pipeline() as pipe:
            for event_id in event_ids:
                pipe.hget(schema.EVENT(event_id), "body")
                for recipients in self._partitions.recipients(event_id):
                    pipe.smembers(recipients)
            rows = await pipe.execute()
        width = 1 + self._partitions.count
        await self._database.run_all(
            [
                ScriptCall(REDACT_EVENT, [schema.EVENT(event_id)], [redact(body.encode(), space_id)])
                for event_id, body in zip(event_ids, rows[::width], strict=True)
                if body is not None
            ]
        )
        return [
            (event_id, EndpointId(endpoint_id))
            for event_id, start in zip(event_ids, range(0, len(rows), width), strict=True)
            for endpoint_id in sorted(set().union(*rows[start + 1 : start + width]))
        ]

    async def _forget_bodies(self) -> None:
        """Have every worker read what it sends again."""
        async with self._database.pipeline() as pipe:
            for partition in range(self._partitions.count):
                pipe.incr(schema.PARTITION_GENERATION(partition))
            await pipe.execute()

    async def _redact_attempts(self, owed: list[tuple[EventId, EndpointId]]) -> bool:
        """Remove the answers of receivers, which may repeat the event; return whether no attempt is open."""
        records = [self._partitions.delivery(event_id, endpoint_id) for event_id, endpoint_id in owed]
        async with self._database.pipeline() as pipe:
            # Leases are read first, so that an attempt that ends meanwhile is among the attempts read next.
            for event_id, endpoint_id in owed:
                pipe.zscore(self._partitions.key(schema.LEASED, endpoint_id), event_id)
            for record in records:
                pipe.hgetall(record)
            rows = await pipe.execute()
        calls = []
        for record, fields in zip(records, rows[len(owed) :], strict=True):
            blank: list[Argument] = []
            for attempt in attempts_in(fields):
                blank += [attempt.id, ATTEMPT.dump_json(replace(attempt, body="", headers={}))]
            if blank:
                calls.append(ScriptCall(REDACT_ATTEMPTS, [record], blank))
        await self._database.run_all(calls)
        return not any(rows[: len(owed)])

    async def _end_memories(self, space_id: SpaceId, endpoint_ids: Iterable[EndpointId], *, now: int) -> None:
        """Have the memories of a Space erased soon; repeating it does not postpone that."""
        end = (now + LAST_WORD_SECONDS) * 1000
        async with self._database.pipeline() as pipe:
            for endpoint_id in endpoint_ids:
                ends = self._partitions.key(schema.MEMORY_ENDS, endpoint_id)
                pipe.zadd(ends, {space_id: end}, xx=True, lt=True)
            await pipe.execute()
