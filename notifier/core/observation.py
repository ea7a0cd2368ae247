"""Observations: one question to X and what came back for each Space.

Everything here reads parsed JSON of any shape without raising; the worst answer is a failed call (E8).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from notifier.core.ids import SpaceId
from notifier.core.space import Space, User, read_space, read_user

SPACE_ID: Final = re.compile(r"[A-Za-z0-9]{1,64}")
"""What is taken for a Space's id. X's pattern ends at 13; there is room for ids to grow, not for anything."""


class Call(StrEnum):
    """The calls of X's API that we make; the value names the rate bucket in records and metrics."""

    LOOKUP = "lookup"
    CREATORS = "creators"
    SEARCH = "search"
    USERS = "users"


class FailureKind(StrEnum):
    """Why a call to X gave no observation (spec: errors)."""

    UNAVAILABLE = "unavailable"  # 5xx, an edge page, a broken or empty body, no connection, a time-out
    RATE_LIMITED = "rate_limited"  # the window's requests are used up: wait for its reset
    TOO_FAST = "too_fast"  # a limit of another kind, as one request a second: a moment later will do
    USAGE_CAPPED = "usage_capped"  # the month's cap is reached, however many requests seem to be left
    CREDITS_DEPLETED = "credits_depleted"  # the purse is empty: waiting for a reset is useless
    UNAUTHORIZED = "unauthorized"  # 401 or 403: the credentials do not reach
    REFUSED = "refused"  # 400: X does not accept the question
    HELD_BACK = "held_back"  # our own budget did not let the request out


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call.

    Attributes:
        retry_at: The epoch second before which asking again is useless, where known.
        refused: The subjects of the question that X does not accept, where it names them.
    """

    kind: FailureKind
    detail: str
    retry_at: float | None = None
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked: Space ids, creator ids, user names, or the one query of a search.

    ``people``: whether hosts, speakers and guests are asked for too, each of whom X may bill as a read.
    """

    call: Call
    subjects: tuple[str, ...]
    people: bool = True


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One Space as X described it in one answer."""

    space: Space
    users: Mapping[str, User] = field(default_factory=dict)


class Presence(StrEnum):
    """What an answer says of one Space."""

    SEEN = "seen"
    NOT_FOUND = "not_found"  # a healthy answer that names the Space as not found (E2)
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
class Observation:
    """One question to X and its answer. Times are epoch seconds by our clock."""

    question: Question
    began_at: float
    answered_at: float
    snapshots: Mapping[SpaceId, Snapshot] = field(default_factory=dict)
    not_found: frozenset[str] = frozenset()
    users: Mapping[str, User] = field(default_factory=dict)
    failure: Failure | None = None

    def evidence(self, space_id: SpaceId) -> Evidence:
        """Say what this observation tells of one Space; data wins where data and errors name it (E7)."""
        snapshot = self.snapshots.get(space_id)
        if self.failure is not None:
            presence = Presence.FAILED
        elif snapshot is not None:
            presence = Presence.SEEN
        elif self.question.call is Call.LOOKUP and space_id in self.not_found:
            presence = Presence.NOT_FOUND
        else:
            presence = Presence.ABSENT
        return Evidence(space_id, presence, self.began_at, self.answered_at, snapshot)


def failed(question: Question, failure: Failure, began_at: float, answered_at: float) -> Observation:
    """Give the observation of a call that failed."""
    return Observation(question, began_at, answered_at, failure=failure)


def read_answer(question: Question, body: object, began_at: float, answered_at: float) -> Observation:
    """Read the parsed body of a 200. A body that is not what the contract says is a failed call."""
    problem = _misshapen(body)
    if problem is not None:
        return failed(question, Failure(FailureKind.UNAVAILABLE, problem), began_at, answered_at)
    document: Mapping[str, Any] = body if isinstance(body, dict) else {}
    users: dict[str, User] = {user.id: user for user in _users(question, document)}
    snapshots = {}
    if question.call is not Call.USERS:
        for raw in _records(document.get("data")):
            space_id = SpaceId(str(raw["id"]))
            space = read_space(space_id, raw)
            related = {person: users[person] for person in space.people() if person in users}
            snapshots[space_id] = Snapshot(space, related)
    return Observation(
        question,
        began_at,
        answered_at,
        snapshots=snapshots,
        not_found=frozenset(_not_found(question, document.get("errors"))),
        users=users,
    )


def problem_type(problem: Mapping[str, Any]) -> str:
    """Give the last path segment of a problem's type: X moved the host between its two contracts."""
    named = problem.get("type")
    return named.rstrip("/").rsplit("/", 1)[-1] if isinstance(named, str) else ""


def _misshapen(body: object) -> str | None:
    if not isinstance(body, dict):
        return "the body is not a JSON object"
    if not any(key in body for key in ("data", "errors", "meta")):
        return "the body has neither data nor errors nor meta"
    if not isinstance(body.get("data", []), list | dict) or not isinstance(body.get("errors", []), list):
        return "data or errors has the wrong form"
    return None


def _records(data: object) -> Iterator[Mapping[str, Any]]:
    for raw in data if isinstance(data, list) else [data]:
        if isinstance(raw, dict) and isinstance(raw.get("id"), str) and SPACE_ID.fullmatch(raw["id"]):
            yield raw


def _users(question: Question, document: Mapping[str, Any]) -> Iterator[User]:
    includes = document.get("includes")
    lists = [includes.get("users")] if isinstance(includes, dict) else []
    if question.call is Call.USERS:
        lists.append(document.get("data"))
    for raw_users in lists:
        for raw in raw_users if isinstance(raw_users, list) else []:
            user = read_user(raw)
            if user is not None:
                yield user


def _not_found(question: Question, errors: object) -> Iterator[str]:
    """Yield the subjects that X names as not found; errors about other resources say nothing of them."""
    resource = "user" if question.call is Call.USERS else "space"
    for problem in errors if isinstance(errors, list) else []:
        if not isinstance(problem, dict) or problem_type(problem) != "resource-not-found":
            continue
        named = problem.get("resource_id") or problem.get("value")
        if problem.get("resource_type") == resource and named in question.subjects:
            yield str(named)
