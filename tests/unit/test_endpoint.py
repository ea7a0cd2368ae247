"""The event about a disabled endpoint."""

from __future__ import annotations

from dataclasses import replace

import pytest

from notifier.core.delivery.endpoint import Endpoint, EndpointStatus, Filters, disabled_event
from notifier.core.delivery.filters import is_wanted
from notifier.core.events.event import EventType
from notifier.core.model.ids import EndpointId
from notifier.core.model.reasons import DisabledReason
from tests.support.space_builders import START, at, described_body_of

ENABLED = Endpoint(
    id=EndpointId("ep_1"), url="https://example.com", event_types=("*",), created_at=0.0, updated_at=START
)


def disabled(reason: DisabledReason | None, seconds: float = 60) -> Endpoint:
    return replace(
        ENABLED, status=EndpointStatus.DISABLED, disabled_reason=reason, updated_at=START + seconds
    )


@pytest.mark.parametrize("reason", DisabledReason)
def test_a_disabled_endpoint_is_reported_with_the_reason(reason: DisabledReason) -> None:
    event = disabled_event(ENABLED, disabled(reason))
    assert event is not None
    assert event.type is EventType.ENDPOINT_DISABLED
    body = described_body_of(event)
    assert body["data"]["details"] == {"endpoint_id": "ep_1", "reason": reason.value}
    assert (body["timestamp"], body["data"]["observed_at"]) == (at(60), at(60))


def test_a_disabled_endpoint_without_a_reason_was_disabled_manually() -> None:
    event = disabled_event(ENABLED, disabled(None))
    assert event is not None
    assert event.data["details"]["reason"] == "by_hand"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ENABLED, ENABLED),
        (ENABLED, replace(ENABLED, description="another")),
        (disabled(DisabledReason.GONE), ENABLED),
        (disabled(DisabledReason.GONE), disabled(DisabledReason.GONE, 90)),
        (disabled(DisabledReason.GONE), disabled(DisabledReason.BY_HAND)),
    ],
)
def test_other_changes_are_not_announced(before: Endpoint, after: Endpoint) -> None:
    assert disabled_event(before, after) is None


def test_the_event_id_depends_on_the_time_of_disabling() -> None:
    first, again, second = (
        disabled_event(ENABLED, disabled(reason, seconds))
        for reason, seconds in (
            (DisabledReason.GONE, 60),
            (DisabledReason.BY_HAND, 60),
            (DisabledReason.GONE, 90),
        )
    )
    assert first is not None
    assert again is not None
    assert second is not None
    assert first.id == again.id != second.id


def test_the_event_goes_to_the_other_endpoints() -> None:
    gone = disabled(DisabledReason.GONE)
    event = disabled_event(ENABLED, gone)
    assert event is not None
    other = replace(ENABLED, id=EndpointId("ep_2"))
    assert not is_wanted(gone, event.type, event.routing)
    assert is_wanted(other, event.type, event.routing)
    assert is_wanted(replace(other, filters=Filters(space_ids=("x",))), event.type, event.routing)
    assert not is_wanted(replace(other, event_types=("space.*",)), event.type, event.routing)
