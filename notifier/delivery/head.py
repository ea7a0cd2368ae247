"""Reading the head of an answer: the status line, the headers, and what they say of the body.

The head is read as leniently as sense can be made of it: a receiver that answers 200 has the event, however
it spells its headers. How well it is written decides one thing, whether the connection may carry another
request. Where two readers understand one head differently, the rest of one answer passes for the next (RFC
9112 section 11.2), so whatever is not written as RFC 9112 has it costs the connection.
"""

from __future__ import annotations

import re
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

from notifier.core.delivery.outcome import KEPT_HEADERS
from notifier.delivery.reply import recordable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_LENGTH_DIGITS: Final = 15
MAX_REMEMBERED_BYTES: Final = 1024

_VALUE: Final = rb"[^\x00-\x08\x0a-\x1f\x7f]*+"
_WELL_WRITTEN: Final = re.compile(
    rb"HTTP/1\.[01] [0-9]{3}(?: %b)?\r\n(?:[!#$%%&'*+\-.^_`|~0-9A-Za-z]++:%b\r\n)*+\r\n" % (_VALUE, _VALUE)
)
_KEEPS_ALIVE: Final = b"HTTP/1.1 "

_STATUS: Final = slice(9, 12)
_END: Final = b"\r\n\r\n"

_BEGINNING: Final = b"HTTP/"
_STATUS_LINE: Final = re.compile(rb"[\r\n]*(HTTP/[0-9](?:\.[0-9])?[ \t]+([0-9]{3})(?![^ \t\r\n])[^\n]*\n)")
"""After the line feeds that some servers leave behind the body before."""
_BLANK_LINE: Final = re.compile(rb"\n\r?\n")
_FOLD: Final = re.compile(rb"\r?\n[ \t]+")

_KEPT: Final = {name.encode(): name for name in KEPT_HEADERS}
_OF_USE: Final = re.compile(
    rb"\n[ \t]*(connection|content-length|transfer-encoding|%b)[ \t]*:([^\n]*)" % b"|".join(_KEPT),
    re.IGNORECASE,
)
_ALL_COUNT: Final = b"retry-after"
"""Of this one every header counts; of the others that are kept, the first."""


# Plain numbers: to look a member of an enum up takes as long as to read a header.
SWITCHING_PROTOCOLS: Final = int(HTTPStatus.SWITCHING_PROTOCOLS)
_NO_CONTENT: Final = int(HTTPStatus.NO_CONTENT)
_WITHOUT_BODY: Final = frozenset({SWITCHING_PROTOCOLS, int(HTTPStatus.NOT_MODIFIED)})


class Framing(NamedTuple):
    """Where a body ends.

    Attributes:
        length: In bytes; None where the chunks or the end of the connection end it.
        is_chunked: Whether it comes in chunks.
        is_certain: Whether every reader of the same head finds the same end.
    """

    length: int | None
    is_chunked: bool
    is_certain: bool


NO_BODY: Final = Framing(0, is_chunked=False, is_certain=True)


class Head(NamedTuple):
    """The head of an answer.

    Attributes:
        status: A number of three digits, whatever they are.
        headers: Those of ``KEPT_HEADERS`` that were there, as they can be recorded.
        framing: Of the body.
        is_sound: Whether it is written as RFC 9112 has it, so that every reader finds the same body.
        is_reusable: Whether the connection may carry another request once the body has ended.
    """

    status: int
    headers: Mapping[str, str]
    framing: Framing
    is_sound: bool
    is_reusable: bool


def read_head(data: bytes, at: int = 0) -> tuple[Head, int] | None:
    """Return the head that begins ``at`` a place in ``data`` and where it ends, None while it has no end.

    Raises:
        ValueError: This is no answer of HTTP; the message quotes nothing of it.
    """
    end = data.find(_END, at) + len(_END)
    if end >= len(_END):
        text = data[at:end]
        head = _remembered(text) if len(text) <= MAX_REMEMBERED_BYTES else _well_written(text)
        if head is not None:
            return head, end
    return _read_roughly(data, at)


def _read_roughly(data: bytes, at: int) -> tuple[Head, int] | None:
    """Do the same for a head that is not well written, or has not come whole."""
    status_line = _STATUS_LINE.match(data, at)
    if status_line is None:
        begun = data[at:].lstrip(b"\r\n")
        if b"\n" in begun or not _BEGINNING.startswith(begun[: len(_BEGINNING)]):
            raise ValueError("it does not begin with a status line of HTTP")
        return None
    blank_line = _BLANK_LINE.search(data, status_line.end() - 1)
    if blank_line is None:
        return None
    text = data[status_line.start(1) : blank_line.end()]
    head = _well_written(text) or _understood(
        _FOLD.sub(b" ", text), int(status_line[2]), is_well_written=False
    )
    return head, blank_line.end()


def headers_in(text: bytes, names: Sequence[str]) -> dict[str, str]:
    """Return the first of each of these headers in the text of a head, as it can be recorded."""
    wanted = b"|".join(re.escape(name.encode()) for name in names)
    found = re.findall(rb"\n[ \t]*(%b)[ \t]*:([^\n]*)" % wanted, text, re.IGNORECASE)
    return {
        name.decode().lower(): recordable(value.decode("utf-8", "surrogateescape"))
        for name, value in reversed(found)
    }


def may_settle(begun: bytearray, more: bytes) -> bool:
    """Return whether ``more`` may settle what :func:`read_head` makes of a head that has begun.

    Otherwise a long head sent byte by byte would have all of it read again for each.
    """
    if len(begun) < len(_BEGINNING) or (b"\n" in more and b"\n" not in begun):
        return True
    return _BLANK_LINE.search(begun[-2:] + more) is not None


def _well_written(text: bytes) -> Head | None:
    if not _WELL_WRITTEN.fullmatch(text):
        return None
    return _understood(text, int(text[_STATUS]), is_well_written=True)


_remembered: Final = lru_cache(maxsize=1024)(_well_written)
"""Where many answers come from one receiver, most of them differ in no byte within a second."""


def _understood(text: bytes, status: int, *, is_well_written: bool) -> Head:
    fields: dict[bytes, list[bytes]] = {}
    for name, value in _OF_USE.findall(text):
        fields.setdefault(name.lower(), []).append(value.strip())
    framing = _framing(status, fields.get(b"content-length"), fields.get(b"transfer-encoding"))
    is_sound = is_well_written and framing.is_certain
    is_reusable = (
        is_sound
        and text.startswith(_KEEPS_ALIVE)
        and status != SWITCHING_PROTOCOLS
        and (b"connection" not in fields or b"close" not in _words(fields[b"connection"]))
    )
    return Head(status, _kept(fields), framing, is_sound, is_reusable)


def _kept(fields: Mapping[bytes, list[bytes]]) -> dict[str, str]:
    kept = {}
    for name, values in fields.items():
        if name in _KEPT:
            value = b", ".join(values) if name == _ALL_COUNT else values[0]
            kept[_KEPT[name]] = recordable(value.decode("utf-8", "surrogateescape"))
    return kept


def _framing(status: int, lengths: list[bytes] | None, codings: list[bytes] | None) -> Framing:
    """Find the end of the body as RFC 9112 section 6.3 does.

    Of several lengths the least counts, and one that is no number is 0: nobody waits for what may never come.
    """
    if status in _WITHOUT_BODY:  # a length is that of a body which is not here
        return NO_BODY
    if status == _NO_CONTENT:  # where a length stands beside it, a body may follow all the same
        is_certain = codings is None and lengths in (None, [b"0"])
        return NO_BODY if is_certain else NO_BODY._replace(is_certain=False)
    words = _words(codings) if codings else []
    if words and words[-1] == b"chunked":
        return Framing(None, is_chunked=True, is_certain=len(words) == 1 and lengths is None)
    if lengths:
        if len(lengths) == 1 and codings is None and (number := _number(lengths[0])) is not None:
            return Framing(number, is_chunked=False, is_certain=True)
        numbers = [_number(word) for word in _words(lengths)]
        is_certain = len(numbers) == 1 and numbers[0] is not None and codings is None
        return Framing(min(number or 0 for number in numbers), is_chunked=False, is_certain=is_certain)
    return Framing(None, is_chunked=False, is_certain=codings is None)


def _words(values: list[bytes]) -> list[bytes]:
    """Split the values of a header that is a list; the names in it ignore case."""
    return [word.strip() for word in b",".join(values).lower().split(b",")]


def _number(word: bytes) -> int | None:
    return int(word) if word.isdigit() and len(word) <= MAX_LENGTH_DIGITS else None
