"""Observations: one question to X and what came back for each Space.

:mod:`notifier.core.model.answers` makes them from X's answers.
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
        retry_at: The epoch second before which asking again is useless, if known.
        refused: The subjects of the question that X does not accept, if it names them.
        suspects_subjects: Whether one of the subjects, rather than the call, may be what makes X fail.
    """

    kind: FailureKind
    detail: str
    retry_at: float | None = None
    refused: tuple[str, ...] = ()
    suspects_subjects: bool = False


class People(StrEnum):
    """Whose profiles a question about Spaces requests; X may bill each of them as a read."""

    NOBODY = "nobody"
    CREATOR = "creator"  # without its creator, an unknown Space cannot be matched
    ON_STAGE = "on_stage"  # hosts and speakers as well
    WITH_GUESTS = "with_guests"  # and those who were invited

    @property
    def costs_extra(self) -> bool:
        """Whether more people are requested than matching a Space needs."""
        return self in (People.ON_STAGE, People.WITH_GUESTS)


MAX_RESULTS: Final = 100
"""How many Spaces a search may show (X's OpenAPI document)."""


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked: Space ids, creator ids, user names, or the one query of a search.

    ``max_results``: how many Spaces a search may show, 1 to :data:`MAX_RESULTS`.
    """

    call: Call
    subjects: tuple[str, ...]
    people: People = People.WITH_GUESTS
    max_results: int = MAX_RESULTS


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One Space as X described it in one answer."""

    space: Space
    users: Mapping[str, User] = field(default_factory=dict)


class Presence(StrEnum):
    """What an answer says about one Space."""

    SEEN = "seen"
    NOT_FOUND = "not_found"  # a healthy answer that names the Space as not found (E2)
    INACCESSIBLE = "inaccessible"  # a healthy lookup neither shows the Space nor reports it missing (E7)
    ABSENT = "absent"  # not in a list: says nothing (E1)
    FAILED = "failed"  # the call failed: says nothing (E8)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one observation says about one Space. Times are epoch seconds."""

    space_id: SpaceId
    presence: Presence
    began_at: float
    answered_at: float
    snapshot: Snapshot | None = None


@dataclass(frozen=True, slots=True)
class Remark:
    """What X says about one subject instead of an answer; ``detail`` is in its own words."""

    status: SubjectStatus
    detail: str


@dataclass(frozen=True, slots=True)
class Observation:
    """One question to X and its answer. Times are epoch seconds by our clock.

    Attributes:
        not_found: The subjects that a lookup, or a question for names, reports as missing.
        remarks: What X says about the other subjects that it names among the errors.
        is_partial: Whether the data comes with an error that names no resource, so that what is left out says
            nothing.
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
        """Return what this observation says about one Space; data wins over errors that name it (E7)."""
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
        """Whether a search has as many results as fit in one answer, so that there may be more."""
        return self.question.call is Call.SEARCH and len(self.snapshots) >= self.question.max_results

    def is_answered(self, subject: str) -> bool:
        """Return whether the answer lists everything that X has for a subject.

        It does not if X names the subject among its errors.
        """
        remark = self.remarks.get(subject)
        return remark is None or remark.status is SubjectStatus.NOT_FOUND

    def _leaves_open(self, space_id: SpaceId) -> bool:
        """Return whether a healthy lookup says neither that a Space exists nor that it is missing."""
        is_asked = self.question.call is Call.LOOKUP and space_id in self.question.subjects
        return is_asked and (space_id in self.remarks or not self.is_partial)


def failed(question: Question, failure: Failure, began_at: float, answered_at: float) -> Observation:
    """Return the observation of a call that failed."""
    return Observation(question, began_at, answered_at, failure=failure)
