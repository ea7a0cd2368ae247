"""Observations: one question to X and what came back for each Space.

They are made from X's answers in :mod:`notifier.core.model.answers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from notifier.core.model.ids import SpaceId
from notifier.core.model.problems import FailureKind, SubjectStatus
from notifier.core.model.space import Space, User


class Call(StrEnum):
    """The calls of X's API that we make; the value names the rate bucket in records and metrics."""

    LOOKUP = "lookup"
    CREATORS = "creators"
    SEARCH = "search"
    USERS = "users"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call.

    Attributes:
        retry_at: The epoch second before which asking again is useless, where known.
        refused: The subjects of the question that X does not accept, where it names them.
        suspects_subjects: Whether one of the subjects may be what X chokes on, rather than the call.
    """

    kind: FailureKind
    detail: str
    retry_at: float | None = None
    refused: tuple[str, ...] = ()
    suspects_subjects: bool = False


class People(StrEnum):
    """Whose profiles a question about Spaces asks for; X may bill each of them as a read."""

    NOBODY = "nobody"
    CREATOR = "creator"  # without its creator, a Space that is not known yet cannot be matched
    ON_STAGE = "on_stage"  # hosts and speakers as well
    WITH_GUESTS = "with_guests"  # and those who were invited

    @property
    def costs_extra(self) -> bool:
        """Whether more people are asked for than a Space needs to be matched."""
        return self in (People.ON_STAGE, People.WITH_GUESTS)


MOST_RESULTS: Final = 100
"""How many Spaces a search may show (X's OpenAPI document)."""


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked: Space ids, creator ids, user names, or the one query of a search.

    ``max_results``: how many Spaces a search may show, 1 to :data:`MOST_RESULTS`.
    """

    call: Call
    subjects: tuple[str, ...]
    people: People = People.WITH_GUESTS
    max_results: int = MOST_RESULTS


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One Space as X described it in one answer."""

    space: Space
    users: Mapping[str, User] = field(default_factory=dict)


class Presence(StrEnum):
    """What an answer says of one Space."""

    SEEN = "seen"
    NOT_FOUND = "not_found"  # a healthy answer that names the Space as not found (E2)
    INACCESSIBLE = "inaccessible"  # a healthy lookup neither shows the Space nor calls it missing (E7)
    ABSENT = "absent"  # simply not there: says nothing (E1)
    FAILED = "failed"  # the call failed: says nothing (E8)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one observation says of one Space. Times are epoch seconds."""

    space_id: SpaceId
    presence: Presence
    began_at: float
    answered_at: float
    snapshot: Snapshot | None = None


@dataclass(frozen=True, slots=True)
class Remark:
    """What X says of one subject instead of answering for it; ``detail`` is in its own words."""

    status: SubjectStatus
    detail: str


@dataclass(frozen=True, slots=True)
class Observation:
    """One question to X and its answer. Times are epoch seconds by our clock.

    Attributes:
        not_found: The subjects that a lookup, or the question for names, calls missing.
        remarks: What X says of the other subjects that it names among the errors.
        is_partial: Whether an error that names no resource stands beside the data: what is left out then
            says nothing.
    """

    question: Question
    began_at: float
    answered_at: float
    snapshots: Mapping[SpaceId, Snapshot] = field(default_factory=dict)
    not_found: frozenset[str] = frozenset()
    users: Mapping[str, User] = field(default_factory=dict)
    remarks: Mapping[str, Remark] = field(default_factory=dict)
    is_partial: bool = False
    failure: Failure | None = None

    def evidence(self, space_id: SpaceId) -> Evidence:
        """Return what this observation tells of one Space; data wins where data and errors name it (E7)."""
        snapshot = self.snapshots.get(space_id)
        if self.failure is not None:
            presence = Presence.FAILED
        elif snapshot is not None:
            presence = Presence.SEEN
        elif self.question.call is Call.LOOKUP and space_id in self.not_found:
            presence = Presence.NOT_FOUND
        elif self._leaves_open(space_id):
            presence = Presence.INACCESSIBLE
        else:
            presence = Presence.ABSENT
        return Evidence(space_id, presence, self.began_at, self.answered_at, snapshot)

    @property
    def is_truncated(self) -> bool:
        """Whether a search has as many results as one answer holds, so that there may be more."""
        return self.question.call is Call.SEARCH and len(self.snapshots) >= self.question.max_results

    def is_answered(self, subject: str) -> bool:
        """Return whether what is listed is all that there is for a subject, as far as X says.

        It is not where X names the subject among its errors: nobody has looked for its Spaces.
        """
        remark = self.remarks.get(subject)
        return remark is None or remark.status is SubjectStatus.NOT_FOUND

    def _leaves_open(self, space_id: SpaceId) -> bool:
        """Return whether a healthy lookup says neither that a Space is there nor that it is missing."""
        is_asked = self.question.call is Call.LOOKUP and space_id in self.question.subjects
        return is_asked and (space_id in self.remarks or not self.is_partial)


def failed(question: Question, failure: Failure, began_at: float, answered_at: float) -> Observation:
    """Return the observation of a call that failed."""
    return Observation(question, began_at, answered_at, failure=failure)
