"""The classification of X's error bodies, regardless of their status."""

from __future__ import annotations

from typing import Any

import pytest

from notifier.core.model.problems import FailureKind, failure_kind

TYPES = "https://api.{}.com/2/problems/{}"
CREDITS = FailureKind.CREDITS_DEPLETED
CAPPED = FailureKind.USAGE_CAPPED
LIMITED = FailureKind.RATE_LIMITED
UNAUTHORIZED = FailureKind.UNAUTHORIZED
UNAVAILABLE = FailureKind.UNAVAILABLE
REFUSED = FailureKind.REFUSED

BODIES: list[tuple[Any, FailureKind | None]] = [
    ({"title": "SpendCapReached", "type": TYPES.format("x", "credits"), "detail": "No."}, CREDITS),
    ({"title": "SpendCapReached", "status": 403}, CREDITS),
    ({"title": "CreditsDepleted", "type": "about:blank"}, CREDITS),
    ({"type": TYPES.format("twitter", "credits")}, CREDITS),
    ({"title": "Forbidden", "detail": "The account has reached its billing cycle spend cap."}, CREDITS),
    ({"errors": [{"detail": "Your account does not have any credits to fulfill this request."}]}, CREDITS),
    ({"title": "UsageCapExceeded"}, CAPPED),
    ({"title": "UsageCapExceeded", "detail": "Usage cap exceeded: credits depleted."}, CAPPED),
    ({"title": "Too Many Requests", "type": TYPES.format("x", "usage-capped/")}, CAPPED),
    ({"title": "Forbidden", "detail": "Usage cap exceeded: Monthly product cap"}, CAPPED),
    ({"errors": [{"title": "Forbidden"}, {"type": TYPES.format("x", "usage-capped")}]}, CAPPED),
    ({"title": "Too Many Requests", "type": "about:blank", "status": 429}, LIMITED),
    ({"errors": [{"code": 88, "message": "Rate limit exceeded"}]}, LIMITED),
    ({"errors": {"code": "88"}}, LIMITED),
    ({"error": {"code": 88}}, LIMITED),
    ({"error": "Rate limit exceeded."}, LIMITED),
    ({"errors": [{"code": 130, "message": "Over capacity"}]}, UNAVAILABLE),
    ({"errors": [{"message": "Internal error"}]}, UNAVAILABLE),
    ({"title": "Service Unavailable", "type": "about:blank", "status": 503}, UNAVAILABLE),
    ({"status": "503"}, UNAVAILABLE),
    ({"errors": [{"status": 504}]}, UNAVAILABLE),
    ({"errors": [{"code": 32, "message": "Could not authenticate you."}]}, UNAUTHORIZED),
    ({"errors": [{"code": 453, "message": "You have access to a subset."}]}, UNAUTHORIZED),
    ({"title": "Client Forbidden", "type": TYPES.format("x", "client-forbidden")}, UNAUTHORIZED),
    ({"title": "Unauthorized", "type": "about:blank", "status": 401}, UNAUTHORIZED),
    ({"title": "Invalid Request", "type": TYPES.format("x", "invalid-request")}, REFUSED),
    ({"errors": [{"code": 25, "message": "Query parameters are missing."}]}, REFUSED),
    ({"title": "Something else"}, None),
    ({"code": True, "status": None, "title": 7, "errors": 7}, None),
    ([], None),
    (None, None),
    ("Rate limit exceeded", None),
]


@pytest.mark.parametrize(("body", "kind"), BODIES, ids=lambda value: str(value)[:70])
def test_a_body_is_classified_by_its_content(body: Any, kind: FailureKind | None) -> None:
    assert failure_kind(body) is kind


@pytest.mark.parametrize("words", ["spend cap", "usage cap", "credits depleted", "rate limit exceeded"])
def test_a_query_repeated_by_x_is_ignored(words: str) -> None:
    message = f"The `query` query parameter value [{words}] is too long"
    plain = {"title": "Invalid Request", "detail": message}
    assert failure_kind(plain) is REFUSED
    assert failure_kind({**plain, "parameter": "query", "value": words}) is REFUSED
    named = {"parameters": {"query": [words]}, "message": f"no ] {words} [ here"}
    assert failure_kind({"title": "Invalid Request", "errors": [named]}) is REFUSED


def test_an_error_about_one_resource_does_not_fail_the_call() -> None:
    named = {"resource_type": "user", "resource_id": "7", "title": "Forbidden", "status": 403}
    assert failure_kind({"errors": [named]}) is None
    assert failure_kind({"errors": [named, {"code": 130}]}) is UNAVAILABLE
