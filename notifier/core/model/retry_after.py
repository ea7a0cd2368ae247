"""Parsing ``Retry-After`` headers."""

from __future__ import annotations

import math
import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

MAX_RETRY_AFTER_SECONDS: Final = 86_400.0

_ITEM: Final = re.compile(r"(?:[ \t]*(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,)?[^,]*", re.IGNORECASE)
"""An item of a list: the comma after the day of the week belongs to a date."""
_SECONDS: Final = re.compile(r"([0-9]*)(\.[0-9]*)?", re.ASCII)
_MAX_SECONDS_DIGITS: Final = 10


def parse_retry_after(text: str, *, now: float) -> float | None:
    """Return the seconds that a ``Retry-After`` asks for (RFC 9110 section 10.2.3).

    The RFC has no fractions of a second, but some servers send them; they are rounded up. Of several values,
    separated by commas or from several headers, the longest counts.

    Args:
        text: The header's value.
        now: Epoch seconds by the clock of the sender, for a date.

    Returns:
        Seconds from ``now``, 0 to a day; a date in the past is 0. None if no value is a number or a date.
    """
    asked = [_seconds(item.strip(), now) for item in _ITEM.findall(text)]
    longest = max((seconds for seconds in asked if seconds is not None), default=None)
    return None if longest is None else min(max(longest, 0.0), MAX_RETRY_AFTER_SECONDS)


def parse_http_date(text: str) -> float | None:
    """Return an HTTP date (RFC 9110 section 5.6.7) in epoch seconds; None if it is invalid."""
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _seconds(item: str, now: float) -> float | None:
    number = _SECONDS.fullmatch(item)
    if number is None:
        moment = parse_http_date(item)
        return None if moment is None else moment - now
    if item in {"", "."}:
        return None
    # Bounded before it is parsed: a header may hold thousands of digits.
    return math.inf if len(number[1]) > _MAX_SECONDS_DIGITS else float(math.ceil(float(item)))
