"""What one exchange with a receiver brought, before it is an answer with a duration."""

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
    """What came back, filled in as it comes.

    Attributes:
        status: Of the final answer, once its head is there.
        error: Why there is no status, or why it is not the receiver's.
        detail: Explains that to the operator, or says what was wrong behind the head.
        headers: Those that were wanted and there, as they can be recorded.
        body: As much of its beginning as was wanted.
        stale: The connection was a kept one and ended without a byte of answer, so the request may go out
            again on another.
    """

    status: int | None = None
    error: ErrorClass | None = None
    detail: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    stale: bool = False


def recordable(text: str) -> str:
    """Cut a header's value and replace what no record can be written of.

    Lone surrogates stand for bytes other than UTF-8. A control character becomes a space, as RFC 9110
    section 5.5 has it for those that it names.
    """
    text = text[:MAX_KEPT_HEADER_CHARS]
    if not (text.isascii() and text.isprintable()):
        text = well_formed(_CONTROL.sub(" ", text))
    return text.strip()


def well_formed(text: str) -> str:
    """Replace the lone surrogates that stand for bytes other than UTF-8."""
    return text if text.isascii() else text.encode(errors="replace").decode()
