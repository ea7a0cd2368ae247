"""What X's answers mean if they are no observation: by their content, then by their status."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from notifier.core.model.observation import Failure
from notifier.core.model.problems import (
    BY_STATUS,
    NO_EXPLANATION,
    FailureKind,
    explain,
    failure_kind,
    problems,
)
from notifier.core.model.retry_after import MAX_RETRY_AFTER_SECONDS, parse_http_date, parse_retry_after
from notifier.core.model.x_clock import XClock
from notifier.core.polling.buckets import DAY_SECONDS
from notifier.source.limits import read_windows, used_up_until

MESSAGE_LENGTH: Final = 10_000

ALLOWED: Final = re.compile(r"is not one of \[([^\]]*)\]")
"""The part of a 400's message that lists the values X would accept."""

NAMED: Final = re.compile(r"query parameter value \[([^\]]*)\]")
"""The part of a 400's message that names the refused value."""

NOBODYS_FAULT: Final = frozenset(
    {
        FailureKind.RATE_LIMITED,
        FailureKind.TOO_FAST,
        FailureKind.USAGE_CAPPED,
        FailureKind.CREDITS_DEPLETED,
    }
)
"""Limits and money: no subject of a question is at fault."""

NOTHING: Final = (b"", b"null")
"""Empty bodies; any other body that is not JSON was not written by X's API."""

RATE_LIMIT_TEXTS: Final = frozenset({b"too many requests", b"rate limit exceeded"})
"""Plain texts that X's API sends with a 429; any other text comes from X's edge servers."""


def read_json(raw: bytes) -> object:
    """Return a parsed body, None if it is not JSON."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def read_failure(
    status: int, headers: Mapping[str, str], raw: bytes, *, clock: XClock, now: float
) -> Failure:
    """Return the failure that an answer other than 200 means.

    The body takes precedence over the status: X reports a spend cap as 403 and the monthly cap with any
    status. A body that is not JSON comes from X's edge servers or from something else between X and us.

    Args:
        status: The HTTP status.
        headers: All headers; names are case-insensitive.
        raw: The body.
        clock: X's clock, which its resets and dates refer to.
        now: Epoch seconds by ours.
    """
    body = read_json(raw)
    kind = _kind(status, raw, body)
    failure = Failure(kind, _detail(status, raw, body), suspects_subjects=_suspects_subjects(status, kind))
    return with_waits(failure, status, headers, clock=clock, now=now)


def with_waits(
    failure: Failure, status: int, headers: Mapping[str, str], *, clock: XClock, now: float
) -> Failure:
    """Return a failure with what the headers say about when to ask again.

    If every window that X describes has requests left, another limit was hit, whose end is unknown.
    """
    windows = read_windows(headers)
    floors = [_retry_after(headers, clock, now)]
    if failure.kind is FailureKind.RATE_LIMITED or status == HTTPStatus.TOO_MANY_REQUESTS:
        floors.append(used_up_until(windows, clock, now=now))
    kind = failure.kind
    if kind is FailureKind.RATE_LIMITED and windows and all(each.remaining for each in windows):
        kind = FailureKind.TOO_FAST
    return replace(
        failure,
        kind=kind,
        retry_at=max((floor for floor in floors if floor is not None), default=None),
        suspects_subjects=failure.suspects_subjects and kind not in NOBODYS_FAULT,
    )


def refused_values(raw: bytes) -> dict[str, set[str]]:
    """Return the parameter values that X does not accept according to the body of a 400.

    The older contract has them under ``errors[].parameters``, the newer one as ``parameter`` and ``value``.
    ``parameters`` holds everything that was sent, including valid values, as one comma-separated text or
    several: the message lists what is allowed, or names the refused value.
    """
    refused: dict[str, set[str]] = {}
    for problem in problems(read_json(raw)):
        listed = problem.get("parameters")
        parameters = dict(listed) if isinstance(listed, dict) else {}
        if isinstance(problem.get("parameter"), str):
            parameters[problem["parameter"]] = [problem.get("value")]
        allowed = _allowed(problem.get("message")) | _allowed(problem.get("detail"))
        for name, values in parameters.items():
            texts = [
                value for value in (values if isinstance(values, list) else []) if isinstance(value, str)
            ]
            split = {part.strip() for text in texts for part in text.split(",")}
            named = set() if allowed else _named(problem.get("message")) & split
            refused.setdefault(name, set()).update(named or split - allowed)
    return refused


def _kind(status: int, raw: bytes, body: object) -> FailureKind:
    if status == HTTPStatus.TOO_MANY_REQUESTS and raw.strip().lower() in RATE_LIMIT_TEXTS:
        return FailureKind.RATE_LIMITED
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED or _is_foreign(raw, body):
        return FailureKind.UNAVAILABLE
    if status == HTTPStatus.BAD_REQUEST and not body:
        return FailureKind.UNAVAILABLE
    return failure_kind(body) or BY_STATUS.get(status, FailureKind.UNAVAILABLE)


def _is_foreign(raw: bytes, body: object) -> bool:
    return body is None and raw.strip() not in NOTHING


def _suspects_subjects(status: int, kind: FailureKind) -> bool:
    """Return whether a subject, rather than the credentials or a proxy, may be at fault."""
    if kind is FailureKind.UNAUTHORIZED:
        return status == HTTPStatus.FORBIDDEN
    return status != HTTPStatus.PROXY_AUTHENTICATION_REQUIRED


def _retry_after(headers: Mapping[str, str], clock: XClock, now: float) -> float | None:
    """Return the epoch second by our clock that ``Retry-After`` asks to wait for, None without one."""
    text = headers.get("Retry-After", "")
    moment = parse_http_date(text)
    if moment is not None:
        ours = clock.ours(moment, now=now, length=DAY_SECONDS)
        return min(max(ours, now), now + MAX_RETRY_AFTER_SECONDS)
    seconds = parse_retry_after(text, now=now)
    return None if seconds is None else now + seconds


def _allowed(message: object) -> set[str]:
    listed = ALLOWED.search(message[:MESSAGE_LENGTH]) if isinstance(message, str) else None
    return {part.strip() for part in listed[1].split(",")} if listed else set()


def _named(message: object) -> set[str]:
    named = NAMED.search(message[:MESSAGE_LENGTH]) if isinstance(message, str) else None
    return {named[1].strip()} if named else set()


def _detail(status: int, raw: bytes, body: object) -> str:
    """Return an answer in words. The ``detail`` of a 400 is generic; its errors say what is wrong."""
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return f"the proxy does not accept the credentials (HTTP {status})"
    if _is_foreign(raw, body):
        return f"HTTP {status} with a body that is not JSON, so not from X's API"
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return f"HTTP {status}: a redirect, which is not followed"
    found = list(problems(body))
    texts = [explain(problem) for problem in (*found[1:], *found[:1])]
    return f"HTTP {status}: {next((text for text in texts if text != NO_EXPLANATION), NO_EXPLANATION)}"
