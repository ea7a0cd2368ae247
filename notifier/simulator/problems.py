"""X's answers and problems as plain data, before any HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from notifier.simulator.contracts import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from notifier.simulator.contracts import Contract

RATE_LIMIT_CODE: Final = 88


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a JSON body."""

    status: int
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused query parameter: its name, the values as sent, and why."""

    parameter: str
    values: tuple[str, ...]
    message: str


def phrase(status: int) -> str:
    """Return the standard phrase for a status; non-standard ones have none."""
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"


def plain_problem(status: int) -> Answer:
    """Return a problem without a type of its own, such as 401, 429 for a window, or 503."""
    words = phrase(status)
    return Answer(status, {"title": words, "detail": words, "type": "about:blank", "status": status})


def invalid_request(contract: Contract, refusals: Sequence[Refusal]) -> Answer:
    """Return a 400 that names each refused parameter."""
    body = {
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": problem_type(contract, "invalid-request"),
        "errors": [
            {"parameters": {refusal.parameter: list(refusal.values)}, "message": refusal.message}
            for refusal in refusals
        ],
    }
    return Answer(HTTPStatus.BAD_REQUEST, body)


def unnamed_invalid_request(contract: Contract) -> Answer:
    """Return a 400 that does not say what it is about."""
    named = invalid_request(contract, ()).body
    return Answer(HTTPStatus.BAD_REQUEST, {name: part for name, part in named.items() if name != "errors"})


def credits_depleted(contract: Contract, status: int, title: str | None = None) -> Answer:
    """Return that no credits are left: a 402, or another status and title."""
    body = {
        "title": title or "CreditsDepleted",
        "detail": "The account has no credits left for this request.",
        "type": problem_type(contract, "credits"),
        "status": status,
    }
    return Answer(status, body)


def old_rate_limit() -> Answer:
    """Return a 429 for a used-up window in the form that X's API had before problem documents."""
    errors = [{"code": RATE_LIMIT_CODE, "message": "Rate limit exceeded"}]
    return Answer(HTTPStatus.TOO_MANY_REQUESTS, {"errors": errors})


def usage_capped(contract: Contract, status: int, title: str | None = None) -> Answer:
    """Return that the monthly cap is reached: a 429 that no window explains, or another status."""
    body = {
        "title": title or "UsageCapExceeded",
        "detail": "Usage cap exceeded: Monthly product cap",
        "type": problem_type(contract, "usage-capped"),
        "status": status,
        "period": "Monthly",
        "scope": "Product",
    }
    return Answer(status, body)


def not_found(contract: Contract, resource_type: str, parameter: str, value: str) -> dict[str, str]:
    """Return one entry of ``errors`` in a healthy answer: the resource named in ``parameter`` is missing."""
    return {
        "title": "Not Found Error",
        "detail": f"Could not find {resource_type} with {parameter}: [{value}].",
        **_missing_resource(contract, resource_type, parameter, value),
    }


def not_authorized(contract: Contract, resource_type: str, parameter: str, value: str) -> dict[str, str]:
    """Return the entry for a resource without public access: a hidden Space, a protected account."""
    return {
        "title": "Authorization Error",
        "detail": f"You are not authorized to see the {resource_type} with {parameter}: [{value}].",
        **_missing_resource(contract, resource_type, parameter, value),
        "type": problem_type(contract, "not-authorized-for-resource"),
    }


def suspended(contract: Contract, parameter: str, value: str) -> dict[str, str]:
    """Return the entry for a suspended account; the type is that of a missing one, only the words differ."""
    return {
        "title": HTTPStatus.FORBIDDEN.phrase,
        "detail": f"User has been suspended: [{value}].",
        **_missing_resource(contract, "user", parameter, value),
    }


def _missing_resource(contract: Contract, resource_type: str, parameter: str, value: str) -> dict[str, str]:
    return {
        "value": value,
        "resource_type": resource_type,
        "parameter": parameter,
        "resource_id": value,
        "type": problem_type(contract, "resource-not-found"),
    }


def problem_type(contract: Contract, name: str) -> str:
    """Return the type of a problem; only its last segment is the same in both contracts."""
    return DIALECTS[contract].problem_base + name
