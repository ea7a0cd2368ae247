"""Erasing what X does not have any more from what is kept of events and deliveries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from notifier.core.events.event import redact
from notifier.core.model.ids import EndpointId, EventId, SpaceId, delivery_id
from notifier.store import keys
from notifier.store.database import Argument, Database, ScriptCall, script
from notifier.store.delivery_queue import ATTEMPT, attempts_in

EVENTS_AT_ONCE = 100

LAST_WORD_SECONDS = 43_200
"""How long a kind may still remember a Space whose content is erased: to take down what it has shown. It is
the half of the day that X leaves to receivers; once the erasure is delivered, nothing is remembered."""


class Redaction:
    """Reaches every copy of a Space's content outside its own record."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def redact(self, space_id: SpaceId) -> int | None:
        """Reduce the bodies of all events that tell of a Space, and what was answered to their deliveries.

        What kinds of endpoints remember of it comes to its end soon.

        Ids, types and times stay. Doing it twice changes nothing.

        Returns:
            How many events there were; None where an attempt is in flight whose receiver may still repeat
            what it gets, so that it has to be done again.
        """
        async with self._database.pipeline() as pipe:
            pipe.zrange(keys.space_events(space_id), 0, -1)
            pipe.smembers(keys.space_mentions(space_id))
            pipe.time()
            own, mentions, (now, _) = await pipe.execute()
        event_ids = [EventId(each) for each in dict.fromkeys((*own, *sorted(mentions)))]
        is_quiet = True
        for start in range(0, len(event_ids), EVENTS_AT_ONCE):
            chunk = event_ids[start : start + EVENTS_AT_ONCE]
            # In this order: whatever is claimed from here on carries the reduced body.
            owed = await self._redact_bodies(space_id, chunk)
            is_quiet = await self._redact_attempts(owed) and is_quiet
            await self._end_memories(space_id, {endpoint_id for _, endpoint_id in owed}, now=now)
        return len(event_ids) if is_quiet else None

    async def _redact_bodies(
        self, space_id: SpaceId, event_ids: list[EventId]
    ) -> list[tuple[EventId, EndpointId]]:
        """Reduce the bodies of events; gives whom each of them is owed to."""
        async with self._database.pipeline() as pipe:
            for event_id in event_ids:
                pipe.hget(keys.event(event_id), "body")
                pipe.smembers(keys.owed(event_id))
            rows = await pipe.execute()
        await self._database.run_all(
            [
                ScriptCall(script("redact_event"), [keys.event(event_id)], [redact(body.encode(), space_id)])
                for event_id, body in zip(event_ids, rows[::2], strict=True)
                if body is not None
            ]
        )
        return [
            (event_id, EndpointId(endpoint_id))
            for event_id, endpoint_ids in zip(event_ids, rows[1::2], strict=True)
            for endpoint_id in sorted(endpoint_ids)
        ]

    async def _redact_attempts(self, owed: list[tuple[EventId, EndpointId]]) -> bool:
        """Blank what receivers answered, as it may repeat what they got; returns whether none is open."""
        records = [keys.delivery(delivery_id(event_id, endpoint_id)) for event_id, endpoint_id in owed]
        async with self._database.pipeline() as pipe:
            # The leases are read first: an attempt that ends meanwhile is among those that are read then.
            for event_id, endpoint_id in owed:
                pipe.zscore(keys.leased(endpoint_id), event_id)
            for record in records:
                pipe.hgetall(record)
            rows = await pipe.execute()
        calls = []
        for record, fields in zip(records, rows[len(owed) :], strict=True):
            blank: list[Argument] = []
            for attempt in attempts_in(fields):
                blank += [attempt.id, ATTEMPT.dump_json(replace(attempt, body="", headers={}))]
            if blank:
                calls.append(ScriptCall(script("redact_attempts"), [record], blank))
        await self._database.run_all(calls)
        return not any(rows[: len(owed)])

    async def _end_memories(self, space_id: SpaceId, endpoint_ids: Iterable[EndpointId], *, now: int) -> None:
        """Have what is remembered of a Space erased soon; doing it again puts nothing off."""
        end = (now + LAST_WORD_SECONDS) * 1000
        async with self._database.pipeline() as pipe:
            for endpoint_id in endpoint_ids:
                pipe.zadd(keys.memory_ends(endpoint_id), {space_id: end}, xx=True, lt=True)
            await pipe.execute()
