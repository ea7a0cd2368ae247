"""What we know about a Space between two polls, and how certain it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, TypeAlias

from notifier.core.model.ids import EventId
from notifier.core.model.space import FIELD_KINDS, FieldKind, Phase, Space, User

WITHOUT_CONTENT: Final = frozenset({"phase", "gone", "updated_at"})
"""Names of doubts and former values that hold none of a Space's content."""

Meaning: TypeAlias = str | float | list[str]


@dataclass(frozen=True, slots=True)
class Doubt:
    """A claim that has been seen but not often enough to be believed (rules E2 to E6).

    Attributes:
        claim: What was seen, in a form that can be compared.
        count: How many times, each at least ``confirm_seconds`` after the one before.
        first_at: When it was first seen, epoch seconds.
        last_at: When it was last counted, epoch seconds.
    """

    claim: str
    count: int
    first_at: float
    last_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSpace:
    """The known state of one Space.

    Attributes:
        space: Every field as last believed; replaying the events gives the same (law 2).
        phase: The phase of the Space.
        sequence: Sequence of the last event, 0 before the first.
        began_at: When the request of the last applied observation began; older answers are dropped (E4).
        observed_at: When the Space was last seen in a phase that is believed; a not-found does not move it.
        peak_participant_count: The highest count seen.
        phase_since: When the present phase was first observed. A Space that is over is forgotten some time
            after it.
        missing_since: The first not-found since the last sighting, for the mass-vanish rule (E2).
        unclear_since: Since when lookups have neither shown the Space nor reported it missing (E7).
        has_unknown_state: Whether the last sighting had a value of ``state`` that we do not know (E6).
        listed: The lists that show the Space, and when each last did (:mod:`notifier.core.spaces.lists`).
        started_event: The event of the start, as long as it may turn out to be wrong.
        retractable: The event of the end or cancellation that later sightings may contradict.
        is_over_by_word: Whether X stated that the Space is over; otherwise that was inferred.
        gone_since: Since when X no longer has the Space, once that is believed: its content must be erased.
        erased: Whether its content has been erased; ids, times and types are left.
        announced: The reminders and overdue starts that were announced (:mod:`notifier.core.spaces.plan`).
        doubts: Claims that still need confirmation, by what they are about.
        former: The former values of fields, the latest first: a return to one of them is doubtful (E4).
        returns: How many returns in a row were believed, by field: each makes the next one need more proof.
        users: The people whom the Space names, as last described by X.
    """

    space: Space
    phase: Phase
    sequence: int = 0
    began_at: float
    observed_at: float
    phase_since: float
    peak_participant_count: int | None = None
    missing_since: float | None = None
    unclear_since: float | None = None
    has_unknown_state: bool = False
    listed: Mapping[str, float] = field(default_factory=dict)
    started_event: EventId | None = None
    retractable: EventId | None = None
    is_over_by_word: bool = False
    gone_since: float | None = None
    erased: bool = False
    announced: tuple[str, ...] = ()
    doubts: Mapping[str, Doubt] = field(default_factory=dict)
    former: Mapping[str, tuple[Meaning, ...]] = field(default_factory=dict)
    returns: Mapping[str, int] = field(default_factory=dict)
    users: Mapping[str, User] = field(default_factory=dict)

    @property
    def is_unclear(self) -> bool:
        """Whether the state of the Space is unclear at present, so that nothing is announced."""
        return self.has_unknown_state or self.unclear_since is not None

    @property
    def has_content(self) -> bool:
        """Whether anything is kept that has to be erased with the content of the Space."""
        repeated = (self.doubts.keys() | self.former.keys()) - WITHOUT_CONTENT
        return bool(self.space != self.space.without_content() or self.users or repeated)

    def without_content(self) -> KnownSpace:
        """Return what may be kept of a Space that X no longer has."""
        return replace(
            self,
            space=self.space.without_content(),
            doubts={},
            former={},
            returns={},
            users={},
            erased=True,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the record that the store keeps; :func:`read_known` reads it back.

        Fields at their defaults are left out, because there may be a hundred thousand records.
        """
        record: dict[str, Any] = {
            item.name: value
            for item in fields(self)
            if (value := getattr(self, item.name)) is not None and value is not False and value != ()
        }
        record["space"] = self.space.as_json()
        record["doubts"] = {
            name: [doubt.claim, doubt.count, doubt.first_at, doubt.last_at]
            for name, doubt in self.doubts.items()
        }
        record["former"] = {name: list(meanings) for name, meanings in self.former.items()}
        record["users"] = [[user.id, user.name, user.username] for user in self.users.values()]
        return {name: value for name, value in record.items() if value not in ({}, [])}


def read_known(record: Mapping[str, Any]) -> KnownSpace:
    """Return the known Space in a record of :meth:`KnownSpace.as_json`."""
    raw_space = dict(record["space"])
    for name, kind in FIELD_KINDS.items():
        if kind is FieldKind.IDS and name in raw_space:
            raw_space[name] = tuple(raw_space[name])
    values = dict(record) | {
        "space": Space(**raw_space),
        "phase": Phase(record["phase"]),
        "announced": tuple(record.get("announced", ())),
        "doubts": {name: Doubt(*parts) for name, parts in record.get("doubts", {}).items()},
        "former": {name: tuple(meanings) for name, meanings in record.get("former", {}).items()},
        "users": {user_id: User(user_id, *names) for user_id, *names in record.get("users", ())},
    }
    return KnownSpace(**values)


def confirm(
    known: KnownSpace, about: str, claim: str, *, now: float, needed: float, apart: float, span: float = 0.0
) -> tuple[KnownSpace, bool]:
    """Return the state after a claim was seen once more, and whether that was often enough.

    A sighting less than ``apart`` seconds after the last counted one does not count, nor does the same one
    again, however small ``apart`` is. Another claim about the same thing starts over. A confirmed claim
    leaves the record. It must have been seen for at least ``span`` seconds.
    """
    doubt = known.doubts.get(about)
    if doubt is None or doubt.claim != claim:
        doubt = Doubt(claim, 1, now, now)
    elif now > doubt.last_at and now - doubt.last_at >= apart:
        doubt = replace(doubt, count=doubt.count + 1, last_at=now)
    if doubt.count >= needed and now - doubt.first_at >= span:
        return dismiss(known, about), True
    return replace(known, doubts={**known.doubts, about: doubt}), False


def dismiss(known: KnownSpace, about: str) -> KnownSpace:
    """Return the state without a doubt that a sighting contradicts or confirms."""
    if about not in known.doubts:
        return known
    return replace(known, doubts={name: doubt for name, doubt in known.doubts.items() if name != about})
