"""Parsing the head of an answer: the status line, the headers, and what they say about the body.

Parsing is as lenient as possible: a receiver that answers 200 has the event, however it writes its headers.
Strictness matters for one thing, whether the connection may be reused. If two parsers understand a head
differently, the rest of one answer can be taken for the next (RFC 9112 section 11.2), so a head that does not
follow RFC 9112 costs the connection.
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
"""Preceded by line feeds that some servers send after a body."""
_BLANK_LINE: Final = re.compile(rb"\n\r?\n")
_FOLD: Final = re.compile(rb"\r?\n[ \t]+")

_KEPT: Final = {name.encode(): name for name in KEPT_HEADERS}
_OF_USE: Final = re.compile(
    rb"\n[ \t]*(connection|content-length|transfer-encoding|%b)[ \t]*:([^\n]*)" % b"|".join(_KEPT),
    re.IGNORECASE,
)
_ALL_COUNT: Final = b"retry-after"
"""All values of this header count; of the other kept headers, only the first."""


# Plain numbers: looking up an enum member takes as long as parsing a header.
SWITCHING_PROTOCOLS: Final = int(HTTPStatus.SWITCHING_PROTOCOLS)
_NO_CONTENT: Final = int(HTTPStatus.NO_CONTENT)
_WITHOUT_BODY: Final = frozenset({SWITCHING_PROTOCOLS, int(HTTPStatus.NOT_MODIFIED)})


class Framing(NamedTuple):
    """How the end of a body is found.

    Attributes:
        length: In bytes; None if chunks or the end of the connection end it.
        is_chunked: Whether it comes in chunks.
        is_certain: Whether every parser of the same head finds the same end.
    """

    length: int | None
    is_chunked: bool
    is_certain: bool


NO_BODY: Final = Framing(0, is_chunked=False, is_certain=True)


class Head(NamedTuple):
    """The head of an answer.

    Attributes:
        status: Any number of three digits.
        headers: Those of ``KEPT_HEADERS`` that were present, in a form that can be stored.
        framing: Of the body.
        is_sound: Whether it follows RFC 9112, so that every parser finds the same body.
        is_reusable: Whether the connection may carry another request once the body has ended.
    """

    status: int
    headers: Mapping[str, str]
    framing: Framing
    is_sound: bool
    is_reusable: bool


def read_head(data: bytes, at: int = 0) -> tuple[Head, int] | None:
    """Return the head that begins at ``at`` in ``data`` and where it ends, None while it is incomplete.

    Raises:
        ValueError: This is not an HTTP answer; the message quotes none of it.
    """
    end = data.find(_END, at) + len(_END)
    if end >= len(_END):
        text = data[at:end]
        head = _remembered(text) if len(text) <= MAX_REMEMBERED_BYTES else _well_written(text)
        if head is not None:
            return head, end
    return _read_leniently(data, at)


def _read_leniently(data: bytes, at: int) -> tuple[Head, int] | None:
    """Do the same for a head that does not follow RFC 9112, or is incomplete."""
    status_line = _STATUS_LINE.match(data, at)
    if status_line is None:
        begun = data[at:].lstrip(b"\r\n")
        if b"\n" in begun or not _BEGINNING.startswith(begun[: len(_BEGINNING)]):
            raise ValueError("it does not begin with an HTTP status line")
        return None
    blank_line = _BLANK_LINE.search(data, status_line.end() - 1)
    if blank_line is None:
        return None
    text = data[status_line.start(1) : blank_line.end()]
    head = _well_written(text) or _parsed(_FOLD.sub(b" ", text), int(status_line[2]), is_well_written=False)
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
    """Return whether ``more`` may change the result of :func:`read_head` for a partial head.

    Otherwise a long head sent byte by byte would be parsed again from the start for each byte.
    """
    if len(begun) < len(_BEGINNING) or (b"\n" in more and b"\n" not in begun):
        return True
    return _BLANK_LINE.search(begun[-2:] + more) is not None


def _well_written(text: bytes) -> Head | None:
    if not _WELL_WRITTEN.fullmatch(text):
        return None
    return _parsed(text, int(text[_STATUS]), is_well_written=True)


_remembered: Final = lru_cache(maxsize=1024)(_well_written)
"""Most answers of one receiver within a second are identical."""


def _parsed(text: bytes, status: int, *, is_well_written: bool) -> Head:
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
    """Return how the body ends according to RFC 9112 section 6.3.

    Of several lengths the smallest counts, and an invalid one is 0: we do not wait for what may never come.
    """
    if status in _WITHOUT_BODY:  # the length is that of a body that is not sent
        return NO_BODY
    if status == _NO_CONTENT:  # if a length is given, a body may follow nevertheless
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
    """Return the items of a list header, in lower case."""
    return [word.strip() for word in b",".join(values).lower().split(b",")]


def _number(word: bytes) -> int | None:
    return int(word) if word.isdigit() and len(word) <= MAX_LENGTH_DIGITS else None
