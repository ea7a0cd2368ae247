"""What a snapshot changes in what we know, field by field, before any event is thought of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from notifier.core.instants import instant
from notifier.core.known import KnownSpace, confirm, dismiss
from notifier.core.space import FIELD_KINDS, SILENT_FIELDS, Space, Value, same

GUARDED_BY_UPDATED_AT: Final = frozenset({"title", "scheduled_start"})
"""An older ``updated_at`` blocks these and nothing else: going live does not bump it (E4)."""

CONFIRMED_WHEN_EMPTY: Final = ("topic_ids", "invited_user_ids")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait before something is believed or told.

    Attributes:
        needed: How often a doubtful claim must be seen.
        apart: Seconds between two sightings that count.
        reminder: Seconds before a planned start at which subscribers are reminded.
        overdue: Seconds after a planned start at which it counts as missed.
    """

    needed: int
    apart: float
    reminder: float = 900.0
    overdue: float = 600.0


@dataclass(frozen=True, slots=True)
class Merge:
    """The outcome: doubts and silent fields brought up to date, and the changes that events will tell."""

    known: KnownSpace
    changes: Mapping[str, Value]


def merge(known: KnownSpace, seen: Space, *, now: float, patience: Patience) -> Merge:
    """Hold a snapshot against what is known. The state and the phase are not looked at here.

    A field that the snapshot does not know keeps its value (E5).
    """
    proposed: dict[str, Value | None] = {name: seen.value(name) for name in FIELD_KINDS if name != "state"}
    if _is_older(seen, known.space):
        for name in (*GUARDED_BY_UPDATED_AT, "updated_at"):
            proposed[name] = None
    proposed["speaker_ids"] = _ever(known.space.speaker_ids, seen.speaker_ids)
    known, proposed["host_ids"] = _hosts(known, seen.host_ids, now=now, patience=patience)
    for name in CONFIRMED_WHEN_EMPTY:
        known, proposed[name] = _unless_emptied(known, name, proposed[name], now=now, patience=patience)
    silent = {
        name: value
        for name in SILENT_FIELDS
        if (value := proposed.pop(name)) is not None and value != known.space.value(name)
    }
    changes = {
        name: value
        for name, value in proposed.items()
        if value is not None and _is_news(name, known.space.value(name), value)
    }
    if silent:
        known = replace(known, space=known.space.with_values(silent))
    return Merge(known, changes)


def _is_news(name: str, before: Value | None, value: Value) -> bool:
    """Tell whether a value says more than is known; an empty list where nothing was known does not."""
    return not same(name, before, value) and not (before is None and value == ())


def _is_older(seen: Space, known: Space) -> bool:
    if seen.updated_at == known.updated_at:
        return False
    seen_at, known_at = instant(seen.updated_at), instant(known.updated_at)
    return seen_at is not None and known_at is not None and seen_at < known_at


def _ever(before: tuple[str, ...] | None, seen: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Add to everyone ever seen: X's list shrinks and grows back, and nobody is ever said to have left."""
    if seen is None:
        return None
    return tuple(dict.fromkeys((*(before or ()), *seen)))


def _hosts(
    known: KnownSpace, seen: tuple[str, ...] | None, *, now: float, patience: Patience
) -> tuple[KnownSpace, tuple[str, ...] | None]:
    """Take additions at once; believe removals only when confirmed, and keep those hosts until then."""
    if seen is None:
        return known, None
    missing = tuple(host for host in known.space.host_ids or () if host not in seen)
    if not missing:
        return dismiss(known, "host_ids"), seen
    claim = ",".join(sorted(missing))
    known, sure = confirm(known, "host_ids", claim, now=now, needed=patience.needed, apart=patience.apart)
    return known, seen if sure else (*seen, *missing)


def _unless_emptied(
    known: KnownSpace, name: str, seen: Value | None, *, now: float, patience: Patience
) -> tuple[KnownSpace, Value | None]:
    """Take an empty list where there was a filled one as unknown until it is confirmed (E5)."""
    if seen is None:
        return known, None
    if seen != () or not known.space.value(name):
        return dismiss(known, name), seen
    known, sure = confirm(known, name, "empty", now=now, needed=patience.needed, apart=patience.apart)
    return known, seen if sure else None
