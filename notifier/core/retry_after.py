"""What a ``Retry-After`` header asks for."""

from __future__ import annotations

import math
import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

MAX_RETRY_AFTER_SECONDS: Final = 86_400.0

_SECONDS_DIGITS: Final = 10
_FRACTION: Final = re.compile(r"[0-9]{1,10}\.[0-9]{1,10}", re.ASCII)


def parse_retry_after(text: str, *, now: float, fractions: bool = False) -> float | None:
    """Read a ``Retry-After`` (RFC 9110 section 10.2.3): whole seconds, or an HTTP date.

    Args:
        text: The header's value.
        now: Epoch seconds by the clock of whoever sent it, for a date.
        fractions: Whether ``1.5`` counts as well, which the RFC does not know.

    Returns:
        Seconds from ``now``, 0 to a day; None for anything that is neither form.
    """
    text = text.strip()
    if fractions and _FRACTION.fullmatch(text):
        return min(float(text), MAX_RETRY_AFTER_SECONDS)
    if text.isascii() and text.isdigit():
        # Bounded before it becomes a number: a header may hold thousands of digits.
        seconds = float(text) if len(text) <= _SECONDS_DIGITS else math.inf
    else:
        moment = parse_http_date(text)
        if moment is None:
            return None
        seconds = moment - now
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def parse_http_date(text: str) -> float | None:
    """Read a date as HTTP writes it (RFC 9110 section 5.6.7), in epoch seconds; None where it is none."""
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
