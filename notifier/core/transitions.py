"""How a Space moves through its phases, as one table.

The rules on top of the table:

- Phases go scheduled < live < ended or canceled (E6). A row that is not in the table changes nothing: a live
  Space that an answer calls scheduled was read from a stale replica, and that whole answer is dropped.
- ``Proof.ONE_LOOK``: presence in an answer is evidence (E1), one look is enough.
- ``Proof.END_TIME``: an end needs one look where X gives ``ended_at``, else confirmations (E3).
- ``Proof.CONFIRMED``: needs confirmations, because X lies by omission (E2) or because the move goes
  backward (E3).
- Rows marked ``retracts`` contradict an end or a cancellation that we inferred. What X itself said is over
  stays over.
- The events of a row are emitted in its order; changes of title, people and other fields come after the start
  and before the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from notifier.core.events import EventType
from notifier.core.space import Phase, Space


class Sight(StrEnum):
    """What one look says of a Space's phase."""

    SCHEDULED = "scheduled"
    LIVE = "live"
    ENDED = "ended"
    NEVER_STARTED = "never_started"  # X says ended, and nobody ever saw a start
    CANCELED = "canceled"
    MISSING = "missing"  # named as not found
    UNCLEAR = "unclear"  # state was not asked for, or is a word that we do not know (E6)


class Proof(StrEnum):
    """How much it takes to believe a move."""

    ONE_LOOK = "one_look"
    END_TIME = "end_time"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True)
class Step:
    """A move to another phase and the events that tell of it."""

    to: Phase
    proof: Proof
    events: tuple[EventType, ...] = ()
    retracts: bool = False


STEPS: Final[Mapping[tuple[Phase | None, Sight], Step]] = {
    # first seen
    (None, Sight.SCHEDULED): Step(Phase.SCHEDULED, Proof.ONE_LOOK, (EventType.SCHEDULED,)),
    (None, Sight.LIVE): Step(Phase.LIVE, Proof.ONE_LOOK, (EventType.STARTED,)),
    (None, Sight.ENDED): Step(Phase.ENDED, Proof.ONE_LOOK),
    (None, Sight.NEVER_STARTED): Step(Phase.ENDED, Proof.ONE_LOOK),
    (None, Sight.CANCELED): Step(Phase.CANCELED, Proof.ONE_LOOK),
    # scheduled
    (Phase.SCHEDULED, Sight.LIVE): Step(Phase.LIVE, Proof.ONE_LOOK, (EventType.STARTED,)),
    (Phase.SCHEDULED, Sight.ENDED): Step(Phase.ENDED, Proof.END_TIME, (EventType.STARTED, EventType.ENDED)),
    (Phase.SCHEDULED, Sight.NEVER_STARTED): Step(Phase.CANCELED, Proof.END_TIME, (EventType.CANCELED,)),
    (Phase.SCHEDULED, Sight.CANCELED): Step(Phase.CANCELED, Proof.ONE_LOOK, (EventType.CANCELED,)),
    (Phase.SCHEDULED, Sight.MISSING): Step(Phase.CANCELED, Proof.CONFIRMED, (EventType.CANCELED,)),
    # live
    (Phase.LIVE, Sight.ENDED): Step(Phase.ENDED, Proof.END_TIME, (EventType.ENDED,)),
    (Phase.LIVE, Sight.NEVER_STARTED): Step(Phase.ENDED, Proof.END_TIME, (EventType.ENDED,)),
    (Phase.LIVE, Sight.CANCELED): Step(Phase.ENDED, Proof.CONFIRMED, (EventType.ENDED,)),
    (Phase.LIVE, Sight.MISSING): Step(Phase.ENDED, Proof.CONFIRMED, (EventType.ENDED,)),
    # an inferred end or cancellation turns out wrong
    (Phase.ENDED, Sight.LIVE): Step(Phase.LIVE, Proof.CONFIRMED, (EventType.CORRECTED,), retracts=True),
    (Phase.CANCELED, Sight.SCHEDULED): Step(
        Phase.SCHEDULED, Proof.CONFIRMED, (EventType.CORRECTED,), retracts=True
    ),
    (Phase.CANCELED, Sight.LIVE): Step(
        Phase.LIVE, Proof.CONFIRMED, (EventType.CORRECTED, EventType.STARTED), retracts=True
    ),
    (Phase.CANCELED, Sight.ENDED): Step(
        Phase.ENDED,
        Proof.CONFIRMED,
        (EventType.CORRECTED, EventType.STARTED, EventType.ENDED),
        retracts=True,
    ),
}

PHASE_AFTER: Final[Mapping[EventType, Phase]] = {
    EventType.SCHEDULED: Phase.SCHEDULED,
    EventType.STARTED: Phase.LIVE,
    EventType.ENDED: Phase.ENDED,
    EventType.CANCELED: Phase.CANCELED,
}
"""The phase that an event leaves a Space in; ``space.corrected`` restores the one before the mistake."""


WORDS: Final[Mapping[str | None, Sight]] = {
    "scheduled": Sight.SCHEDULED,
    "live": Sight.LIVE,
    "canceled": Sight.CANCELED,
}
"""X's words for a phase that need no more than the word."""


def sight_of(space: Space, *, started_at: str | None) -> Sight:
    """Read a snapshot's phase; ``started_at`` is what is already known of a start."""
    if space.state == "ended":
        return Sight.ENDED if space.started_at or started_at else Sight.NEVER_STARTED
    return WORDS.get(space.state, Sight.UNCLEAR)


def is_enough(step: Step, snapshot: Space | None) -> bool:
    """Tell whether a single look proves the step."""
    if step.proof is Proof.END_TIME:
        return snapshot is not None and snapshot.ended_at is not None
    return step.proof is Proof.ONE_LOOK
