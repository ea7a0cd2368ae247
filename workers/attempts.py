"""One attempt at a delivery: sign, post, judge, and tell of it."""

from __future__ import annotations

import contextlib
import random
from hashlib import blake2b
from typing import Final

import structlog

from notifier import metrics
from notifier.core.delivery.delivery import Attempt, DeliveryStatus
from notifier.core.delivery.endpoint import Endpoint, disabled
from notifier.core.delivery.outcome import Answer, ErrorClass, Outcome, classify
from notifier.core.delivery.request import content_for
from notifier.core.delivery.settling import Verdict, judge
from notifier.core.model.ids import ATTEMPT_PREFIX, AttemptId, delivery_id
from notifier.core.model.reasons import DisabledReason
from notifier.errors import NotFoundError, VersionConflictError
from notifier.store import Claim, Settlement
from workers.context import Worker
from workers.sending import send

KEPT_REFUSALS: Final = 100
"""How many answers that ask for a slower pace the record of one delivery keeps."""

log = structlog.get_logger(__name__)


async def attempt(worker: Worker, claim: Claim, endpoint: Endpoint) -> Settlement:
    """Make one attempt; returns what follows from it, which is yet to be recorded."""
    runtime = worker.runtime
    started_at = runtime.clock()
    if not claim.body:
        return _discard(claim, started_at)
    answer = await _post(worker, endpoint, claim, started_at)
    outcome = classify(answer, now=runtime.clock())
    verdict = judge(
        outcome,
        attempts_before=claim.attempts_made,
        base=claim.base,
        schedule=runtime.retry_schedule,
        jitter=random.random(),  # noqa: S311 - spreads retries, guards nothing
    )
    if verdict.disables:
        await disable(worker, endpoint, DisabledReason.GONE)
    _tell(worker, claim, verdict, outcome, answer)
    return _settlement(claim, verdict, outcome, answer, started_at)


async def disable(worker: Worker, endpoint: Endpoint, reason: DisabledReason) -> None:
    """Disable an endpoint whose receiver is gone for good; what it is owed stays in its queue.

    Args:
        worker: Who found out.
        endpoint: As it was when it was tried; with another URL by now it is another receiver, and left alone.
        reason: Why.
    """
    now = worker.runtime.clock()

    def decide(current: Endpoint) -> Endpoint:
        return disabled(current, reason, now=now) if current.url == endpoint.url else current

    # Where it was deleted meanwhile, or is changed all the time, there is nothing to disable, or the next
    # attempt finds out again.
    with contextlib.suppress(NotFoundError, VersionConflictError):
        change = await worker.runtime.store.endpoints.change(endpoint.id, decide)
        if change.after.status is not change.before.status:
            log.warning("endpoint.disabled", endpoint_id=endpoint.id, reason=reason)


async def _post(worker: Worker, endpoint: Endpoint, claim: Claim, now: float) -> Answer:
    if endpoint.awaits_verification:
        # Its URL was changed between the claim and this read of it.
        return Answer(None, ErrorClass.LOCAL, None, 0.0, detail="the endpoint is yet to be verified")
    content = content_for(endpoint, claim.body, source=worker.runtime.settings.base_url)
    sent = await send(worker, endpoint, claim.event_id, content, now=now)
    return sent.answer


def _tell(worker: Worker, claim: Claim, verdict: Verdict, outcome: Outcome, answer: Answer) -> None:
    """Log the attempt in one line and count it."""
    tally = worker.runtime.tally
    tally.count(metrics.ATTEMPTS, outcome.kind)
    tally.observe(metrics.ATTEMPT_SECONDS, answer.duration_ms / 1000)
    if verdict.status is DeliveryStatus.DELIVERED:
        tally.observe(metrics.DETECT_TO_DELIVERED_SECONDS, worker.runtime.clock() - claim.committed_at)
    log.info(
        "delivery.attempted",
        delivery_id=delivery_id(claim.event_id, claim.endpoint_id),
        endpoint_id=claim.endpoint_id,
        event_id=claim.event_id,
        attempt=claim.attempts_made + 1,
        trigger=claim.trigger,
        outcome=outcome.kind,
        status=answer.status,
        error=answer.error,
        ms=round(answer.duration_ms, 1),
        delivery_status=verdict.status,
        **({} if verdict.status is DeliveryStatus.DELIVERED else {"reason": outcome.reason}),
    )


def _settlement(
    claim: Claim, verdict: Verdict, outcome: Outcome, answer: Answer, started_at: float
) -> Settlement:
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


def _discard(claim: Claim, now: float) -> Settlement:
    """Give up a delivery whose event is no longer kept."""
    attempt = Attempt(
        id=_attempt_id(),
        number=claim.attempts_made + 1,
        trigger=claim.trigger,
        started_at=now,
        outcome=DeliveryStatus.DISCARDED,
        reason="the event is no longer kept, so nothing was sent",
    )
    return Settlement(claim, DeliveryStatus.DISCARDED, attempt, claim.attempts_made)


def _id_of(claim: Claim, outcome: Outcome) -> AttemptId:
    if not outcome.counted:
        return _uncounted_attempt_id(claim)
    return _paced_attempt_id(claim) if outcome.paced else _attempt_id()


def _attempt_id() -> AttemptId:
    return AttemptId(f"{ATTEMPT_PREFIX}{random.getrandbits(80):020x}")


def _uncounted_attempt_id(claim: Claim) -> AttemptId:
    """Return the one id of all attempts at a delivery that failed through our own fault.

    Each replaces the one before: they are made every half minute for as long as the fault lasts, and the
    record of the delivery must not grow with it.
    """
    name = delivery_id(claim.event_id, claim.endpoint_id).encode()
    return AttemptId(ATTEMPT_PREFIX + blake2b(name, digest_size=10).hexdigest())


def _paced_attempt_id(claim: Claim) -> AttemptId:
    """Return an id under which an answer that asks for a slower pace replaces the hundredth before it.

    Such answers are not bounded by the schedule, and the record of the delivery must be.
    """
    name = f"{delivery_id(claim.event_id, claim.endpoint_id)}:{claim.attempts_made % KEPT_REFUSALS}".encode()
    return AttemptId(ATTEMPT_PREFIX + blake2b(name, digest_size=10).hexdigest())
