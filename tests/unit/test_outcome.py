from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.core.delivery.outcome import (
    BY_ERROR,
    Answer,
    ErrorClass,
    Outcome,
    OutcomeKind,
    classify,
    recorded,
)
from notifier.core.model.retry_after import parse_retry_after

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
DAY = 86_400.0


def outcome(
    status: int | None = None,
    error: ErrorClass | None = None,
    retry_after: str | None = None,
    detail: str = "",
) -> Outcome:
    return classify(Answer(status, error, retry_after, 12.5, detail), now=NOW)


@pytest.mark.parametrize(
    ("status", "kind", "slow_down"),
    [
        (200, OutcomeKind.DELIVERED, False),
        (201, OutcomeKind.DELIVERED, False),
        (204, OutcomeKind.DELIVERED, False),
        (299, OutcomeKind.DELIVERED, False),
        (101, OutcomeKind.RETRY, False),
        (300, OutcomeKind.RETRY, False),
        (301, OutcomeKind.RETRY, False),
        (308, OutcomeKind.RETRY, False),
        (400, OutcomeKind.RETRY, False),
        (401, OutcomeKind.RETRY, False),
        (404, OutcomeKind.RETRY, False),
        (410, OutcomeKind.GONE, False),
        (422, OutcomeKind.RETRY, False),
        (429, OutcomeKind.RETRY, True),
        (500, OutcomeKind.RETRY, False),
        (501, OutcomeKind.RETRY, False),
        (502, OutcomeKind.RETRY, True),
        (503, OutcomeKind.RETRY, True),
        (504, OutcomeKind.RETRY, True),
        (505, OutcomeKind.RETRY, False),
        (599, OutcomeKind.RETRY, False),
        (0, OutcomeKind.RETRY, False),
        (600, OutcomeKind.RETRY, False),
        (999, OutcomeKind.RETRY, False),
    ],
)
def test_a_status_has_its_outcome(status: int, kind: OutcomeKind, slow_down: bool) -> None:
    found = outcome(status)
    assert (found.kind, found.slow_down, found.counted) == (kind, slow_down, True)
    assert found.reason


@pytest.mark.parametrize(
    ("error", "kind", "counted"),
    [
        (ErrorClass.BLOCKED_ADDRESS, OutcomeKind.REFUSED, True),
        (ErrorClass.INVALID_URL, OutcomeKind.REFUSED, True),
        (ErrorClass.DNS, OutcomeKind.RETRY, True),
        (ErrorClass.CONNECTION_REFUSED, OutcomeKind.RETRY, True),
        (ErrorClass.CONNECTION_RESET, OutcomeKind.RETRY, True),
        (ErrorClass.UNREACHABLE, OutcomeKind.RETRY, True),
        (ErrorClass.TLS, OutcomeKind.RETRY, True),
        (ErrorClass.TIMEOUT, OutcomeKind.RETRY, True),
        (ErrorClass.TOO_LARGE_HEADERS, OutcomeKind.RETRY, True),
        (ErrorClass.PROTOCOL, OutcomeKind.RETRY, True),
        (ErrorClass.RESOLVER, OutcomeKind.OURS, False),
        (ErrorClass.PROXY, OutcomeKind.OURS, False),
        (ErrorClass.LOCAL, OutcomeKind.OURS, False),
    ],
)
def test_an_error_has_its_outcome(error: ErrorClass, kind: OutcomeKind, counted: bool) -> None:
    found = outcome(error=error)
    assert (found.kind, found.slow_down, found.counted) == (kind, False, counted)


def test_every_error_class_is_tested() -> None:
    assert set(BY_ERROR) == set(ErrorClass)


def test_the_outcomes_are_those_of_the_glossary() -> None:
    assert [kind.value for kind in OutcomeKind] == ["delivered", "retry", "gone", "refused", "ours"]


def test_a_truncated_answer_is_not_a_delivery() -> None:
    assert outcome(200, ErrorClass.TIMEOUT).kind is OutcomeKind.RETRY


def test_the_reason_contains_the_detail() -> None:
    assert outcome(error=ErrorClass.BLOCKED_ADDRESS, detail="10.0.0.1 is private").reason == (
        "the address is forbidden for webhooks: 10.0.0.1 is private"
    )


@pytest.mark.parametrize(
    ("status", "error", "detail", "reason"),
    [
        (401, None, "", "the receiver does not accept the request (401)"),
        (999, None, "", "the receiver answered with a status that HTTP does not define for a POST (999)"),
        (
            200,
            ErrorClass.CONNECTION_RESET,
            "closed in the middle of the body",
            "the connection ended before an answer: closed in the middle of the body (200)",
        ),
        (
            None,
            ErrorClass.LOCAL,
            "NOTIFIER_MASTER_KEYS: the key 'a' is missing",
            "nothing could be sent from here: NOTIFIER_MASTER_KEYS: the key 'a' is missing",
        ),
    ],
)
def test_the_reason_of_a_failure_has_the_status(
    status: int | None, error: ErrorClass | None, detail: str, reason: str
) -> None:
    assert outcome(status, error, detail=detail).reason == reason


@pytest.mark.parametrize("status", [301, 400, 410, 429, 500, 503])
def test_retry_after_counts_on_any_failure(status: int) -> None:
    assert outcome(status, retry_after="120").retry_after_seconds == 120


def test_retry_after_on_a_success_is_ignored() -> None:
    assert outcome(200, retry_after="120").retry_after_seconds is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 120 ", 120.0),
        ("86400", DAY),
        ("86401", DAY),
        ("9" * 5000, DAY),
        ("Fri, 02 Jan 2026 03:05:05 GMT", 60.0),
        ("Fri, 02 Jan 2026 03:05:05 -0000", 60.0),
        ("Friday, 02-Jan-26 03:05:05 GMT", 60.0),
        ("Fri Jan  2 03:05:05 2026", 60.0),
        ("Fri, 02 Jan 2026 03:03:05 GMT", 0.0),
        ("Fri, 02 Jan 2099 03:05:05 GMT", DAY),
        ("", None),
        ("-1", None),
        ("120.5", 121.0),
        ("0.5", 1.0),
        (".5", 1.0),
        ("2.", 2.0),
        ("120.0", 120.0),
        ("1.5.5", None),
        ("-1.5", None),
        (".", None),
        ("9" * 5000 + ".5", DAY),
        ("0." + "9" * 200, 1.0),
        ("7, 120, 30", 120.0),
        ("soon, 7", 7.0),
        (",", None),
        ("7, Fri, 02 Jan 2026 03:05:05 GMT", 60.0),
        ("Fri, 02 Jan 2026 03:05:05 GMT, 120", 120.0),
        ("Fri, 02 Jan 2026 03:05:05 GMT, Friday, 02-Jan-26 03:06:05 GMT", 120.0),
        ("Fri, 02 Jan 2026 03:03:05 GMT, -1", 0.0),
        ("+5", None),
        ("²", None),
        ("٣", None),
        ("soon", None),
        ("Wed", None),
        ("Fri, 99 Jan 2026 03:05:05 GMT", None),
        ("Fri, 02 Jan 99999999999 03:05:05 GMT", None),
        ("Fri, 02 Jan 2026 03:05:05 +99999999999", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_up_to_a_day(text: str, seconds: float | None) -> None:
    assert parse_retry_after(text, now=NOW) == seconds


@given(st.text())
def test_no_retry_after_crashes_or_exceeds_a_day(text: str) -> None:
    found = parse_retry_after(text, now=NOW)
    assert found is None or 0 <= found <= DAY


@given(st.integers(0, 86_400))
def test_a_date_and_its_distance_in_seconds_agree(seconds: int) -> None:
    date = format_datetime(datetime.fromtimestamp(NOW + seconds, UTC), usegmt=True)
    assert parse_retry_after(date, now=NOW) == parse_retry_after(str(seconds), now=NOW) == seconds


@given(status=st.integers(-1, 1200))
def test_only_2xx_delivers(status: int) -> None:
    assert (outcome(status).kind is OutcomeKind.DELIVERED) == (200 <= status < 300)


@pytest.mark.parametrize(
    ("status", "retry_after", "paced"),
    [
        (429, None, True),
        (429, "soon", True),
        (503, "1", True),
        (503, "0", True),
        (503, None, False),
        (503, "soon", False),
        (502, "1", False),
        (500, "1", False),
        (200, "1", False),
    ],
)
def test_answers_that_ask_for_a_slower_pace(status: int, retry_after: str | None, paced: bool) -> None:
    assert outcome(status, retry_after=retry_after).paced is paced


def test_every_recorded_answer_has_the_same_size_limit() -> None:
    answer = Answer(200, None, "5", 1.0, headers={"retry-after": "5", "etag": "1"}, body=b"x" * 5000)
    kept = recorded(answer)
    assert (kept.headers, kept.body) == ({"retry-after": "5"}, b"x" * 4096)
    assert kept.retry_after == "5"
