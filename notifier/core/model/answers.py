"""Reading X's answers: parsed JSON of any shape becomes an observation, at worst a failed call (E8)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from notifier.core.model.ids import SpaceId
from notifier.core.model.observation import (
    Call,
    Failure,
    Observation,
    Question,
    Remark,
    Snapshot,
    failed,
)
from notifier.core.model.problems import (
    FailureKind,
    SubjectStatus,
    explain,
    failure_kind,
    names_resource,
    subject_status,
)
from notifier.core.model.space import Space, User, read_space, read_user

MIN_FAILING_STATUS: Final = 400

SPACE_ID: Final = re.compile(r"[A-Za-z0-9]{1,64}")
"""What counts as a Space's id. X's pattern ends at 13 characters; this leaves room for longer ids."""


def read_answer(question: Question, body: object, began_at: float, answered_at: float) -> Observation:
    """Return the observation in the parsed body of a 200; a body that breaks the contract is a failed call.

    Null means left out, everywhere. Without data, an error that names no resource, or a count of results,
    means that the call failed: the list is missing, not empty.
    """
    document = (
        {name: part for name, part in body.items() if part is not None} if isinstance(body, dict) else {}
    )
    failure = _failure(body, document)
    if failure is not None:
        return failed(question, failure, began_at, answered_at)
    users: dict[str, User] = {user.id: user for user in _users(question, document)}
    snapshots: dict[SpaceId, Snapshot] = {}
    if question.call is not Call.USERS:
        for raw in _records(document.get("data")):
            space_id = SpaceId(str(raw["id"]))
            space = _of_lone_creator(question, read_space(space_id, raw))
            twin = snapshots.get(space_id)
            if twin is None or len(space.known()) > len(twin.space.known()):
                related = {person: users[person] for person in space.people() if person in users}
                snapshots[space_id] = Snapshot(space, related)
    remarks = dict(_remarks(question, document))
    polls_for_missing = question.call in (Call.LOOKUP, Call.USERS)
    not_found = {
        subject
        for subject, remark in remarks.items()
        if polls_for_missing and remark.status is SubjectStatus.NOT_FOUND
    }
    return Observation(
        question,
        began_at,
        answered_at,
        snapshots=snapshots,
        not_found=frozenset(not_found),
        users=users,
        remarks={subject: remark for subject, remark in remarks.items() if subject not in not_found},
        is_partial=any(True for _ in _unnamed(document)),
    )


def _of_lone_creator(question: Question, space: Space) -> Space:
    """Return a Space with its creator filled in if X does not name it and only one creator was requested."""
    if space.creator_id is not None or question.call is not Call.CREATORS or len(question.subjects) > 1:
        return space
    return replace(space, creator_id=question.subjects[0])


def _failure(body: object, document: Mapping[str, Any]) -> Failure | None:
    """Return why the body of a 200 is no answer, None if it is one."""
    misshapen = _misshapen(body, document)
    if misshapen is not None:
        kind = failure_kind(body) or FailureKind.UNAVAILABLE
        return Failure(kind, misshapen, suspects_subjects=True)
    if any(_records(document.get("data"))):
        return None
    unnamed = next(_unnamed(document), None)
    if unnamed is not None:
        kind = failure_kind(unnamed) or FailureKind.UNAVAILABLE
        detail = f"HTTP 200 with an error and no data: {explain(unnamed)}"
        return Failure(kind, detail, suspects_subjects=kind is not FailureKind.CREDITS_DEPLETED)
    if _result_count(document) or _has_content(document.get("data")):
        detail = "the answer claims to have results but contains none that can be read"
        return Failure(FailureKind.UNAVAILABLE, detail, suspects_subjects=True)
    return None


def _misshapen(body: object, document: Mapping[str, Any]) -> str | None:
    if not isinstance(body, dict):
        return "the body is not a JSON object"
    if not any(key in document for key in ("data", "errors", "meta")):
        return f"the body has neither data nor errors nor meta: {explain(document)}"
    data = document.get("data", [])
    if not isinstance(data, list | dict) or (not data and not isinstance(document.get("errors", []), list)):
        return "data or errors has the wrong form"
    return None


def _has_content(data: object) -> bool:
    return bool(data) and (not isinstance(data, list) or any(each is not None for each in data))


def _result_count(document: Mapping[str, Any]) -> int:
    """Return how many results an answer claims to have; 0 if it does not say."""
    meta = document.get("meta")
    count = meta.get("result_count") if isinstance(meta, dict) else None
    if isinstance(count, str) and count.isascii() and count.isdigit():
        return int(count[:9])
    return count if isinstance(count, int) else 0


def _errors(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the errors that an answer lists; a plain text is an error with that message."""
    listed = document.get("errors")
    found = listed if isinstance(listed, list) else []
    return [each if isinstance(each, dict) else {"message": str(each)} for each in found if each is not None]


def _unnamed(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the errors of an answer that name no resource; the answer itself may be one of them."""
    status = document.get("status")
    is_failing = isinstance(status, int) and status >= MIN_FAILING_STATUS
    if (is_failing or any(key in document for key in ("error", "title", "code"))) and not names_resource(
        document
    ):
        message = document.get("error")
        yield {"message": message, **document} if isinstance(message, str) else document
    yield from (problem for problem in _errors(document) if not names_resource(problem))


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


def _remarks(question: Question, document: Mapping[str, Any]) -> Iterator[tuple[str, Remark]]:
    """Yield what X says about subjects of the question; errors about other resources are skipped."""
    is_about_names = question.call is Call.USERS
    resource = "space" if question.call is Call.LOOKUP else "user"
    asked = {each.casefold() if is_about_names else each: each for each in question.subjects}
    for problem in _errors(document):
        named = problem.get("resource_id") or problem.get("value")
        if problem.get("resource_type") != resource or not isinstance(named, str):
            continue
        # Ids are case-sensitive, names are not.
        subject = asked.get(named.casefold() if is_about_names else named)
        if subject is not None:
            yield subject, Remark(subject_status(problem), explain(problem))
