"""Which of two versions of a Space is the newer one, by ``updated_at``, X's own mark on it (E4).

X answers from replicas that lag behind each other, and a mark can be plainly wrong. So one from the future is
unknown, and an older one that keeps coming is believed in the end.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from notifier.core.model.instants import instant
from notifier.core.model.space import Space
from notifier.core.spaces.known import KnownSpace, confirm, dismiss
from notifier.core.spaces.merging import Patience, Version
from notifier.core.spaces.returns import after_news, after_return, hardness, leave_behind, without

AHEAD_SECONDS: Final = 300.0
"""How far X's clock may be ahead of ours before a mark counts as one from the future."""

MARK: Final = "updated_at"


def mark_of(space: Space, *, now: float) -> float | None:
    """Return the mark in epoch seconds; None where it is missing, cannot be read, or lies in the future."""
    moment = instant(space.updated_at)
    return moment if moment is not None and moment <= now + AHEAD_SECONDS else None


def without_future_mark(space: Space, *, now: float) -> Space:
    """Return the Space without a mark that cannot be right."""
    return space if mark_of(space, now=now) is not None else replace(space, updated_at=None)


def compare(known: KnownSpace, seen: Space, *, now: float, patience: Patience) -> tuple[KnownSpace, Version]:
    """Compare the marks of a snapshot and of what is known, and keep the one that is believed."""
    if seen.updated_at == known.space.updated_at and MARK not in known.doubts:
        return known, Version.UNPROVEN
    seen_at, known_at = mark_of(seen, now=now), mark_of(known.space, now=now)
    if seen_at is None:
        return known, Version.UNPROVEN
    if known_at is not None and seen_at < known_at:
        return _older(known, seen, now=now, patience=patience)
    known = dismiss(known, MARK)
    is_newer = known_at is not None and seen_at > max([known_at, *_former_marks(known, now=now)])
    if is_newer and MARK in known.former:
        known = after_news(replace(known, former=without(known.former, MARK)), MARK)
    return _marked(known, seen), Version.NEWER if is_newer else Version.UNPROVEN


def _older(known: KnownSpace, seen: Space, *, now: float, patience: Patience) -> tuple[KnownSpace, Version]:
    """Weigh an older mark: seen often enough, with no newer one between, it is the one that holds."""
    needed = patience.needed * hardness(known, MARK)
    claim = seen.updated_at or ""
    known, sure = confirm(known, MARK, claim, now=now, needed=needed, apart=patience.apart)
    if not sure:
        return known, Version.OLDER
    given_up = [known.space.updated_at] if known.space.updated_at else []
    known = leave_behind(after_return(known, MARK), MARK, given_up, [claim])
    return _marked(known, seen), Version.UNPROVEN


def _former_marks(known: KnownSpace, *, now: float) -> list[float]:
    """List the marks that were given up for an older one: to see one of them again proves nothing new."""
    marks = known.former.get(MARK, ())
    moments = [instant(mark) for mark in marks if isinstance(mark, str)]
    return [moment for moment in moments if moment is not None and moment <= now + AHEAD_SECONDS]


def _marked(known: KnownSpace, seen: Space) -> KnownSpace:
    return replace(known, space=replace(known.space, updated_at=seen.updated_at))
