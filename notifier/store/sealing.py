"""Secrets at rest: AES-256-GCM under a master key that the sealed text names, so that keys can rotate."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from notifier.core.delivery.endpoint import SealedTarget
from notifier.core.delivery.kinds.target import Target, masked, written
from notifier.errors import ConfigError

NONCE_BYTES: Final = 12


class SecretBox:
    """Seals with the first master key and opens with whichever one the sealed text names."""

    def __init__(self, master_keys: Mapping[str, bytes]) -> None:
        if not master_keys:
            raise ConfigError("NOTIFIER_MASTER_KEYS: at least one key is needed")
        self._ciphers = {key_id: AESGCM(key) for key_id, key in master_keys.items()}
        self._current = next(iter(master_keys))

    @property
    def current(self) -> str:
        """The id of the key that seals."""
        return self._current

    def has(self, key_id: str) -> bool:
        """Return whether there is a key of this id."""
        return key_id in self._ciphers

    def __repr__(self) -> str:
        return f"SecretBox(keys={list(self._ciphers)})"

    def seal(self, secret: str) -> str:
        """Encrypt; the result is ``<key id>.<base64 of nonce and ciphertext>``."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._ciphers[self._current].encrypt(nonce, secret.encode(), self._current.encode())
        return f"{self._current}.{base64.b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str) -> str:
        """Decrypt.

        Raises:
            ConfigError: The master key that it was sealed under is not among the settings, or is another one.
        """
        key_id, encoded = _split(sealed)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise ConfigError(f"NOTIFIER_MASTER_KEYS: the key {key_id!r} is missing, and secrets need it")
        raw = base64.b64decode(encoded)
        try:
            return cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], key_id.encode()).decode()
        except InvalidTag:
            raise ConfigError(
                f"NOTIFIER_MASTER_KEYS: the key {key_id!r} is not the one that secrets were sealed under"
            ) from None

    def reseal(self, sealed: str) -> str:
        """Reseal with the current key; texts already sealed with it are unchanged.

        Raises:
            ConfigError: As in :meth:`open`.
        """
        return sealed if key_id_of(sealed) == self._current else self.seal(self.open(sealed))


def sealed_target(target: Target, box: SecretBox, *, now: float) -> SealedTarget:
    """Return a target sealed for its record, with its masked form."""
    return SealedTarget(box.seal(written(target)), masked(target), now)


def key_id_of(sealed: str) -> str:
    """Return the id of the master key that a text was sealed under."""
    return _split(sealed)[0]


def _split(sealed: str) -> tuple[str, str]:
    # A key id may hold dots; base64 does not.
    key_id, _, encoded = sealed.rpartition(".")
    return key_id, encoded
