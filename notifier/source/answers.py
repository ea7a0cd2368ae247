"""What X's answers mean, by content and not by content type (spec: errors)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from notifier.core.observation import Failure, FailureKind, problem_type

DETAIL_LENGTH: Final = 200


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
    thousands of requests may seem to remain.
    """
    body = read_json(raw)
    problem: Mapping[str, Any] = body if isinstance(body, dict) else {}
    detail = _detail(status, problem)
    if status in (401, 403):
        return Failure(FailureKind.UNAUTHORIZED, detail)
    if status == 402:  # noqa: PLR2004 - Payment Required
        return Failure(FailureKind.CREDITS_DEPLETED, detail)
    if status == 429:  # noqa: PLR2004 - Too Many Requests
        if problem_type(problem) == "usage-capped":
            return Failure(FailureKind.USAGE_CAPPED, detail)
        rate = read_rate_headers(headers)
        return Failure(FailureKind.RATE_LIMITED, detail, rate.reset if rate else None)
    if status == 400 and problem:  # noqa: PLR2004 - Bad Request
        return Failure(FailureKind.REFUSED, detail)
    return Failure(FailureKind.UNAVAILABLE, detail)


def refused_values(raw: bytes) -> dict[str, set[str]]:
    """Read from the body of a 400 which values of which parameters X does not know.

    The older contract has them under ``errors[].parameters``, the newer one as ``parameter`` and ``value``.
    """
    body = read_json(raw)
    refused: dict[str, set[str]] = {}
    errors = body.get("errors") if isinstance(body, dict) else None
    for problem in [body, *(errors if isinstance(errors, list) else [])]:
        if not isinstance(problem, dict):
            continue
        parameters = problem.get("parameters")
        for name, values in parameters.items() if isinstance(parameters, dict) else ():
            if isinstance(values, list):
                refused.setdefault(str(name), set()).update(map(str, values))
        if isinstance(problem.get("parameter"), str) and isinstance(problem.get("value"), str):
            refused.setdefault(problem["parameter"], set()).add(problem["value"])
    return refused


def _detail(status: int, problem: Mapping[str, Any]) -> str:
    errors = problem.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    told = problem.get("detail") or problem.get("title") or first.get("message") or "no explanation"
    return f"HTTP {status}: {str(told)[:DETAIL_LENGTH]}"
