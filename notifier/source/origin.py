"""Whom X punishes: the token at the address that it is used at."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

ORIGIN_LENGTH: Final = 16


def origin_of(base_url: str, bearer_token: str) -> str:
    """Return a short fingerprint of X's URL and a token, from which neither can be read.

    What was learned of one origin (its windows, its pauses) says nothing of another one.
    """
    return sha256(f"{base_url}\n{bearer_token}".encode()).hexdigest()[:ORIGIN_LENGTH]
