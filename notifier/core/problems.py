"""What X's problem documents mean, judged by their content before any status.

X says the same thing in many forms: a problem document (RFC 9457) with a type of its own, one of type
``about:blank`` with a title or a status, or the numbered errors of the API before it. All of them also occur
inside an answer with status 200.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

DETAIL_LENGTH: Final = 200


class FailureKind(StrEnum):
    """Why a call to X gave no observation (docs/architecture.md, "When something fails")."""

    UNAVAILABLE = "unavailable"  # 5xx, an edge page, a broken or empty body, no connection, a time-out
    RATE_LIMITED = "rate_limited"  # the window's requests are used up: wait for its reset
    TOO_FAST = "too_fast"  # a limit of another kind, as one request a second: a moment later will do
    USAGE_CAPPED = "usage_capped"  # the month's cap is reached, however many requests seem to be left
    CREDITS_DEPLETED = "credits_depleted"  # the purse is empty: waiting for a reset is useless
    UNAUTHORIZED = "unauthorized"  # 401 or 403: the credentials do not reach
    REFUSED = "refused"  # 400: X does not accept the question
    HELD_BACK = "held_back"  # our own budget did not let the request out


class SubjectStatus(StrEnum):
    """What X says of one subject instead of answering for it."""

    NOT_FOUND = "not_found"
    SUSPENDED = "suspended"
    PROTECTED = "protected"  # not authorized for this resource: a protected account, a Space that is hidden
    UNANSWERED = "unanswered"  # an error of X's own for this subject alone


BY_TYPE: Final[Mapping[str, FailureKind]] = {
    "credits": FailureKind.CREDITS_DEPLETED,
    "usage-capped": FailureKind.USAGE_CAPPED,
    "rate-limit-exceeded": FailureKind.RATE_LIMITED,
    "client-forbidden": FailureKind.UNAUTHORIZED,
    "unsupported-authentication": FailureKind.UNAUTHORIZED,
    "oauth1-permissions": FailureKind.UNAUTHORIZED,
    "invalid-request": FailureKind.REFUSED,
    "internal-error": FailureKind.UNAVAILABLE,
    "resource-unavailable": FailureKind.UNAVAILABLE,
}
"""By the last segment of a problem's type."""

BY_WORDS: Final[Mapping[str, FailureKind]] = {
    "creditsdepleted": FailureKind.CREDITS_DEPLETED,
    "spendcap": FailureKind.CREDITS_DEPLETED,
    "usagecap": FailureKind.USAGE_CAPPED,
}
"""By words of a title or detail, which hold whatever the type and the status: letters only, lower-case."""

BY_CODE: Final[Mapping[int, FailureKind]] = {
    88: FailureKind.RATE_LIMITED,
    130: FailureKind.UNAVAILABLE,  # over capacity
    131: FailureKind.UNAVAILABLE,  # internal error
    **dict.fromkeys((32, 64, 89, 99, 135, 215, 326, 453), FailureKind.UNAUTHORIZED),
}
"""By the numbered errors of X's older API."""

BY_STATUS: Final[Mapping[int, FailureKind]] = {
    400: FailureKind.REFUSED,
    401: FailureKind.UNAUTHORIZED,
    402: FailureKind.CREDITS_DEPLETED,
    403: FailureKind.UNAUTHORIZED,
    429: FailureKind.RATE_LIMITED,
    **dict.fromkeys(range(500, 600), FailureKind.UNAVAILABLE),
}

NOT_LETTERS: Final = re.compile(r"[^a-z]")


def problems(body: object) -> Iterator[Mapping[str, Any]]:
    """Yield the problem that a body is, if it is an object, and those that its ``errors`` list."""
    listed = body.get("errors") if isinstance(body, dict) else None
    for problem in [body, *(listed if isinstance(listed, list) else [])]:
        if isinstance(problem, dict):
            yield problem


def problem_type(problem: Mapping[str, Any]) -> str:
    """Return the last path segment of a problem's type: X moved the host between its two contracts."""
    named = problem.get("type")
    return named.rstrip("/").rsplit("/", 1)[-1] if isinstance(named, str) else ""


def failure_kind(body: object) -> FailureKind | None:
    """Judge a body by its content; None where it says nothing of why a call failed."""
    found = list(problems(body))
    for judge in (_by_words, _by_type, _by_code, _by_status):
        for problem in found:
            kind = judge(problem)
            if kind is not None:
                return kind
    return None


def names_resource(problem: Mapping[str, Any]) -> bool:
    """Tell whether a problem is about one resource rather than about the call."""
    return isinstance(problem.get("resource_id"), str) or (
        isinstance(problem.get("resource_type"), str) and isinstance(problem.get("value"), str)
    )


def subject_status(problem: Mapping[str, Any]) -> SubjectStatus:
    """Tell what a problem that names a resource says of it.

    A suspended account has the type of one that does not exist; only title and detail tell them apart.
    """
    kind, words = problem_type(problem), _words(problem)
    if "suspended" in words:
        return SubjectStatus.SUSPENDED
    if kind.startswith("not-authorized") or any(
        word in words for word in ("authorizationerror", "notauthorized", "protected", "forbidden")
    ):
        return SubjectStatus.PROTECTED
    return SubjectStatus.NOT_FOUND if kind == "resource-not-found" else SubjectStatus.UNANSWERED


def explain(problem: Mapping[str, Any]) -> str:
    """Return what a problem says for people, its own words, cut to a line."""
    for name in ("message", "detail", "title"):
        text = problem.get(name)
        if isinstance(text, str) and text.strip():
            return text.strip()[:DETAIL_LENGTH]
    return "no explanation"


def _words(problem: Mapping[str, Any]) -> str:
    texts = (problem.get(name) for name in ("title", "detail", "message"))
    return " ".join(NOT_LETTERS.sub("", text.lower()) for text in texts if isinstance(text, str))


def _by_words(problem: Mapping[str, Any]) -> FailureKind | None:
    words = _words(problem)
    return next((kind for said, kind in BY_WORDS.items() if said in words), None)


def _by_type(problem: Mapping[str, Any]) -> FailureKind | None:
    return BY_TYPE.get(problem_type(problem))


def _by_code(problem: Mapping[str, Any]) -> FailureKind | None:
    code = problem.get("code")
    return BY_CODE.get(code) if isinstance(code, int) else None


def _by_status(problem: Mapping[str, Any]) -> FailureKind | None:
    status = problem.get("status")
    return BY_STATUS.get(status) if isinstance(status, int) else None
