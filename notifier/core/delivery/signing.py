"""Signing and verifying webhooks as the Standard Webhooks specification 1.0.0 lays down.

The signed content is ``{id}.{timestamp}.{body}`` as bytes. A ``whsec_`` secret holds base64 of 24 to 64
random bytes and gives ``v1,<base64>`` entries by HMAC-SHA256; a ``whsk_`` private key gives ``v1a,<base64>``
entries by ed25519, which are verified with its ``whpk_`` public key. Nothing here shows a secret.
"""

from __future__ import annotations

import binascii
import hmac
import re
from typing import TYPE_CHECKING, Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from notifier.errors import SecretFormError, SignatureError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SYMMETRIC_PREFIX: Final = "whsec_"
PRIVATE_PREFIX: Final = "whsk_"
PUBLIC_PREFIX: Final = "whpk_"
_PREFIXES: Final = (SYMMETRIC_PREFIX, PRIVATE_PREFIX, PUBLIC_PREFIX)

DEFAULT_TOLERANCE_SECONDS: Final = 300
_MIN_SYMMETRIC_BYTES: Final = 24
_MAX_SYMMETRIC_BYTES: Final = 64
_ED25519_KEY_BYTES: Final = 32
_MAX_TIMESTAMP_DIGITS: Final = 12

_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*")
_BASE64_OF_URLS: Final = re.compile(r"[A-Za-z0-9_-]*")
_OF_URLS: Final = str.maketrans("-_", "+/")


class SigningKey(Protocol):
    """What signs: a parsed secret that never shows itself."""

    def sign(self, prefix: bytes, body: bytes) -> str:
        """Return the signature entry, ``version,base64``, over ``prefix + body``."""
        ...


class VerificationKey(Protocol):
    """What verifies: a parsed secret or public key that never shows itself."""

    version: str

    def matches(self, signature: bytes, prefix: bytes, body: bytes) -> bool:
        """Tell, in constant time, whether ``signature`` is over ``prefix + body``."""
        ...


class HmacKey:
    """A ``whsec_`` secret; it both signs and verifies.

    The keyed state is computed once and copied for each signature, which spares two of the hash blocks.
    """

    __slots__ = ("_state",)

    version = "v1"

    def __init__(self, key: bytes) -> None:
        self._state = hmac.new(key, digestmod="sha256")

    def __repr__(self) -> str:
        return "HmacKey(<hidden>)"

    def sign(self, prefix: bytes, body: bytes) -> str:
        """Return the ``v1`` entry over ``prefix + body``."""
        return "v1," + _to_base64(self.digest(prefix, body))

    def matches(self, signature: bytes, prefix: bytes, body: bytes) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(signature, self.digest(prefix, body))

    def digest(self, *parts: bytes) -> bytes:
        """Return the HMAC-SHA256 over the parts, one after the other."""
        state = self._state.copy()
        for part in parts:
            state.update(part)
        return state.digest()


class Ed25519SigningKey:
    """A ``whsk_`` private key."""

    __slots__ = ("_key",)

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    def __repr__(self) -> str:
        return "Ed25519SigningKey(<hidden>)"

    def sign(self, prefix: bytes, body: bytes) -> str:
        """Return the ``v1a`` entry over ``prefix + body``."""
        return "v1a," + _to_base64(self._key.sign(prefix + body))

    def public_bytes(self) -> bytes:
        """Return the 32 bytes that receivers verify with."""
        return self._key.public_key().public_bytes_raw()


class Ed25519VerificationKey:
    """A ``whpk_`` public key."""

    __slots__ = ("_key",)

    version = "v1a"

    def __init__(self, public: bytes) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(public)

    def __repr__(self) -> str:
        return "Ed25519VerificationKey(<hidden>)"

    def matches(self, signature: bytes, prefix: bytes, body: bytes) -> bool:
        """Check the signature; nothing here is secret."""
        try:
            self._key.verify(signature, prefix + body)
        except InvalidSignature:
            return False
        return True


def generate_secret(random_bytes: bytes) -> str:
    """Turn 24 to 64 bytes of a cryptographic random source into a ``whsec_`` secret.

    Raises:
        SecretFormError: There are fewer or more bytes than that.
    """
    _check_symmetric_length(random_bytes)
    return SYMMETRIC_PREFIX + _to_base64(random_bytes)


def generate_private_key(seed: bytes) -> str:
    """Turn 32 bytes of a cryptographic random source into a ``whsk_`` private key (seed, then public key).

    Raises:
        SecretFormError: The seed does not have 32 bytes.
    """
    if len(seed) != _ED25519_KEY_BYTES:
        raise SecretFormError(f"an ed25519 seed has {_ED25519_KEY_BYTES} bytes, not {len(seed)}")
    return PRIVATE_PREFIX + _to_base64(seed + Ed25519SigningKey(seed).public_bytes())


def canonical_secret(secret: str) -> str:
    """Return a secret in the one spelling that every decoder of base64 takes.

    Raises:
        SecretFormError: It is no secret, or can be read in more than one way.
    """
    prefix = next((each for each in _PREFIXES if secret.strip().startswith(each)), None)
    if prefix is None:
        raise SecretFormError(f"a secret starts with one of {', '.join(_PREFIXES)}")
    return prefix + _to_base64(_from_base64(secret, prefix))


def receiver_secret(secret: str) -> str:
    """Return what a receiver needs to verify: ``whsec_`` is shared as it is, ``whsk_`` gives its ``whpk_``.

    Raises:
        SecretFormError: ``secret`` cannot sign.
    """
    key = parse_signing_key(secret)
    if isinstance(key, Ed25519SigningKey):
        return PUBLIC_PREFIX + _to_base64(key.public_bytes())
    return canonical_secret(secret)


def verifying_secret(secret: str) -> str:
    """Accept what signs where something that verifies is wanted: a ``whsk_`` becomes its ``whpk_``.

    Raises:
        SecretFormError: ``secret`` is a malformed ``whsk_``.
    """
    return receiver_secret(secret) if secret.strip().startswith(PRIVATE_PREFIX) else secret


def parse_signing_key(secret: str) -> HmacKey | Ed25519SigningKey:
    """Parse a ``whsec_`` secret or a ``whsk_`` private key.

    Raises:
        SecretFormError: It is neither, or has the wrong length; the message does not show it.
    """
    secret = secret.strip()
    if secret.startswith(SYMMETRIC_PREFIX):
        return _parse_symmetric(secret)
    if secret.startswith(PRIVATE_PREFIX):
        return _parse_private(secret)
    raise SecretFormError(
        f"a signing secret starts with {SYMMETRIC_PREFIX} (HMAC-SHA256) or {PRIVATE_PREFIX} (ed25519)"
    )


def parse_verification_key(secret: str) -> HmacKey | Ed25519VerificationKey:
    """Parse a ``whsec_`` secret or a ``whpk_`` public key.

    Raises:
        SecretFormError: It is neither, or has the wrong length; the message does not show it.
    """
    secret = secret.strip()
    if secret.startswith(SYMMETRIC_PREFIX):
        return _parse_symmetric(secret)
    if secret.startswith(PUBLIC_PREFIX):
        public = _from_base64(secret, PUBLIC_PREFIX)
        if len(public) != _ED25519_KEY_BYTES:
            raise SecretFormError(f"{PUBLIC_PREFIX} is followed by base64 of {_ED25519_KEY_BYTES} bytes")
        return Ed25519VerificationKey(public)
    raise SecretFormError(
        f"a verifying secret starts with {SYMMETRIC_PREFIX} (HMAC-SHA256) or {PUBLIC_PREFIX} (ed25519)"
    )


def sign(keys: Sequence[SigningKey], event_id: str, timestamp: int, body: bytes) -> str:
    """Return the ``webhook-signature`` header: one entry per live key, separated by a space.

    Args:
        keys: The live keys of the endpoint, the newest first.
        event_id: The ``webhook-id``.
        timestamp: The ``webhook-timestamp``, unix seconds of this attempt.
        body: The exact bytes that will be sent.
    """
    prefix = f"{event_id}.{timestamp}.".encode()
    if len(keys) == 1:
        return keys[0].sign(prefix, body)
    return " ".join([key.sign(prefix, body) for key in keys])


def verify(
    secret: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float,
    tolerance: float = DEFAULT_TOLERANCE_SECONDS,
) -> None:
    """Check that ``body`` was signed with ``secret`` about now.

    Args:
        secret: ``whsec_`` or ``whpk_``.
        headers: Of the request; their names in any case.
        body: The bytes as received.
        now: Unix seconds.
        tolerance: How many seconds the timestamp may be away from ``now``, either way.

    Raises:
        SecretFormError: The secret does not have the form of one.
        SignatureError: A header is missing, the timestamp is not an integer or too far away, or no entry
            matches. Malformed entries are passed over.
    """
    key = parse_verification_key(secret)
    lowered = {name.lower(): value for name, value in headers.items()}
    event_id = _required(lowered, "webhook-id")
    timestamp = _parse_timestamp(_required(lowered, "webhook-timestamp"))
    entries = _required(lowered, "webhook-signature")
    if timestamp < now - tolerance:
        raise SignatureError(f"webhook-timestamp is more than {tolerance:g} seconds in the past")
    if timestamp > now + tolerance:
        raise SignatureError(f"webhook-timestamp is more than {tolerance:g} seconds in the future")
    # surrogateescape: how HTTP libraries hand on header bytes that are not UTF-8
    prefix = f"{event_id}.{lowered['webhook-timestamp']}.".encode(errors="surrogateescape")
    if not any(_entry_matches(key, entry, prefix, body) for entry in entries.split()):
        raise SignatureError(f"no {key.version} entry of webhook-signature matches the body and the secret")


def _entry_matches(key: VerificationKey, entry: str, prefix: bytes, body: bytes) -> bool:
    version, _, encoded = entry.partition(",")
    if version != key.version:
        return False
    try:
        signature = binascii.a2b_base64(encoded, strict_mode=True)
    except ValueError:
        return False
    return key.matches(signature, prefix, body)


def _required(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if not value:
        raise SignatureError(f"the header {name} is missing")
    return value


def _parse_timestamp(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_TIMESTAMP_DIGITS):
        raise SignatureError("webhook-timestamp is not an integer of unix seconds")
    return int(text)


def _parse_symmetric(secret: str) -> HmacKey:
    key = _from_base64(secret, SYMMETRIC_PREFIX)
    _check_symmetric_length(key)
    return HmacKey(key)


def _check_symmetric_length(key: bytes) -> None:
    if not _MIN_SYMMETRIC_BYTES <= len(key) <= _MAX_SYMMETRIC_BYTES:
        raise SecretFormError(
            f"{SYMMETRIC_PREFIX} is followed by base64 of {_MIN_SYMMETRIC_BYTES} to {_MAX_SYMMETRIC_BYTES} "
            f"bytes; these are {len(key)}"
        )


def _parse_private(secret: str) -> Ed25519SigningKey:
    raw = _from_base64(secret, PRIVATE_PREFIX)
    if len(raw) not in {_ED25519_KEY_BYTES, 2 * _ED25519_KEY_BYTES}:
        raise SecretFormError(
            f"{PRIVATE_PREFIX} is followed by base64 of a 32-byte seed, alone or with its 32-byte public key"
        )
    key = Ed25519SigningKey(raw[:_ED25519_KEY_BYTES])
    if len(raw) > _ED25519_KEY_BYTES and raw[_ED25519_KEY_BYTES:] != key.public_bytes():
        raise SecretFormError(f"the public half of the {PRIVATE_PREFIX} key does not belong to its seed")
    return key


def _from_base64(secret: str, prefix: str) -> bytes:
    """Decode what follows a prefix, in any spelling of base64 that can be read in one way only.

    Padding may be missing, the last character may carry bits of no meaning, the alphabet may be that of URLs
    (RFC 4648 section 5), and line breaks may be in it, as the command line's tools put them there. Both
    alphabets in one secret, or anything behind the padding, is a slip rather than a spelling, and a space may
    have been a plus.
    """
    text = secret.strip().removeprefix(prefix).replace("\r", "").replace("\n", "")
    digits = text.rstrip("=")
    padding = len(text) - len(digits)
    in_alphabet = _BASE64.fullmatch(digits) or _BASE64_OF_URLS.fullmatch(digits)
    if not in_alphabet or len(digits) % 4 == 1 or padding > -len(digits) % 4:
        raise SecretFormError(f"what follows {prefix} is not base64")
    return binascii.a2b_base64(digits.translate(_OF_URLS) + "=" * (-len(digits) % 4))


def _to_base64(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).decode("ascii")
