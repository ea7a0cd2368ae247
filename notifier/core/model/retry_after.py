"""What a ``Retry-After`` header asks for."""

from __future__ import annotations

import math
import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

MAX_RETRY_AFTER_SECONDS: Final = 86_400.0

_ITEM: Final = re.compile(r"(?:[ \t]*(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,)?[^,]*", re.IGNORECASE)
"""Of a list: the comma behind the day of the week belongs to a date."""
_SECONDS: Final = re.compile(r"([0-9]*)(\.[0-9]*)?", re.ASCII)
_MAX_SECONDS_DIGITS: Final = 10


def parse_retry_after(text: str, *, now: float) -> float | None:
    """Read a ``Retry-After`` (RFC 9110 section 10.2.3): seconds, or an HTTP date.

    Fractions of a second are no part of the RFC and are sent all the same; they are rounded up. Of several
    values, by commas or out of several headers joined by them, the one that asks for the most counts.

    Args:
        text: The header's value.
        now: Epoch seconds by the clock of the sender, for a date.

    Returns:
        Seconds from ``now``, 0 to a day; a date in the past is 0. None where no value has either form.
    """
    asked = [_seconds(item.strip(), now) for item in _ITEM.findall(text)]
    longest = max((seconds for seconds in asked if seconds is not None), default=None)
    return None if longest is None else min(max(longest, 0.0), MAX_RETRY_AFTER_SECONDS)


def parse_http_date(text: str) -> float | None:
    """Read a date as HTTP writes it (RFC 9110 section 5.6.7), in epoch seconds; None where it is none."""
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
    # Bounded before it becomes a number: a header may hold thousands of digits.
    return math.inf if len(number[1]) > _MAX_SECONDS_DIGITS else float(math.ceil(float(item)))
