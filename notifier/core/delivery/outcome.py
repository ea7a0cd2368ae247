"""What an answer means: one table, its rules on top.

1. Only a 2xx is a success, and it is one as soon as the head of the answer was read, whatever became of the
   rest. Everything else is tried again on the schedule, for receivers ship bugs too.
2. A redirect is a failure: to follow it turns the POST into an empty GET, or hands the event to another host.
3. 410 says that nobody listens any more: the endpoint is disabled at once.
4. 429, and 503 with ``Retry-After``, are signs of life and ask for a slower pace (``pacing.py``). 502, 504
   and a bare 503 say "too much" as well: the endpoint is slowed down besides.
5. An address that webhooks must not reach is refused before a packet goes out. That counts as an attempt, and
   the schedule goes on, since the receiver's DNS may be corrected.
6. Our own faults do not count against the receiver.
7. ``Retry-After`` on any failure is a floor for the next attempt, up to a day; of several the longest counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from notifier.core.model.retry_after import parse_retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_KEPT_BODY_BYTES: Final = 4096
MAX_READ_BODY_BYTES: Final = 65_536

KEPT_HEADERS: Final = ("content-type", "date", "location", "retry-after", "server", "via", "x-request-id")
"""The headers of an answer that help to find out why it failed; others (cookies, tokens) are not kept."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """How much of an answer is read. By default that is what is recorded of it.

    Attributes:
        body_bytes: The number of bytes of the body, up to 64 KiB.
        headers: Those in addition to ``KEPT_HEADERS``, in lower case.
    """

    body_bytes: int = MAX_KEPT_BODY_BYTES
    headers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not MAX_KEPT_BODY_BYTES <= self.body_bytes <= MAX_READ_BODY_BYTES:
            raise ValueError(f"a body is read for {MAX_KEPT_BODY_BYTES} to {MAX_READ_BODY_BYTES} bytes")


RECORDED: Final = Excerpt()


class ErrorClass(StrEnum):
    """Why an attempt ended without the head of an answer."""

    BLOCKED_ADDRESS = "blocked_address"
    INVALID_URL = "invalid_url"
    DNS = "dns"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_RESET = "connection_reset"
    UNREACHABLE = "unreachable"
    TLS = "tls"
    TIMEOUT = "timeout"
    TOO_LARGE_HEADERS = "too_large_headers"
    PROTOCOL = "protocol"
    RESOLVER = "resolver"
    PROXY = "proxy"
    LOCAL = "local"


NO_HEADERS: Final[Mapping[str, str]] = {}


class OutcomeKind(StrEnum):
    """The classified result of an attempt."""

    DELIVERED = "delivered"
    RETRY = "retry"
    GONE = "gone"
    REFUSED = "refused"
    OURS = "ours"


class Answer(NamedTuple):
    """The answer to a request: a ``status``, or an ``error`` if the receiver sent none.

    ``detail`` explains an error to the operator, or says what was wrong behind the status;
    ``body`` holds its first bytes as sent, not decompressed, and ``headers`` those that were there, both as
    far as the request's ``Excerpt`` goes.
    """

    status: int | None
    error: ErrorClass | None
    retry_after: str | None
    duration_ms: float
    detail: str = ""
    headers: Mapping[str, str] = NO_HEADERS
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is done about an answer.

    ``counted`` says whether the attempt uses up one of the schedule; ``retry_after_seconds`` is the least
    wait that the receiver asked for, after a success a pause. ``paced`` says that the receiver is well and
    asks for a slower pace. ``goes_on`` says that another request follows at once, as this one was a step or
    showed what has to be done first; ``ends`` that none would be of use, so that the delivery is discarded.
    """

    kind: OutcomeKind
    slow_down: bool
    retry_after_seconds: float | None
    counted: bool
    reason: str
    paced: bool = False
    goes_on: bool = False
    ends: bool = False


def _row(kind: OutcomeKind, reason: str, *, slow_down: bool = False) -> Outcome:
    return Outcome(kind, slow_down, None, kind is not OutcomeKind.OURS, reason)


TOO_MANY: Final = 429
UNAVAILABLE: Final = 503

BY_STATUS: Final[Mapping[int, Outcome]] = {
    410: _row(OutcomeKind.GONE, "the receiver is permanently gone"),
    429: _row(OutcomeKind.RETRY, "the receiver asks for a slower pace", slow_down=True),
    502: _row(OutcomeKind.RETRY, "the receiver's gateway gets no good answer from it", slow_down=True),
    503: _row(OutcomeKind.RETRY, "the receiver is overloaded or down for maintenance", slow_down=True),
    504: _row(OutcomeKind.RETRY, "the receiver's gateway gets no answer from it in time", slow_down=True),
}

BY_STATUS_CLASS: Final[Mapping[int, Outcome]] = {
    2: _row(OutcomeKind.DELIVERED, "the receiver has it"),
    3: _row(
        OutcomeKind.RETRY, "the receiver redirects; redirects are not followed, so register the final URL"
    ),
    4: _row(OutcomeKind.RETRY, "the receiver does not accept the request"),
    5: _row(OutcomeKind.RETRY, "the receiver failed"),
}

ODD_STATUS: Final = _row(
    OutcomeKind.RETRY, "the receiver answered with a status that HTTP does not define for a POST"
)

BY_ERROR: Final[Mapping[ErrorClass, Outcome]] = {
    ErrorClass.BLOCKED_ADDRESS: _row(OutcomeKind.REFUSED, "the address is forbidden for webhooks"),
    ErrorClass.INVALID_URL: _row(OutcomeKind.REFUSED, "the URL cannot be dialled"),
    ErrorClass.DNS: _row(OutcomeKind.RETRY, "the receiver's name cannot be resolved"),
    ErrorClass.CONNECTION_REFUSED: _row(OutcomeKind.RETRY, "the receiver refused the connection"),
    ErrorClass.CONNECTION_RESET: _row(OutcomeKind.RETRY, "the connection ended before an answer"),
    ErrorClass.UNREACHABLE: _row(OutcomeKind.RETRY, "the receiver's network is unreachable"),
    ErrorClass.TLS: _row(OutcomeKind.RETRY, "no trusted TLS connection was established"),
    ErrorClass.TIMEOUT: _row(OutcomeKind.RETRY, "the receiver took too long"),
    ErrorClass.TOO_LARGE_HEADERS: _row(OutcomeKind.RETRY, "the receiver's headers are too large"),
    ErrorClass.PROTOCOL: _row(OutcomeKind.RETRY, "the receiver's answer is not HTTP"),
    ErrorClass.RESOLVER: _row(OutcomeKind.OURS, "our DNS resolver does not answer"),
    ErrorClass.PROXY: _row(OutcomeKind.OURS, "our outbound proxy does not work"),
    ErrorClass.LOCAL: _row(OutcomeKind.OURS, "nothing could be sent from here"),
}


def recorded(answer: Answer) -> Answer:
    """Return an answer as it is recorded, however much more of it was read."""
    headers = {name: value for name, value in answer.headers.items() if name in KEPT_HEADERS}
    return answer._replace(headers=headers, body=answer.body[:MAX_KEPT_BODY_BYTES])


def classify(answer: Answer, *, now: float) -> Outcome:
    """Look ``answer`` up in the table; ``now`` is in unix seconds, for a ``Retry-After`` that is a date.

    The reason of a failure says all that there is to say in one line, the status included.
    """
    row = _row_of(answer)
    if row.kind is OutcomeKind.DELIVERED:
        return row
    retry_after = None if answer.retry_after is None else parse_retry_after(answer.retry_after, now=now)
    detail = f": {answer.detail}" if answer.detail else ""
    status = "" if answer.status is None else f" ({answer.status})"
    paced = answer.status == TOO_MANY or (answer.status == UNAVAILABLE and retry_after is not None)
    return Outcome(row.kind, row.slow_down, retry_after, row.counted, row.reason + detail + status, paced)


def _row_of(answer: Answer) -> Outcome:
    if answer.error is not None:
        return BY_ERROR[answer.error]
    status = answer.status or 0
    return BY_STATUS.get(status) or BY_STATUS_CLASS.get(status // 100, ODD_STATUS)
