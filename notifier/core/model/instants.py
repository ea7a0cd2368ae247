"""Instants: epoch seconds inside, RFC 3339 outside. X's own strings are kept unchanged."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

MAX_LENGTH: Final = 64
"""Nothing longer is a date, however many decimals the seconds have."""

END_OF_DATES: Final = 253_402_300_799.999
"""The last millisecond of the year 9999; later times cannot be formatted."""

EARLIEST_SENSIBLE: Final = 1_577_836_800.0
"""2020-01-01T00:00:00Z. There were no Spaces before, so an earlier time is an error of X's."""

YEAR_SECONDS: Final = 366 * 86_400.0
"""Nothing about a Space lasts longer, or is planned further ahead."""

RFC_3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?",
    re.IGNORECASE,
)
"""The form of a date. A missing offset, which RFC 3339 does not allow, means UTC."""


@lru_cache(maxsize=4096)
def instant(raw: str | None) -> float | None:
    """Return an RFC 3339 date with any offset in epoch seconds; None if it is unknown or invalid."""
    if raw is None or len(raw) > MAX_LENGTH or not RFC_3339.fullmatch(raw):
        return None
    try:
        moment = datetime.fromisoformat(raw.upper())
        # An offset can move a date of the year 1 or 9999 out of the years that can be formatted.
        seconds = (moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if seconds <= END_OF_DATES else None


def sensible(raw: str | None, *, now: float) -> float | None:
    """Return one of X's times in epoch seconds; None also if no Space can have it, seen from ``now``."""
    moment = instant(raw)
    return moment if moment is not None and EARLIEST_SENSIBLE <= moment <= now + YEAR_SECONDS else None


def seconds_between(earlier: str | None, later: str | None, *, now: float) -> float | None:
    """Return the seconds from one of X's times to another, negative if the second is earlier.

    None if either makes no sense, or if they are more than a year apart.
    """
    start, end = sensible(earlier, now=now), sensible(later, now=now)
    if start is None or end is None or abs(end - start) > YEAR_SECONDS:
        return None
    return round(end - start, 3)


def rfc3339(epoch_seconds: float) -> str:
    """Return epoch seconds as UTC with milliseconds, ``2021-07-14T08:00:19.250Z``."""
    return (
        datetime.fromtimestamp(epoch_seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
