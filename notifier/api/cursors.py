"""Cursors: where a page of a list ended, as a text that fits that list alone.

A cursor names its list and has a digest of the list's filters, so that one of another list, or of other
filters, is refused instead of pointing somewhere else. A forged cursor only points into a list that its
author may read anyway, so it has a checksum against mistakes and no signature.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Self

from notifier.errors import BadRequestError

FORM: Final = b"\x01"
"""The first byte of every cursor of this form; a later form gets another one."""

DIGEST_BYTES: Final = 6
ADVICE: Final = "pass the next_cursor of the previous page, unchanged"


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a list.

    Attributes:
        resource: The path of the list.
        filters: A digest of what narrows it.
        position: Where to go on, in the store's own terms.
    """

    resource: str
    filters: str
    position: str

    def cursor(self) -> str:
        """Write the place as a cursor."""
        content = json.dumps([self.resource, self.filters, self.position], separators=(",", ":")).encode()
        return urlsafe_b64encode(FORM + _digest(content) + content).rstrip(b"=").decode()

    @classmethod
    def read(cls, cursor: str, *, field: str) -> Self:
        """Read a cursor.

        Args:
            cursor: As a caller sent it.
            field: The parameter in which it came, for the message.

        Raises:
            BadRequestError: It is not one that :meth:`cursor` has written.
        """
        try:
            raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
            resource, filters, position = map(str, json.loads(raw[len(FORM) + DIGEST_BYTES :]))
        except (ValueError, TypeError, RecursionError):
            raise BadRequestError(f"{field}: {ADVICE}") from None
        place = cls(resource, filters, position)
        if place.cursor() != cursor:  # any other form, checksum or spelling
            raise BadRequestError(f"{field}: {ADVICE}")
        return place


def digest_of(filters: Mapping[str, object]) -> str:
    """Return a digest of what narrows a list; names that are None count as not given."""
    given = {name: value for name, value in filters.items() if value is not None}
    return _digest(json.dumps(given, sort_keys=True).encode()).hex()


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=DIGEST_BYTES).digest()
