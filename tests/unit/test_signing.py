from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.core.delivery.signing import (
    canonical_secret,
    generate_private_key,
    generate_secret,
    parse_signing_key,
    parse_verification_key,
    receiver_secret,
    sign,
    verify,
    verifying_secret,
)
from notifier.errors import SecretFormError, SignatureError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENT_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIMESTAMP = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

PRIVATE = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
ED25519_SIGNATURE = (
    "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
)
SEED_ONLY = "whsk_" + base64.b64encode(base64.b64decode(PRIVATE.removeprefix("whsk_"))[:32]).decode()


def headers(signature: str = SIGNATURE, **replaced: str) -> dict[str, str]:
    given_headers = {
        "Webhook-Id": EVENT_ID,
        "Webhook-Timestamp": str(TIMESTAMP),
        "Webhook-Signature": signature,
    }
    return given_headers | replaced


def secret_of(length: int) -> str:
    return "whsec_" + base64.b64encode(bytes(length)).decode()


@pytest.mark.parametrize(
    ("secret", "event_id", "timestamp", "body", "signature"),
    [
        (SECRET, EVENT_ID, TIMESTAMP, BODY, SIGNATURE),
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1649367553,
            b'{"email":"test@example.com","username":"test_user"}',
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
        (PRIVATE, EVENT_ID, TIMESTAMP, BODY, ED25519_SIGNATURE),
        (SEED_ONLY, EVENT_ID, TIMESTAMP, BODY, ED25519_SIGNATURE),
    ],
)
def test_the_published_test_vectors_match(
    secret: str, event_id: str, timestamp: int, body: bytes, signature: str
) -> None:
    key = parse_signing_key(secret)
    assert sign([key], event_id, timestamp, body) == signature
    assert sign([key], event_id, timestamp, body) == signature  # the cached state is not consumed


CANONICAL = "whsec_" + base64.b64encode(b"\xfb\xff" * 12 + b"\x01").decode()
"""With both characters that differ in the alphabet of URLs, and two of padding."""
DIGITS = CANONICAL.removeprefix("whsec_").rstrip("=")


@pytest.mark.parametrize(
    "spelling",
    [
        DIGITS,
        DIGITS + "=",
        DIGITS + "==",
        DIGITS.replace("+", "-").replace("/", "_"),
        DIGITS.replace("+", "-").replace("/", "_") + "==",
        DIGITS[:-1] + chr(ord(DIGITS[-1]) + 1) + "==",
        DIGITS[:20] + "\n" + DIGITS[20:] + "\r\n",
        DIGITS + "==\n",
    ],
)
def test_every_spelling_of_a_secret_signs_alike_and_has_one_canonical_form(spelling: str) -> None:
    for secret in ("whsec_" + spelling, f" whsec_{spelling} "):
        assert canonical_secret(secret) == receiver_secret(secret) == CANONICAL
        entry = sign([parse_signing_key(secret)], EVENT_ID, TIMESTAMP, BODY)
        assert entry == sign([parse_signing_key(CANONICAL)], EVENT_ID, TIMESTAMP, BODY)
        verify(secret, headers(entry), BODY, now=TIMESTAMP)


def test_the_spellings_of_a_pair_of_keys_have_one_canonical_form() -> None:
    for secret in (PRIVATE, SEED_ONLY, PUBLIC):
        spelling = secret.rstrip("=").replace("+", "-").replace("/", "_")
        assert canonical_secret(spelling) == secret
    assert verifying_secret(SEED_ONLY.rstrip("=")) == PUBLIC
    verify(PUBLIC.rstrip("="), headers(ED25519_SIGNATURE), BODY, now=TIMESTAMP)


@pytest.mark.parametrize(
    "doubtful",
    [
        DIGITS[:10] + "=" + DIGITS[10:],
        DIGITS + "==" + DIGITS,
        DIGITS + "===",
        DIGITS[:32] + "=",
        DIGITS[:33],
        DIGITS.replace("+", "-") + "==",
        DIGITS.replace("+", " ") + "==",
        DIGITS + "\x00",
        DIGITS[:-1] + "\uff21",
        "",
    ],
)
def test_an_ambiguous_secret_is_refused_and_not_shown(doubtful: str) -> None:
    with pytest.raises(SecretFormError) as caught:
        parse_signing_key("whsec_" + doubtful)
    assert DIGITS[:8] not in str(caught.value)


def test_an_invalid_secret_has_no_canonical_form() -> None:
    with pytest.raises(SecretFormError, match="whsec_, whsk_, whpk_"):
        canonical_secret("secret")


def test_every_live_secret_signs_in_order() -> None:
    keys = [parse_signing_key(PRIVATE), parse_signing_key(SECRET)]
    assert sign(keys, EVENT_ID, TIMESTAMP, BODY) == f"{ED25519_SIGNATURE} {SIGNATURE}"


@pytest.mark.parametrize(
    ("secret", "entries"),
    [
        (SECRET, SIGNATURE),
        (PUBLIC, ED25519_SIGNATURE),
        (SECRET, f"{ED25519_SIGNATURE} {SIGNATURE}"),
        (SECRET, f"v1 v1, ,, v1,%%% v1,é {SIGNATURE}"),
        (PUBLIC, f"v1a,AAAA v1a {ED25519_SIGNATURE}"),
    ],
)
def test_a_good_signature_verifies_among_malformed_and_foreign_entries(secret: str, entries: str) -> None:
    verify(secret, headers(entries), BODY, now=TIMESTAMP)


@pytest.mark.parametrize("offset", [-300, 300])
def test_the_tolerance_includes_its_bounds(offset: int) -> None:
    verify(SECRET, headers(), BODY, now=TIMESTAMP + offset)


@pytest.mark.parametrize(
    ("given_headers", "body", "now", "reason"),
    [
        (headers("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA="), BODY, TIMESTAMP, "no v1 entry"),
        (headers("v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="), BODY, TIMESTAMP, "no v1 entry"),
        (headers("v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="), BODY, TIMESTAMP, "no v1 entry"),
        (headers(SIGNATURE[:-1]), BODY, TIMESTAMP, "no v1 entry"),
        (headers("v1,,v1 , garbage"), BODY, TIMESTAMP, "no v1 entry"),
        (headers(), BODY + b" ", TIMESTAMP, "no v1 entry"),
        (headers(**{"Webhook-Id": "msg_other"}), BODY, TIMESTAMP, "no v1 entry"),
        (headers(**{"Webhook-Id": "\udcff"}), BODY, TIMESTAMP, "no v1 entry"),
        (headers(**{"Webhook-Timestamp": str(TIMESTAMP + 1)}), BODY, TIMESTAMP, "no v1 entry"),
        (headers(), BODY, TIMESTAMP + 301, "300 seconds in the past"),
        (headers(), BODY, TIMESTAMP - 301, "300 seconds in the future"),
        (headers(**{"Webhook-Timestamp": "1614265330.0"}), BODY, TIMESTAMP, "not an integer"),
        (headers(**{"Webhook-Timestamp": "1_614_265_330"}), BODY, TIMESTAMP, "not an integer"),
        (headers(**{"Webhook-Timestamp": "-1614265330"}), BODY, TIMESTAMP, "not an integer"),
        (headers(**{"Webhook-Timestamp": "9" * 5000}), BODY, TIMESTAMP, "not an integer"),
        (headers(**{"Webhook-Timestamp": ""}), BODY, TIMESTAMP, "webhook-timestamp is missing"),
        (headers(**{"Webhook-Id": ""}), BODY, TIMESTAMP, "webhook-id is missing"),
        ({}, BODY, TIMESTAMP, "webhook-id is missing"),
        (headers(""), BODY, TIMESTAMP, "webhook-signature is missing"),
    ],
)
def test_a_failed_verification_states_the_reason(
    given_headers: dict[str, str], body: bytes, now: float, reason: str
) -> None:
    with pytest.raises(SignatureError, match=reason) as caught:
        verify(SECRET, given_headers, body, now=now)
    assert "MfKQ9r8G" not in str(caught.value)


def test_a_wrong_public_key_does_not_verify() -> None:
    other = receiver_secret(generate_private_key(b"s" * 32))
    with pytest.raises(SignatureError, match="no v1a entry"):
        verify(other, headers(ED25519_SIGNATURE), BODY, now=TIMESTAMP)


def test_a_narrower_tolerance_is_respected() -> None:
    with pytest.raises(SignatureError, match="10 seconds"):
        verify(SECRET, headers(), BODY, now=TIMESTAMP + 11, tolerance=10)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2La LaSw",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSé",
        secret_of(23),
        secret_of(65),
        PUBLIC,
        PRIVATE[:-4],
        PRIVATE.replace("whsk_6X", "whsk_7X"),
        "whsk_AAAA",
    ],
)
def test_a_malformed_signing_secret_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(SecretFormError) as caught:
        parse_signing_key(secret)
    payload = secret.partition("_")[2]
    assert not payload or payload not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("secret", ["", PRIVATE, "whpk_AAAA", "whpk_!", "whsec_AAAA"])
def test_a_malformed_verifying_secret_is_refused(secret: str) -> None:
    with pytest.raises(SecretFormError):
        parse_verification_key(secret)


@pytest.mark.parametrize("length", [24, 64])
def test_the_bounds_of_a_symmetric_secret_are_accepted(length: int) -> None:
    assert generate_secret(bytes(length)) == secret_of(length)
    parse_signing_key(secret_of(length))


@pytest.mark.parametrize("length", [0, 23, 65])
def test_too_few_or_too_many_random_bytes_are_refused(length: int) -> None:
    with pytest.raises(SecretFormError, match="24 to 64"):
        generate_secret(bytes(length))


def test_a_private_key_needs_a_seed_of_32_bytes() -> None:
    with pytest.raises(SecretFormError, match="32 bytes"):
        generate_private_key(bytes(31))


def test_the_receiver_gets_the_shared_secret_or_the_public_key() -> None:
    assert receiver_secret(SECRET) == SECRET
    assert receiver_secret(PRIVATE) == PUBLIC
    assert receiver_secret(SEED_ONLY) == PUBLIC


def test_the_repr_of_a_key_hides_it() -> None:
    for key in (parse_signing_key(SECRET), parse_signing_key(PRIVATE), parse_verification_key(PUBLIC)):
        assert "hidden" in repr(key)
        assert not hasattr(key, "__dict__")


@given(
    raw=st.binary(min_size=24, max_size=64),
    event_id=st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1),
    timestamp=st.integers(0, 10**11),
    body=st.binary(),
)
def test_every_signature_verifies(raw: bytes, event_id: str, timestamp: int, body: bytes) -> None:
    secret = generate_secret(raw)
    signature = sign([parse_signing_key(secret)], event_id, timestamp, body)
    signed = headers(signature, **{"Webhook-Id": event_id, "Webhook-Timestamp": str(timestamp)})
    verify(secret, signed, body, now=timestamp)
    with pytest.raises(SignatureError):
        verify(secret, signed, body + b"x", now=timestamp)


@given(seed=st.binary(min_size=32, max_size=32), body=st.binary())
def test_every_ed25519_signature_verifies(seed: bytes, body: bytes) -> None:
    private = generate_private_key(seed)
    signature = sign([parse_signing_key(private)], EVENT_ID, TIMESTAMP, body)
    verify(receiver_secret(private), headers(signature), body, now=TIMESTAMP)


@given(entries=st.text())
def test_no_header_crashes_the_verifier(entries: str) -> None:
    with pytest.raises(SignatureError):
        verify(SECRET, headers(entries), b"another body", now=TIMESTAMP)
