"""Decoding a chunked body (RFC 9112 section 7.1), without any I/O."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r")
_HEX_DIGITS: Final = frozenset(b"0123456789abcdefABCDEF")


class _Line(Enum):
    """What the next line is, once the data of the present chunk was received."""

    SIZE = auto()
    END_OF_DATA = auto()
    TRAILER = auto()


class Chunks:
    """The chunks of one body, as they arrive.

    Attributes:
        ended: The last chunk and its trailers were received.
        broken: Something other than a chunk was received, so the end of the body is unknown.
        surplus: More was received than belongs to the body.
    """

    __slots__ = ("_data_left", "_line", "_rest", "broken", "ended", "surplus")

    def __init__(self) -> None:
        self._line = _Line.SIZE
        self._data_left = 0
        self._rest = b""
        self.ended = False
        self.broken = False
        self.surplus = False

    def feed(self, received: bytes) -> bytes:
        """Return what ``received`` adds to the body."""
        text, body, at = self._rest + received, b"", 0
        while not (self.ended or self.broken) and at < len(text):
            if self._data_left:
                data = text[at : at + self._data_left]
                self._data_left -= len(data)
                body += data
                at += len(data)
                continue
            end = text.find(b"\n", at)
            if end < 0:
                self.broken = self._line is _Line.SIZE and text[at] not in _HEX_DIGITS
                break
            self._take(text[at:end])
            at = end + 1
        self._rest = text[at:]
        self.surplus = self.ended and bool(self._rest)
        return body

    def _take(self, line: bytes) -> None:
        if self._line is _Line.SIZE:
            size = _SIZE_LINE.fullmatch(line)
            self.broken = size is None
            self._data_left = int(size[1], 16) if size else 0
            self._line = _Line.END_OF_DATA if self._data_left else _Line.TRAILER
        elif self._line is _Line.END_OF_DATA:
            self.broken = line != b"\r"
            self._line = _Line.SIZE
        else:
            self.ended = line == b"\r"
