"""Challenges: a receiver shows that it knows the secret before it gets its first event.

The challenge is a signed POST with a random token; the receiver answers with the token's HMAC-SHA256 under
the same secret, so that an echo is not enough. A page that answers 200 to everything fails, and so does a
receiver whose owner does not know that events are sent to it.
"""

from __future__ import annotations

import binascii
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from notifier.core.delivery.endpoint import Endpoint, Verification, VerificationStatus, disabled
from notifier.core.delivery.outcome import Answer, OutcomeKind, classify
from notifier.core.delivery.signing import HmacKey, parse_verification_key
from notifier.core.events.cloud_events import TYPE_PREFIX
from notifier.core.events.event import canonical
from notifier.core.model.ids import EndpointId
from notifier.core.model.instants import rfc3339
from notifier.core.model.reasons import DisabledReason

CHALLENGE_TYPE: Final = "webhook.challenge"
ID_PREFIX: Final = "chl_"
SCHEME: Final = "sha256="

WAITS_SECONDS: Final = (5.0, 15.0, 60.0, 120.0)
"""The delays between tries; one more try than delays, over slightly more than three minutes."""

OURS_WAIT_SECONDS: Final = 30.0
"""The wait after a try that failed by a fault of ours, which does not count."""


def challenge_body(endpoint_id: EndpointId, *, challenge_id: str, token: str, now: float) -> bytes:
    """Return a challenge in the form of an event; it is not in the event log."""
    data = {"id": challenge_id, "endpoint_id": endpoint_id, "token": token}
    return canonical({"type": CHALLENGE_TYPE, "timestamp": rfc3339(now), "data": data}).encode()


def token_of(document: Mapping[str, Any] | None) -> str | None:
    """Return the token where a received body, in either format, is a challenge; for receivers."""
    if document is None or document.get("type") not in (CHALLENGE_TYPE, TYPE_PREFIX + CHALLENGE_TYPE):
        return None
    data = document.get("data")
    token = data.get("token") if isinstance(data, dict) else None
    return token if isinstance(token, str) else None


def respond(secret: str, token: str) -> str | None:
    """Return what a receiver answers to a token; None where its key is one of a pair, which has no answer.

    Raises:
        SecretFormError: ``secret`` does not have the form of one.
    """
    key = parse_verification_key(secret)
    return _response(key, token) if isinstance(key, HmacKey) else None


def fault_of(answer: Answer, token: str, keys: Iterable[HmacKey]) -> str | None:
    """Return what is wrong with the answer to a challenge, None for nothing; any live secret may answer."""
    outcome = classify(answer, now=0.0)
    if outcome.kind is not OutcomeKind.DELIVERED:
        return outcome.reason
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return 'the answer is not JSON; it must be {"response": "sha256=…"}'
    response = document.get("response") if isinstance(document, dict) else None
    if not isinstance(response, str) or not response.startswith(SCHEME):
        return 'the answer has no "response" that begins with sha256='
    given = response.encode(errors="replace")
    if any(hmac.compare_digest(given, _response(key, token).encode()) for key in keys):
        return None
    return "the response is not the base64 HMAC-SHA256 of the token with this endpoint's secret"


def settle(endpoint: Endpoint, answer: Answer, fault: str | None, *, now: float) -> Endpoint:
    """Return the endpoint as it is after a try: passed, pending with the next try, or failed and disabled."""
    before = endpoint.verification or Verification(started_at=now)
    if fault is None:
        passed = replace(
            before,
            status=VerificationStatus.PASSED,
            tries=before.tries + 1,
            next_try_at=None,
            last_failure=None,
            passed_at=now,
        )
        return replace(endpoint, verification=passed, updated_at=now)
    if classify(answer, now=now).kind is OutcomeKind.OURS:
        again = replace(before, next_try_at=now + OURS_WAIT_SECONDS, last_failure=fault)
        return replace(endpoint, verification=again)
    tries = before.tries + 1
    if tries <= len(WAITS_SECONDS):
        wait = WAITS_SECONDS[tries - 1]
        again = replace(before, tries=tries, next_try_at=now + wait, last_failure=fault)
        return replace(endpoint, verification=again)
    failed = replace(
        before, status=VerificationStatus.FAILED, tries=tries, next_try_at=None, last_failure=fault
    )
    return disabled(replace(endpoint, verification=failed), DisabledReason.NOT_VERIFIED, now=now)


def _response(key: HmacKey, token: str) -> str:
    return SCHEME + binascii.b2a_base64(key.digest(token.encode()), newline=False).decode("ascii")
