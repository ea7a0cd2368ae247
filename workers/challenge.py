"""Challenging receivers: they show that they know the secret before they get their first event."""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

import structlog

from notifier.core.delivery.challenge import ID_PREFIX, challenge_body, fault_of, settle
from notifier.core.delivery.endpoint import Endpoint
from notifier.core.delivery.outcome import Answer
from notifier.core.delivery.signing import HmacKey
from notifier.core.model.ids import new_tail
from notifier.errors import ConfigError, NotFoundError, VersionConflictError
from workers.context import Worker
from workers.sending import prepare, unsent

BATCH: Final = 64
TOKEN_BYTES: Final = 32
TAIL_BYTES: Final = 16

log = structlog.get_logger(__name__)


async def challenge(worker: Worker) -> None:
    """Job: challenge every receiver that is due for it.

    An endpoint that is taken becomes due again when the lease runs out, so that a worker that dies in between
    only delays it.
    """
    runtime = worker.runtime
    began_at = runtime.clock()  # What comes due during this run is left to the next one.
    while not worker.stopping.is_set():
        lease_end = runtime.clock() + runtime.settings.lease_seconds
        claimed = await runtime.store.endpoints.claim_challenges(
            due_at=began_at, lease_end=lease_end, limit=BATCH
        )
        if not claimed:
            break
        await asyncio.gather(*(_try(worker, endpoint) for endpoint in claimed))


async def _try(worker: Worker, endpoint: Endpoint) -> None:
    """Challenge one receiver and keep what follows from its answer."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    answer, fault = await _post(worker, endpoint, token)
    settled = await _keep(worker, endpoint, answer, fault)
    log.info(
        "endpoint.challenged",
        endpoint_id=endpoint.id,
        passed=fault is None,
        fault=fault,
        status=answer.status,
        error=answer.error,
        ms=round(answer.duration_ms, 1),
        verification=settled.verification.status if settled and settled.verification else None,
    )
    if settled is not None and not settled.is_held:
        await worker.runtime.wakeup.deliver([worker.runtime.store.partitions.of(endpoint.id)])


async def _post(worker: Worker, endpoint: Endpoint, token: str) -> tuple[Answer, str | None]:
    """Send one challenge; returns the answer and what is wrong with it."""
    now = worker.runtime.clock()
    challenge_id = ID_PREFIX + new_tail(secrets.token_bytes(TAIL_BYTES))
    body = challenge_body(endpoint.id, challenge_id=challenge_id, token=token, now=now)
    try:
        kind, sending = prepare(worker, endpoint, message_id=challenge_id, body=body, now=now)
    except ConfigError as error:
        return unsent(error.message), error.message
    if kind.challenge is None:
        fault = f"a {kind.name} endpoint cannot be verified"
        return unsent(fault), fault
    answer = await worker.client.send(kind.challenge(sending))
    return answer, fault_of(answer, token, [key for key in sending.keys if isinstance(key, HmacKey)])


async def _keep(worker: Worker, tried: Endpoint, answer: Answer, fault: str | None) -> Endpoint | None:
    """Store the outcome, even if the endpoint was changed in the meantime.

    Gives the endpoint as it is now, None where the outcome means nothing any more: it was deleted, disabled,
    got another URL, or its verification was begun again.
    """
    now = worker.runtime.clock()

    def decide(current: Endpoint) -> Endpoint:
        return settle(current, answer, fault, now=now) if _is_still_tried(current, tried) else current

    try:
        change = await worker.runtime.store.endpoints.change(tried.id, decide)
    except (NotFoundError, VersionConflictError):
        return None  # One that changes all the time is challenged again when the lease has run out.
    if not _is_still_tried(change.before, tried):
        return None
    if change.after.status is not change.before.status:
        log.warning("endpoint.disabled", endpoint_id=tried.id, reason=change.after.disabled_reason)
    return change.after


def _is_still_tried(current: Endpoint, tried: Endpoint) -> bool:
    return current.challenge_due_at is not None and (current.url, current.verification) == (
        tried.url,
        tried.verification,
    )
