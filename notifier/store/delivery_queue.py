"""The delivery queue in Redis: what is owed to whom, and who is working on it.

A delivery that waits for its first attempt is an entry in its endpoint's due queue and nothing else
(docs/architecture.md, "What a pending delivery costs").
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from pydantic import TypeAdapter

from notifier.core.delivery import breaker
from notifier.core.delivery.delivery import Attempt, DeliveryStatus, Trigger
from notifier.core.delivery.endpoint import Endpoint, Ordering
from notifier.core.delivery.pacing import PACE_LAW
from notifier.core.model.ids import ATTEMPT_PREFIX, EndpointId, EventId
from notifier.store import keys
from notifier.store.database import Database
from notifier.store.partitions import Partitions

ATTEMPT: Final = TypeAdapter(Attempt)
BREAKER_FIGURES: Final = json.dumps(
    [
        breaker.FAILURES_IN_A_ROW,
        int(breaker.FIRST_PROBE_SECONDS * 1000),
        int(breaker.LONGEST_PROBE_SECONDS * 1000),
        int(breaker.GIVEN_UP_SECONDS * 1000),
        int(breaker.SILENCE_SECONDS * 1000),
    ]
)

PACE_FIGURES: Final = json.dumps(PACE_LAW.as_dict())

DISPATCH_CHUNK: Final = 500
"""How many deliveries one script call makes: a millisecond or two of the server's time, in which nobody else
is served."""

EVENT_WEIGHT: Final = 4
"""What an event costs by itself, in deliveries."""

GONE: Final = (b"", 0.0)
"""What is known of an event that is no longer kept: body, and moment of its commit."""

Owed: TypeAlias = tuple[EventId, Sequence[Endpoint]]
"""An event, and who is owed it."""


class Claim(NamedTuple):
    """A delivery under a lease.

    Attributes:
        lease_end: Epoch ms by the server's clock; also the token by which the holder settles.
        body: The event's full payload; empty when the event is no longer kept.
        committed_at: When the event was committed, epoch seconds.
        attempts_made: All attempts so far.
        base: Attempts before the last redelivery; the retry schedule counts from there.
        space_id: The Space of the event, where the endpoint's kind has a memory.
        memory: What it remembers of that Space; empty for nothing.
        newest: The last event of the Space that waits behind this one; empty for none.
    """

    event_id: EventId
    endpoint_id: EndpointId
    lease_end: int
    attempts_made: int
    base: int
    trigger: Trigger
    body: bytes
    committed_at: float
    space_id: str = ""
    memory: str = ""
    newest: str = ""


class Settlement(NamedTuple):
    """What becomes of a claimed delivery.

    Attributes:
        status: Where the delivery stands now.
        delay: Seconds until the next attempt, for a pending one.
        attempts_made: All attempts that count, this one among them if it does.
        resume_after: Seconds for which the endpoint gets nothing more, 0 for none.
        succeeded: Whether the receiver answered well; None where that is not known.
        paced: Whether the receiver asked for a slower pace; ``resume_after`` is what it named, 0 for nothing.
        base: Attempts from which the retry schedule counts; kept where the receiver asked for a slower pace.
        memory: What the endpoint's kind remembers of the Space from now on, empty for nothing; None where
            that does not change.
    """

    claim: Claim
    status: DeliveryStatus
    attempt: Attempt
    attempts_made: int
    delay: float = 0.0
    resume_after: float = 0.0
    succeeded: bool | None = None
    paced: bool = False
    base: int = 0
    memory: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """What a turn at a partition gave.

    Attributes:
        stale: How many leases had run out; those deliveries are settled by their present holder.
        claims: What is to be delivered now.
        generation: Of the endpoints' records, at the moment of the claims.
        given_up: Endpoints that have failed for so long that they are to be disabled.
        next_in: Seconds until there is next something to do in the partition; None for never.
    """

    stale: int
    claims: Sequence[Claim]
    generation: str
    given_up: Sequence[EndpointId]
    next_in: float | None


class Renewal(NamedTuple):
    """Claims with the new ends of their leases, and how many others were released."""

    claims: Sequence[Claim]
    released: int


class DeliveryQueue:
    """Owe, claim and settle."""

    def __init__(self, database: Database, partitions: Partitions, *, ttl_seconds: int) -> None:
        self._database = database
        self._partitions = partitions
        self._ttl = ttl_seconds

    async def owe(self, wanted: Iterable[Owed]) -> AsyncIterator[Sequence[int]]:
        """Make events owed to endpoints and take them out of the outbox; repeating it changes nothing.

        Events of one Space have to be given by sequence, for endpoints that want that order.

        Yields:
            After each step the partitions that have work now and no wakeup on its way.
        """
        for chunk in _in_chunks(wanted):
            endpoints = {endpoint.id: endpoint for _, chosen, _ in chunk for endpoint in chosen}
            places = {endpoint_id: place for place, endpoint_id in enumerate(endpoints, start=1)}
            batch = [
                [
                    [each.id, self._partitions.of(each.id), each.ordering is Ordering.SPACE]
                    for each in endpoints.values()
                ],
                [
                    [event_id, complete, [places[endpoint.id] for endpoint in chosen]]
                    for event_id, chosen, complete in chunk
                ],
            ]
            yield await self._database.run(
                "dispatch", keys=[keys.OUTBOX], args=[self._ttl, json.dumps(batch)]
            )

    async def turn(
        self,
        partition: int,
        settlements: Sequence[Settlement],
        *,
        limit: int,
        lease_seconds: float,
        holder: str | None = None,
    ) -> Turn:
        """Record outcomes and claim up to ``limit`` due deliveries of a partition, in one round trip.

        The endpoints take turns, and what the outcomes set free can be claimed at once. What is claimed for a
        ``holder``, the id of a worker, can be released when that worker is found dead.
        """
        outcomes = [
            [
                settlement.claim.endpoint_id,
                settlement.claim.event_id,
                settlement.claim.lease_end,
                settlement.status,
                int(settlement.delay * 1000),
                settlement.attempts_made,
                settlement.attempt.reason,
                settlement.attempt.id,
                int(settlement.resume_after * 1000),
                settlement.succeeded,
                settlement.paced,
                settlement.base,
                int(settlement.attempt.duration_ms),
                *_remembered(settlement),
            ]
            for settlement in settlements
        ]
        lease_ms = int(lease_seconds * 1000)
        stale, given_up, generation, lease_end, rows, events, next_ms = await self._database.run(
            "turn",
            keys=[
                *(keys.ready(partition), keys.wakeup(f"deliver:{partition}")),
                *((keys.leases(holder, partition),) if holder is not None else ()),
            ],
            args=[
                *(limit, lease_ms, self._ttl, BREAKER_FIGURES, PACE_FIGURES, json.dumps(outcomes)),
                *(ATTEMPT.dump_json(settlement.attempt) for settlement in settlements),
            ],
        )
        next_in = None if next_ms < 0 else next_ms / 1000
        return Turn(stale, _claims(rows, events, lease_end=lease_end), generation, given_up, next_in)

    async def renew(
        self, partition: int, claims: Sequence[Claim], *, lease_seconds: float, holder: str
    ) -> Renewal:
        """Prolong the leases of what a worker has in hand, and release what else it is on record for.

        That was claimed for it by a command whose answer it never got. A lease that was lost meanwhile stays
        lost, and settling under it changes nothing.
        """
        names = [_name(claim) for claim in claims]
        lease_end, released, renewed = await self._database.run(
            "renew",
            keys=[
                keys.leases(holder, partition),
                keys.ready(partition),
                keys.wakeup(f"deliver:{partition}"),
            ],
            args=[int(lease_seconds * 1000), *names],
        )
        ours = frozenset(renewed)
        return Renewal(
            [
                claim._replace(lease_end=lease_end) if name in ours else claim
                for name, claim in zip(names, claims, strict=True)
            ],
            released,
        )

    async def release(self, holder: str) -> int:
        """Make due what a dead worker held; return how many deliveries that were."""
        return sum(
            [
                (await self.renew(partition, (), lease_seconds=0, holder=holder)).released
                for partition in range(self._partitions.count)
            ]
        )


def _remembered(settlement: Settlement) -> tuple[str, ...]:
    memory, space_id = settlement.memory, settlement.claim.space_id
    return () if memory is None or not space_id else (space_id, memory)


def _name(claim: Claim) -> str:
    """Return the name of a claimed delivery in the record of what a worker holds (``lua/lib/lease.lua``)."""
    return f"{claim.endpoint_id} {claim.event_id}"


def attempts_in(record: Mapping[str, str]) -> tuple[Attempt, ...]:
    """Read the attempts out of a delivery's record, oldest first."""
    found = [
        ATTEMPT.validate_json(document)
        for name, document in record.items()
        if name.startswith(ATTEMPT_PREFIX)
    ]
    return tuple(sorted(found, key=lambda attempt: (attempt.started_at, attempt.number)))


def _in_chunks(wanted: Iterable[Owed]) -> Iterator[list[tuple[EventId, Sequence[Endpoint], bool]]]:
    """Cut what is owed into pieces that one script call can take; the last one of an event is marked."""
    chunk: list[tuple[EventId, Sequence[Endpoint], bool]] = []
    size = 0
    for event_id, endpoints in wanted:
        for start in range(0, max(len(endpoints), 1), DISPATCH_CHUNK):
            part = endpoints[start : start + DISPATCH_CHUNK]
            if chunk and size + EVENT_WEIGHT + len(part) > DISPATCH_CHUNK:
                yield chunk
                chunk, size = [], 0
            chunk.append((event_id, part, start + DISPATCH_CHUNK >= len(endpoints)))
            size += EVENT_WEIGHT + len(part)
    if chunk:
        yield chunk


def _claims(rows: Sequence[Any], events: Sequence[Any], *, lease_end: int) -> list[Claim]:
    """Read claims, and the events that they are of; those that are not kept any more are missing."""
    logged = {event_id: (body.encode(), at / 1000) for event_id, body, at in events}
    return [
        Claim(
            EventId(event_id),
            EndpointId(endpoint_id),
            lease_end,
            attempts,
            base,
            Trigger.MANUAL if manual else Trigger.SCHEDULED,
            *logged.get(event_id, GONE),
            *recalled,
        )
        for endpoint_id, event_id, attempts, base, manual, *recalled in rows
    ]
