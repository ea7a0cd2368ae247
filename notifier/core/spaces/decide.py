"""The one place where a poll of a Space becomes events.

:func:`decide` is pure: known state and evidence go in, the new state and the events in order come out.
The rules E1 to E8 (docs/architecture.md, "Evidence") and the tables of :mod:`.transitions` say what may
change the known state. Answers that show a Space are handled in :mod:`.sighting`, those that do not in
:mod:`.silence`.
"""

from __future__ import annotations

from dataclasses import replace

from notifier.core.model.observation import Evidence, Presence, Snapshot
from notifier.core.model.space import SILENT_FIELDS, Phase, Space
from notifier.core.spaces import lists, plan
from notifier.core.spaces.announce import announce
from notifier.core.spaces.decision import Decision, Finding, PollContext
from notifier.core.spaces.known import KnownSpace
from notifier.core.spaces.merging import Patience
from notifier.core.spaces.sighting import MAX_KNOWN_USERS, people_of, seen
from notifier.core.spaces.silence import inaccessible, missing
from notifier.core.spaces.transitions import STEPS, ObservedPhase, observed_phase
from notifier.core.spaces.versions import without_future_timestamp

__all__ = ["MAX_KNOWN_USERS", "Decision", "PollContext", "decide"]


def decide(
    known: KnownSpace | None, evidence: Evidence, *, patience: Patience, context: PollContext
) -> Decision:
    """Return what one poll means for one Space.

    The same evidence twice gives no event the second time (law 1), and a failed call or mere absence never
    changes anything (law 4, E1, E8).
    """
    if evidence.presence in (Presence.FAILED, Presence.ABSENT):
        return Decision(known)
    if known is None:
        if evidence.snapshot is None:
            return Decision(None)
        return _first_sight(evidence.snapshot, evidence, patience, context)
    if evidence.began_at < known.began_at:
        return Decision(known)
    if evidence.snapshot is not None:
        return seen(known, evidence.snapshot, evidence, patience, context)
    weigh = missing if evidence.presence is Presence.NOT_FOUND else inaccessible
    return weigh(known, evidence, patience, context)


def _first_sight(
    snapshot: Snapshot, evidence: Evidence, patience: Patience, context: PollContext
) -> Decision:
    """Return the state of a Space that was never seen before; one event announces all of it, or none.

    Milestones and reminders that were due before the first sighting are not announced afterwards.
    """
    now = evidence.answered_at
    step = STEPS.get((None, observed_phase(snapshot.space)))
    if step is None:
        return Decision(None)
    space = without_future_timestamp(snapshot.space, now=now)
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
    known = lists.note_shown(known, context.lists, now=now)
    known = plan.skip_passed_reminder(known, now=now, lead=patience.reminder)
    if context.silent or not step.events:
        return Decision(known)
    silent = {name: known.space.value(name) for name in SILENT_FIELDS}
    blank = replace(known, space=Space(id=known.space.id).with_values(silent))
    announced = {name: value for name, value in known.space.known().items() if name not in SILENT_FIELDS}
    del announced["state"]  # the step reports it
    finding = Finding(step, ObservedPhase(known.phase.value), evidence, context.watch_ids, first=True)
    return Decision(*announce(blank, announced, finding))
