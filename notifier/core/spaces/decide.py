"""The one place where a poll of a Space becomes events.

:func:`decide` is pure: known state and evidence go in, the new state and the events in order come out.
What may change what is believed stands in the rules E1 to E8 (docs/architecture.md, "Evidence") and in the
tables of :mod:`.transitions`. What shows a Space is weighed in :mod:`.sighting`, what does not in
:mod:`.silence`.
"""

from __future__ import annotations

from dataclasses import replace

from notifier.core.model.observation import Evidence, Presence, Snapshot
from notifier.core.model.space import SILENT_FIELDS, Phase, Space
from notifier.core.spaces import lists, plan
from notifier.core.spaces.decision import Circumstances, Decision
from notifier.core.spaces.known import KnownSpace
from notifier.core.spaces.marks import without_future_mark
from notifier.core.spaces.merging import Patience
from notifier.core.spaces.narrate import Poll, narrate
from notifier.core.spaces.sighting import MAX_KNOWN_USERS, people_of, seen
from notifier.core.spaces.silence import inaccessible, missing
from notifier.core.spaces.transitions import STEPS, Sight, sight_of

__all__ = ["MAX_KNOWN_USERS", "Circumstances", "Decision", "decide"]


def decide(
    known: KnownSpace | None, evidence: Evidence, *, patience: Patience, around: Circumstances
) -> Decision:
    """Conclude what one poll means for one Space.

    The same evidence twice gives no event the second time (law 1), and a failed call or mere absence never
    changes anything (law 4, E1, E8).
    """
    if evidence.presence in (Presence.FAILED, Presence.ABSENT):
        return Decision(known)
    if known is None:
        if evidence.snapshot is None:
            return Decision(None)
        return _first_sight(evidence.snapshot, evidence, patience, around)
    if evidence.began_at < known.began_at:
        return Decision(known)
    if evidence.snapshot is not None:
        return seen(known, evidence.snapshot, evidence, patience, around)
    weigh = missing if evidence.presence is Presence.NOT_FOUND else inaccessible
    return weigh(known, evidence, patience, around)


def _first_sight(
    snapshot: Snapshot, evidence: Evidence, patience: Patience, around: Circumstances
) -> Decision:
    """Take in a Space that was never seen: everything about it is told in one event, or in none.

    What was reached before, a number of listeners or the time of a reminder, is not told afterwards.
    """
    now = evidence.answered_at
    step = STEPS.get((None, sight_of(snapshot.space)))
    if step is None:
        return Decision(None)
    space = without_future_mark(snapshot.space, now=now)
    known = KnownSpace(
        space=space.with_values({"state": step.to}),
        phase=step.to,
        began_at=evidence.began_at,
        observed_at=now,
        phase_since=now,
        peak_participant_count=None if step.to is Phase.SCHEDULED else space.participant_count,
        is_over_by_word=step.to.is_over,
        gone_since=now if step.to is Phase.CANCELED else None,
        users=people_of(space, snapshot.users),
    )
    known = lists.note_shown(known, around.lists, now=now)
    known = plan.skip_passed_reminder(known, now=now, lead=patience.reminder)
    if around.silent or not step.events:
        return Decision(known)
    silent = {name: known.space.value(name) for name in SILENT_FIELDS}
    blank = replace(known, space=Space(id=known.space.id).with_values(silent))
    told = {name: value for name, value in known.space.known().items() if name not in SILENT_FIELDS}
    del told["state"]  # the step tells it
    poll = Poll(step, Sight(known.phase.value), evidence, around.watch_ids, first=True)
    return Decision(*narrate(blank, told, poll))
