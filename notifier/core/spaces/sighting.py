"""What follows when X shows a known Space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from notifier.core.events.occasion import OVERDUE
from notifier.core.model.ids import WatchId
from notifier.core.model.observation import Evidence, Snapshot
from notifier.core.model.space import Phase, Space, User, Value
from notifier.core.spaces import lists, plan
from notifier.core.spaces.announce import announce
from notifier.core.spaces.decision import Decision, Finding, PollContext
from notifier.core.spaces.known import KnownSpace, confirm, dismiss
from notifier.core.spaces.merging import Patience, Version, merge
from notifier.core.spaces.milestones import crossed
from notifier.core.spaces.returns import note_return, return_factor
from notifier.core.spaces.transitions import (
    STEPS,
    TIME_OF,
    ObservedPhase,
    Step,
    has_unknown_state,
    is_enough,
    observed_phase,
)
from notifier.core.spaces.versions import compare

MAX_KNOWN_USERS: Final = 100


OVER: Final = "over"

BACKWARD_SPAN: Final = 4
"""How long a move back that contradicts X's own statement must last, as a multiple of ``Patience.apart``."""

Weighed: TypeAlias = tuple[KnownSpace, Step | None, bool]
"""The Space with its doubts updated, the step that is believed, and whether the rest of the answer counts."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A poll that shows a Space.

    Attributes:
        observed: What it says of the phase.
        version: How old the snapshot is, compared with what is known.
        may_be_overdue: Whether it can prove that a planned start was missed.
    """

    evidence: Evidence
    snapshot: Snapshot
    observed: ObservedPhase
    version: Version
    may_be_overdue: bool

    @property
    def space(self) -> Space:
        """The Space as X described it."""
        return self.snapshot.space

    @property
    def now(self) -> float:
        """When X answered, in epoch seconds."""
        return self.evidence.answered_at


def seen(
    known: KnownSpace, snapshot: Snapshot, evidence: Evidence, patience: Patience, context: PollContext
) -> Decision:
    """Return what follows from a sighting of a known Space."""
    now = evidence.answered_at
    observed = observed_phase(snapshot.space, known.space)
    may_be_overdue = evidence.began_at > known.began_at and not context.degraded
    known, version = compare(known, snapshot.space, now=now, patience=patience)
    known = lists.note_shown(_note_present(known, snapshot.space, evidence), context.lists, now=now)
    sighting = Sighting(evidence, snapshot, observed, version, may_be_overdue)
    weigh = _after_the_end if known.phase.is_over else _before_the_end
    known, step, counts = weigh(known, sighting, patience)
    if not counts:
        return Decision(known)
    # Presence by itself contradicts a not-found, even if the poll leaves everything else open (E1).
    return _apply(dismiss(known, "phase"), step, sighting, patience, context.watch_ids)


def _note_present(known: KnownSpace, seen: Space, evidence: Evidence) -> KnownSpace:
    """Return the state after X has shown the Space, with whether its ``state`` is known."""
    unknown = known.has_unknown_state if seen.state is None else has_unknown_state(seen)
    return replace(
        dismiss(known, "gone"),
        began_at=evidence.began_at,
        missing_since=None,
        unclear_since=None,
        has_unknown_state=unknown,
    )


def _before_the_end(known: KnownSpace, sighting: Sighting, patience: Patience) -> Weighed:
    """Return what a poll proves about the phase of a Space that is scheduled or live."""
    step = STEPS.get((known.phase, sighting.observed))
    if step is None or is_enough(step, sighting.space):
        return known, step, True
    if step.retracts and sighting.version is Version.OLDER:
        # It comes from a lagging replica. But that the Space is there contradicts a not-found.
        doubt = known.doubts.get("phase")
        return dismiss(known, "phase") if doubt and doubt.claim == OVER else known, None, False
    known, sure = _confirmed(known, step, now=sighting.now, patience=patience)
    return known, step, sure


def _after_the_end(known: KnownSpace, sighting: Sighting, patience: Patience) -> Weighed:
    """Return what a poll proves about whether a Space that was over continues under its id.

    Sightings count against an inferred end whatever other answers say; against an end that X stated they
    count as long as X does not repeat it.
    """
    step = STEPS.get((known.phase, sighting.observed))
    if step is None or (step.to.is_over and known.is_over_by_word):
        return _still_over(known, sighting.observed), None, False
    if sighting.version is Version.OLDER:
        return known, None, False
    known, sure = _confirmed(known, step, now=sighting.now, patience=patience)
    return known, step, sure


def _still_over(known: KnownSpace, observed: ObservedPhase) -> KnownSpace:
    """Return the state after X stated the end itself; it still has the content unless it was canceled."""
    if observed is ObservedPhase.UNCLEAR:
        return known
    known = replace(dismiss(known, "phase"), is_over_by_word=True)
    return known if observed is ObservedPhase.CANCELED else replace(known, gone_since=None)


def _confirmed(known: KnownSpace, step: Step, *, now: float, patience: Patience) -> tuple[KnownSpace, bool]:
    """Return the state after a poll that counts towards a step, and whether that proves it.

    A replica that lags, sometimes by minutes, also shows a move back that contradicts X's own statement. So
    such a move takes minutes, and needs more confirmations each time, as a return of a field does.
    """
    goes_back = step.retracts and (known.is_over_by_word or not known.phase.is_over)
    needed = patience.needed * (return_factor(known, "state") if goes_back else 1)
    claim = OVER if step.to.is_over else str(step.to)
    span = BACKWARD_SPAN * patience.apart if goes_back else 0.0
    known, sure = confirm(known, "phase", claim, now=now, needed=needed, apart=patience.apart, span=span)
    return note_return(known, "state") if sure and goes_back else known, sure


def _apply(
    known: KnownSpace,
    step: Step | None,
    sighting: Sighting,
    patience: Patience,
    watch_ids: tuple[WatchId, ...],
) -> Decision:
    """Return the known state updated by a poll that counts, and the events of what has changed."""
    now, described = sighting.now, sighting.space
    merged = merge(known, described, version=sighting.version, now=now, patience=patience)
    changes: Mapping[str, Value | None] = {**merged.changes, **_undone(known, step, described)}
    after = merged.known
    if step is not None or changes:
        space = after.space.with_values(changes)
        after = replace(after, phase=step.to if step else known.phase, space=space)
    peak, milestones = _listeners(known, after.phase, described.participant_count)
    finding = Finding(
        step,
        sighting.observed,
        sighting.evidence,
        watch_ids,
        milestones=milestones,
        overdue_since=_overdue_since(after, sighting, patience),
    )
    known = replace(
        merged.known,
        peak_participant_count=peak,
        erased=False,
        users=people_of(after.space, known.users, sighting.snapshot.users),
    )
    known, events = announce(known, changes, finding)
    if finding.overdue_since is not None:
        known = plan.note_announced(known, OVERDUE)
    if step is not None or "scheduled_start" in changes:
        known = plan.skip_passed_reminder(known, now=now, lead=patience.reminder)
    return Decision(known, events)


def _undone(known: KnownSpace, step: Step | None, seen: Space) -> dict[str, None]:
    """Return the times that a correction withdraws: they are unknown again, unless X still states them."""
    if step is None or not step.retracts or step.to.is_over:
        return {}
    names = {TIME_OF[known.phase], *(("started_at",) if step.to is Phase.SCHEDULED else ())}
    return {name: None for name in names if known.space.value(name) is not None and seen.value(name) is None}


def _listeners(known: KnownSpace, phase: Phase, count: int | None) -> tuple[int | None, tuple[int, ...]]:
    """Return the highest number of listeners, and the milestones that it has just reached."""
    peak = known.peak_participant_count
    was_on_air = Phase.LIVE in (known.phase, phase) or phase is Phase.ENDED
    if count is None or not was_on_air or (peak is not None and count <= peak):
        return peak, ()
    return count, crossed(peak or 0, count)


def _overdue_since(after: KnownSpace, sighting: Sighting, patience: Patience) -> float | None:
    """Return the planned start that is long past, if this poll began after it was missed."""
    missed_at = plan.overdue_at(after, overdue=patience.overdue) if sighting.may_be_overdue else None
    is_missed = missed_at is not None and sighting.evidence.began_at >= missed_at
    return plan.planned_start(after) if is_missed and sighting.observed is ObservedPhase.SCHEDULED else None


def people_of(space: Space, *described: Mapping[str, User]) -> dict[str, User]:
    """Return the people of the Space, as last described, up to :data:`MAX_KNOWN_USERS`."""
    every = {person: user for users in described for person, user in users.items()}
    return {person: every[person] for person in space.people()[:MAX_KNOWN_USERS] if person in every}
