"""How a Space moves through its phases, as one table.

The rules on top of the table:

- Phases go scheduled < live < ended or canceled (E6). A row that is not in the table changes nothing. X's
  words are compared without case and surrounding space; one that we do not know keeps the phase.
- ``Proof.ONE_POLL``: presence in an answer is evidence (E1), one poll is enough.
- ``Proof.END_TIME``: an end needs one poll where X gives ``ended_at``, else confirmations (E3).
- ``Proof.CONFIRMED``: needs confirmations, because X lies by omission (E2) or because the move goes
  backward (E3).
- Rows marked ``retracts`` go backward: an end, a cancellation or a start turns out wrong. An older
  ``updated_at`` blocks them (E4). What speaks against one in between, and how often it must be seen, depends
  on whether X itself had said what it contradicts (:mod:`notifier.core.spaces.sighting`).
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


class Sight(StrEnum):
    """What one poll says of a Space's phase."""

    SCHEDULED = "scheduled"
    LIVE = "live"
    ENDED = "ended"
    NEVER_STARTED = "never_started"  # X says ended, and nothing ever spoke for a start
    CANCELED = "canceled"
    MISSING = "missing"  # named as not found
    INACCESSIBLE = "inaccessible"  # for hours neither shown nor called missing (E7)
    UNCLEAR = "unclear"  # state was not asked for, or is a word that we do not know (E6)


class Proof(StrEnum):
    """How much it takes to believe a move."""

    ONE_POLL = "one_poll"
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
    (None, Sight.SCHEDULED): Step(Phase.SCHEDULED, Proof.ONE_POLL, (EventType.SCHEDULED,)),
    (None, Sight.LIVE): Step(Phase.LIVE, Proof.ONE_POLL, (EventType.STARTED,)),
    (None, Sight.ENDED): Step(Phase.ENDED, Proof.ONE_POLL),
    (None, Sight.NEVER_STARTED): Step(Phase.ENDED, Proof.ONE_POLL),
    (None, Sight.CANCELED): Step(Phase.CANCELED, Proof.ONE_POLL),
    # scheduled
    (Phase.SCHEDULED, Sight.LIVE): Step(Phase.LIVE, Proof.ONE_POLL, (EventType.STARTED,)),
    (Phase.SCHEDULED, Sight.ENDED): Step(Phase.ENDED, Proof.END_TIME, (EventType.STARTED, EventType.ENDED)),
    (Phase.SCHEDULED, Sight.NEVER_STARTED): Step(Phase.CANCELED, Proof.END_TIME, (EventType.CANCELED,)),
    (Phase.SCHEDULED, Sight.CANCELED): Step(Phase.CANCELED, Proof.ONE_POLL, (EventType.CANCELED,)),
    (Phase.SCHEDULED, Sight.MISSING): Step(Phase.CANCELED, Proof.CONFIRMED, (EventType.CANCELED,)),
    (Phase.SCHEDULED, Sight.INACCESSIBLE): Step(Phase.CANCELED, Proof.CONFIRMED, (EventType.CANCELED,)),
    # live
    (Phase.LIVE, Sight.ENDED): Step(Phase.ENDED, Proof.END_TIME, (EventType.ENDED,)),
    (Phase.LIVE, Sight.NEVER_STARTED): Step(Phase.ENDED, Proof.END_TIME, (EventType.ENDED,)),
    (Phase.LIVE, Sight.CANCELED): Step(Phase.ENDED, Proof.CONFIRMED, (EventType.ENDED,)),
    (Phase.LIVE, Sight.MISSING): Step(Phase.ENDED, Proof.CONFIRMED, (EventType.ENDED,)),
    (Phase.LIVE, Sight.INACCESSIBLE): Step(Phase.ENDED, Proof.CONFIRMED, (EventType.ENDED,)),
    # a start, an end or a cancellation turns out wrong
    (Phase.LIVE, Sight.SCHEDULED): Step(
        Phase.SCHEDULED, Proof.CONFIRMED, (EventType.CORRECTED,), retracts=True
    ),
    (Phase.ENDED, Sight.LIVE): Step(Phase.LIVE, Proof.CONFIRMED, (EventType.CORRECTED,), retracts=True),
    (Phase.ENDED, Sight.SCHEDULED): Step(
        Phase.SCHEDULED, Proof.CONFIRMED, (EventType.CORRECTED, EventType.CORRECTED), retracts=True
    ),
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
"""The phase that an event leaves a Space in."""

BEFORE_THE_MISTAKE: Final[Mapping[Phase, Phase]] = {
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
"""The field that says when a phase began: it goes with the phase where that was wrong."""

WORDS: Final[Mapping[str, Sight]] = {
    "scheduled": Sight.SCHEDULED,
    "live": Sight.LIVE,
    "ended": Sight.ENDED,
    "canceled": Sight.CANCELED,
    "cancelled": Sight.CANCELED,
}
"""X's words for a phase, as :func:`_word` gives them."""

LONGEST_WORD: Final = 32
NOT_A_WORD: Final = re.compile(r"[^\w .-]")
"""What is not shown of a word that X makes up: it becomes the label of a metric."""


def sight_of(seen: Space, known: Space | None = None) -> Sight:
    """Read the phase that a snapshot speaks of, by what is known of the Space so far.

    An ``ended_at`` beside a word that says nothing speaks of an end, too (E6).
    """
    said = WORDS.get(_word(seen), Sight.UNCLEAR)
    if said is Sight.UNCLEAR and known is not None and instant(seen.ended_at) is not None:
        said = Sight.ENDED
    if said is Sight.ENDED and not _was_on_air(*((seen,) if known is None else (seen, known))):
        return Sight.NEVER_STARTED
    return said


def has_unknown_state(space: Space) -> bool:
    """Return whether X has a word for the state that we do not know."""
    return space.state is not None and _word(space) not in WORDS


def unknown_states(observation: Observation) -> Counter[str]:
    """Count the words for a state that we do not know, over the Spaces that an answer shows (E6).

    They are cut to 32 characters, and what may not stand in a log line or a label is replaced.
    """
    spaces = (snapshot.space for snapshot in observation.snapshots.values())
    words = (_word(space) for space in spaces if has_unknown_state(space))
    return Counter(NOT_A_WORD.sub("?", word)[:LONGEST_WORD] for word in words)


def is_enough(step: Step, snapshot: Space) -> bool:
    """Return whether a single poll proves the step; a time alone, beside an unknown word, does not."""
    if step.proof is Proof.END_TIME:
        return snapshot.ended_at is not None and _word(snapshot) in WORDS
    return step.proof is Proof.ONE_POLL


def _word(space: Space) -> str:
    return "" if space.state is None else space.state.strip().casefold()


def _was_on_air(*views: Space) -> bool:
    """Return whether a Space had a start, listeners, or speakers who are not at home in it."""
    if any(view.started_at or view.participant_count for view in views):
        return True
    at_home = {view.creator_id for view in views} | {host for view in views for host in view.host_ids or ()}
    return any(set(view.speaker_ids or ()) - at_home for view in views)
