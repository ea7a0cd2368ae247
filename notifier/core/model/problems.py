"""What X's problem documents mean, by their content first and then by their status.

X says the same thing in many forms: a problem document (RFC 9457) with a type of its own, one of type
``about:blank`` with a title or a status, or the numbered errors of its older API. All of them also occur
inside an answer with status 200.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

DETAIL_LENGTH: Final = 200
NO_EXPLANATION: Final = "no explanation"


class FailureKind(StrEnum):
    """Why a call to X returned no observation (docs/architecture.md, "When something fails")."""

    UNAVAILABLE = "unavailable"  # 5xx, an edge page, a broken or empty body, no connection, a time-out
    RATE_LIMITED = "rate_limited"  # the window's requests are used up: wait for its reset
    TOO_FAST = "too_fast"  # refused with requests left in every window: ask again, at growing intervals
    USAGE_CAPPED = "usage_capped"  # the monthly cap is reached, however many requests seem to be left
    CREDITS_DEPLETED = "credits_depleted"  # no credits are left: waiting for a reset is useless
    UNAUTHORIZED = "unauthorized"  # the credentials are not accepted
    REFUSED = "refused"  # X does not accept the question
    HELD_BACK = "held_back"  # our own budget did not allow the request


class SubjectStatus(StrEnum):
    """What X says about one subject instead of an answer."""

    NOT_FOUND = "not_found"
    SUSPENDED = "suspended"
    PROTECTED = "protected"  # not authorized for this resource: a protected account, a hidden Space
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
    "usagecap": FailureKind.USAGE_CAPPED,
    "spendcap": FailureKind.CREDITS_DEPLETED,
    "creditsdepleted": FailureKind.CREDITS_DEPLETED,
    "anycreditstofulfill": FailureKind.CREDITS_DEPLETED,
}
"""By words in a title, or else in a detail, whatever the status: letters only, lower-case."""

BY_TITLE: Final[Mapping[str, FailureKind]] = {
    **dict.fromkeys(("toomanyrequests", "ratelimitexceeded"), FailureKind.RATE_LIMITED),
    **dict.fromkeys(
        (
            *("unauthorized", "forbidden", "clientforbidden", "unsupportedauthentication"),
            *("invalidorexpiredtoken", "couldnotauthenticateyou", "badauthenticationdata"),
        ),
        FailureKind.UNAUTHORIZED,
    ),
    **dict.fromkeys(
        (
            *("serviceunavailable", "overcapacity", "internalerror", "internalservererror"),
            *("badgateway", "gatewaytimeout", "timeout", "operationaldisconnect"),
        ),
        FailureKind.UNAVAILABLE,
    ),
    "paymentrequired": FailureKind.CREDITS_DEPLETED,
    "invalidrequest": FailureKind.REFUSED,
}
"""By the whole title, or the whole message of a numbered error, if no type and no cap says more."""

BY_CODE: Final[Mapping[int, FailureKind]] = {
    88: FailureKind.RATE_LIMITED,
    130: FailureKind.UNAVAILABLE,  # over capacity
    131: FailureKind.UNAVAILABLE,  # internal error
    **dict.fromkeys((25, 195, 214), FailureKind.REFUSED),
    **dict.fromkeys(
        (32, 37, 64, 87, 89, 93, 99, 135, 215, 220, 239, 326, 416, 453), FailureKind.UNAUTHORIZED
    ),
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

QUOTED: Final = re.compile(r"\[[^\]]*\]")
"""X quotes parts of a question in brackets."""

MESSAGE_LENGTH: Final = 10_000
NUMBER_DIGITS: Final = 4


def problems(body: object) -> Iterator[Mapping[str, Any]]:
    """Yield a body itself, if it is an object, and the problems in its ``errors``."""
    if not isinstance(body, dict):
        return
    yield body
    for listed in (body.get("errors"), body.get("error")):
        for problem in listed if isinstance(listed, list) else [listed]:
            if isinstance(problem, dict):
                yield problem


def problem_type(problem: Mapping[str, Any]) -> str:
    """Return the last path segment of a problem's type: the host differs between X's two contracts."""
    named = problem.get("type")
    return named.rstrip("/").rsplit("/", 1)[-1] if isinstance(named, str) else ""


def failure_kind(body: object) -> FailureKind | None:
    """Return why a call failed by the content of its body; None if the body does not say."""
    found = [problem for problem in problems(body) if not names_resource(problem)]
    for judge in (_by_cap, _by_type, _by_words, _by_title, _by_code, _by_status):
        for problem in found:
            kind = judge(problem)
            if kind is not None:
                return kind
    return None


def names_resource(problem: Mapping[str, Any]) -> bool:
    """Return whether a problem is about one resource rather than about the call."""
    return isinstance(problem.get("resource_id"), str) or (
        isinstance(problem.get("resource_type"), str) and isinstance(problem.get("value"), str)
    )


def subject_status(problem: Mapping[str, Any]) -> SubjectStatus:
    """Return what a problem that names a resource says about it.

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
    """Return a problem's explanation for people, in its own words, cut to one line."""
    for name in ("message", "detail", "title", "error"):
        text = problem.get(name)
        if isinstance(text, str) and text.strip():
            return text.strip()[:DETAIL_LENGTH]
    return NO_EXPLANATION


def _words(problem: Mapping[str, Any], *names: str) -> str:
    texts = (problem.get(name) for name in names or ("title", "detail", "message"))
    return " ".join(_letters(text) for text in texts if isinstance(text, str))


def _letters(text: str) -> str:
    return NOT_LETTERS.sub("", QUOTED.sub("", text[:MESSAGE_LENGTH]).lower())


def _by_cap(problem: Mapping[str, Any]) -> FailureKind | None:
    return _named(_words(problem, "title"))


def _by_type(problem: Mapping[str, Any]) -> FailureKind | None:
    return BY_TYPE.get(problem_type(problem))


def _by_words(problem: Mapping[str, Any]) -> FailureKind | None:
    if "parameter" in problem or "parameters" in problem:
        return None  # its words may be those of a query
    return _named(_words(problem, "detail", "message", "error"))


def _named(words: str) -> FailureKind | None:
    return next((kind for said, kind in BY_WORDS.items() if said in words), None)


def _by_title(problem: Mapping[str, Any]) -> FailureKind | None:
    names = ("title", "message", "error")
    return next((kind for name in names if (kind := BY_TITLE.get(_words(problem, name)))), None)


def _by_code(problem: Mapping[str, Any]) -> FailureKind | None:
    code = _number(problem.get("code"))
    return None if code is None else BY_CODE.get(code)


def _by_status(problem: Mapping[str, Any]) -> FailureKind | None:
    status = _number(problem.get("status"))
    return None if status is None else BY_STATUS.get(status)


def _number(value: object) -> int | None:
    """Return a small number that X writes as a number or as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= NUMBER_DIGITS:
        return int(value)
    return value if isinstance(value, int) else None
