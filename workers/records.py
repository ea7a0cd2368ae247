"""What is recorded of an attempt, and of a delivery for which none is made."""

from __future__ import annotations

import random
from hashlib import blake2b
from typing import Final

import structlog

from notifier.core.delivery.delivery import Attempt, DeliveryStatus
from notifier.core.delivery.kinds.kind import FORGET, Hold, Skip, is_memorable
from notifier.core.delivery.outcome import Answer, Outcome
from notifier.core.delivery.settling import Verdict
from notifier.core.events.event import is_redaction
from notifier.core.model.ids import ATTEMPT_PREFIX, AttemptId, delivery_id
from notifier.store import Claim, Settlement

KEPT_REFUSALS: Final = 100
"""How many answers that ask for a slower pace the record of one delivery keeps."""

HELD: Final = "held"
"""The outcome of an attempt that is not made yet."""

SHORTEST_HOLD_SECONDS: Final = 1.0
"""A kind that holds a delivery until a moment that has passed must not keep the queue busy."""

log = structlog.get_logger(__name__)


def settlement(
    claim: Claim, verdict: Verdict, outcome: Outcome, answer: Answer, started_at: float
) -> Settlement:
    """Return what follows from an attempt that was made."""
    return Settlement(
        claim=claim,
        status=verdict.status,
        attempt=Attempt(
            id=_id_of(claim, outcome),
            number=claim.attempts_made + 1,
            trigger=claim.trigger,
            started_at=started_at,
            outcome=outcome.kind,
            reason=outcome.reason,
            status_code=answer.status,
            error=answer.error,
            duration_ms=round(answer.duration_ms, 3),
            headers=answer.headers,
            body=answer.body.decode(errors="replace"),
        ),
        attempts_made=verdict.attempts_made,
        delay=verdict.delay,
        resume_after=verdict.resume_after,
        succeeded=verdict.succeeded,
        paced=verdict.paced,
        base=verdict.base,
    )


def discarded(claim: Claim, skip: Skip, *, now: float) -> Settlement:
    """Discard a delivery without sending anything."""
    attempt = _unsent(claim, _attempt_id(), DeliveryStatus.DISCARDED, skip.reason, now)
    return Settlement(claim, DeliveryStatus.DISCARDED, attempt, claim.attempts_made)


def held(claim: Claim, hold: Hold, *, now: float) -> Settlement:
    """Leave a delivery pending until a moment."""
    attempt = _unsent(claim, _uncounted_attempt_id(claim), HELD, hold.reason, now)
    delay = max(hold.until - now, SHORTEST_HOLD_SECONDS)
    return Settlement(claim, DeliveryStatus.PENDING, attempt, claim.attempts_made, delay=delay)


def remembering(settled: Settlement, memory: str | None) -> Settlement:
    """Add the new memory of the endpoint's kind.

    When the erasure of a Space has been delivered, or given up, nothing is remembered of it any more.
    """
    claim = settled.claim
    if not claim.space_id:
        return settled
    if settled.status is not DeliveryStatus.PENDING and is_redaction(claim.body):
        return settled._replace(memory=FORGET)
    if memory is None or is_memorable(memory):
        return settled._replace(memory=memory)
    log.error("delivery.memory_refused", endpoint_id=claim.endpoint_id, space_id=claim.space_id)
    return settled


def _unsent(claim: Claim, attempt_id: AttemptId, outcome: str, reason: str, now: float) -> Attempt:
    return Attempt(
        id=attempt_id,
        number=claim.attempts_made + 1,
        trigger=claim.trigger,
        started_at=now,
        outcome=outcome,
        reason=reason,
    )


def _id_of(claim: Claim, outcome: Outcome) -> AttemptId:
    if not outcome.counted:
        return _uncounted_attempt_id(claim)
    return _paced_attempt_id(claim) if outcome.paced else _attempt_id()


def _attempt_id() -> AttemptId:
    return AttemptId(f"{ATTEMPT_PREFIX}{random.getrandbits(80):020x}")


def _uncounted_attempt_id(claim: Claim) -> AttemptId:
    """Return the common id of all attempts at a delivery that do not count.

    Each replaces the one before: where a fault of ours lasts, one is made every half minute, and the record
    of the delivery must not grow with it.
    """
    name = delivery_id(claim.event_id, claim.endpoint_id).encode()
    return AttemptId(ATTEMPT_PREFIX + blake2b(name, digest_size=10).hexdigest())


def _paced_attempt_id(claim: Claim) -> AttemptId:
    """Return an id under which an answer that asks for a slower pace replaces the hundredth before it.

    Such answers are not bounded by the schedule, and the record of the delivery must be.
    """
    name = f"{delivery_id(claim.event_id, claim.endpoint_id)}:{claim.attempts_made % KEPT_REFUSALS}".encode()
    return AttemptId(ATTEMPT_PREFIX + blake2b(name, digest_size=10).hexdigest())
