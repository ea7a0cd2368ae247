from __future__ import annotations

from dataclasses import replace

import pytest

from notifier.core.delivery.endpoint import Endpoint, EndpointStatus, Filters
from notifier.core.delivery.filters import (
    ABOUT_GUESTS,
    ABOUT_THE_STAGE,
    check_event_types,
    is_wanted,
    passes,
    people_wanted,
    wants_type,
)
from notifier.core.events.event import EventType, PayloadForm, Routing, plain_event
from notifier.core.model.ids import EndpointId, SpaceId, WatchId
from notifier.core.model.observation import People
from notifier.core.model.reasons import DisabledReason
from notifier.errors import InvalidInputError
from tests.support.space_builders import LIVE, History, seen, variant

ENDPOINT = Endpoint(id=EndpointId("ep_1"), url="https://example.com", created_at=0.0, updated_at=0.0)
WATCH = WatchId("wch_0000000000000001")
(STARTED,) = History(seen(700, variant(LIVE, creator_id="9", lang="en"))).events

SPACE_TYPES = [event_type for event_type in EventType if event_type.value.startswith("space.")]
OTHER_TYPES = [event_type for event_type in EventType if event_type not in SPACE_TYPES]


@pytest.mark.parametrize(
    "patterns", [("*",), ("space.*",), ("space.started", "webhook.test"), tuple(EventType), ()]
)
def test_types_that_exist_can_be_subscribed_to(patterns: tuple[str, ...]) -> None:
    check_event_types(patterns)


@pytest.mark.parametrize(
    "pattern", ["", "space", "space.start", "space.st*", "watch.*", "SPACE.STARTED", "**"]
)
def test_anything_else_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(InvalidInputError, match="is no event type") as refusal:
        check_event_types(("space.*", pattern))
    assert [error.loc for error in refusal.value.errors] == [("body", "event_types")]


@pytest.mark.parametrize("event_type", EventType)
def test_a_type_matches_its_name_and_the_star(event_type: EventType) -> None:
    assert wants_type((event_type.value,), event_type)
    assert wants_type(("*",), event_type)
    assert not wants_type((), event_type)
    assert not wants_type(tuple(other for other in EventType if other is not event_type), event_type)


@pytest.mark.parametrize("event_type", SPACE_TYPES)
def test_space_types_match_space_star(event_type: EventType) -> None:
    assert wants_type(("space.*",), event_type)


@pytest.mark.parametrize("event_type", OTHER_TYPES)
def test_operational_types_do_not_match_space_star(event_type: EventType) -> None:
    assert not wants_type(("space.*",), event_type)


MATCHING = {
    "space_ids": ("x", LIVE.id),
    "creator_ids": ("x", "9"),
    "watch_ids": ("x", WATCH),
    "languages": ("x", "en"),
}


@pytest.mark.parametrize("name", MATCHING)
def test_a_filter_passes_only_what_it_lists(name: str) -> None:
    assert passes(replace(Filters(), **{name: MATCHING[name]}), STARTED.routing)
    assert not passes(replace(Filters(), **{name: ("x",)}), STARTED.routing)


@pytest.mark.parametrize("name", MATCHING)
def test_several_filters_must_all_match(name: str) -> None:
    every = Filters(**MATCHING)
    assert passes(every, STARTED.routing)
    assert not passes(replace(every, **{name: ("x",)}), STARTED.routing)


def test_a_host_counts_as_a_creator() -> None:
    assert passes(Filters(creator_ids=("2",)), STARTED.routing)


def test_ids_are_compared_with_their_case() -> None:
    assert not passes(Filters(space_ids=(LIVE.id.swapcase(),)), STARTED.routing)


def test_an_unknown_language_passes_no_language_filter() -> None:
    routing = Routing(space_id=SpaceId("1"))
    assert not passes(Filters(languages=("en",)), routing)
    assert passes(Filters(), routing)


@pytest.mark.parametrize("name", ["space_ids", "creator_ids", "languages"])
def test_events_that_are_not_about_a_space_pass_the_filters_on_spaces(name: str) -> None:
    assert passes(replace(Filters(), **{name: ("x",)}), Routing(watch_ids=(WATCH,)))


def test_events_about_a_watch_respect_the_watch_filter() -> None:
    assert passes(Filters(watch_ids=(WATCH,)), Routing(watch_ids=(WATCH,)))
    assert not passes(Filters(watch_ids=("x",)), Routing(watch_ids=(WATCH,)))
    assert passes(Filters(watch_ids=("x",)), Routing())


def test_an_endpoint_subscribes_by_default_to_every_space_event() -> None:
    assert is_wanted(ENDPOINT, STARTED.type, STARTED.routing)


def test_an_endpoint_gets_neither_other_types_nor_filtered_events() -> None:
    assert not is_wanted(replace(ENDPOINT, event_types=("space.ended",)), STARTED.type, STARTED.routing)
    assert not is_wanted(replace(ENDPOINT, filters=Filters(languages=("de",))), STARTED.type, STARTED.routing)


def test_a_disabled_endpoint_gets_no_events() -> None:
    disabled = replace(ENDPOINT, status=EndpointStatus.DISABLED, disabled_reason=DisabledReason.GONE)
    assert not is_wanted(disabled, STARTED.type, STARTED.routing)


def test_a_test_goes_to_the_endpoint_that_it_names_and_to_no_other() -> None:
    test = plain_event(
        EventType.WEBHOOK_TEST, content=["1"], details={}, observed_at=0.0, endpoint_id=ENDPOINT.id
    )
    assert is_wanted(ENDPOINT, test.type, test.routing)
    assert not is_wanted(
        replace(ENDPOINT, id=EndpointId("ep_2"), event_types=("*",)), test.type, test.routing
    )


THIN = replace(ENDPOINT, payload=PayloadForm.THIN, event_types=("space.started", "space.ended"))


class TestThePeople:
    """The people that are requested from X."""

    def test_are_all_requested_without_subscribers_because_polled_events_are_full(self) -> None:
        assert people_wanted([]) is People.WITH_GUESTS
        assert people_wanted([replace(THIN, status=EndpointStatus.DISABLED)]) is People.WITH_GUESTS

    def test_on_stage_are_shown_by_full_payloads(self) -> None:
        full = replace(THIN, payload=PayloadForm.FULL)
        assert people_wanted([full]) is People.ON_STAGE
        assert people_wanted([THIN, full]) is People.ON_STAGE

    def test_are_not_requested_for_thin_payloads_of_other_events(self) -> None:
        assert people_wanted([THIN]) is People.CREATOR
        assert people_wanted([THIN, THIN]) is People.CREATOR

    @pytest.mark.parametrize("event_type", EventType)
    def test_are_requested_for_thin_payloads_of_events_about_people(self, event_type: EventType) -> None:
        subscribed = replace(THIN, event_types=(event_type.value,))
        wanted = {
            **dict.fromkeys(ABOUT_THE_STAGE, People.ON_STAGE),
            **dict.fromkeys(ABOUT_GUESTS, People.WITH_GUESTS),
        }
        assert people_wanted([THIN, subscribed]) is wanted.get(event_type, People.CREATOR)

    @pytest.mark.parametrize("payload", PayloadForm)
    @pytest.mark.parametrize("pattern", ["*", "space.*", "space.updated"])
    def test_include_guests_for_subscribers_to_changes_of_guests(
        self, pattern: str, payload: PayloadForm
    ) -> None:
        subscribed = replace(THIN, event_types=(pattern,), payload=payload)
        assert people_wanted([THIN, subscribed]) is People.WITH_GUESTS

    def test_do_not_depend_on_disabled_endpoints(self) -> None:
        disabled = replace(ENDPOINT, status=EndpointStatus.DISABLED, disabled_reason=DisabledReason.GONE)
        assert people_wanted([disabled, THIN]) is People.CREATOR

    def test_are_what_those_events_are_about(self) -> None:
        everything = variant(LIVE, host_ids=("1", "2", "3"), speaker_ids=("4",), invited_user_ids=("5",))
        history = History(seen(700, variant(LIVE, invited_user_ids=("4",))))
        assert {event.type for event in history.poll(seen(730, everything))} == {
            *ABOUT_THE_STAGE,
            *ABOUT_GUESTS,
        }
