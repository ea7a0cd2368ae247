"""Signing secrets of endpoints: making, checking, sealing, rotating."""

from __future__ import annotations

import secrets
from typing import Final

from notifier.core.endpoint import Endpoint, SealedSecret
from notifier.core.instants import rfc3339
from notifier.core.signing import SYMMETRIC_PREFIX, generate_secret, parse_signing_key
from notifier.errors import ConflictError, InvalidInputError, SecretFormError
from notifier.store.sealing import SecretBox

SECRET_BYTES: Final = 32
MAX_LIVE_SECRETS: Final = 5


def new_secret(own: str | None) -> str:
    """Give the caller's own secret once it is checked, or a random one.

    Raises:
        InvalidInputError: The caller's secret is not ``whsec_`` and base64 of 24 to 64 bytes.
    """
    if own is None:
        return generate_secret(secrets.token_bytes(SECRET_BYTES))
    if not own.startswith(SYMMETRIC_PREFIX):
        raise InvalidInputError.of("secret", "signing with hmac needs a whsec_ secret")
    try:
        parse_signing_key(own)
    except SecretFormError as error:
        raise InvalidInputError.of("secret", error.message) from None
    return own


def rotate(
    endpoint: Endpoint, secret: str, box: SecretBox, *, now: float, expires_at: float
) -> tuple[SealedSecret, ...]:
    """Put a new secret before the present one, which signs until ``expires_at``; expired ones are dropped.

    Raises:
        InvalidInputError: The secret is signing already.
        ConflictError: Too many secrets would sign at once.
    """
    current, *older = endpoint.secrets
    kept = [SealedSecret(current.sealed, expires_at), *older]
    live = [item for item in kept if item.expires_at is None or item.expires_at > now]
    if secret in (box.open(item.sealed) for item in endpoint.secrets):
        raise InvalidInputError.of("secret", "is one of this endpoint's secrets already; send another one")
    if len(live) >= MAX_LIVE_SECRETS:
        frees_at = min(item.expires_at for item in live if item.expires_at is not None)
        raise ConflictError(
            f"{MAX_LIVE_SECRETS} secrets can sign at once and the next one expires at {rfc3339(frees_at)}; "
            "wait for it, or rotate with grace_seconds 0."
        )
    return (SealedSecret(box.seal(secret)), *live)
