"""Reading answers off one connection, without any I/O: bytes in, a reply out, in bounded memory.

1. An answer is read to its end or to 64 KiB, whatever comes first, and no more than 4 KiB of its body.
2. Only an answer that was read to its end, and that nothing follows, leaves the connection fit for another
   request. What follows an answer would be taken for the next one.
3. An interim answer (1xx) is passed over, save 101, which ends HTTP on the connection.
4. What is merely ugly (a folded header, a lone line feed) is taken: the receiver has the event, and to send
   it ten times over would help nobody. What leaves the end of an answer in doubt is not.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

import httptools

from notifier.core.outcome import KEPT_HEADERS, MAX_KEPT_BODY_BYTES, ErrorClass
from notifier.delivery.failures import describe_failure
from notifier.delivery.reply import Reply, recordable

MAX_ANSWER_BYTES: Final = 65_536
"""Of heads, interim ones among them, chunk sizes, trailers and body together."""

MAX_HEADERS: Final = 100

_KEPT: Final = {name.encode(): name for name in KEPT_HEADERS}
_CHUNKED_LAST: Final = re.compile(rb"(?i)chunked[ \t]*$")
"""Any other coding in the last place leaves the end of the answer to the end of the connection."""


class _StopError(Exception):
    """Stops the parser from within one of its callbacks."""


class AnswerReader:
    """Reads the answers of one connection, one after the other.

    Attributes:
        reply: What is known so far.
        finished: Nothing more is expected. Bytes that come then belong to no answer.
        reusable: The answer ended where it should, so another request may follow.
    """

    __slots__ = ("_delimited", "_header_count", "_parser", "_room", "finished", "reply", "reusable")

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self.expect()

    def expect(self) -> None:
        """Begin with the next answer."""
        self.reply = Reply()
        self.finished = False
        self.reusable = False
        self._room = MAX_ANSWER_BYTES
        self._header_count = 0
        self._delimited = False

    @property
    def untouched(self) -> bool:
        """Whether not a byte has come."""
        return self._room == MAX_ANSWER_BYTES

    def feed(self, data: bytes) -> None:
        """Take what came, while not ``finished``."""
        room = self._room
        self._room = room - len(data)
        try:
            self._parser.feed_data(data if len(data) <= room else data[:room])
        except httptools.HttpParserUpgrade:
            self.reusable = False
        except httptools.HttpParserError as error:
            self.reusable = False
            if not self.finished:
                self.fail(ErrorClass.PROTOCOL, str(error))
        if self._room < 0:
            self.reusable = False
        if not self.finished:
            self._check_bounds()

    def end(self, error: BaseException | None) -> None:
        """Take note that the connection has ended, with an error or without, while not ``finished``."""
        if error is not None:
            self.fail(*describe_failure(error))
        elif self.reply.status is None:
            text = "closed without an answer" if self.untouched else "closed amid the headers"
            self.fail(ErrorClass.CONNECTION_RESET, text)
        elif self._delimited:
            self.fail(ErrorClass.CONNECTION_RESET, "closed amid the body")
        else:
            self.finished = True

    def fail(self, error: ErrorClass, detail: str) -> None:
        """Finish without a whole answer."""
        self.reply.error = error
        self.reply.detail = detail
        self.finished = True
        self.reusable = False

    def close(self) -> None:
        """Let go of the parser, which holds on to the reader."""
        del self._parser

    def _check_bounds(self) -> None:
        if len(self.reply.body) >= MAX_KEPT_BODY_BYTES:
            self.finished = True
        elif self._room < 0:
            if self.reply.status is None:
                self.fail(ErrorClass.TOO_LARGE_HEADERS, f"more than {MAX_ANSWER_BYTES} bytes of headers")
            self.finished = True

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Refuse what follows an answer."""
        if self.finished:
            self.reusable = False
            raise _StopError

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header of use; those of a trailer come too late to be any."""
        self._header_count += 1
        if self._header_count > MAX_HEADERS:
            if self.reply.status is None:
                self.fail(ErrorClass.TOO_LARGE_HEADERS, f"more than {MAX_HEADERS} headers")
            self.finished = True
            raise _StopError
        if self.reply.status is not None:
            return
        name = name.lower()
        kept = _KEPT.get(name)
        if kept is not None:
            self.reply.headers.setdefault(kept, recordable(value.decode("utf-8", "surrogateescape")))
        elif name == b"content-length" or (name == b"transfer-encoding" and _CHUNKED_LAST.search(value)):
            self._delimited = True

    def on_headers_complete(self) -> None:
        """Take the status, unless the answer is an interim one."""
        status = self._parser.get_status_code()
        if status // 100 != 1 or status == HTTPStatus.SWITCHING_PROTOCOLS:
            self.reply.status = status
        else:
            self.reply.headers.clear()
            self._delimited = False

    def on_body(self, chunk: bytes) -> None:
        """Keep what there is room for, and stop at what goes beyond."""
        body = self.reply.body + chunk
        if len(body) > MAX_KEPT_BODY_BYTES:
            self.reply.body = body[:MAX_KEPT_BODY_BYTES]
            self.finished = True
            raise _StopError
        self.reply.body = body

    def on_message_complete(self) -> None:
        """Finish, unless the answer was an interim one."""
        if self.reply.status is not None:
            self.finished = True
            self.reusable = self._parser.should_keep_alive()
