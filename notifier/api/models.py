"""What the resources share: times, ids and small answers."""

from __future__ import annotations

import secrets
from typing import Annotated, Final, TypeAlias

from pydantic import Field

from notifier.core.ids import new_tail
from notifier.core.instants import rfc3339

TAIL_BYTES: Final = 16

Time: TypeAlias = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""RFC 3339 in UTC with milliseconds."""


def time_or_none(epoch_seconds: float | None) -> str | None:
    """Write epoch seconds as RFC 3339, None as None."""
    return None if epoch_seconds is None else rfc3339(epoch_seconds)


def random_tail() -> str:
    """Give the tail of a new id."""
    return new_tail(secrets.token_bytes(TAIL_BYTES))
