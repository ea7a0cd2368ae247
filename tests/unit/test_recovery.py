from __future__ import annotations

import pytest

from notifier.core.delivery.endpoint import Endpoint, EndpointStatus, Filters
from notifier.core.delivery.recovery import read_span, wants_back
from notifier.core.events.event import EventType, Routing
from notifier.core.model.ids import EndpointId, SpaceId
from notifier.core.model.instants import rfc3339
from notifier.errors import InvalidInputError

NOW = 1_700_000_000.0
DAY = 86_400.0


def endpoint(**changes: object) -> Endpoint:
    fields = {"id": EndpointId("ep_1"), "url": "https://x.example/", "created_at": NOW, "updated_at": NOW}
    return Endpoint(**fields | changes)  # type: ignore[arg-type]  # fields of Endpoint


def test_a_span_ends_now_by_default() -> None:
    span = read_span(rfc3339(NOW - 60), None, now=NOW, kept_seconds=DAY)
    assert (span.since, span.until, span.is_clamped) == (NOW - 60, NOW, False)
    span = read_span(rfc3339(NOW - 60), rfc3339(NOW + 60), now=NOW, kept_seconds=DAY)
    assert span.until == NOW


def test_a_span_starts_no_earlier_than_the_log() -> None:
    span = read_span(rfc3339(NOW - 9 * DAY), rfc3339(NOW - 60), now=NOW, kept_seconds=DAY)
    assert (span.since, span.until, span.is_clamped) == (NOW - DAY, NOW - 60, True)
    span = read_span(rfc3339(NOW - 9 * DAY), rfc3339(NOW - 8 * DAY), now=NOW, kept_seconds=DAY)
    assert (span.since, span.until) == (NOW - DAY, NOW - DAY)


@pytest.mark.parametrize(
    ("since", "until", "field"),
    [
        ("", None, "since"),
        ("2026-13-01T00:00:00Z", None, "since"),
        (rfc3339(NOW + 1), None, "since"),
        (rfc3339(NOW - 1), "", "until"),
        (rfc3339(NOW - 1), rfc3339(NOW - 2), "until"),
    ],
)
def test_an_invalid_span_is_refused_by_name(since: str, until: str | None, field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        read_span(since, until, now=NOW, kept_seconds=DAY)
    assert [error.loc for error in refused.value.errors] == [("body", field)]


def test_a_recovery_uses_the_types_and_filters_of_the_endpoint_even_while_disabled() -> None:
    disabled = endpoint(status=EndpointStatus.DISABLED, filters=Filters(space_ids=("A",)))
    assert wants_back(disabled, EventType.STARTED, Routing(space_id=SpaceId("A")))
    assert not wants_back(disabled, EventType.STARTED, Routing(space_id=SpaceId("B")))
    assert not wants_back(disabled, EventType.SOURCE_DEGRADED, Routing())


def test_tests_are_not_recovered() -> None:
    own = Routing(endpoint_id=EndpointId("ep_1"))
    assert not wants_back(endpoint(event_types=("*",)), EventType.WEBHOOK_TEST, own)
