"""Endpoints in Redis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter

from notifier.core.delivery.endpoint import DEFAULT_MAX_CONCURRENCY, Endpoint, Ordering, disabled_event
from notifier.core.delivery.pacing import FIRST_CONCURRENCY
from notifier.core.events.event import encode
from notifier.core.model.ids import EndpointId
from notifier.errors import NotFoundError, VersionConflictError
from notifier.store import keys
from notifier.store.database import Database
from notifier.store.events import routing_json, trim_index
from notifier.store.learned_pace import read_pace
from notifier.store.paging import Page, page_of, slice_of
from notifier.store.partitions import Partitions
from notifier.store.records import CHANGED, Change, Changes, text_of

ENDPOINT = TypeAdapter(Endpoint)
RUN_FIELDS: Final = (
    *("failures", "success_at", "failure_at", "failure_reason", "lines"),
    *("pace", "concurrency", "max_concurrency", "resume_at"),
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
    """The records of subscribers, with the limits that the claim keeps."""

    def __init__(self, database: Database, partitions: Partitions, *, ttl_seconds: int) -> None:
        self._database = database
        self._partitions = partitions
        self._ttl = ttl_seconds
        self._changes = Changes[Endpoint]()
        self._generation = ""
        self._all: dict[EndpointId, Endpoint] = {}

    async def create(self, endpoint: Endpoint) -> None:
        """Add an endpoint."""
        await self._save(endpoint, replacing=None)

    async def save(self, endpoint: Endpoint, *, replacing: Endpoint, repaired: bool = False) -> None:
        """Put an endpoint in the place of what was read before; where that disables it, an event tells so.

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
        key = keys.endpoint(endpoint.id)
        replaced: str | None = ""
        if replacing is not None:
            replaced = await text_of(self._database, key, ENDPOINT, replacing)
        rate = endpoint.rate_limit_per_second
        event = disabled_event(replacing, endpoint) if replacing else None
        saved = await self._database.run(
            "save_endpoint",
            keys=[
                key,
                keys.run(endpoint.id),
                keys.ready(self._partitions.of(endpoint.id)),
            ],
            args=[
                endpoint.id,
                ENDPOINT.dump_json(endpoint),
                CHANGED if replaced is None else replaced,
                int(endpoint.is_held),
                endpoint.max_concurrency,
                0 if rate is None else 1000 / rate,
                int(endpoint.ordering is Ordering.SPACE),
                "" if endpoint.challenge_due_at is None else int(endpoint.challenge_due_at * 1000),
                int(repaired),
                FIRST_CONCURRENCY,
                int(endpoint.remembers),
                self._ttl,
                *((event.id, event.type, encode(event), routing_json(event)) if event else ()),
            ],
        )
        if saved == 0:
            raise NotFoundError.of("endpoint", endpoint.id)
        if saved < 0:
            raise VersionConflictError(
                f"Endpoint {endpoint.id} was changed meanwhile; read it and try again."
            )

    async def get_many(self, endpoint_ids: list[str]) -> dict[EndpointId, Endpoint]:
        """Read those of the endpoints that exist."""
        if not endpoint_ids:
            return {}
        async with self._database.translated():
            documents = await self._database.redis.mget(
                [keys.endpoint(endpoint_id) for endpoint_id in endpoint_ids]
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
        """Drop from what endpoints are owed the events that have expired; returns how many.

        What their kinds have remembered for long enough is erased as well.
        """
        dropped = 0
        for endpoint_id, endpoint in (await self.all()).items():
            dropped += await trim_index(self._database, keys.owes(endpoint_id))
            if endpoint.remembers:
                memories = [keys.memories(endpoint_id), keys.memory_ends(endpoint_id)]
                while await self._database.run("erase_memories", keys=memories):
                    pass
        return dropped

    async def all(self, generation: str | None = None) -> Mapping[EndpointId, Endpoint]:
        """Return every endpoint by id, read again only when one has changed.

        Args:
            generation: Of the records, where the caller has just learned it; else it is asked for.
        """
        async with self._database.translated():
            if generation is None:
                generation = await self._database.redis.get(keys.GENERATION) or ""
            if generation != self._generation:
                endpoint_ids = await self._database.redis.zrange(keys.ENDPOINTS, 0, -1)
                self._all = await self.get_many(endpoint_ids)
                self._generation = generation
        return self._all

    async def claim_challenges(self, *, due_at: float, lease_end: float, limit: int) -> list[Endpoint]:
        """Take endpoints that a challenge is due for; they become due again when the lease ends.

        Args:
            due_at: Epoch seconds; what is due by then is taken.
            lease_end: The same; a worker that has not recorded an outcome by then counts as dead.
            limit: How many at most.
        """
        claimed = await self._database.run(
            "claim_challenges",
            keys=[keys.CHALLENGES],
            args=[int(due_at * 1000), int(lease_end * 1000), limit],
        )
        return list((await self.get_many(claimed)).values())

    async def page(self, *, limit: int, cursor: str | None) -> Page[Endpoint]:
        """List endpoints, newest first."""
        rows = await slice_of(self._database, keys.ENDPOINTS, limit=limit, cursor=cursor)
        found = await self.get_many([endpoint_id for endpoint_id, _ in rows])
        return page_of(
            [(found.get(EndpointId(endpoint_id)), serial) for endpoint_id, serial in rows], limit=limit
        )

    async def delete(self, endpoint_id: str) -> None:
        """Remove an endpoint and its queue.

        Raises:
            NotFoundError: There is none.
        """
        deleted = await self._database.run(
            "delete_endpoint",
            keys=[
                keys.endpoint(endpoint_id),
                keys.run(endpoint_id),
                keys.ready(self._partitions.of(endpoint_id)),
                keys.due(endpoint_id),
                keys.leased(endpoint_id),
                keys.owes(endpoint_id),
                keys.lines(endpoint_id),
                keys.memories(endpoint_id),
                keys.memory_ends(endpoint_id),
            ],
            args=[endpoint_id, self._ttl],
        )
        if not deleted:
            raise NotFoundError.of("endpoint", endpoint_id)

    async def health(self, endpoint_id: str) -> EndpointHealth:
        """Return how an endpoint is doing."""
        return (await self.health_of([endpoint_id]))[0]

    async def health_of(self, endpoint_ids: Sequence[str]) -> list[EndpointHealth]:
        """Return how endpoints are doing, in one round trip."""
        async with self._database.pipeline() as pipe:
            pipe.time()
            for endpoint_id in endpoint_ids:
                pipe.zcard(keys.due(endpoint_id))
                pipe.zcard(keys.leased(endpoint_id))
                pipe.hlen(keys.lines(endpoint_id))
                pipe.zrange(keys.due(endpoint_id), 0, 0, withscores=True)
                pipe.hmget(keys.run(endpoint_id), RUN_FIELDS)
            (seconds, microseconds), *rows = await pipe.execute()
        now = seconds + microseconds / 1e6
        return [_health(*rows[start : start + 5], now=now) for start in range(0, len(rows), 5)]


def _health(
    due: int, leased: int, lined_up: int, head: list[tuple[str, float]], run: list[str | None], *, now: float
) -> EndpointHealth:
    failures, success_at, failure_at, reason, lines, pace, concurrency, most, resume_at = run
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
