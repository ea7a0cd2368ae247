"""What we know of a Space between two polls, and how sure we are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, TypeAlias

from notifier.core.model.ids import EventId
from notifier.core.model.space import FIELD_KINDS, FieldKind, Phase, Space, User

WITHOUT_CONTENT: Final = frozenset({"phase", "gone", "updated_at"})
"""What doubts and former meanings are about that repeat nothing of a Space's content."""

Meaning: TypeAlias = str | float | list[str]


@dataclass(frozen=True, slots=True)
class Doubt:
    """A claim that has been seen but not often enough to be believed (rules E2 to E6).

    Attributes:
        claim: What was seen, in a form that can be compared.
        count: How many times, each at least ``confirm_seconds`` after the one before.
        first_at: When it was seen first, epoch seconds.
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
        phase: Where the Space is in its life.
        sequence: Sequence of the last event, 0 before the first.
        began_at: When the request of the last applied observation began; older answers are dropped (E4).
        observed_at: When the Space was last seen in a phase that is believed; a not-found does not move it.
        peak_participant_count: The highest count seen.
        phase_since: When the present phase was first observed; over: when to count down to forgetting from.
        missing_since: When X first said not-found without a sighting since, for the mass-vanish rule (E2).
        unclear_since: Since when lookups leave open whether the Space is there; nothing shows it (E7).
        has_unknown_state: Whether the last sighting had a word for its state that we do not know (E6).
        listed: The lists that show the Space, and when each did last (:mod:`notifier.core.spaces.lists`).
        started_event: The event of the start, for as long as that may turn out wrong.
        retractable: The event of the end or cancellation that later sightings may contradict.
        is_over_by_word: Whether X itself said that the Space is over; otherwise that was inferred.
        gone_since: When X stopped having the Space, as far as that is believed: its content must go.
        erased: Whether its content has gone: what is left is ids, times and types.
        told: Occasions that are told once and have been (see :mod:`notifier.core.spaces.plan`).
        doubts: Claims that still need confirmation, by what they are about.
        former: What fields meant before, the latest first: a return to that is doubtful (E4).
        returns: How many returns in a row were believed, by field: each makes the next one harder to believe.
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
    told: tuple[str, ...] = ()
    doubts: Mapping[str, Doubt] = field(default_factory=dict)
    former: Mapping[str, tuple[Meaning, ...]] = field(default_factory=dict)
    returns: Mapping[str, int] = field(default_factory=dict)
    users: Mapping[str, User] = field(default_factory=dict)

    @property
    def is_unclear(self) -> bool:
        """Whether nobody can say at present how the Space is doing: nothing is announced of it."""
        return self.has_unknown_state or self.unclear_since is not None

    @property
    def has_content(self) -> bool:
        """Whether anything is kept that has to go with the content of the Space."""
        repeated = (self.doubts.keys() | self.former.keys()) - WITHOUT_CONTENT
        return bool(self.space != self.space.without_content() or self.users or repeated)

    def without_content(self) -> KnownSpace:
        """Return what may be kept of a Space that X does not have any more."""
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

        What has its default is left out: a hundred thousand of these are kept at once.
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
    """Read back what :meth:`KnownSpace.as_json` wrote."""
    raw_space = dict(record["space"])
    for name, kind in FIELD_KINDS.items():
        if kind is FieldKind.IDS and name in raw_space:
            raw_space[name] = tuple(raw_space[name])
    values = dict(record) | {
        "space": Space(**raw_space),
        "phase": Phase(record["phase"]),
        "told": tuple(record.get("told", ())),
        "doubts": {name: Doubt(*parts) for name, parts in record.get("doubts", {}).items()},
        "former": {name: tuple(meanings) for name, meanings in record.get("former", {}).items()},
        "users": {user_id: User(user_id, *names) for user_id, *names in record.get("users", ())},
    }
    return KnownSpace(**values)


def confirm(
    known: KnownSpace, about: str, claim: str, *, now: float, needed: float, apart: float, span: float = 0.0
) -> tuple[KnownSpace, bool]:
    """Count a claim once more and return whether it has now been seen often enough.

    A sighting less than ``apart`` seconds after the last counted one does not count, nor does the same one
    again, however small ``apart`` is. Another claim about the
    same thing starts again. A confirmed claim is no doubt any more and leaves the record.
    It must have been seen for ``span`` seconds at least.
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
    """Forget a doubt that a sighting contradicts or confirms."""
    if about not in known.doubts:
        return known
    return replace(known, doubts={name: doubt for name, doubt in known.doubts.items() if name != about})
