"""Which of two versions of a Space is newer, by X's timestamp ``updated_at`` (E4).

X answers from replicas that lag behind each other, and a timestamp can be wrong. So one in the future is
ignored, and an older one that keeps coming is eventually believed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from notifier.core.model.instants import instant
from notifier.core.model.space import Space
from notifier.core.spaces.known import KnownSpace, confirm, dismiss
from notifier.core.spaces.merging import Patience, Version
from notifier.core.spaces.returns import note_former, note_new_meaning, note_return, return_factor, without

AHEAD_SECONDS: Final = 300.0
"""How far X's clock may be ahead of ours before a timestamp counts as one in the future."""

FIELD: Final = "updated_at"


def timestamp_of(space: Space, *, now: float) -> float | None:
    """Return ``updated_at`` in epoch seconds; None if it is missing, invalid or in the future."""
    moment = instant(space.updated_at)
    return moment if moment is not None and moment <= now + AHEAD_SECONDS else None


def without_future_timestamp(space: Space, *, now: float) -> Space:
    """Return the Space without an ``updated_at`` that cannot be right."""
    return space if timestamp_of(space, now=now) is not None else replace(space, updated_at=None)


def compare(known: KnownSpace, seen: Space, *, now: float, patience: Patience) -> tuple[KnownSpace, Version]:
    """Return the state with the believed timestamp, and how the snapshot's compares with the known one."""
    if seen.updated_at == known.space.updated_at and FIELD not in known.doubts:
        return known, Version.UNPROVEN
    seen_at, known_at = timestamp_of(seen, now=now), timestamp_of(known.space, now=now)
    if seen_at is None:
        return known, Version.UNPROVEN
    if known_at is not None and seen_at < known_at:
        return _older(known, seen, now=now, patience=patience)
    known = dismiss(known, FIELD)
    is_newer = known_at is not None and seen_at > max([known_at, *_former_timestamps(known, now=now)])
    if is_newer and FIELD in known.former:
        known = note_new_meaning(replace(known, former=without(known.former, FIELD)), FIELD)
    return _with_timestamp(known, seen), Version.NEWER if is_newer else Version.UNPROVEN


def _older(known: KnownSpace, seen: Space, *, now: float, patience: Patience) -> tuple[KnownSpace, Version]:
    """Return the state after an older timestamp: seen often enough, without a newer one, it is believed."""
    needed = patience.needed * return_factor(known, FIELD)
    claim = seen.updated_at or ""
    known, sure = confirm(known, FIELD, claim, now=now, needed=needed, apart=patience.apart)
    if not sure:
        return known, Version.OLDER
    given_up = [known.space.updated_at] if known.space.updated_at else []
    known = note_former(note_return(known, FIELD), FIELD, given_up, [claim])
    return _with_timestamp(known, seen), Version.UNPROVEN


def _former_timestamps(known: KnownSpace, *, now: float) -> list[float]:
    """Return the timestamps that gave way to an older one: seeing one of them again proves nothing."""
    marks = known.former.get(FIELD, ())
    moments = [instant(mark) for mark in marks if isinstance(mark, str)]
    return [moment for moment in moments if moment is not None and moment <= now + AHEAD_SECONDS]


def _with_timestamp(known: KnownSpace, seen: Space) -> KnownSpace:
    return replace(known, space=replace(known.space, updated_at=seen.updated_at))
