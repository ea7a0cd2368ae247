"""What X's answers mean where they are no observation: by their content, then by their status."""

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
"""Where the message of a 400 lists the values that X would take."""

NAMED: Final = re.compile(r"query parameter value \[([^\]]*)\]")
"""Where the message of a 400 names the one value that it is about."""

NOBODYS_FAULT: Final = frozenset(
    {
        FailureKind.RATE_LIMITED,
        FailureKind.TOO_FAST,
        FailureKind.USAGE_CAPPED,
        FailureKind.CREDITS_DEPLETED,
    }
)
"""Limits and money: no subject of a question is to blame for them."""

NOTHING: Final = (b"", b"null")
"""Bodies that say nothing; any other that is no JSON was not written by X's API."""

RATE_LIMIT_TEXTS: Final = frozenset({b"too many requests", b"rate limit exceeded"})
"""What a 429 without any form may say; every other text is the edge's own."""


def read_json(raw: bytes) -> object:
    """Parse a body; one that is no JSON, however deep or broken, is None."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def read_failure(
    status: int, headers: Mapping[str, str], raw: bytes, *, clock: XClock, now: float
) -> Failure:
    """Classify an answer other than 200.

    What the body says goes before the status: X reports a spend cap as 403 and the month's cap with any
    status. A body that is no JSON comes from the edge or from something else between X and us.

    Args:
        status: The HTTP status.
        headers: All headers, by names without case.
        raw: The body.
        clock: X's clock, on which its resets and dates are.
        now: Epoch seconds by ours.
    """
    body = read_json(raw)
    kind = _kind(status, raw, body)
    failure = Failure(kind, _detail(status, raw, body), suspects_subjects=_suspects_subjects(status, kind))
    return with_waits(failure, status, headers, clock=clock, now=now)


def with_waits(
    failure: Failure, status: int, headers: Mapping[str, str], *, clock: XClock, now: float
) -> Failure:
    """Return a failure with what the headers say of when to ask again.

    Where requests are left in every window that X describes, the limit is another one, and its end unknown.
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
    """Read from the body of a 400 which values of which parameters X does not accept.

    The older contract has them under ``errors[].parameters``, the newer one as ``parameter`` and ``value``.
    Under ``parameters`` stands all that was sent for the parameter, good values among them, in one text with
    commas or in several: the message lists what is allowed, or names the one that it is about.
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
    """Return whether a subject may be what X chokes on, rather than the credentials or a proxy."""
    if kind is FailureKind.UNAUTHORIZED:
        return status == HTTPStatus.FORBIDDEN
    return status != HTTPStatus.PROXY_AUTHENTICATION_REQUIRED


def _retry_after(headers: Mapping[str, str], clock: XClock, now: float) -> float | None:
    """Return the epoch second by our clock before which X does not want to be asked, None without one."""
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
    """Put an answer into words. The ``detail`` of a 400 is general; what is wrong stands in its errors."""
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return f"the proxy wants other credentials (HTTP {status})"
    if _is_foreign(raw, body):
        return f"HTTP {status} with a body that is not X's: no JSON"
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return f"HTTP {status}: a redirect, which is not followed"
    found = list(problems(body))
    texts = [explain(problem) for problem in (*found[1:], *found[:1])]
    return f"HTTP {status}: {next((text for text in texts if text != NO_EXPLANATION), NO_EXPLANATION)}"
