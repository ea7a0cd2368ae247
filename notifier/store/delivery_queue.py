"""The delivery queue in Redis: what is owed to whom, and who is at it.

A delivery that waits for its first attempt is an entry in its endpoint's due queue and nothing else
(docs/architecture.md, "What a pending delivery costs").
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter

from notifier.core import breaker
from notifier.core.delivery import Attempt, DeliveryStatus, Trigger
from notifier.core.endpoint import Endpoint, Ordering
from notifier.core.ids import ATTEMPT_PREFIX, EndpointId, EventId
from notifier.store import keys
from notifier.store.database import Argument, Database, ScriptCall, script
from notifier.store.partitions import Partitions

ATTEMPT: Final = TypeAdapter(Attempt)
BREAKER_FIGURES: Final = json.dumps(
    [
        breaker.FAILURES_IN_A_ROW,
        int(breaker.FIRST_PROBE_SECONDS * 1000),
        int(breaker.LONGEST_PROBE_SECONDS * 1000),
        int(breaker.GIVEN_UP_SECONDS * 1000),
    ]
)

DISPATCH_CHUNK: Final = 500
"""How many endpoints one script call makes an event owed to: about a millisecond of the server's time."""


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
        claims: What is to be delivered now.
        generation: Of the endpoints' records, at the moment of the claims.
        given_up: Endpoints that have failed for so long that they are to be disabled.
    """

    stale: int
    claims: Sequence[Claim]
    generation: str
    given_up: Sequence[EndpointId]


class DeliveryQueue:
    """Owe, claim and settle."""

    def __init__(self, database: Database, partitions: Partitions, *, ttl_seconds: int) -> None:
        self._database = database
        self._partitions = partitions
        self._ttl = ttl_seconds

    async def owe(self, wanted: Sequence[tuple[EventId, Sequence[Endpoint]]]) -> set[int]:
        """Make events owed to endpoints and take them out of the outbox; repeating it changes nothing.

        Events of one Space have to be given by sequence, for endpoints that want that order.

        Returns:
            The partitions that have work now and no nudge on its way.
        """
        nudges: set[int] = set()
        batch: list[ScriptCall] = []
        placed_in_batch = 0
        for event_id, endpoints in wanted:
            for start in range(0, max(len(endpoints), 1), DISPATCH_CHUNK):
                chunk = endpoints[start : start + DISPATCH_CHUNK]
                batch.append(
                    self._dispatch_call(event_id, chunk, last=start + DISPATCH_CHUNK >= len(endpoints))
                )
                placed_in_batch += len(chunk)
                if placed_in_batch >= DISPATCH_CHUNK:
                    nudges.update(*await self._database.run_all(batch))
                    batch, placed_in_batch = [], 0
        nudges.update(*await self._database.run_all(batch))
        return nudges

    def _dispatch_call(self, event_id: EventId, endpoints: Sequence[Endpoint], *, last: bool) -> ScriptCall:
        placed: list[Argument] = []
        for endpoint in endpoints:
            ordered = int(endpoint.ordering is Ordering.SPACE)
            placed += [endpoint.id, self._partitions.of(endpoint.id), ordered]
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
        stale, *given_up = answers.pop(0) if settlements else (0,)
        generation, rows = answers.pop(0) if limit > 0 else ("", [])
        return Turn(stale, [_claim(row) for row in rows], generation, given_up)

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
                settlement.attempt.id,
                ATTEMPT.dump_json(settlement.attempt).decode(),
                int(settlement.resume_after * 1000),
                settlement.succeeded,
            ]
            for settlement in settlements
        ]
        return ScriptCall(
            script("settle"), [keys.ready(partition)], [self._ttl, BREAKER_FIGURES, json.dumps(batch)]
        )


def attempts_in(record: Mapping[str, str]) -> tuple[Attempt, ...]:
    """Read the attempts out of a delivery's record, oldest first."""
    found = [
        ATTEMPT.validate_json(document)
        for name, document in record.items()
        if name.startswith(ATTEMPT_PREFIX)
    ]
    return tuple(sorted(found, key=lambda attempt: (attempt.started_at, attempt.number)))


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
