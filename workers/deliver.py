"""Draining a partition of the delivery queue: claim in batches, post at once, settle in batches."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from dataclasses import replace
from typing import Any, Final

import structlog

from notifier.core.delivery import Attempt, DeliveryStatus
from notifier.core.endpoint import DisabledReason, Endpoint, EndpointStatus
from notifier.core.events import PayloadForm, thin
from notifier.core.ids import AttemptId, delivery_id, new_tail
from notifier.core.outcome import Answer, ErrorClass, Outcome, classify
from notifier.core.request import build_request
from notifier.core.settling import Verdict, judge
from notifier.errors import ConfigError, NotFoundError, VersionConflictError
from notifier.store import Claim, LoggedEvent, Settlement
from workers.context import Worker, worker_of

WINDOW: Final = 128
"""How many attempts of one partition are under way in one worker at a time. With 16 to an endpoint it takes
eight endpoints that hang to their time-out, in one partition, to fill it."""

LONGEST_DRAIN_SECONDS: Final = 60.0
"""After this long a drain ends and nudges for another, well before arq takes it for stuck."""

log = structlog.get_logger(__name__)


async def deliver(ctx: dict[str, Any], partition: int) -> None:
    """Job: deliver what is due in one partition.

    A worker drains a partition once at a time; a nudge that finds it at work makes it look again.
    """
    worker = worker_of(ctx)
    running = worker.drains.get(partition)
    if running is not None:
        running.look_again()
        return
    drain = worker.drains[partition] = Drain(worker, partition)
    try:
        await drain.run()
    finally:
        del worker.drains[partition]


class Drain:
    """One run over a partition."""

    def __init__(self, worker: Worker, partition: int) -> None:
        self._worker = worker
        self._store = worker.runtime.store
        self._partition = partition
        self._under_way: set[asyncio.Task[None]] = set()
        self._done: list[Settlement] = []
        self._changed = asyncio.Event()
        self._may_claim = True

    def look_again(self) -> None:
        """Tell that there may be more to claim."""
        self._may_claim = True
        self._changed.set()

    async def run(self) -> None:
        """Drain until nothing is due, or the worker stops."""
        ends_at = asyncio.get_running_loop().time() + LONGEST_DRAIN_SECONDS
        try:
            while True:
                self._changed.clear()
                await self._settle()
                if self._may_claim and asyncio.get_running_loop().time() < ends_at:
                    await self._claim()
                if not (self._under_way or self._done):
                    break
                await self._changed.wait()
        finally:
            # Also when the job is cancelled or Redis fails: finish and record what is under way.
            if self._under_way:
                await asyncio.wait(self._under_way)
            await self._settle()
        if self._may_claim:
            await self._worker.runtime.nudge.deliver([self._partition])

    async def _claim(self) -> None:
        """Claim what there is room for, and set it off."""
        room = WINDOW - len(self._under_way)
        if room <= 0:
            return
        self._may_claim = False
        if self._worker.stopping.is_set():
            return
        claims = await self._store.deliveries.claim(
            self._partition, limit=room, lease_seconds=self._worker.runtime.settings.lease_seconds
        )
        if not claims:
            return
        self._may_claim = True
        endpoints = await self._store.endpoints.all()
        events = await self._store.events.get_many(list(dict.fromkeys(claim.event_id for claim in claims)))
        for claim in claims:
            task = asyncio.create_task(
                self._attempt(claim, endpoints.get(claim.endpoint_id), events.get(claim.event_id))
            )
            self._under_way.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._changed.set()
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # The lease will run out and the delivery be tried again; that this is a fault of ours must show.
            log.error("delivery.crashed", partition=self._partition, exc_info=error)

    async def _settle(self) -> None:
        """Record what has ended since the last time."""
        if not self._done:
            return
        done = list(self._done)
        stale = await self._store.deliveries.settle(self._partition, done)
        del self._done[: len(done)]
        if stale:
            log.warning("delivery.lease_lost", partition=self._partition, count=stale)
        # What was held back by an endpoint's concurrency may go now.
        self._may_claim = True

    async def _attempt(self, claim: Claim, endpoint: Endpoint | None, event: LoggedEvent | None) -> None:
        """Make one attempt and note what follows from it."""
        if endpoint is None:
            return  # Deleted a moment ago, and its queue with it.
        started_at = self._worker.runtime.clock()
        if event is None:
            self._done.append(_discard(claim, started_at))
            return
        answer = await self._post(endpoint, event, started_at)
        outcome = classify(answer, now=self._worker.runtime.clock())
        verdict = judge(
            outcome,
            attempts_before=claim.attempts_made,
            base=claim.base,
            schedule=self._worker.runtime.retry_schedule,
            jitter=random.random(),  # noqa: S311 - spreads retries, guards nothing
        )
        if verdict.disables:
            await self._disable(endpoint)
        self._done.append(_settlement(claim, verdict, outcome, answer, started_at))
        self._tell(claim, event, verdict, outcome, answer)

    async def _post(self, endpoint: Endpoint, event: LoggedEvent, now: float) -> Answer:
        try:
            keys = self._worker.signing_keys(endpoint, now=now)
        except ConfigError as error:
            # A master key is missing: no fault of the receiver's.
            return Answer(None, ErrorClass.LOCAL, None, 0.0, detail=error.message)
        request = build_request(
            url=endpoint.url,
            event_id=event.id,
            body=thin(event.body) if endpoint.payload is PayloadForm.THIN else event.body,
            content_type="application/json",
            keys=keys,
            timestamp=int(now),
            extra_headers=endpoint.headers,
        )
        return await self._worker.client.post(request)

    async def _disable(self, endpoint: Endpoint) -> None:
        """Disable an endpoint whose receiver is gone for good; what it is owed stays in its queue."""
        disabled = replace(
            endpoint,
            status=EndpointStatus.DISABLED,
            disabled_reason=DisabledReason.GONE,
            updated_at=self._worker.runtime.clock(),
        )
        # Where it was deleted or changed meanwhile, by another attempt or its owner, the next 410 will tell.
        with contextlib.suppress(NotFoundError, VersionConflictError):
            await self._store.endpoints.save(disabled, replacing=endpoint)
            log.warning("endpoint.disabled", endpoint_id=endpoint.id, reason=DisabledReason.GONE)

    def _tell(
        self, claim: Claim, event: LoggedEvent, verdict: Verdict, outcome: Outcome, answer: Answer
    ) -> None:
        """Log the attempt in one line and count it."""
        tally = self._worker.runtime.tally
        tally.count("notifier_attempts_total", outcome.kind)
        tally.observe("notifier_attempt_seconds", answer.duration_ms / 1000)
        if verdict.status is DeliveryStatus.DELIVERED:
            tally.observe("notifier_detect_to_delivered_seconds", self._worker.runtime.clock() - event.at)
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
        )


def _settlement(
    claim: Claim, verdict: Verdict, outcome: Outcome, answer: Answer, started_at: float
) -> Settlement:
    return Settlement(
        claim=claim,
        status=verdict.status,
        attempt=Attempt(
            id=_attempt_id(),
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


def _attempt_id() -> AttemptId:
    return AttemptId("att_" + new_tail(secrets.token_bytes(12)))
