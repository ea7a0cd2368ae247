"""Reading answers from one connection, without any I/O: bytes in, a reply out, in bounded memory.

1. The status in the head counts, whatever follows. A body that is cut short, badly framed or longer than
  announced only costs the connection.
2. A head is read up to 64 KiB, of a body as much as the request wants, 4 KiB by default.
3. A connection is reused only after a valid answer that was read to its end and that nothing follows. What
  follows an answer would be taken for the next one.
4. Interim answers (1xx) are skipped, except 101, which ends HTTP on the connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from notifier.core.delivery.outcome import MAX_KEPT_BODY_BYTES, RECORDED, ErrorClass
from notifier.delivery.chunks import Chunks
from notifier.delivery.failures import describe_failure, text_of
from notifier.delivery.head import SWITCHING_PROTOCOLS, headers_in, may_settle, read_head
from notifier.delivery.reply import Reply

if TYPE_CHECKING:
    from notifier.core.delivery.outcome import Excerpt
    from notifier.delivery.head import Head

MAX_ANSWER_BYTES: Final = 65_536
"""For heads, including interim ones, chunk sizes, trailers and the first 4 KiB of the body together."""


class AnswerReader:
    """Reads the answers of one connection, one after the other.

    Args:
        opens_tunnel: Whether a 2xx ends with its head, as the answer to CONNECT does.

    Attributes:
        reply: What is known so far.
        finished: Nothing more is expected. Further bytes belong to no answer.
        reusable: The answer ended where it should, so another request may follow.
        in_doubt: The head was received, but leaves open where the body ends.
    """

    __slots__ = (
        "_chunks",
        "_excerpt",
        "_head",
        "_is_reusable",
        "_left",
        "_opens_tunnel",
        "_room",
        "_whole_room",
        "finished",
        "in_doubt",
        "reply",
        "reusable",
    )

    def __init__(self, *, opens_tunnel: bool = False) -> None:
        self._opens_tunnel = opens_tunnel
        self.expect()

    def expect(self, excerpt: Excerpt = RECORDED) -> None:
        """Start with the next answer, and set how much of it is read."""
        self._excerpt = excerpt
        self.reply = Reply()
        self.finished = False
        self.reusable = False
        self.in_doubt = False
        self._room = self._whole_room = MAX_ANSWER_BYTES + excerpt.body_bytes - MAX_KEPT_BODY_BYTES
        self._head = bytearray()
        self._is_reusable = False
        self._left: int | None = None
        self._chunks: Chunks | None = None

    @property
    def untouched(self) -> bool:
        """Whether not a single byte was received."""
        return self._room == self._whole_room

    def feed(self, data: bytes) -> None:
        """Process received bytes, while not ``finished``."""
        room = self._room
        self._room = room - len(data)
        if len(data) > room:
            data = data[:room]
        if self.reply.status is None:
            data = self._read_heads(data)
        if self.reply.status is not None:
            self._read_body(data)
        if self._room < 0:
            if self.reply.status is None and not self.finished:
                self.fail(ErrorClass.TOO_LARGE_HEADERS, f"more than {self._whole_room} bytes of headers")
            self.finished = True
            self.reusable = False

    def end(self, error: BaseException | None) -> None:
        """Process the end of the connection, with or without an error, while not ``finished``."""
        if error is not None:
            self.fail(*describe_failure(error))
        elif self.reply.status is None:
            text = "closed without an answer" if self.untouched else "closed in the middle of the headers"
            self.fail(ErrorClass.CONNECTION_RESET, text)
        elif self._left is not None or self._chunks is not None:
            self.fail(ErrorClass.CONNECTION_RESET, "closed in the middle of the body")
        else:
            self.finished = True

    def fail(self, error: ErrorClass, detail: str) -> None:
        """Finish without a complete answer; after the head, that is a remark and not an error."""
        if self.reply.status is None:
            self.reply.error = error
        self.reply.detail = detail
        self.finished = True
        self.reusable = False

    def _read_heads(self, data: bytes) -> bytes:
        """Read up to the final head, and return what follows it."""
        if self._head:
            is_settled = may_settle(self._head, data)
            self._head += data
            if not is_settled:
                return b""
            data = bytes(self._head)
        at = 0
        while True:
            try:
                found = read_head(data, at)
            except ValueError as error:
                self.fail(ErrorClass.PROTOCOL, text_of(error))
                return b""
            if found is None:
                self._head = bytearray(data[at:].lstrip(b"\r\n"))
                return b""
            head, end = found
            if head.status // 100 != 1 or head.status == SWITCHING_PROTOCOLS:
                self._begin_body(head)
                if self._excerpt.headers:
                    more = headers_in(data[at:end], self._excerpt.headers)
                    self.reply.headers = {**head.headers, **more}
                return data[end:]
            at = end

    def _begin_body(self, head: Head) -> None:
        reply = self.reply
        reply.status, reply.headers = head.status, head.headers
        self._is_reusable = head.is_reusable
        self.in_doubt = not head.is_sound
        self._left = head.framing.length
        if head.framing.is_chunked:
            self._chunks = Chunks()
        if self._opens_tunnel and head.status // 100 == 2:  # noqa: PLR2004
            self._left, self._chunks, self._is_reusable = 0, None, True

    def _read_body(self, data: bytes) -> None:
        if self._chunks is not None:
            self._read_chunks(self._chunks, data)
        elif self._left is None:
            self._keep(data, ended=False)
        else:
            length = len(data)
            piece = data if length <= self._left else data[: self._left]
            self._left -= len(piece)
            self._keep(piece, ended=not self._left, surplus=length > len(piece))

    def _read_chunks(self, chunks: Chunks, data: bytes) -> None:
        self._keep(chunks.feed(data), ended=chunks.ended, surplus=chunks.surplus)
        if chunks.broken and not self.finished:
            self.fail(ErrorClass.PROTOCOL, "the body is not a sequence of chunks")

    def _keep(self, piece: bytes, *, ended: bool, surplus: bool = False) -> None:
        """Keep what there is room for, and finish when the body has ended or is longer."""
        most = self._excerpt.body_bytes
        if piece:
            piece = self.reply.body + piece
            self.reply.body = piece[:most]
            if len(piece) > most:
                self.finished = True
                return
        if ended:
            self.finished = True
            self.reusable = self._is_reusable and not surplus
        elif len(self.reply.body) == most:
            self.finished = True
