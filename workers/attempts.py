"""One attempt at a delivery: render, send, judge, and report it."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, NamedTuple

import structlog

from notifier import metrics
from notifier.core.delivery.delivery import DeliveryStatus
from notifier.core.delivery.endpoint import Endpoint, disabled
from notifier.core.delivery.kinds.kind import Hold, Kind, Reading, Sending, Skip
from notifier.core.delivery.kinds.target import Target
from notifier.core.delivery.outcome import RECORDED, Answer, Outcome, classify, recorded
from notifier.core.delivery.request import DeliveryRequest
from notifier.core.delivery.retry import RetrySchedule
from notifier.core.delivery.settling import Verdict, judge
from notifier.core.model.ids import delivery_id
from notifier.core.model.reasons import DisabledReason
from notifier.errors import ConfigError, NotFoundError, VersionConflictError
from notifier.store import Change, Claim, Settlement
from notifier.store.sealing import sealed_target
from workers.context import Worker
from workers.records import discarded, held, remembering, settlement
from workers.sending import prepare, unsent

NOT_KEPT: Final = "the event is no longer kept, so nothing was sent"

log = structlog.get_logger(__name__)


class Made(NamedTuple):
    """An attempt that was made: what came back, what it means, and when failures are tried again."""

    answer: Answer
    reading: Reading
    schedule: RetrySchedule


async def attempt(worker: Worker, claim: Claim, endpoint: Endpoint) -> Settlement:
    """Make one attempt; returns what follows from it, which is yet to be recorded."""
    started_at = worker.runtime.clock()
    made = await _make(worker, claim, endpoint, started_at)
    if isinstance(made, Skip):
        return remembering(_report_unsent(discarded(claim, made, now=started_at)), made.memory)
    if isinstance(made, Hold):
        return _report_unsent(held(claim, made, now=started_at))
    answer, (outcome, memory, target), schedule = made
    verdict = judge(
        outcome,
        attempts_before=claim.attempts_made,
        base=claim.base,
        schedule=schedule,
        jitter=random.random(),  # noqa: S311 - spreads retries, guards nothing
    )
    if verdict.disables:
        await disable(worker, endpoint, DisabledReason.GONE)
    if target is not None:
        await _move(worker, endpoint, target)
    _report(worker, claim, verdict, outcome, answer)
    return remembering(settlement(claim, verdict, outcome, answer, started_at), memory)


async def disable(worker: Worker, endpoint: Endpoint, reason: DisabledReason) -> None:
    """Disable an endpoint whose receiver is gone permanently; its deliveries stay in its queue.

    Args:
        worker: Who found out.
        endpoint: As it was when it was tried; with another destination by now it is left alone.
        reason: Why.
    """
    now = worker.runtime.clock()
    change = await _change(worker, endpoint, lambda current: disabled(current, reason, now=now))
    if change is not None and change.after.status is not change.before.status:
        log.warning("endpoint.disabled", endpoint_id=endpoint.id, reason=reason)


async def _move(worker: Worker, endpoint: Endpoint, target: Target) -> None:
    """Have an endpoint lead where its service says that the destination has moved."""
    now = worker.runtime.clock()
    sealed = sealed_target(target, worker.runtime.secrets, now=now)
    if await _change(worker, endpoint, lambda current: replace(current, target=sealed, updated_at=now)):
        log.info("endpoint.moved", endpoint_id=endpoint.id)


async def _change(
    worker: Worker, endpoint: Endpoint, decide: Callable[[Endpoint], Endpoint]
) -> Change[Endpoint] | None:
    """Change an endpoint unless it has another destination by now than when it was tried."""

    def decide_if_same(current: Endpoint) -> Endpoint:
        return decide(current) if current.destination == endpoint.destination else current

    # Where it was deleted meanwhile, or is changed all the time, there is nothing to change, or the next
    # attempt finds out again.
    with contextlib.suppress(NotFoundError, VersionConflictError):
        return await worker.runtime.store.endpoints.change(endpoint.id, decide_if_same)
    return None


async def _make(worker: Worker, claim: Claim, endpoint: Endpoint, now: float) -> Made | Skip | Hold:
    runtime = worker.runtime
    if not claim.body:
        return Skip(NOT_KEPT)
    if endpoint.awaits_verification:
        # Its URL was changed between the claim and this read of it.
        return _not_made(worker, "the endpoint is yet to be verified")
    try:
        kind, sending = prepare(
            worker,
            endpoint,
            message_id=claim.event_id,
            body=claim.body,
            now=now,
            memory=claim.memory,
            newest=claim.newest,
        )
    except ConfigError as error:
        return _not_made(worker, error.message)
    rendered = kind.render(sending)
    if not isinstance(rendered, DeliveryRequest):
        return rendered
    answer = await worker.client.send(rendered)
    reading = _read(kind, sending, answer, runtime.clock())
    if rendered.excerpt is not RECORDED:
        answer = recorded(answer)
    return Made(answer, reading, kind.retry_schedule or worker.retry_schedule)


def _read(kind: Kind[Any], sending: Sending[Any], answer: Answer, now: float) -> Reading:
    """Have a kind read an answer; where it fails at that, the status says what becomes of the delivery.

    The request has gone out: an attempt that is not recorded would be made again, and again.
    """
    try:
        return kind.read(sending, answer, now)
    except Exception:
        log.exception(
            "delivery.unread", kind=kind.name, endpoint_id=sending.endpoint.id, status=answer.status
        )
        return Reading(classify(answer, now=now))


def _not_made(worker: Worker, detail: str) -> Made:
    """Return the result of an attempt that our own fault prevented."""
    answer = unsent(detail)
    outcome = classify(answer, now=worker.runtime.clock())
    return Made(answer, Reading(outcome), worker.retry_schedule)


def _report_unsent(settled: Settlement) -> Settlement:
    """Log in one line that nothing is sent, for now or for good."""
    claim = settled.claim
    log.info(
        "delivery.not_sent",
        delivery_id=delivery_id(claim.event_id, claim.endpoint_id),
        endpoint_id=claim.endpoint_id,
        event_id=claim.event_id,
        delivery_status=settled.status,
        reason=settled.attempt.reason,
    )
    return settled


def _report(worker: Worker, claim: Claim, verdict: Verdict, outcome: Outcome, answer: Answer) -> None:
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
