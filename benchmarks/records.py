"""What is stored about a Space between two polls of a simulated week."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.sightings import PollReason
from notifier.core.model.observation import Evidence, Snapshot
from notifier.core.model.poll import Cadence, NextPoll, Urgency
from notifier.core.model.space import Phase
from notifier.core.spaces.known import KnownSpace
from notifier.core.spaces.next_poll import LAST_POLLS_SECONDS


@dataclass(slots=True)
class Record:
    """The known state of a Space, the last snapshot, and the reason for the next poll.

    Attributes:
        overdue_at: When the same snapshot will mean something else; infinite if never.
    """

    known: KnownSpace
    snapshot: Snapshot | None
    polled: float
    due: NextPoll
    reason: PollReason
    overdue_at: float


def is_settled(record: Record, evidence: Evidence) -> bool:
    """Return whether deciding on the same snapshot again can change nothing but the time."""
    known = record.known
    return (
        evidence.snapshot is not None
        and evidence.snapshot is record.snapshot
        and not known.doubts
        and known.missing_since is None
        and evidence.began_at < record.overdue_at
    )


def reason_of(known: KnownSpace, due: NextPoll, now: float, cadence: Cadence) -> PollReason:
    """Return the reason for a next poll."""
    if known.doubts:
        return PollReason.DOUBT
    if known.phase.is_over:
        return PollReason.OVER if due.at <= known.phase_since + LAST_POLLS_SECONDS[0] else PollReason.GONE
    if known.phase is Phase.LIVE:
        return PollReason.LIVE
    if due.urgency is Urgency.PATIENT:
        return PollReason.SCHEDULED
    return PollReason.NEAR if due.at == now + cadence.near else PollReason.MOMENT
