"""What the resources share: times, ids and small answers."""

from __future__ import annotations

import re
import secrets
from typing import Annotated, Final, TypeAlias

from pydantic import BeforeValidator, Field

from notifier.core.model.ids import new_tail
from notifier.core.model.instants import rfc3339

TAIL_BYTES: Final = 16
PLAIN_DIGITS: Final = re.compile(r"0|[1-9][0-9]{0,17}")

Time: TypeAlias = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""RFC 3339 in UTC with milliseconds."""


def _whole(value: object) -> object:
    """Take a number without a fraction for the integer that it is, as JSON Schema does: 16.0, 1e2."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _plain(value: object) -> object:
    """Refuse what Python reads as an integer and is not plain digits: +5, 1_0, 5.0, other scripts' digits."""
    if isinstance(value, str) and not PLAIN_DIGITS.fullmatch(value):
        raise ValueError("should be a whole number, written in the digits 0 to 9 alone")
    return value


BodyInteger: TypeAlias = Annotated[int, BeforeValidator(_whole)]
"""An integer in a JSON body; its bounds are the field's."""

QueryInteger: TypeAlias = Annotated[int, BeforeValidator(_plain)]
"""An integer in a query string; its bounds are the field's."""


def time_or_none(epoch_seconds: float | None) -> str | None:
    """Write epoch seconds as RFC 3339, None as None."""
    return None if epoch_seconds is None else rfc3339(epoch_seconds)


def random_tail() -> str:
    """Return the tail of a new id."""
    return new_tail(secrets.token_bytes(TAIL_BYTES))
