"""The delivery queue in Redis: what is owed to whom, and who is working on it.

A delivery that waits for its first attempt is an entry in its endpoint's due queue and nothing else
(docs/architecture.md, "What a pending delivery costs").
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson
from pydantic import TypeAdapter

from notifier.core.delivery import breaker
from notifier.core.delivery.delivery import Attempt, DeliveryStatus, Trigger
from notifier.core.delivery.endpoint import Endpoint, Ordering
from notifier.core.delivery.pacing import PACE_LAW
from notifier.core.model.ids import ATTEMPT_PREFIX, EndpointId, EventId
from notifier.store import schema
from notifier.store.bodies import Bodies, Body
from notifier.store.database import Database
from notifier.store.events import OutboxEntry
from notifier.store.partitions import Partitions
from notifier.store.scripts import Script, ScriptCall, script

ATTEMPT: Final = TypeAdapter(Attempt)
FIGURES: Final = json.dumps(
    {
        "threshold": breaker.FAILURES_IN_A_ROW,
        "first_wait": int(breaker.FIRST_PROBE_SECONDS * 1000),
        "longest_wait": int(breaker.LONGEST_PROBE_SECONDS * 1000),
        "given_up": int(breaker.GIVEN_UP_SECONDS * 1000),
        "silence": int(breaker.SILENCE_SECONDS * 1000),
        "pace": PACE_LAW.as_dict(),
    }
)
"""What the scripts know of the breaker, in ms, and of the pace."""

DISPATCH: Final[Script[tuple[int, list[str]]]] = script("dispatch")
TURN: Final[Script[tuple[int, list[EndpointId], str, int, list[Any], int]]] = script("turn")
RENEW: Final[Script[tuple[int, int, list[str]]]] = script("renew")

DISPATCH_CHUNK: Final = 500
"""How many deliveries one script call makes: a millisecond or two of the server's time, in which nobody else
is served."""

EVENT_WEIGHT: Final = 4
"""What an event costs by itself, in deliveries."""


@dataclass(frozen=True, slots=True)
class Owed:
    """An event, and the endpoints that it is owed to."""

    event: OutboxEntry
    endpoints: Sequence[Endpoint]


@dataclass(frozen=True, slots=True)
class Dispatched:
    """What a step of dispatching has done.

    Attributes:
        partitions: Those that have work now and no wakeup on its way.
        unknown: Endpoints that their partition does not know, and that got nothing.
    """

    partitions: Sequence[int]
    unknown: Sequence[EndpointId]


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

    def __init__(
        self, database: Database, partitions: Partitions, bodies: Bodies, *, ttl_seconds: int
    ) -> None:
        self._database = database
        self._partitions = partitions
        self._bodies = bodies
        self._ttl = ttl_seconds

    async def owe(self, wanted: Iterable[Owed]) -> AsyncIterator[Dispatched]:
        """Make events owed to endpoints, each in its partition; repeating it changes nothing.

        The events stay in the outbox until :meth:`Events.undispatched` is told that they are complete.
        """
        for chunk in _in_chunks(wanted):
            partitions, calls = self._dispatch_calls(chunk)
            answers = await self._database.run_all(calls)
            yield Dispatched(
                partitions=[
                    partition for partition, (wakes, _) in zip(partitions, answers, strict=True) if wakes
                ],
                unknown=[EndpointId(each) for _, unknown in answers for each in unknown],
            )

    def _dispatch_calls(
        self, chunk: Sequence[_Part]
    ) -> tuple[list[int], list[ScriptCall[tuple[int, list[str]]]]]:
        """Return the calls that a chunk takes, one for each partition, and their partitions."""
        batches: dict[int, _Batch] = {}
        for part in chunk:
            places: dict[int, list[int]] = defaultdict(list)
            for endpoint in part.endpoints:
                partition = self._partitions.of(endpoint.id)
                places[partition].append(batches.setdefault(partition, _Batch()).place_of(endpoint))
            for partition, owed in places.items():
                event = part.event
                batches[partition].events.append(
                    [event.id, event.serial, event.space_id or "", event.sequence or 0, owed]
                )
        calls = [
            ScriptCall(
                DISPATCH,
                [schema.READY(partition)],
                [self._ttl, orjson.dumps([batch.endpoints, batch.events])],
            )
            for partition, batch in batches.items()
        ]
        return list(batches), calls

    async def turn(
        self,
        partition: int,
        settlements: Sequence[Settlement],
        *,
        limit: int,
        lease_seconds: float,
        holder: str | None = None,
    ) -> Turn:
        """Record outcomes and claim up to ``limit`` due deliveries of a partition, in one step.

        The endpoints take turns, and what the outcomes set free can be claimed at once. What is to be sent is
        read afterwards, so that content that was erased by then is not. What is claimed for a
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
        asked = {"limit": limit, "lease": lease_ms, "ttl": self._ttl, "outcomes": outcomes}
        stale, given_up, generation, lease_end, rows, next_ms = await self._database.run(
            TURN,
            keys=[
                schema.READY(partition),
                *((schema.LEASES(partition, holder),) if holder is not None else ()),
            ],
            args=[
                *(orjson.dumps(asked), FIGURES),
                *(ATTEMPT.dump_json(settlement.attempt) for settlement in settlements),
            ],
        )
        next_in = None if next_ms < 0 else next_ms / 1000
        event_ids = {EventId(row[1]) for row in rows}
        bodies = await self._bodies.of(event_ids, partition=partition, generation=generation)
        return Turn(stale, _claims(rows, bodies, lease_end=lease_end), generation, given_up, next_in)

    async def renew(
        self, partition: int, claims: Sequence[Claim], *, lease_seconds: float, holder: str
    ) -> Renewal:
        """Prolong the leases of what a worker has in hand, and release what else it is on record for.

        That was claimed for it by a command whose answer it never got. A lease that was lost meanwhile stays
        lost, and settling under it changes nothing.
        """
        names = [_name(claim) for claim in claims]
        lease_end, released, renewed = await self._database.run(
            RENEW,
            keys=[
                schema.LEASES(partition, holder),
                schema.READY(partition),
                schema.PARTITION_WAKEUP(partition),
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


class _Part(NamedTuple):
    """An event and as many of its recipients as one step takes."""

    event: OutboxEntry
    endpoints: Sequence[Endpoint]


@dataclass(slots=True)
class _Batch:
    """What one call of the script makes owed in a partition, as it takes it."""

    endpoints: list[tuple[EndpointId, bool]] = field(default_factory=list)
    events: list[list[Any]] = field(default_factory=list)
    places: dict[EndpointId, int] = field(default_factory=dict)

    def place_of(self, endpoint: Endpoint) -> int:
        """Return the place of an endpoint in the list, from 1; it is added where it is new."""
        place = self.places.get(endpoint.id)
        if place is None:
            self.endpoints.append((endpoint.id, endpoint.ordering is Ordering.SPACE))
            place = self.places[endpoint.id] = len(self.endpoints)
        return place


def _in_chunks(wanted: Iterable[Owed]) -> Iterator[list[_Part]]:
    """Cut what is owed into pieces that one step can take."""
    chunk: list[_Part] = []
    size = 0
    for event, endpoints in ((owed.event, owed.endpoints) for owed in wanted):
        for start in range(0, len(endpoints), DISPATCH_CHUNK):
            part = _Part(event, endpoints[start : start + DISPATCH_CHUNK])
            if chunk and size + EVENT_WEIGHT + len(part.endpoints) > DISPATCH_CHUNK:
                yield chunk
                chunk, size = [], 0
            chunk.append(part)
            size += EVENT_WEIGHT + len(part.endpoints)
    if chunk:
        yield chunk


def _claims(rows: Sequence[Any], bodies: Mapping[EventId, Body], *, lease_end: int) -> list[Claim]:
    """Read claims, and the events that they are of."""
    return [
        Claim(
            EventId(event_id),
            EndpointId(endpoint_id),
            lease_end,
            attempts,
            base,
            Trigger.MANUAL if manual else Trigger.SCHEDULED,
            *bodies[EventId(event_id)],
            *recalled,
        )
        for endpoint_id, event_id, attempts, base, manual, *recalled in rows
    ]
