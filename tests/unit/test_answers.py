"""Failed answers of X: their meaning, the possible cause, and when to ask again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from notifier.core.model.answers import read_answer
from notifier.core.model.observation import Call, Failure, Question
from notifier.core.model.problems import FailureKind
from notifier.core.model.x_clock import XClock
from notifier.source.answers import read_failure, with_waits
from notifier.source.limits import read_windows

NOW = 1_700_000_000.0
HOUR = 3600.0
SPEND_CAP = {"title": "SpendCapReached", "type": "https://api.x.com/2/problems/credits"}
PAGES = [
    "<!DOCTYPE html><title>Just a moment</title>",
    "<html>over capacity</html>",
    "upstream connect error",
    '{"data": [{"id": "A", "sta',
    "\ufeff<html/>",
]


def window(
    remaining: object, reset: object = NOW + 600, *, of: str = "x-rate-limit", limit: int = 300
) -> dict[str, str]:
    end = str(int(reset)) if isinstance(reset, float) else str(reset)
    return {f"{of}-limit": str(limit), f"{of}-remaining": str(remaining), f"{of}-reset": end}


APP_DAY, USER_DAY = "x-app-limit-24hour", "x-user-limit-24hour"


def date_of(moment: float) -> str:
    return format_datetime(datetime.fromtimestamp(moment, UTC), usegmt=True)


def failure(
    status: int, body: Any = "", headers: dict[str, str] | None = None, *, ahead: float = 0.0
) -> Failure:
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return read_failure(status, CIMultiDict(headers or {}), raw, clock=XClock(ahead), now=NOW)


class TestKinds:
    @pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 429, 500, 503])
    def test_the_content_takes_precedence_over_the_status(self, status: int) -> None:
        assert failure(status, SPEND_CAP).kind is FailureKind.CREDITS_DEPLETED
        assert failure(status, {"title": "UsageCapExceeded"}).kind is FailureKind.USAGE_CAPPED
        assert failure(status, {"errors": [{"code": 88}]}).kind is FailureKind.RATE_LIMITED
        assert failure(status, {"errors": [{"code": 130}]}).kind is FailureKind.UNAVAILABLE

    @pytest.mark.parametrize("page", PAGES)
    @pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 429, 500, 503])
    def test_a_non_json_page_is_an_edge_error_under_any_status(self, status: int, page: str) -> None:
        found = failure(status, page)
        assert (found.kind, found.suspects_subjects) == (FailureKind.UNAVAILABLE, True)
        assert found.detail == f"HTTP {status} with a body that is not JSON, so not from X's API"

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (401, FailureKind.UNAUTHORIZED),
            (403, FailureKind.UNAUTHORIZED),
            (402, FailureKind.CREDITS_DEPLETED),
            (429, FailureKind.RATE_LIMITED),
            (400, FailureKind.UNAVAILABLE),
            (404, FailureKind.UNAVAILABLE),
            (302, FailureKind.UNAVAILABLE),
            (503, FailureKind.UNAVAILABLE),
            (999, FailureKind.UNAVAILABLE),
        ],
    )
    @pytest.mark.parametrize("body", ["", " \n", "null", "{}", "[]"])
    def test_a_body_without_information_is_classified_by_its_status(
        self, status: int, kind: FailureKind, body: str
    ) -> None:
        assert failure(status, body).kind is kind

    @pytest.mark.parametrize(
        ("status", "body", "suspects"),
        [
            (401, {"title": "Unauthorized"}, False),
            (403, {"title": "Forbidden"}, True),
            (403, SPEND_CAP, False),
            (400, {"title": "Invalid Request"}, True),
            (404, "", True),
            (407, "", False),
            (429, "", False),
            (429, {"title": "UsageCapExceeded"}, False),
            (402, "", False),
            (500, {"title": "Internal Server Error"}, True),
            (503, "", True),
        ],
    )
    def test_a_subject_is_suspected_only_if_it_can_be_the_cause(
        self, status: int, body: Any, suspects: bool
    ) -> None:
        assert failure(status, body).suspects_subjects is suspects

    @pytest.mark.parametrize(
        ("status", "body", "said"),
        [
            (403, {"title": "Forbidden", "detail": "not in your plan"}, "not in your plan"),
            (400, {"detail": "One or more.", "errors": [{"message": "no such field"}]}, "no such field"),
            (429, {"error": "Rate limit exceeded."}, "Rate limit exceeded."),
            (503, "", "no explanation"),
            (301, "", "a redirect, which is not followed"),
        ],
    )
    def test_a_detail_quotes_x(self, status: int, body: Any, said: str) -> None:
        assert failure(status, body).detail == f"HTTP {status}: {said}"

    def test_missing_proxy_credentials_are_attributed_to_the_proxy(self) -> None:
        assert failure(407, "<html>").detail == "the proxy does not accept the credentials (HTTP 407)"


class TestWindows:
    def test_a_used_up_window_is_waited_for(self) -> None:
        found = failure(429, {"type": "about:blank"}, window(0))
        assert (found.kind, found.retry_at) == (FailureKind.RATE_LIMITED, NOW + 600)

    def test_with_requests_left_in_all_windows_the_limit_is_another_one(self) -> None:
        found = failure(429, "", window(290) | window(5000, NOW + HOUR, of=APP_DAY))
        assert (found.kind, found.retry_at) == (FailureKind.TOO_FAST, None)

    @pytest.mark.parametrize("day", [APP_DAY, USER_DAY])
    def test_a_used_up_24_hour_window_is_waited_for_despite_remaining_requests(self, day: str) -> None:
        found = failure(429, "", window(290) | window(0, NOW + 5 * HOUR, of=day))
        assert (found.kind, found.retry_at) == (FailureKind.RATE_LIMITED, NOW + 5 * HOUR)

    def test_of_several_used_up_windows_the_last_reset_counts(self) -> None:
        headers = window(0) | window(0, NOW + HOUR, of=APP_DAY) | window(0, NOW + 2 * HOUR, of=USER_DAY)
        assert failure(429, "", headers).retry_at == NOW + 2 * HOUR

    def test_an_undescribed_window_has_no_end(self) -> None:
        found = failure(429)
        assert (found.kind, found.retry_at) == (FailureKind.RATE_LIMITED, None)

    @pytest.mark.parametrize(
        ("reset", "retry_at"),
        [
            (NOW - 5.0, NOW),
            (0.0, NOW),
            (NOW + 10**6, NOW + 900),
            (int(NOW * 1000), NOW + 900),
        ],
    )
    def test_an_implausible_reset_is_waited_for_no_longer_than_a_window(
        self, reset: object, retry_at: float
    ) -> None:
        assert failure(429, "", window(0, reset)).retry_at == retry_at

    def test_a_24_hour_window_is_waited_for_no_longer_than_24_hours(self) -> None:
        assert failure(429, "", window(0, NOW + 10**6, of=APP_DAY)).retry_at == NOW + 24 * HOUR

    @pytest.mark.parametrize("ahead", [-7200.0, -300.0, 300.0, 7200.0])
    def test_a_reset_is_on_the_clock_of_x(self, ahead: float) -> None:
        assert failure(429, "", window(0, NOW + ahead + 600), ahead=ahead).retry_at == NOW + 600

    @pytest.mark.parametrize("ahead", [-1e8, 1e8])
    def test_an_implausible_date_of_x_is_ignored(self, ahead: float) -> None:
        assert failure(429, "", window(0), ahead=ahead).retry_at == NOW + 600

    @pytest.mark.parametrize("value", ["", "many", "-1", "1.5", "²", "9" * 14])
    @pytest.mark.parametrize("name", ["remaining", "reset"])
    def test_non_numeric_headers_describe_no_window(self, name: str, value: str) -> None:
        assert read_windows(window(0) | {f"x-rate-limit-{name}": value}) == ()

    def test_a_used_up_window_does_not_delay_the_retry_of_other_failures(self) -> None:
        assert failure(503, "", window(0)).retry_at is None
        assert failure(401, "", window(0)).retry_at is None

    def test_a_rate_limit_in_a_200_is_recognized(self) -> None:
        body = {"errors": [{"code": 88, "message": "Rate limit exceeded"}]}
        inner = read_answer(Question(Call.LOOKUP, ("A",)), body, NOW, NOW).failure
        assert inner is not None
        found = with_waits(inner, 200, CIMultiDict(window(0)), clock=XClock(), now=NOW)
        assert (found.kind, found.retry_at) == (FailureKind.RATE_LIMITED, NOW + 600)
        assert found.suspects_subjects is False


class TestRetryAfter:
    @pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 429, 500, 503])
    def test_is_a_floor_whatever_the_failure(self, status: int) -> None:
        assert failure(status, "", {"Retry-After": "120"}).retry_at == NOW + 120

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("0", 0),
            ("1.5", 2),
            (" 30 ", 30),
            ("999999", 24 * HOUR),
            ("9" * 5000, 24 * HOUR),
            ("99999999.5", 24 * HOUR),
            (date_of(NOW + 90), 90),
            (date_of(NOW - 90), 0),
            (date_of(NOW + 10**7), 24 * HOUR),
        ],
    )
    def test_is_seconds_or_a_date_up_to_a_day(self, text: str, seconds: float) -> None:
        assert failure(503, "", {"Retry-After": text}).retry_at == NOW + seconds

    @pytest.mark.parametrize("text", ["", "soon", "-5", "1.5.5", "1e3", "Wed"])
    def test_is_none_if_malformed(self, text: str) -> None:
        assert failure(503, "", {"Retry-After": text}).retry_at is None

    @pytest.mark.parametrize("ahead", [-300.0, 300.0, 1e8])
    def test_is_a_date_on_the_clock_of_x(self, ahead: float) -> None:
        believed = ahead if abs(ahead) < 1e6 else 0.0
        headers = {"Retry-After": date_of(NOW + believed + 90)}
        assert failure(503, "", headers, ahead=ahead).retry_at == NOW + 90

    def test_and_a_window_are_both_waited_for(self) -> None:
        assert failure(429, "", window(0) | {"Retry-After": "700"}).retry_at == NOW + 700
        assert failure(429, "", window(0) | {"Retry-After": "5"}).retry_at == NOW + 600
        assert failure(429, "", window(9) | {"Retry-After": "5"}).retry_at == NOW + 5

    @given(st.integers(100, 999), st.text(), st.binary(max_size=200))
    def test_no_header_or_body_raises_or_exceeds_a_day(self, status: int, text: str, raw: bytes) -> None:
        headers = CIMultiDict(
            {"Retry-After": text, "x-rate-limit-remaining": "0", "x-rate-limit-reset": text}
        )
        found = read_failure(status, headers, raw, clock=XClock(), now=NOW)
        assert found.retry_at is None or NOW <= found.retry_at <= NOW + 24 * HOUR
        assert len(found.detail) <= 230
