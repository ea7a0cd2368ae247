"""What a snapshot changes in the known state, field by field, before events are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from notifier.core.events.event import canonical
from notifier.core.model.space import FIELD_KINDS, FieldKind, Space, Value, meaning, same
from notifier.core.spaces.known import KnownSpace, confirm, dismiss
from notifier.core.spaces.returns import is_former, note_former, note_new_meaning, note_return, return_factor

FIELDS: Final = tuple(name for name in FIELD_KINDS if name not in ("state", "updated_at"))
"""The fields merged here: ``transitions`` handles the phase and ``versions`` handles ``updated_at``."""

COUNTS: Final = frozenset(name for name, kind in FIELD_KINDS.items() if kind is FieldKind.COUNT)

HELD_BACK_WHEN_OLDER: Final = (
    frozenset(FIELDS) - COUNTS - {"started_at", "ended_at", "host_ids", "speaker_ids"}
)
"""The fields that an older ``updated_at`` blocks entirely (E4). It lets through new hosts and speakers."""

MAX_FORMER_HOSTS: Final = 32


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait before something is believed or announced.

    Attributes:
        needed: How often a doubtful claim must be seen.
        apart: Minimum seconds between two sightings that count.
        reminder: Seconds before a planned start at which subscribers are reminded.
        overdue: Seconds after a planned start at which it counts as missed.
    """

    needed: int
    apart: float
    reminder: float = 900.0
    overdue: float = 600.0


class Version(StrEnum):
    """How the ``updated_at`` of a snapshot compares with the known one (:mod:`.versions`)."""

    OLDER = "older"  # blocks everything but what cannot go back
    UNPROVEN = "unproven"  # the same timestamp, or one that is missing or invalid
    NEWER = "newer"  # proves that a return to a former value does not come from a lagging replica


@dataclass(frozen=True, slots=True)
class Merge:
    """The outcome: doubts and silent fields brought up to date, and the changes that events announce."""

    known: KnownSpace
    changes: Mapping[str, Value]


def merge(known: KnownSpace, seen: Space, *, version: Version, now: float, patience: Patience) -> Merge:
    """Return what a snapshot changes, except for the state, the phase and ``updated_at``.

    A field that the snapshot does not know keeps its value (E5).
    """
    counts: dict[str, Value] = {}
    changes: dict[str, Value] = {}
    for name in FIELDS:
        value = seen.value(name)
        if value is None or (version is Version.OLDER and name in HELD_BACK_WHEN_OLDER):
            continue
        if name in COUNTS:
            if value != known.space.value(name):
                counts[name] = value
            continue
        if name == "speaker_ids":
            believed: Value | None = _ever(known.space.speaker_ids, seen.speaker_ids)
        elif name == "host_ids":
            known, believed = _hosts(known, seen.host_ids or (), version, now=now, patience=patience)
        else:
            known, believed = _weighed(known, name, value, version, now=now, patience=patience)
        if believed is not None and _is_news(name, known.space.value(name), believed):
            changes[name] = believed
    return Merge(replace(known, space=known.space.with_values(counts)) if counts else known, changes)


def _is_news(name: str, before: Value | None, value: Value) -> bool:
    """Return whether a value adds to what is known; an empty list for an unknown field does not."""
    return not same(name, before, value) and not (before is None and value == ())


def _ever(before: tuple[str, ...] | None, seen: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return everyone ever seen: X's list shrinks and grows again, so nobody is reported to have left."""
    return tuple(dict.fromkeys((*(before or ()), *(seen or ()))))


def _weighed(
    known: KnownSpace, name: str, value: Value, version: Version, *, now: float, patience: Patience
) -> tuple[KnownSpace, Value | None]:
    """Return a value at once or when it is confirmed; None until then.

    Doubtful are a return to a former value that no newer timestamp proves (E4), and an empty list in place of
    a filled one (E5).
    """
    before = known.space.value(name)
    if before is None or same(name, before, value):
        return dismiss(known, name), value
    meant, left = meaning(name, value), meaning(name, before)
    if meant is None or left is None:
        return known, None
    is_return = version is not Version.NEWER and is_former(known, name, meant)
    if is_return or value == ():
        needed = patience.needed * (return_factor(known, name) if is_return else 1)
        claim = canonical({name: meant})
        known, sure = confirm(known, name, claim, now=now, needed=needed, apart=patience.apart)
        if not sure:
            return known, None
    known = note_return(known, name) if is_return else note_new_meaning(known, name)
    return note_former(dismiss(known, name), name, [left], [meant]), value


def _hosts(
    known: KnownSpace, seen: tuple[str, ...], version: Version, *, now: float, patience: Patience
) -> tuple[KnownSpace, tuple[str, ...]]:
    """Return the hosts: new ones at once; that hosts left, or came back, only when it is confirmed.

    Those who seem to have left stay hosts until then. In an older answer only new hosts count.
    """
    before = known.space.host_ids or ()
    now_hosts, hosts_before = set(seen), set(before)
    if now_hosts == hosts_before:
        return dismiss(known, "host_ids") if version is not Version.OLDER else known, seen
    added = [host for host in seen if host not in hosts_before]
    back = [host for host in added if is_former(known, "host_ids", host) and version is not Version.NEWER]
    missing = [host for host in before if host not in now_hosts]
    new = [host for host in added if host not in back]
    if version is Version.OLDER:
        return known, (*before, *new)
    known = note_new_meaning(known, "host_ids") if new else known
    if not missing and not back:
        return note_former(dismiss(known, "host_ids"), "host_ids", [], new, most=MAX_FORMER_HOSTS), seen
    claim = ",".join(sorted(missing)) + "+".join(["", *sorted(back)])
    needed = patience.needed * return_factor(known, "host_ids")
    known, sure = confirm(known, "host_ids", claim, now=now, needed=needed, apart=patience.apart)
    if not sure:
        known = note_former(known, "host_ids", [], new, most=MAX_FORMER_HOSTS)
        return known, (*(host for host in seen if host not in back), *missing)
    known = note_return(known, "host_ids") if back or "host_ids" in known.returns else known
    return note_former(known, "host_ids", missing, added, most=MAX_FORMER_HOSTS), seen
