"""The fingerprint of the credentials that X's limits apply to."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

ORIGIN_LENGTH: Final = 16


def origin_of(base_url: str, bearer_token: str) -> str:
    """Return a short fingerprint of X's URL and a token, from which neither can be read.

    What was learned for one origin (its windows, its pauses) does not apply to another.
    """
    return sha256(f"{base_url}\n{bearer_token}".encode()).hexdigest()[:ORIGIN_LENGTH]
