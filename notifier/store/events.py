"""The event log and the outbox in Redis."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

from notifier.core.events.event import Event, EventType, Routing, encode
from notifier.core.model.ids import EventId, SpaceId
from notifier.core.model.watch import Watch
from notifier.errors import BadRequestError, NotFoundError
from notifier.store import schema
from notifier.store.bodies import Bodies
from notifier.store.database import Database
from notifier.store.paging import Page, page_of, read_cursor, slice_of
from notifier.store.records import text_of
from notifier.store.schema import Key
from notifier.store.scripts import Script, script
from notifier.store.watches import WATCH

LOG_PLAIN: Final[Script[int]] = script("log_plain")
READ_OUTBOX: Final[Script[tuple[str, list[list[Any]]]]] = script("read_outbox")
TRIM_LOG: Final[Script[int]] = script("trim_log")

FIELDS = ("type", "body", "routing", "space", "sequence", "serial", "at")
TRIMMED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event as the log keeps it: ``body`` is the full payload, the very bytes that are sent.

    ``serial`` is its place in the log, ``at`` the epoch second of its commit.
    """

    id: EventId
    type: EventType
    body: bytes
    routing: Routing
    space_id: SpaceId | None
    sequence: int | None
    serial: int
    at: float


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """What it takes to dispatch an event."""

    id: EventId
    type: EventType
    routing: Routing
    serial: int
    space_id: SpaceId | None
    sequence: int | None


class Outbox(NamedTuple):
    """The oldest entries of the outbox, and the generation of the endpoints at that moment."""

    entries: list[OutboxEntry]
    generation: str


@dataclass(frozen=True, slots=True)
class WatchChange:
    """A change of a watch that goes in together with the event that reports it.

    Attributes:
        versions: The versions of the Spaces' records that the event lists.
    """

    before: Watch
    after: Watch
    versions: Mapping[SpaceId, int] = field(default_factory=dict)


class Events:
    """The log of everything that happened, for as long as it is kept."""

    def __init__(self, database: Database, *, ttl_seconds: int) -> None:
        self._database = database
        self._ttl = ttl_seconds
        self.bodies = Bodies(database)

    async def commit(self, event: Event, *, change: WatchChange | None = None) -> bool:
        """Log an event that is not about a Space, put it in the outbox, and wake a worker to dispatch it.

        Where it reports a change of a watch, the watch is changed in the same step.

        Returns:
            False where that watch, or one of the Spaces that the event lists, has been deleted or changed
            meanwhile; then nothing is stored.
        """
        named = [schema.EVENT(event.id)]
        asked: dict[str, Any] = {"event": logged(event), "ttl": self._ttl, "versions": {}}
        if change is not None:
            named.append(schema.WATCH(change.before.id))
            replaced = await text_of(self._database, named[1], WATCH, change.before)
            if replaced is None:
                return False
            asked["document"] = WATCH.dump_json(change.after).decode()
            asked["replaced"] = replaced
            asked["versions"] = {space_id: str(version) for space_id, version in change.versions.items()}
        return bool(await self._database.run(LOG_PLAIN, keys=named, args=[json.dumps(asked)]))

    async def get_many(self, event_ids: list[str]) -> dict[EventId, LoggedEvent]:
        """Return those of the events that still exist."""
        async with self._database.pipeline() as pipe:
            for event_id in event_ids:
                pipe.hmget(schema.EVENT(event_id), FIELDS)
            rows = await pipe.execute()
        return {
            EventId(event_id): _read(event_id, row)
            for event_id, row in zip(event_ids, rows, strict=True)
            if row[0] is not None
        }

    async def get(self, event_id: str) -> LoggedEvent:
        """Read one event.

        Raises:
            NotFoundError: There is none, or it is no longer kept.
        """
        found = await self.get_many([event_id])
        if event_id not in found:
            raise NotFoundError.of("event", event_id)
        return found[EventId(event_id)]

    async def page(
        self,
        *,
        limit: int,
        cursor: str | None,
        event_type: str | None = None,
        space_id: str | None = None,
        oldest_first: bool = False,
    ) -> Page[LoggedEvent]:
        """List events by their place in the log, newest first unless said."""
        index = schema.EVENTS_OF_TYPE(event_type) if event_type is not None else schema.EVENTS()
        found: list[tuple[LoggedEvent, int]] = []
        while True:
            rows = await slice_of(
                self._database, index, limit=limit, cursor=cursor, oldest_first=oldest_first
            )
            records = await self.get_many([event_id for event_id, _ in rows])
            for event_id, serial in rows:
                cursor = str(serial)
                event = records.get(EventId(event_id))
                if event is not None and space_id in (None, event.space_id):
                    found.append((event, serial))
                    if len(found) == limit:
                        return page_of(found, limit=limit)
            if len(rows) < limit:
                return page_of(found, limit=limit)

    async def after(
        self, *, after: str, limit: int, event_type: str | None = None, space_id: str | None = None
    ) -> Page[LoggedEvent]:
        """List what was logged after an event or a cursor, oldest first; there is always a next cursor.

        Raises:
            BadRequestError: ``after`` is neither.
        """
        cursor = await self._serial_of(after)
        page = await self.page(
            limit=limit, cursor=str(cursor), event_type=event_type, space_id=space_id, oldest_first=True
        )
        last = page.items[-1].serial if page.items else cursor
        return Page(page.items, page.next_cursor or str(last))

    async def _serial_of(self, after: str) -> int:
        if not after.startswith("evt_"):
            return read_cursor(after or "0")
        async with self._database.translated():
            serial = await self._database.redis.zscore(schema.EVENTS(), after)
        if serial is None:
            raise BadRequestError(f"after: there is no event {after} any more; begin with after=0")
        return int(serial)

    async def of_space(self, space_id: str, *, limit: int, cursor: str | None) -> Page[LoggedEvent]:
        """List a Space's events by sequence, oldest first."""
        rows = await slice_of(
            self._database, schema.SPACE_EVENTS(space_id), limit=limit, cursor=cursor, oldest_first=True
        )
        records = await self.get_many([event_id for event_id, _ in rows])
        return page_of(
            [(records.get(EventId(event_id)), sequence) for event_id, sequence in rows], limit=limit
        )

    async def undispatched(
        self, *, limit: int, complete: Collection[EventId] = (), with_bodies: bool = False
    ) -> Outbox:
        """Read the oldest entries of the outbox, after those that are dispatched were taken out of it.

        Entries whose event has expired are dropped.

        Args:
            limit: How many at most.
            complete: What is dispatched.
            with_bodies: Whether their bodies are read, too, and kept for their deliveries: it saves a
                question where those are made at once, and costs one where they are not.
        """
        asked = self.bodies.forgotten
        generation, rows = await self._database.run(
            READ_OUTBOX, keys=[schema.OUTBOX()], args=[limit, int(with_bodies), *complete]
        )
        for event_id, *_, at, body in rows if with_bodies else ():
            self.bodies.keep(EventId(event_id), (body.encode(), int(at) / 1000), asked=asked)
        return Outbox([_outbox_entry(row) for row in rows], generation)

    async def trim(self) -> int:
        """Drop entries of the log's indexes whose events have expired; returns how many."""
        indexes = [schema.EVENTS(), *(schema.EVENTS_OF_TYPE(event_type) for event_type in EventType)]
        return sum([await trim_index(self._database, index) for index in indexes])


async def trim_index(database: Database, index: Key) -> int:
    """Drop the oldest entries of an index of the log for as long as their events have expired."""
    dropped = 0
    while True:
        count = await database.run(TRIM_LOG, keys=[index], args=[TRIMMED_AT_ONCE])
        dropped += count
        if count < TRIMMED_AT_ONCE:
            return dropped


def logged(event: Event) -> dict[str, str]:
    """Write an event as the scripts that log it take it."""
    return {
        "id": event.id,
        "type": event.type,
        "body": encode(event).decode(),
        "routing": routing_json(event),
    }


def _outbox_entry(row: Sequence[str]) -> OutboxEntry:
    event_id, event_type, routing, serial, space_id, sequence, *_ = row
    return OutboxEntry(
        id=EventId(event_id),
        type=EventType(event_type),
        routing=read_routing(routing),
        serial=int(serial),
        space_id=SpaceId(space_id) if space_id else None,
        sequence=int(sequence) if sequence else None,
    )


def routing_json(event: Event) -> str:
    """Write what filters read, as the log keeps it."""
    return json.dumps({name: value for name, value in asdict(event.routing).items() if value})


def _read(event_id: str, row: list[Any]) -> LoggedEvent:
    event_type, body, routing, space_id, sequence, serial, at = row
    return LoggedEvent(
        id=EventId(event_id),
        type=EventType(event_type),
        body=body.encode(),
        routing=read_routing(routing),
        space_id=SpaceId(space_id) if space_id else None,
        sequence=int(sequence) if sequence else None,
        serial=int(serial),
        at=int(at) / 1000,
    )


def read_routing(routing: str) -> Routing:
    """Read back what :func:`routing_json` wrote."""
    facts: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in json.loads(routing).items()
    }
    return Routing(**facts)
