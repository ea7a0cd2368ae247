"""Challenges: the proof that a receiver knows the secret, and the result of each attempt."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.core.delivery.challenge import (
    OURS_WAIT_SECONDS,
    WAITS_SECONDS,
    challenge_body,
    fault_of,
    respond,
    settle,
    token_of,
)
from notifier.core.delivery.endpoint import (
    Endpoint,
    EndpointStatus,
    PayloadFormat,
    VerificationStatus,
    disabled,
    enabled,
    verified_again,
)
from notifier.core.delivery.outcome import Answer, ErrorClass
from notifier.core.delivery.request import in_format
from notifier.core.delivery.signing import HmacKey, generate_private_key, generate_secret, receiver_secret
from notifier.core.model.ids import EndpointId
from notifier.core.model.reasons import DisabledReason

RAW = bytes(range(32))
SECRET = generate_secret(RAW)
KEYS = (HmacKey(RAW),)
TOKEN = "a-token"
GOOD = "sha256=" + base64.b64encode(hmac.digest(RAW, TOKEN.encode(), hashlib.sha256)).decode()
ENDPOINT = verified_again(
    Endpoint(id=EndpointId("ep_1"), url="https://example.com", created_at=0.0, updated_at=0.0), now=100.0
)


def answer(document: object = None, *, status: int = 200) -> Answer:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Answer(status, None, None, 1.0, body=raw)


def test_the_answer_is_the_tokens_hmac_under_the_raw_bytes_of_the_secret() -> None:
    assert respond(SECRET, TOKEN) == GOOD
    assert fault_of(answer({"response": GOOD}), TOKEN, KEYS) is None


def test_a_public_key_has_no_answer() -> None:
    assert respond(receiver_secret(generate_private_key(RAW)), TOKEN) is None


def test_any_live_secret_may_answer() -> None:
    assert fault_of(answer({"response": GOOD}), TOKEN, (HmacKey(bytes(32)), *KEYS)) is None


def test_more_in_the_answer_does_not_matter() -> None:
    assert fault_of(answer({"ok": True, "response": GOOD}, status=201), TOKEN, KEYS) is None


@pytest.mark.parametrize(
    "document",
    [
        {"response": TOKEN},
        {"response": f"sha256={TOKEN}"},
        {"response": "sha256="},
        {"response": "sha256=\ud800"},
        {"response": GOOD.removeprefix("sha256=")},
        {"response": GOOD.lower()},
        {"response": GOOD + "="},
        {"response": [GOOD]},
        {"response_token": GOOD},
        {"token": TOKEN},
        GOOD,
        [GOOD],
        None,
        b"",
        b"[" * 4096,
        b"\xff",
    ],
)
def test_an_echo_or_any_other_answer_is_no_proof(document: object) -> None:
    fault = fault_of(answer(document), TOKEN, KEYS)
    assert fault is not None
    assert GOOD not in fault


@pytest.mark.parametrize("status", [204, 301, 401, 404, 410, 500])
def test_the_right_answer_needs_the_right_status(status: int) -> None:
    fault = fault_of(answer({"response": GOOD}, status=status), TOKEN, KEYS)
    assert (fault is None) is (status == 204)


@given(st.text(), st.binary(min_size=24, max_size=64))
def test_only_the_holder_of_the_secret_can_answer(token: str, raw: bytes) -> None:
    response = respond(generate_secret(raw), token)
    assert fault_of(answer({"response": response}), token, (HmacKey(raw),)) is None
    assert fault_of(answer({"response": response}), token + "x", (HmacKey(raw),)) is not None
    assert fault_of(answer({"response": response}), token, (HmacKey(raw + b"x"),)) is not None


@pytest.mark.parametrize("form", PayloadFormat)
def test_a_receiver_finds_the_token_in_either_format(form: PayloadFormat) -> None:
    body = challenge_body(ENDPOINT.id, challenge_id="chl_1", token=TOKEN, now=100.0)
    sent = in_format(replace(ENDPOINT, format=form), body, source="https://example.org")
    document = json.loads(sent.body)
    assert token_of(document) == TOKEN
    assert document["data"] == {"id": "chl_1", "endpoint_id": "ep_1", "token": TOKEN}


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        {"type": "space.started", "data": {"token": TOKEN}},
        {"type": "webhook.challenge"},
        {"type": "webhook.challenge", "data": [TOKEN]},
        {"type": "webhook.challenge", "data": {"token": 1}},
        {"type": ["webhook.challenge"], "data": {"token": TOKEN}},
    ],
)
def test_nothing_else_has_a_token(document: dict[str, object] | None) -> None:
    assert token_of(document) is None


def test_a_passed_challenge_releases_deliveries() -> None:
    assert ENDPOINT.is_held
    passed = settle(ENDPOINT, answer(), None, now=103.0)
    assert not passed.is_held
    assert passed.challenge_due_at is None
    assert passed.verification is not None
    assert (passed.verification.tries, passed.verification.passed_at) == (1, 103.0)


def test_a_failing_challenge_is_retried_and_then_disables() -> None:
    endpoint, now, waits = ENDPOINT, 100.0, []
    while endpoint.challenge_due_at is not None:
        waits.append(endpoint.challenge_due_at - now)
        now = endpoint.challenge_due_at
        endpoint = settle(endpoint, answer(status=500), "no", now=now)
    assert waits == [0.0, *WAITS_SECONDS]
    assert endpoint.verification is not None
    assert endpoint.verification.status is VerificationStatus.FAILED
    assert endpoint.verification.tries == len(WAITS_SECONDS) + 1
    assert endpoint.verification.last_failure == "no"
    assert (endpoint.status, endpoint.disabled_reason, endpoint.disabled_at) == (
        EndpointStatus.DISABLED,
        DisabledReason.NOT_VERIFIED,
        now,
    )


def test_a_fault_of_our_own_does_not_count_against_the_receiver() -> None:
    ours = Answer(None, ErrorClass.RESOLVER, None, 1.0)
    endpoint = ENDPOINT
    for _ in range(10):
        endpoint = settle(endpoint, ours, fault_of(ours, TOKEN, KEYS), now=200.0)
    assert endpoint.challenge_due_at == 200.0 + OURS_WAIT_SECONDS
    assert endpoint.verification is not None
    assert (endpoint.verification.tries, endpoint.status) == (0, EndpointStatus.ENABLED)


def test_enabling_restarts_only_a_verification_that_has_not_passed() -> None:
    held = disabled(ENDPOINT, DisabledReason.BY_HAND, now=150.0)
    assert held.challenge_due_at is None
    assert enabled(held, now=200.0).challenge_due_at == 200.0
    passed = settle(ENDPOINT, answer(), None, now=103.0)
    again = enabled(disabled(passed, DisabledReason.GONE, now=150.0), now=200.0)
    assert (again.is_held, again.verification) == (False, passed.verification)
    assert (again.disabled_at, again.disabled_reason) == (None, None)


def test_an_already_disabled_endpoint_keeps_its_reason_and_time() -> None:
    first = disabled(ENDPOINT, DisabledReason.GONE, now=150.0)
    assert disabled(first, DisabledReason.BY_HAND, now=160.0) is first
    assert enabled(ENDPOINT, now=200.0) is ENDPOINT
