"""The result of one exchange with a receiver."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notifier.core.delivery.outcome import ErrorClass

MAX_KEPT_HEADER_CHARS: Final = 256

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(slots=True)
class Reply:
    """The result, filled in as it arrives.

    Attributes:
        status: The status of the final answer, once its head was received.
        error: Why there is no status, or why it is not the receiver's.
        detail: Explains the error to the operator, or says what was wrong after the head.
        headers: Those that were wanted and present, in a form that can be stored.
        body: As much of its beginning as was wanted.
        stale: The connection was a kept one and ended without any answer, so the request may be sent again on
            another.
    """

    status: int | None = None
    error: ErrorClass | None = None
    detail: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    stale: bool = False


def recordable(text: str) -> str:
    """Return a header's value shortened, without characters that cannot be stored.

    Lone surrogates represent bytes that are not UTF-8. A control character becomes a space, as RFC 9110
    section 5.5 requires for some of them.
    """
    text = text[:MAX_KEPT_HEADER_CHARS]
    if not (text.isascii() and text.isprintable()):
        text = well_formed(_CONTROL.sub(" ", text))
    return text.strip()


def well_formed(text: str) -> str:
    """Return ``text`` without the lone surrogates that represent bytes other than UTF-8."""
    return text if text.isascii() else text.encode(errors="replace").decode()
