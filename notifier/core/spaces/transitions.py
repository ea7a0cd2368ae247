"""How a Space moves through its phases, as one table.

The rules on top of the table:

- Phases go scheduled < live < ended or canceled (E6). A row that is not in the table changes nothing. X's
  states are compared without case and surrounding spaces; an unknown one keeps the phase.
- ``Proof.ONE_POLL``: presence in an answer is evidence (E1), one poll is enough.
- ``Proof.END_TIME``: an end needs one poll where X gives ``ended_at``, else confirmations (E3).
- ``Proof.CONFIRMED``: needs confirmations, because X lies by omission (E2) or because the move goes
  backward (E3).
- Rows marked ``retracts`` go backward: an end, a cancellation or a start turns out to be wrong. An older
  ``updated_at`` blocks them (E4). What counts against one in between, and how often it must be seen, depends
  on whether X itself stated what it contradicts (:mod:`notifier.core.spaces.sighting`).
- ``space.corrected`` undoes one move. A Space that ended and is scheduled again takes two.
- The events of a row are emitted in its order; changes of title, people and other fields come after the start
  and before the end.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from notifier.core.events.event import EventType
from notifier.core.model.instants import instant
from notifier.core.model.observation import Observation
from notifier.core.model.space import Phase, Space


class ObservedPhase(StrEnum):
    """What one poll says about a Space's phase."""

    SCHEDULED = "scheduled"
    LIVE = "live"
    ENDED = "ended"
    NEVER_STARTED = "never_started"  # X says ended, and nothing ever indicated a start
    CANCELED = "canceled"
    MISSING = "missing"  # named as not found
    INACCESSIBLE = "inaccessible"  # for hours neither shown nor reported missing (E7)
    UNCLEAR = "unclear"  # the state was not requested, or is unknown (E6)


class Proof(StrEnum):
    """What proof a move needs."""

    ONE_POLL = "one_poll"
    END_TIME = "end_time"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True)
class Step:
    """A move to another phase and the events that announce it."""

    to: Phase
    proof: Proof
    events: tuple[EventType, ...] = ()
    retracts: bool = False


STEPS: Final[Mapping[tuple[Phase | None, ObservedPhase], Step]] = {
    # first seen
    (None, ObservedPhase.SCHEDULED): Step(Phase.SCHEDULED, Proof.ONE_POLL, (EventType.SCHEDULED,)),
    (None, ObservedPhase.LIVE): Step(Phase.LIVE, Proof.ONE_POLL, (EventType.STARTED,)),
    (None, ObservedPhase.ENDED): Step(Phase.ENDED, Proof.ONE_POLL),
    (None, ObservedPhase.NEVER_STARTED): Step(Phase.ENDED, Proof.ONE_POLL),
    (None, ObservedPhase.CANCELED): Step(Phase.CANCELED, Proof.ONE_POLL),
    # scheduled
    (Phase.SCHEDULED, ObservedPhase.LIVE): Step(Phase.LIVE, Proof.ONE_POLL, (EventType.STARTED,)),
    (Phase.SCHEDULED, ObservedPhase.ENDED): Step(
        Phase.ENDED, Proof.END_TIME, (EventType.STARTED, EventType.ENDED)
    ),
    (Phase.SCHEDULED, ObservedPhase.NEVER_STARTED): Step(
        Phase.CANCELED, Proof.END_TIME, (EventType.CANCELED,)
    ),
    (Phase.SCHEDULED, ObservedPhase.CANCELED): Step(Phase.CANCELED, Proof.ONE_POLL, (EventType.CANCELED,)),
    (Phase.SCHEDULED, ObservedPhase.MISSING): Step(Phase.CANCELED, Proof.CONFIRMED, (EventType.CANCELED,)),
    (Phase.SCHEDULED, ObservedPhase.INACCESSIBLE): Step(
        Phase.CANCELED, Proof.CONFIRMED, (EventType.CANCELED,)
    ),
    # live
    (Phase.LIVE, ObservedPhase.ENDED): Step(Phase.ENDED, Proof.END_TIME, (EventType.ENDED,)),
    (Phase.LIVE, ObservedPhase.NEVER_STARTED): Step(Phase.ENDED, Proof.END_TIME, (EventType.ENDED,)),
    (Phase.LIVE, ObservedPhase.CANCELED): Step(Phase.ENDED, Proof.CONFIRMED, (EventType.ENDED,)),
    (Phase.LIVE, ObservedPhase.MISSING): Step(Phase.ENDED, Proof.CONFIRMED, (EventType.ENDED,)),
    (Phase.LIVE, ObservedPhase.INACCESSIBLE): Step(Phase.ENDED, Proof.CONFIRMED, (EventType.ENDED,)),
    # a start, an end or a cancellation turns out to be wrong
    (Phase.LIVE, ObservedPhase.SCHEDULED): Step(
        Phase.SCHEDULED, Proof.CONFIRMED, (EventType.CORRECTED,), retracts=True
    ),
    (Phase.ENDED, ObservedPhase.LIVE): Step(
        Phase.LIVE, Proof.CONFIRMED, (EventType.CORRECTED,), retracts=True
    ),
    (Phase.ENDED, ObservedPhase.SCHEDULED): Step(
        Phase.SCHEDULED, Proof.CONFIRMED, (EventType.CORRECTED, EventType.CORRECTED), retracts=True
    ),
    (Phase.CANCELED, ObservedPhase.SCHEDULED): Step(
        Phase.SCHEDULED, Proof.CONFIRMED, (EventType.CORRECTED,), retracts=True
    ),
    (Phase.CANCELED, ObservedPhase.LIVE): Step(
        Phase.LIVE, Proof.CONFIRMED, (EventType.CORRECTED, EventType.STARTED), retracts=True
    ),
    (Phase.CANCELED, ObservedPhase.ENDED): Step(
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
"""The phase of a Space after an event."""

PHASE_BEFORE: Final[Mapping[Phase, Phase]] = {
    Phase.LIVE: Phase.SCHEDULED,
    Phase.ENDED: Phase.LIVE,
    Phase.CANCELED: Phase.SCHEDULED,
}
"""The phase that ``space.corrected`` restores, by the one that was wrong."""

TIME_OF: Final[Mapping[Phase, str]] = {
    Phase.LIVE: "started_at",
    Phase.ENDED: "ended_at",
    Phase.CANCELED: "ended_at",
}
"""The field that says when a phase began; it is withdrawn together with a phase that was wrong."""

PHASE_WORDS: Final[Mapping[str, ObservedPhase]] = {
    "scheduled": ObservedPhase.SCHEDULED,
    "live": ObservedPhase.LIVE,
    "ended": ObservedPhase.ENDED,
    "canceled": ObservedPhase.CANCELED,
    "cancelled": ObservedPhase.CANCELED,
}
"""X's words for a phase, as :func:`_word` returns them."""

LONGEST_WORD: Final = 32
NOT_A_WORD: Final = re.compile(r"[^\w .-]")
"""Characters that are replaced in an unknown state, because it becomes the label of a metric."""


def observed_phase(seen: Space, known: Space | None = None) -> ObservedPhase:
    """Return the phase that a snapshot shows, given what is known about the Space so far.

    An ``ended_at`` with an unknown state means an end, too (E6).
    """
    said = PHASE_WORDS.get(_word(seen), ObservedPhase.UNCLEAR)
    if said is ObservedPhase.UNCLEAR and known is not None and instant(seen.ended_at) is not None:
        said = ObservedPhase.ENDED
    if said is ObservedPhase.ENDED and not _has_been_live(*((seen,) if known is None else (seen, known))):
        return ObservedPhase.NEVER_STARTED
    return said


def has_unknown_state(space: Space) -> bool:
    """Return whether X states a state that we do not know."""
    return space.state is not None and _word(space) not in PHASE_WORDS


def unknown_states(observation: Observation) -> Counter[str]:
    """Return the unknown states among the Spaces that an answer shows, with their counts (E6).

    They are cut to 32 characters, and characters that do not belong in a log line or a label are replaced.
    """
    spaces = (snapshot.space for snapshot in observation.snapshots.values())
    words = (_word(space) for space in spaces if has_unknown_state(space))
    return Counter(NOT_A_WORD.sub("?", word)[:LONGEST_WORD] for word in words)


def is_enough(step: Step, snapshot: Space) -> bool:
    """Return whether a single poll proves the step; ``ended_at`` with an unknown state does not."""
    if step.proof is Proof.END_TIME:
        return snapshot.ended_at is not None and _word(snapshot) in PHASE_WORDS
    return step.proof is Proof.ONE_POLL


def _word(space: Space) -> str:
    return "" if space.state is None else space.state.strip().casefold()


def _has_been_live(*views: Space) -> bool:
    """Return whether a Space had a start, listeners, or speakers other than its creator and hosts."""
    if any(view.started_at or view.participant_count for view in views):
        return True
    at_home = {view.creator_id for view in views} | {host for view in views for host in view.host_ids or ()}
    return any(set(view.speaker_ids or ()) - at_home for view in views)
