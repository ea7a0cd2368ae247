"""Statistics of an endpoint: pending deliveries, outcomes, and its circuit breaker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from notifier.store import schema
from notifier.store.database import Database
from notifier.store.endpoint_state import StateField
from notifier.store.partitions import Partitions
from notifier.store.scripts import Script, script

ENDPOINT_STATS: Final[Script[list[Any]]] = script("endpoint_stats")

TOTALS: Final = (
    *(StateField.DELIVERED, StateField.EXHAUSTED, StateField.DISCARDED),
    *(StateField.FAILED, StateField.REFUSED),
)
FIELDS: Final = (
    *TOTALS,
    *(StateField.FAILURES, StateField.FAILING_SINCE, StateField.OPEN_UNTIL, StateField.RESUME_AT),
    *(StateField.LINES, StateField.SUCCESS_AT, StateField.FAILURE_AT, StateField.FAILURE_REASON),
)


class BreakerState(StrEnum):
    """Whether deliveries go out."""

    CLOSED = "closed"
    OPEN = "open"  # nothing goes out until the next probe
    HALF_OPEN = "half_open"  # one at a time goes out, to find out whether the receiver is back


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStats:
    """Figures of one endpoint, all of one moment. Times are epoch seconds.

    Attributes:
        at: When they were read.
        due: Pending deliveries that may go out now.
        waiting: Pending ones that wait for their next attempt or for an earlier event of the same Space.
        in_flight: Pending ones of which an attempt is being made.
        oldest_due_at: Since when the first of the due ones waits.
        delivered: Deliveries that arrived, since the endpoint was added; so for the two that follow.
        exhausted: Deliveries whose schedule was used up.
        discarded: Deliveries whose event was no longer kept.
        failed: Attempts that failed.
        refused: Attempts that the receiver answered by asking for a slower pace.
        open_until: Until when the breaker is open.
        held_until: Until when nothing is sent, by the receiver's wish or the breaker's.
    """

    at: float
    due: int
    waiting: int
    in_flight: int
    oldest_due_at: float | None
    delivered: int
    exhausted: int
    discarded: int
    failed: int
    refused: int
    consecutive_failures: int
    failing_since: float | None
    breaker: BreakerState
    open_until: float | None
    held_until: float | None
    last_success_at: float | None
    last_failure_at: float | None
    last_failure_reason: str | None

    @property
    def pending(self) -> int:
        """How many deliveries are still to arrive."""
        return self.due + self.waiting + self.in_flight

    @property
    def attempts(self) -> int:
        """How many attempts were answered or failed."""
        return self.delivered + self.failed + self.refused

    @property
    def success_rate(self) -> float | None:
        """The share of attempts that succeeded, 0 to 1; None before the first."""
        return self.delivered / self.attempts if self.attempts else None


async def stats_of(database: Database, partitions: Partitions, endpoint_id: str) -> EndpointStats:
    """Read the figures of an endpoint; one that nothing was sent to has zeros."""
    now, due, later, in_flight, in_lines, first_due, *state = await database.run(
        ENDPOINT_STATS,
        keys=[
            partitions.key(schema.STATE, endpoint_id),
            partitions.key(schema.DUE, endpoint_id),
            partitions.key(schema.LEASED, endpoint_id),
            partitions.key(schema.LINES, endpoint_id),
        ],
        args=FIELDS,
    )
    read = dict(zip(FIELDS, state, strict=True))
    first_due_at = _seconds(first_due)
    return EndpointStats(
        at=now / 1000,
        due=due,
        # The first of each line is due or in flight, and counted there.
        waiting=later + in_lines - int(read["lines"] or 0),
        in_flight=in_flight,
        oldest_due_at=first_due_at if due else None,
        **_totals(read),
        consecutive_failures=int(read["failures"] or 0),
        failing_since=_seconds(read["failing_since"]),
        breaker=_breaker(read, now),
        open_until=_still(read["open_until"], now),
        held_until=_still(read["resume_at"], now),
        last_success_at=_seconds(read["success_at"]),
        last_failure_at=_seconds(read["failure_at"]),
        last_failure_reason=read["failure_reason"] or None,
    )


def _totals(read: Mapping[str, str]) -> dict[str, int]:
    return {name: int(read[name] or 0) for name in TOTALS}


def _breaker(read: Mapping[str, str], now: int) -> BreakerState:
    open_until = float(read["open_until"] or 0)
    if open_until <= 0:
        return BreakerState.CLOSED
    return BreakerState.OPEN if open_until > now else BreakerState.HALF_OPEN


def _still(milliseconds: str, now: int) -> float | None:
    """Return a moment that is still to come, in seconds."""
    return float(milliseconds) / 1000 if milliseconds and float(milliseconds) > now else None


def _seconds(milliseconds: str | float) -> float | None:
    return float(milliseconds) / 1000 if milliseconds != "" else None
