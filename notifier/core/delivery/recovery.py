"""Recovery: sending an endpoint everything that it missed in a period."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from notifier.core.delivery.endpoint import Endpoint
from notifier.core.delivery.filters import passes, wants_type
from notifier.core.events.event import EventType, Routing
from notifier.core.model.ids import EndpointId, RecoveryId
from notifier.core.model.instants import instant
from notifier.errors import InvalidInputError

MOST_WAITING: Final = 1_000
"""A recovery continues while its endpoint has no more than this waiting only for the receiver, so that
new events do not wait behind all missed ones, and a receiver that is down again does not fill its queue.
Deliveries that wait for a retry do not count: it may be a day away, and they block nothing."""

PUT_OFF_SECONDS: Final = 1.0
"""How long a recovery pauses when its endpoint has enough waiting deliveries."""


class RecoveryStatus(StrEnum):
    """The status of a recovery."""

    RUNNING = "running"
    DONE = "done"
    CANCELED = "canceled"  # by hand, or because the endpoint was deleted
    FAILED = "failed"  # the endpoint was disabled, or was to be verified again


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the log by the time of commit, both ends included, in epoch seconds.

    ``is_clamped`` if the requested span started before the retained log.
    """

    since: float
    until: float
    is_clamped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """The work of sending an endpoint what it missed. Times are epoch seconds.

    Attributes:
        count: How many events the endpoint had missed when it was asked for.
        considered: How many events of the span have been examined.
        queued: How many of them were made due.
        position: Serial number up to which the log is worked off.
        last: Serial number of the last event to examine.
        reason: Why it ended early.
    """

    id: RecoveryId
    endpoint_id: EndpointId
    span: Span
    status: RecoveryStatus
    count: int
    considered: int
    queued: int
    position: int
    last: int
    reason: str | None
    created_at: float
    updated_at: float
    finished_at: float | None

    @property
    def skipped(self) -> int:
        """How many events were examined and left: delivered, on their way, or not wanted."""
        return self.considered - self.queued


def wants_back(endpoint: Endpoint, event_type: EventType, routing: Routing) -> bool:
    """Return whether an endpoint, as it is now, would want an event that it missed.

    Tests are not sent again: each asked whether the endpoint could be reached at that moment.
    """
    if routing.endpoint_id is not None:
        return False
    return wants_type(endpoint.event_types, event_type) and passes(endpoint.filters, routing)


def read_span(since: str, until: str | None, *, now: float, kept_seconds: float) -> Span:
    """Return the span of a recovery; one that starts before the retained log is cut to it.

    Raises:
        InvalidInputError: It names the field that is no time, or not one that makes a span.
    """
    first, last = _moment("since", since), now if until is None else _moment("until", until)
    if first > now:
        raise InvalidInputError.of("since", "is in the future; pass a time at which events were missed")
    if last < first:
        raise InvalidInputError.of("until", "must not be earlier than since")
    kept_since = now - kept_seconds
    return Span(max(first, kept_since), max(min(last, now), kept_since), is_clamped=first < kept_since)


def _moment(field: str, text: str) -> float:
    moment = instant(text)
    if moment is None:
        raise InvalidInputError.of(field, "is no time; write it in RFC 3339, like 2026-08-07T12:00:00Z")
    return moment
