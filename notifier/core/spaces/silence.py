"""What follows when X does not show a Space that it was asked about by its id."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from notifier.core.model.observation import Evidence
from notifier.core.spaces import lists
from notifier.core.spaces.decision import Circumstances, Decision
from notifier.core.spaces.known import KnownSpace, confirm, dismiss
from notifier.core.spaces.merging import Patience
from notifier.core.spaces.narrate import Poll, narrate
from notifier.core.spaces.transitions import STEPS, Sight

INACCESSIBLE_SECONDS: Final = 3600.0
"""How long lookups must leave a Space open, for each confirmation that other claims need, to end it (E7)."""


def missing(known: KnownSpace, evidence: Evidence, patience: Patience, around: Circumstances) -> Decision:
    """Weigh a not-found: it counts only often enough, far enough apart, and not in a mass vanish (E2).

    A list that still shows the Space outweighs it, so the end waits for the silence of every list.
    """
    now = evidence.answered_at
    known = replace(
        known,
        began_at=evidence.began_at,
        missing_since=known.missing_since or now,
        unclear_since=None,
    )
    if around.mass_vanish:
        return Decision(known)
    step = STEPS.get((known.phase, Sight.MISSING))
    if step is None:
        # Sightings speak against an end that was inferred from silence, whatever this poll says.
        return Decision(_gone(dismiss(known, "phase") if known.is_over_by_word else known, now, patience))
    needed = math.inf if lists.showing(known, now=now) else patience.needed
    known, sure = confirm(known, "phase", "over", now=now, needed=needed, apart=patience.apart)
    if not sure:
        return Decision(known)
    return Decision(*narrate(known, {}, Poll(step, Sight.MISSING, evidence, around.watch_ids)))


def inaccessible(
    known: KnownSpace, evidence: Evidence, patience: Patience, around: Circumstances
) -> Decision:
    """Weigh that a lookup neither shows a Space nor calls it missing: hours of only that end it (E7).

    Of a Space that is over it says nothing. In a mass vanish the hours begin again.
    """
    step = STEPS.get((known.phase, Sight.INACCESSIBLE))
    if step is None:
        return Decision(known)
    now = evidence.answered_at
    since = now if around.mass_vanish or known.unclear_since is None else known.unclear_since
    known = replace(known, began_at=evidence.began_at, unclear_since=since)
    if now - since < patience.needed * INACCESSIBLE_SECONDS:
        return Decision(known)
    return Decision(*narrate(known, {}, Poll(step, Sight.INACCESSIBLE, evidence, around.watch_ids)))


def _gone(known: KnownSpace, now: float, patience: Patience) -> KnownSpace:
    """Weigh that X does not have a Space which is over: often enough, and its content is gone for good.

    What a single sighting had made doubtful is settled by now.
    """
    if known.gone_since is not None:
        return known
    known, sure = confirm(known, "gone", "gone", now=now, needed=patience.needed, apart=patience.apart)
    return replace(known, gone_since=known.missing_since) if sure else known
