"""The one place where a look at a Space becomes events.

:func:`decide` is pure: known state and evidence go in, the new state and the events in order come out.
What may change what is believed stands in the rules E1 to E8 (docs/architecture.md, "Evidence") and in the
tables of :mod:`notifier.core.transitions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from notifier.core import plan
from notifier.core.events import Event
from notifier.core.ids import WatchId
from notifier.core.known import KnownSpace, confirm, dismiss
from notifier.core.merging import Patience, merge
from notifier.core.milestones import crossed
from notifier.core.narrate import Look, narrate
from notifier.core.observation import Evidence, Presence, Snapshot
from notifier.core.space import SILENT_FIELDS, Phase, Space, User
from notifier.core.transitions import STEPS, Sight, is_enough, sight_of

MAX_KNOWN_USERS: Final = 100


@dataclass(frozen=True, slots=True)
class Decision:
    """What was concluded. ``known`` is None only for a Space that was never seen."""

    known: KnownSpace | None
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What surrounds a look.

    Attributes:
        watch_ids: The watches that the Space matches.
        silent: Take a Space that was never seen into the known state without an event (a watch's baseline).
        mass_vanish: So many Spaces vanished lately that not-found proves nothing (E2).
        degraded: Nobody knows how the Spaces are doing, so no start is called overdue (spec: events).
    """

    watch_ids: tuple[WatchId, ...] = ()
    silent: bool = False
    mass_vanish: bool = False
    degraded: bool = False


def decide(
    known: KnownSpace | None, evidence: Evidence, *, patience: Patience, around: Circumstances
) -> Decision:
    """Conclude what one look means for one Space.

    The same evidence twice gives no event the second time (law 1), and a failed call or mere absence never
    changes anything (law 4, E1, E8).
    """
    if evidence.presence in (Presence.FAILED, Presence.ABSENT, Presence.INACCESSIBLE):
        return Decision(known)
    if evidence.snapshot is None:
        return Decision(None) if known is None else _missing(known, evidence, patience, around)
    if known is None:
        return _first_sight(evidence.snapshot, evidence, patience, around)
    if evidence.began_at < known.began_at:
        return Decision(known)
    return _seen(known, evidence.snapshot, evidence, patience, around)


def _first_sight(
    snapshot: Snapshot, evidence: Evidence, patience: Patience, around: Circumstances
) -> Decision:
    """Take in a Space that was never seen: everything about it is told in one event, or in none.

    What was reached before, a number of listeners or the time of a reminder, is not told afterwards.
    """
    step = STEPS.get((None, sight_of(snapshot.space, started_at=None)))
    if step is None:
        return Decision(None)
    known = KnownSpace(
        space=snapshot.space.with_values({"state": step.to}),
        phase=step.to,
        began_at=evidence.began_at,
        observed_at=evidence.answered_at,
        phase_since=evidence.answered_at,
        peak_participant_count=None if step.to is Phase.SCHEDULED else snapshot.space.participant_count,
        gone_since=evidence.answered_at if step.to is Phase.CANCELED else None,
        users=_users({}, snapshot.users, snapshot.space),
    )
    known = plan.skip_passed_reminder(known, now=evidence.answered_at, lead=patience.reminder)
    if around.silent or not step.events:
        return Decision(known)
    silent = {name: known.space.value(name) for name in SILENT_FIELDS}
    blank = replace(known, space=Space(id=known.space.id).with_values(silent))
    told = {name: value for name, value in known.space.known().items() if name not in SILENT_FIELDS}
    del told["state"]  # the step tells it
    look = Look(step, Sight(known.phase.value), evidence, around.watch_ids, first=True)
    return Decision(*narrate(blank, told, look))


def _missing(known: KnownSpace, evidence: Evidence, patience: Patience, around: Circumstances) -> Decision:
    """Weigh a not-found: it counts only often enough, far enough apart, and not in a mass vanish (E2)."""
    now = evidence.answered_at
    if evidence.began_at < known.began_at:
        return Decision(known)
    known = replace(known, began_at=evidence.began_at, missing_since=known.missing_since or now)
    step = STEPS.get((known.phase, Sight.MISSING))
    if around.mass_vanish:
        return Decision(known)
    if step is None:
        return Decision(_gone(dismiss(known, "phase"), now, patience))
    known, sure = confirm(known, "phase", "over", now=now, needed=patience.needed, apart=patience.apart)
    if not sure:
        return Decision(known)
    return Decision(*narrate(known, {}, Look(step, Sight.MISSING, evidence, around.watch_ids)))


def _gone(known: KnownSpace, now: float, patience: Patience) -> KnownSpace:
    """Weigh that X does not have a Space which is over: often enough, and its content is gone for good.

    What a single sighting had made doubtful is settled by now.
    """
    if known.gone_since is not None:
        return known
    known, sure = confirm(known, "gone", "gone", now=now, needed=patience.needed, apart=patience.apart)
    return replace(known, gone_since=known.missing_since) if sure else known


def _seen(
    known: KnownSpace, snapshot: Snapshot, evidence: Evidence, patience: Patience, around: Circumstances
) -> Decision:
    """Weigh a sighting of a Space that is known."""
    now = evidence.answered_at
    seen = snapshot.space
    sight = sight_of(seen, started_at=known.space.started_at)
    may_be_overdue = evidence.began_at > known.began_at and not around.degraded
    known = replace(dismiss(known, "gone"), began_at=evidence.began_at, missing_since=None)
    step = STEPS.get((known.phase, sight))
    if step is not None and step.retracts and known.retractable is None:
        step = None
    if step is None and not _stays(known.phase, sight):
        # A stale answer tells nothing else, but that the Space is there contradicts a not-found (E1).
        return Decision(dismiss(known, "phase"))
    if step is not None and not is_enough(step, seen):
        claim = "over" if step.to.is_over else str(step.to)
        known, sure = confirm(known, "phase", claim, now=now, needed=patience.needed, apart=patience.apart)
        if not sure:
            return Decision(known)
    if known.phase.is_over and step is None:
        # X itself now says what we had inferred: nothing is left to retract, and its content is there.
        known = replace(dismiss(known, "phase"), retractable=None)
        return Decision(known if sight is Sight.CANCELED else replace(known, gone_since=None))
    # Presence alone contradicts a not-found, whatever else the look leaves open (E1).
    merged = merge(dismiss(known, "phase"), seen, now=now, patience=patience)
    after = merged.known
    if step is not None or merged.changes:
        space = after.space.with_values(merged.changes)
        after = replace(after, phase=step.to if step else known.phase, space=space)
    peak, milestones = _listeners(known, after.phase, seen.participant_count)
    look = Look(
        step,
        sight,
        evidence,
        around.watch_ids,
        milestones=milestones,
        overdue_since=_overdue_since(after, sight, evidence, patience) if may_be_overdue else None,
    )
    known = replace(
        merged.known,
        peak_participant_count=peak,
        erased=False,
        users=_users(known.users, snapshot.users, after.space),
    )
    known, events = narrate(known, merged.changes, look)
    if look.overdue_since is not None:
        known = plan.told(known, plan.OVERDUE)
    if step is not None or "scheduled_start" in merged.changes:
        known = plan.skip_passed_reminder(known, now=now, lead=patience.reminder)
    return Decision(known, events)


def _listeners(known: KnownSpace, phase: Phase, count: int | None) -> tuple[int | None, tuple[int, ...]]:
    """Give the highest number of listeners, and the milestones that it has just reached."""
    peak = known.peak_participant_count
    was_on_air = Phase.LIVE in (known.phase, phase) or phase is Phase.ENDED
    if count is None or not was_on_air or (peak is not None and count <= peak):
        return peak, ()
    return count, crossed(peak or 0, count)


def _overdue_since(after: KnownSpace, sight: Sight, evidence: Evidence, patience: Patience) -> float | None:
    """Give the planned start that is long past, where this look was asked for after it was missed."""
    missed_at = plan.overdue_at(after, overdue=patience.overdue)
    is_missed = missed_at is not None and sight is Sight.SCHEDULED and evidence.began_at >= missed_at
    return plan.planned_start(after) if is_missed else None


def _stays(phase: Phase, sight: Sight) -> bool:
    """Tell whether a look without a step still describes the Space in its present phase."""
    if sight in (Sight.ENDED, Sight.NEVER_STARTED, Sight.CANCELED):
        return phase.is_over
    return (sight is Sight.UNCLEAR and not phase.is_over) or sight.value == phase.value


def _users(before: Mapping[str, User], seen: Mapping[str, User], space: Space) -> dict[str, User]:
    """Keep the people whom the Space names, as last described, no more than a record should hold."""
    every = {**before, **seen}
    return {person: every[person] for person in space.people()[:MAX_KNOWN_USERS] if person in every}
