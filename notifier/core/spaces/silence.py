"""What follows when a lookup by id does not show a Space."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from notifier.core.model.observation import Evidence
from notifier.core.spaces import lists
from notifier.core.spaces.announce import announce
from notifier.core.spaces.decision import Decision, Finding, PollContext
from notifier.core.spaces.known import KnownSpace, confirm, dismiss
from notifier.core.spaces.merging import Patience
from notifier.core.spaces.transitions import STEPS, ObservedPhase

INACCESSIBLE_SECONDS: Final = 3600.0
"""How long only unclear lookups end a Space, for each confirmation that other claims need (E7)."""


def missing(known: KnownSpace, evidence: Evidence, patience: Patience, context: PollContext) -> Decision:
    """Return what follows from a not-found: an end if confirmed, unless there is a mass vanish (E2).

    A list that still shows the Space outweighs it, so the end waits until no list does.
    """
    now = evidence.answered_at
    known = replace(
        known,
        began_at=evidence.began_at,
        missing_since=known.missing_since or now,
        unclear_since=None,
    )
    if context.mass_vanish:
        return Decision(known)
    step = STEPS.get((known.phase, ObservedPhase.MISSING))
    if step is None:
        # Sightings count against an end that was inferred from silence, whatever this poll says.
        return Decision(_gone(dismiss(known, "phase") if known.is_over_by_word else known, now, patience))
    needed = math.inf if lists.showing(known, now=now) else patience.needed
    known, sure = confirm(known, "phase", "over", now=now, needed=needed, apart=patience.apart)
    if not sure:
        return Decision(known)
    return Decision(*announce(known, {}, Finding(step, ObservedPhase.MISSING, evidence, context.watch_ids)))


def inaccessible(known: KnownSpace, evidence: Evidence, patience: Patience, context: PollContext) -> Decision:
    """Return what follows if a lookup neither shows a Space nor reports it missing: after hours, an end (E7).

    It says nothing about a Space that is over. In a mass vanish the hours start over.
    """
    step = STEPS.get((known.phase, ObservedPhase.INACCESSIBLE))
    if step is None:
        return Decision(known)
    now = evidence.answered_at
    since = now if context.mass_vanish or known.unclear_since is None else known.unclear_since
    known = replace(known, began_at=evidence.began_at, unclear_since=since)
    if now - since < patience.needed * INACCESSIBLE_SECONDS:
        return Decision(known)
    return Decision(
        *announce(known, {}, Finding(step, ObservedPhase.INACCESSIBLE, evidence, context.watch_ids))
    )


def _gone(known: KnownSpace, now: float, patience: Patience) -> KnownSpace:
    """Return the state after a not-found of a Space that is over: if confirmed, its content must be erased.

    A sighting in between starts the count over.
    """
    if known.gone_since is not None:
        return known
    known, sure = confirm(known, "gone", "gone", now=now, needed=patience.needed, apart=patience.apart)
    return replace(known, gone_since=known.missing_since) if sure else known
