"""Signing secrets of endpoints: generating, checking, encrypting, rotating."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Final

from notifier.core.delivery.endpoint import Endpoint, SealedSecret, Signing
from notifier.core.delivery.signing import (
    PRIVATE_PREFIX,
    SYMMETRIC_PREFIX,
    canonical_secret,
    generate_private_key,
    generate_secret,
    parse_signing_key,
    receiver_secret,
)
from notifier.core.model.instants import rfc3339
from notifier.errors import ConfigError, ConflictError, InvalidInputError, SecretFormError, UnavailableError
from notifier.store.sealing import SecretBox

SECRET_BYTES: Final = 32
MAX_LIVE_SECRETS: Final = 5
PREFIXES: Final = {Signing.HMAC: SYMMETRIC_PREFIX, Signing.ED25519: PRIVATE_PREFIX}


def new_secret(signing: Signing, own: str | None) -> str:
    """Return the caller's own secret, checked and in its canonical spelling, or a random one.

    Raises:
        InvalidInputError: The caller's secret is not one for this signature scheme; the message has the rule.
    """
    if own is None:
        make = generate_secret if signing is Signing.HMAC else generate_private_key
        return make(secrets.token_bytes(SECRET_BYTES))
    if not own.strip().startswith(PREFIXES[signing]):
        raise InvalidInputError.of("secret", f"signing with {signing} needs a {PREFIXES[signing]} secret")
    try:
        parse_signing_key(own)
        return canonical_secret(own)
    except SecretFormError as error:
        raise InvalidInputError.of("secret", error.message) from None


def seal(secret: str, signing: Signing, box: SecretBox) -> SealedSecret:
    """Seal a secret for its record; the public half of a pair stays readable."""
    public_key = receiver_secret(secret) if signing is Signing.ED25519 else None
    return SealedSecret(box.seal(secret), public_key=public_key)


def shown(item: SealedSecret, box: SecretBox) -> str:
    """Open a secret for a caller that may see it.

    Raises:
        UnavailableError: Its master key is missing; the message names it and the way out.
    """
    try:
        return box.open(item.sealed)
    except ConfigError as error:
        raise UnavailableError(f"{error.message}. If it is permanently lost, rotate the secret.") from None


def rotate(
    endpoint: Endpoint, secret: str, box: SecretBox, *, now: float, expires_at: float
) -> tuple[SealedSecret, ...]:
    """Put a new secret before the present one, which signs until ``expires_at``; expired ones are dropped.

    So is one whose master key is lost: it can sign nothing, and as long as it is there nothing is delivered.

    Raises:
        InvalidInputError: The secret is signing already.
        ConflictError: Too many secrets would sign at once.
    """
    opened = [(item, text) for item in endpoint.secrets if (text := _opened(item, box)) is not None]
    if any(_signs_alike(secret, text) for _, text in opened):
        raise InvalidInputError.of("secret", "is already one of this endpoint's secrets; send another one")
    current = endpoint.secrets[0]
    kept = [replace(item, expires_at=expires_at) if item is current else item for item, _ in opened]
    live = [item for item in kept if item.expires_at is None or item.expires_at > now]
    if len(live) >= MAX_LIVE_SECRETS:
        frees_at = min(item.expires_at for item in live if item.expires_at is not None)
        raise ConflictError(
            f"{MAX_LIVE_SECRETS} secrets can sign at once and the next one expires at {rfc3339(frees_at)}; "
            "wait for it, or rotate with grace_seconds 0."
        )
    return (seal(secret, endpoint.signing, box), *live)


def _opened(item: SealedSecret, box: SecretBox) -> str | None:
    try:
        return box.open(item.sealed)
    except ConfigError:
        return None


def _signs_alike(one: str, other: str) -> bool:
    """Return whether two secrets are the same key, which can be written in more than one way."""
    return parse_signing_key(one).sign(b"", b"") == parse_signing_key(other).sign(b"", b"")
