"""Endpoints in Redis."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter

from notifier.core.delivery.endpoint import DEFAULT_MAX_CONCURRENCY, Endpoint, Ordering, disabled_event
from notifier.core.delivery.pacing import FIRST_CONCURRENCY
from notifier.core.model.ids import EndpointId
from notifier.errors import NotFoundError, VersionConflictError
from notifier.store import schema
from notifier.store.database import Database
from notifier.store.endpoint_state import StateField
from notifier.store.events import logged
from notifier.store.learned_pace import read_pace
from notifier.store.paging import Page, page_of, slice_of
from notifier.store.partitions import Partitions
from notifier.store.records import CHANGED, Change, Changes, text_of
from notifier.store.scripts import Script, script

ENDPOINT = TypeAdapter(Endpoint)
SAVE_ENDPOINT: Final[Script[int]] = script("save_endpoint")
DELETE_ENDPOINT: Final[Script[int]] = script("delete_endpoint")
APPLY_ENDPOINT: Final[Script[None]] = script("apply_endpoint")
REMOVE_ENDPOINT: Final[Script[None]] = script("remove_endpoint")
ERASE_MEMORIES: Final[Script[int]] = script("erase_memories")
END_CHANGE: Final[Script[int]] = script("end_change")
CLAIM_CHALLENGES: Final[Script[list[str]]] = script("claim_challenges")

HEALTH_FIELDS: Final = (
    *(StateField.FAILURES, StateField.SUCCESS_AT, StateField.FAILURE_AT, StateField.FAILURE_REASON),
    *(StateField.LINES, StateField.PACE, StateField.CONCURRENCY, StateField.MAX_CONCURRENCY),
    StateField.RESUME_AT,
)


@dataclass(frozen=True, slots=True)
class EndpointHealth:
    """How an endpoint is doing. Times are epoch seconds.

    Attributes:
        learned_rate_per_second: What its receiver takes, by its answers; None where it has shown no limit.
        learned_concurrency: How many it takes at once, by its answers; no more than its ``max_concurrency``.
        paused_until: Until when it gets nothing, by the receiver's wish or the breaker's; None for no pause.
    """

    pending: int
    oldest_due_at: float | None
    consecutive_failures: int
    last_success_at: float | None
    last_failure_at: float | None
    last_failure_reason: str | None
    learned_rate_per_second: float | None
    learned_concurrency: int
    paused_until: float | None


class Endpoints:
    """The records of subscribers.

    A record is of the deciding side; the limits that the claim keeps, and the queue, are of the partition.
    So each change takes two steps: it is stored, with a note that its partition has yet to take it over, and
    then it is applied there. A process that dies in between leaves the note for :meth:`apply_changes`.
    """

    def __init__(self, database: Database, partitions: Partitions, *, ttl_seconds: int) -> None:
        self._database = database
        self._partitions = partitions
        self._ttl = ttl_seconds
        self._changes = Changes[Endpoint]()
        self._generation = ""
        self._generations: dict[int, str] = {}
        self._all: dict[EndpointId, Endpoint] = {}

    async def create(self, endpoint: Endpoint) -> None:
        """Add an endpoint."""
        await self._save(endpoint, replacing=None)

    async def save(self, endpoint: Endpoint, *, replacing: Endpoint, repaired: bool = False) -> None:
        """Replace an endpoint as it was read; where that disables it, an event reports it.

        Where that enables it or gives it another destination, or it is said to be repaired, its record of
        failures starts again, and what was learned of its pace is forgotten.

        Raises:
            NotFoundError: It has been deleted.
            VersionConflictError: It was changed meanwhile, say disabled by an answer of 410.
        """
        await self._save(
            endpoint, replacing=replacing, repaired=repaired or endpoint.destination != replacing.destination
        )

    async def change(
        self, endpoint_id: str, decide: Callable[[Endpoint], Endpoint], *, repaired: bool = False
    ) -> Change[Endpoint]:
        """Change an endpoint, even if others change it at the same time.

        Args:
            endpoint_id: Which.
            decide: Returns what becomes of it. It may be asked again, about what others have made of it by
                then, and may refuse by raising.
            repaired: Whether its record of failures begins again, even where nothing else changes.

        Raises:
            NotFoundError: There is none.
            VersionConflictError: Others kept changing it.
        """

        async def save(change: Change[Endpoint]) -> None:
            if repaired or change.after != change.before:
                await self.save(change.after, replacing=change.before, repaired=repaired)

        return await self._changes.make(endpoint_id, self.get, decide, save)

    async def _save(self, endpoint: Endpoint, *, replacing: Endpoint | None, repaired: bool = False) -> None:
        key = schema.ENDPOINT(endpoint.id)
        replaced: str | None = ""
        if replacing is not None:
            replaced = await text_of(self._database, key, ENDPOINT, replacing)
        event = disabled_event(replacing, endpoint) if replacing else None
        asked = {
            "id": endpoint.id,
            "document": ENDPOINT.dump_json(endpoint).decode(),
            "replaced": CHANGED if replaced is None else replaced,
            "challenge_at": ""
            if endpoint.challenge_due_at is None
            else int(endpoint.challenge_due_at * 1000),
            "repaired": repaired,
            "ttl": self._ttl,
            **({"event": logged(event)} if event else {}),
        }
        saved = await self._database.run(SAVE_ENDPOINT, keys=[key], args=[json.dumps(asked)])
        if saved == 0:
            raise NotFoundError.of("endpoint", endpoint.id)
        if saved < 0:
            raise VersionConflictError(
                f"Endpoint {endpoint.id} was changed meanwhile; read it and try again."
            )
        await self.apply(endpoint.id)

    async def apply_changes(self) -> int:
        """Have partitions take over changes that they have not; returns how many there were.

        There are some only where a process has died, or lost Redis, between storing and applying.
        """
        async with self._database.translated():
            changed = await self._database.redis.zrange(schema.ENDPOINTS_CHANGED(), 0, -1)
        for endpoint_id in changed:
            await self.apply(endpoint_id)
        return len(changed)

    async def apply(self, endpoint_id: str) -> bool:
        """Have its partition take over what an endpoint's record says; returns whether there is a record.

        Doing it twice, or in two processes at once, changes nothing: the later change of a record wins, and a
        record that is gone leaves nothing behind.
        """
        while True:
            async with self._database.pipeline() as pipe:
                # In this order: a record is never older than the change that is said to be applied with it.
                pipe.zscore(schema.ENDPOINTS_CHANGED(), endpoint_id)
                pipe.sismember(schema.ENDPOINTS_REPAIRED(), endpoint_id)
                pipe.get(schema.ENDPOINT(endpoint_id))
                change, repaired, document = await pipe.execute()
            serial = int(change or 0)
            if document is None:
                await self._remove(endpoint_id)
            else:
                endpoint = ENDPOINT.validate_json(document)
                await self._take_over(endpoint, serial, repaired=bool(repaired))
            if await self._database.run(
                END_CHANGE, keys=[schema.ENDPOINTS_CHANGED()], args=[endpoint_id, serial]
            ):
                return document is not None
            # Others have applied or changed it meanwhile. If it was deleted, what was just written must go.
            async with self._database.translated():
                exists, is_changed = (
                    await self._database.redis.exists(schema.ENDPOINT(endpoint_id)),
                    await self._database.redis.zscore(schema.ENDPOINTS_CHANGED(), endpoint_id),
                )
            if is_changed is None and bool(exists) == (document is not None):
                return bool(exists)

    async def _take_over(self, endpoint: Endpoint, change: int, *, repaired: bool) -> None:
        rate = endpoint.rate_limit_per_second
        asked = {
            "id": endpoint.id,
            "change": change,
            "paused": int(endpoint.is_held),
            "max_concurrency": endpoint.max_concurrency,
            "interval": 0 if rate is None else 1000 / rate,
            "ordered": int(endpoint.ordering is Ordering.SPACE),
            "remembers": int(endpoint.remembers),
            "repaired": repaired,
            "first_concurrency": FIRST_CONCURRENCY,
        }
        ready = schema.READY(self._partitions.of(endpoint.id))
        await self._database.run(APPLY_ENDPOINT, keys=[ready], args=[json.dumps(asked)])

    async def _remove(self, endpoint_id: str) -> None:
        of = self._partitions.key
        await self._database.run(
            REMOVE_ENDPOINT,
            keys=[
                of(schema.STATE, endpoint_id),
                schema.READY(self._partitions.of(endpoint_id)),
                of(schema.DUE, endpoint_id),
                of(schema.LEASED, endpoint_id),
                of(schema.LINES, endpoint_id),
                of(schema.HISTORY, endpoint_id),
                of(schema.MEMORIES, endpoint_id),
                of(schema.MEMORY_ENDS, endpoint_id),
            ],
            args=[endpoint_id, self._ttl],
        )

    async def get_many(self, endpoint_ids: list[str]) -> dict[EndpointId, Endpoint]:
        """Read those of the endpoints that exist."""
        if not endpoint_ids:
            return {}
        async with self._database.translated():
            documents = await self._database.redis.mget(
                [schema.ENDPOINT(endpoint_id) for endpoint_id in endpoint_ids]
            )
        found = [ENDPOINT.validate_json(document) for document in documents if document]
        return {endpoint.id: endpoint for endpoint in found}

    async def get(self, endpoint_id: str) -> Endpoint:
        """Read one endpoint.

        Raises:
            NotFoundError: There is none.
        """
        found = await self.get_many([endpoint_id])
        if endpoint_id not in found:
            raise NotFoundError.of("endpoint", endpoint_id)
        return found[EndpointId(endpoint_id)]

    async def trim(self) -> int:
        """Drop from what endpoints were owed the events that have expired; returns how many.

        What their kinds have remembered for long enough is erased as well.
        """
        async with self._database.pipeline() as pipe:
            pipe.get(schema.SERIAL())
            pipe.zrange(schema.EVENTS(), 0, 0, withscores=True)
            serial, first = await pipe.execute()
        # Events expire in the order of the log, and its index was trimmed before.
        kept_from = int(first[0][1]) if first else int(serial or 0) + 1
        dropped = 0
        for endpoint_id, endpoint in (await self.all()).items():
            history = self._partitions.key(schema.HISTORY, endpoint_id)
            async with self._database.translated():
                dropped += await self._database.redis.zremrangebyscore(history, "-inf", f"({kept_from}")
            if endpoint.remembers:
                rows = (schema.MEMORIES, schema.MEMORY_ENDS)
                memories = [self._partitions.key(row, endpoint_id) for row in rows]
                while await self._database.run(ERASE_MEMORIES, keys=memories):
                    pass
        return dropped

    async def all(self, *, generation: str | None = None) -> Mapping[EndpointId, Endpoint]:
        """Return every endpoint by id, read again only when one has changed.

        Args:
            generation: Of the endpoints, where the caller has just learned it.
        """
        async with self._database.translated():
            if generation is None:
                generation = await self._database.redis.get(schema.ENDPOINTS_GENERATION()) or ""
            if generation != self._generation:
                endpoint_ids = await self._database.redis.zrange(schema.ENDPOINTS(), 0, -1)
                self._all = await self.get_many(endpoint_ids)
                self._generation = generation
        return self._all

    async def all_since(self, partition: int, generation: str) -> Mapping[EndpointId, Endpoint]:
        """Return every endpoint by id, as :meth:`all` does; without asking where nothing has changed.

        Args:
            partition: Where the caller is at work.
            generation: Of the endpoints there, as it has just learned.
        """
        if self._generations.get(partition) != generation:
            await self.all()
            self._generations[partition] = generation
        return self._all

    async def claim_challenges(self, *, due_at: float, lease_end: float, limit: int) -> list[Endpoint]:
        """Take endpoints that a challenge is due for; they become due again when the lease ends.

        Args:
            due_at: Epoch seconds; what is due by then is taken.
            lease_end: The same; a worker that has not recorded an outcome by then counts as dead.
            limit: How many at most.
        """
        claimed = await self._database.run(
            CLAIM_CHALLENGES,
            keys=[schema.CHALLENGES()],
            args=[int(due_at * 1000), int(lease_end * 1000), limit],
        )
        return list((await self.get_many(claimed)).values())

    async def page(self, *, limit: int, cursor: str | None) -> Page[Endpoint]:
        """List endpoints, newest first."""
        rows = await slice_of(self._database, schema.ENDPOINTS(), limit=limit, cursor=cursor)
        found = await self.get_many([endpoint_id for endpoint_id, _ in rows])
        return page_of(
            [(found.get(EndpointId(endpoint_id)), serial) for endpoint_id, serial in rows], limit=limit
        )

    async def delete(self, endpoint_id: str) -> None:
        """Remove an endpoint and its queue.

        Raises:
            NotFoundError: There is none.
        """
        if not await self._database.run(
            DELETE_ENDPOINT, keys=[schema.ENDPOINT(endpoint_id)], args=[endpoint_id]
        ):
            raise NotFoundError.of("endpoint", endpoint_id)
        await self.apply(endpoint_id)

    async def health(self, endpoint_id: str) -> EndpointHealth:
        """Return how an endpoint is doing."""
        return (await self.health_of([endpoint_id]))[0]

    async def health_of(self, endpoint_ids: Sequence[str]) -> list[EndpointHealth]:
        """Return how endpoints are doing, in one round trip."""
        async with self._database.pipeline() as pipe:
            pipe.time()
            for endpoint_id in endpoint_ids:
                pipe.zcard(self._partitions.key(schema.DUE, endpoint_id))
                pipe.zcard(self._partitions.key(schema.LEASED, endpoint_id))
                pipe.hlen(self._partitions.key(schema.LINES, endpoint_id))
                pipe.zrange(self._partitions.key(schema.DUE, endpoint_id), 0, 0, withscores=True)
                pipe.hmget(self._partitions.key(schema.STATE, endpoint_id), HEALTH_FIELDS)
            (seconds, microseconds), *rows = await pipe.execute()
        now = seconds + microseconds / 1e6
        return [_health(*rows[start : start + 5], now=now) for start in range(0, len(rows), 5)]


def _health(
    due: int,
    leased: int,
    lined_up: int,
    head: list[tuple[str, float]],
    state: list[str | None],
    *,
    now: float,
) -> EndpointHealth:
    failures, success_at, failure_at, reason, lines, pace, concurrency, most, resume_at = state
    allowed = int(most or DEFAULT_MAX_CONCURRENCY)
    paused_until = float(resume_at or 0) / 1000
    return EndpointHealth(
        # The first of each line is due or leased, and counted there.
        pending=due + leased + lined_up - int(lines or 0),
        oldest_due_at=head[0][1] / 1000 if head else None,
        consecutive_failures=int(failures or 0),
        last_success_at=_seconds(success_at),
        last_failure_at=_seconds(failure_at),
        last_failure_reason=reason,
        learned_rate_per_second=read_pace(pace).rate,
        learned_concurrency=max(1, min(allowed, int(float(concurrency or allowed)))),
        paused_until=paused_until if paused_until > now else None,
    )


def _seconds(milliseconds: str | None) -> float | None:
    return None if milliseconds is None else int(milliseconds) / 1000
