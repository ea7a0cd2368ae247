"""Which endpoints want which events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from notifier.core.delivery.endpoint import Endpoint, EndpointStatus, Filters
from notifier.core.events.event import EventType, PayloadForm, Routing
from notifier.core.model.observation import People
from notifier.errors import InvalidInputError

ALL_TYPES: Final = "*"
SPACE_TYPES: Final = "space.*"
ABOUT_THE_STAGE: Final = (EventType.HOSTS_CHANGED, EventType.SPEAKERS_ADDED)
ABOUT_GUESTS: Final = (EventType.UPDATED,)


def check_event_types(patterns: tuple[str, ...]) -> None:
    """Refuse a subscription to something that does not exist.

    Raises:
        InvalidInputError: A pattern is neither ``*`` nor ``space.*`` nor the name of a type.
    """
    known = {ALL_TYPES, SPACE_TYPES, *EventType}
    for pattern in patterns:
        if pattern not in known:
            raise InvalidInputError.of(
                "event_types", f"{pattern!r} is no event type; see GET /v1/event-types, or use space.* or *"
            )


def wants_type(patterns: tuple[str, ...], event_type: EventType) -> bool:
    """Return whether a subscription covers a type; operational types need to be named, or ``*``."""
    return any(
        pattern in (ALL_TYPES, event_type) or (pattern == SPACE_TYPES and event_type.startswith("space."))
        for pattern in patterns
    )


def people_wanted(endpoints: Iterable[Endpoint]) -> People:
    """Return which people X is to be asked for, each of whom it may bill as a read.

    Hosts and speakers are shown in full payloads and have events of their own; guests are asked for only
    where the event that says who was invited is wanted. Where no endpoint is enabled, events are polled, and
    then everything is shown.
    """
    enabled = [each for each in endpoints if each.status is EndpointStatus.ENABLED]
    if not enabled or any(_wants_any(each, ABOUT_GUESTS) for each in enabled):
        return People.WITH_GUESTS
    if any(each.payload is PayloadForm.FULL or _wants_any(each, ABOUT_THE_STAGE) for each in enabled):
        return People.ON_STAGE
    return People.CREATOR


def _wants_any(endpoint: Endpoint, event_types: Iterable[EventType]) -> bool:
    return any(wants_type(endpoint.event_types, each) for each in event_types)


def passes(filters: Filters, routing: Routing) -> bool:
    """Return whether an event gets through; events that are not about a Space pass the Space filters."""
    by_watch = _overlaps(filters.watch_ids, routing.watch_ids)
    if routing.space_id is None:
        return by_watch or not routing.watch_ids
    return (
        by_watch
        and _overlaps(filters.space_ids, (routing.space_id,))
        and _overlaps(filters.creator_ids, routing.creator_ids)
        and _overlaps(filters.languages, (routing.lang,))
    )


def is_wanted(endpoint: Endpoint, event_type: EventType, routing: Routing) -> bool:
    """Return whether an endpoint gets an event: never if disabled, a test only if it is named."""
    if endpoint.status is not EndpointStatus.ENABLED:
        return False
    if routing.endpoint_id is not None:
        return routing.endpoint_id == endpoint.id
    return wants_type(endpoint.event_types, event_type) and passes(endpoint.filters, routing)


def _overlaps(wanted: tuple[str, ...], given: tuple[str | None, ...]) -> bool:
    return not wanted or any(item in wanted for item in given)
