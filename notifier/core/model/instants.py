"""Instants: epoch seconds inside, RFC 3339 outside. X's own strings are kept as they came."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

MAX_LENGTH: Final = 64
"""Nothing longer is a date, however many digits stand after the second."""

END_OF_DATES: Final = 253_402_300_799.999
"""The last millisecond of the year 9999; what is later cannot be written back."""

EARLIEST_SENSIBLE: Final = 1_577_836_800.0
"""2020-01-01T00:00:00Z. There were no Spaces before, so an earlier time is a slip of X's."""

YEAR_SECONDS: Final = 366 * 86_400.0
"""Nothing about a Space lasts or lies ahead for longer than this."""

RFC_3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?",
    re.IGNORECASE,
)
"""The form of a date. A missing offset, which RFC 3339 does not allow, is taken for UTC."""


@lru_cache(maxsize=4096)
def instant(raw: str | None) -> float | None:
    """Read an RFC 3339 date with any offset as epoch seconds; None where it is unknown or cannot be read."""
    if raw is None or len(raw) > MAX_LENGTH or not RFC_3339.fullmatch(raw):
        return None
    try:
        moment = datetime.fromisoformat(raw.upper())
        # An offset can carry a date of the year 1 or 9999 out of the years that can be written back.
        seconds = (moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if seconds <= END_OF_DATES else None


def sensible(raw: str | None, *, now: float) -> float | None:
    """Read one of X's times as epoch seconds; None also where no Space can have it, seen from ``now``."""
    moment = instant(raw)
    return moment if moment is not None and EARLIEST_SENSIBLE <= moment <= now + YEAR_SECONDS else None


def seconds_between(earlier: str | None, later: str | None, *, now: float) -> float | None:
    """Return the seconds from one of X's times to another, negative where they lie the other way round.

    None where either makes no sense, or where they are more than a year apart.
    """
    start, end = sensible(earlier, now=now), sensible(later, now=now)
    if start is None or end is None or abs(end - start) > YEAR_SECONDS:
        return None
    return round(end - start, 3)


def rfc3339(epoch_seconds: float) -> str:
    """Write epoch seconds as UTC with milliseconds, ``2021-07-14T08:00:19.250Z``."""
    return (
        datetime.fromtimestamp(epoch_seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
