"""What X's answers mean, by content and not by content type (spec: errors)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from notifier.core.observation import Failure
from notifier.core.problems import FailureKind, problem_type

DETAIL_LENGTH: Final = 200
MESSAGE_LENGTH: Final = 10_000
TOO_MANY_REQUESTS: Final = 429

ALLOWED: Final = re.compile(r"is not one of \[([^\]]*)\]")
"""Where the message of a 400 lists the values that X would take."""

NAMED: Final = re.compile(r"query parameter value \[([^\]]*)\]")
"""Where the message of a 400 names the one value that it is about."""


@dataclass(frozen=True, slots=True)
class RateHeaders:
    """A bucket as X's ``x-rate-limit-*`` headers describe it; ``reset`` is epoch seconds."""

    limit: int
    remaining: int
    reset: float


def read_rate_headers(headers: Mapping[str, str]) -> RateHeaders | None:
    """Read the rate headers, or None where any of them is missing or is no number."""
    values = [headers.get(f"x-rate-limit-{name}", "") for name in ("limit", "remaining", "reset")]
    if not all(
        value.isascii() and value.isdigit() and len(value) <= len("1626249612000") for value in values
    ):
        return None
    limit, remaining, reset = map(int, values)
    return RateHeaders(limit, remaining, float(reset))


def read_json(raw: bytes) -> object:
    """Parse a body; one that is no JSON, however deep or broken, is None."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def read_failure(status: int, headers: Mapping[str, str], raw: bytes) -> Failure:
    """Classify an answer other than 200.

    A 429 has three shapes: the window's end, the older ``code: 88``, and the month's cap, at which tens of
    thousands of requests may seem to remain. One with requests left in its window comes from another limit
    (one request a second, say), whose end it does not tell.
    """
    body = read_json(raw)
    problem: Mapping[str, Any] = body if isinstance(body, dict) else {}
    detail = _detail(status, problem)
    if status in (401, 403):
        return Failure(FailureKind.UNAUTHORIZED, detail)
    if status == 402:  # noqa: PLR2004 - Payment Required
        return Failure(FailureKind.CREDITS_DEPLETED, detail)
    if is_usage_capped(status, raw):
        return Failure(FailureKind.USAGE_CAPPED, detail)
    if status == TOO_MANY_REQUESTS:
        rate = read_rate_headers(headers)
        is_window = rate is None or rate.remaining == 0
        kind = FailureKind.RATE_LIMITED if is_window else FailureKind.TOO_FAST
        return Failure(kind, detail, rate.reset if rate and is_window else None)
    if status == 400 and problem:  # noqa: PLR2004 - Bad Request
        return Failure(FailureKind.REFUSED, detail)
    return Failure(FailureKind.UNAVAILABLE, detail)


def is_usage_capped(status: int, raw: bytes) -> bool:
    """Tell a 429 for the month's cap from one for a window."""
    return status == TOO_MANY_REQUESTS and any(
        problem_type(problem) == "usage-capped" for problem in _problems(read_json(raw))
    )


def refused_values(raw: bytes) -> dict[str, set[str]]:
    """Read from the body of a 400 which values of which parameters X does not accept.

    The older contract has them under ``errors[].parameters``, the newer one as ``parameter`` and ``value``.
    Under ``parameters`` stands all that was sent for the parameter, good values among them, in one text with
    commas or in several: the message lists what is allowed, or names the one that it is about.
    """
    refused: dict[str, set[str]] = {}
    for problem in _problems(read_json(raw)):
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


def _problems(body: object) -> Iterator[Mapping[str, Any]]:
    """Give the problem that a body is and those that it lists."""
    listed = body.get("errors") if isinstance(body, dict) else None
    for problem in [body, *(listed if isinstance(listed, list) else [])]:
        if isinstance(problem, dict):
            yield problem


def _allowed(message: object) -> set[str]:
    listed = ALLOWED.search(message[:MESSAGE_LENGTH]) if isinstance(message, str) else None
    return {part.strip() for part in listed[1].split(",")} if listed else set()


def _named(message: object) -> set[str]:
    named = NAMED.search(message[:MESSAGE_LENGTH]) if isinstance(message, str) else None
    return {named[1].strip()} if named else set()


def _detail(status: int, problem: Mapping[str, Any]) -> str:
    """Put a problem into words. The ``detail`` of a 400 is general; what is wrong stands in its errors."""
    listed = next((each for each in _problems(problem) if each is not problem), {})
    told = listed.get("message") or problem.get("detail") or problem.get("title") or "no explanation"
    return f"HTTP {status}: {str(told)[:DETAIL_LENGTH]}"
