"""``/v1/events``: the event log, for reading and for polling."""

import json
from typing import Any, ClassVar, Final

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from notifier.api.cursors import Place
from notifier.api.models import Time
from notifier.api.operations import Call, operation
from notifier.api.paging import PageQuery, PageView, page_reply, position_of
from notifier.core.events.event import EventType
from notifier.core.model.api_key import Scope
from notifier.errors import BadRequestError
from notifier.http.access import key
from notifier.http.reply import Reply
from notifier.store.events import LoggedEvent

PATH: Final = "/v1/events"
EVENT_PREFIX: Final = "evt_"
ANY_FILTERS: Final = ""
"""In the cursors that ``after`` takes: they go on from the same place under whatever filters."""


class EventView(BaseModel):
    """An event: its id and the body that receivers get."""

    id: str
    type: str
    timestamp: Time
    data: dict[str, Any]


class EventListQuery(PageQuery):
    """Which events to list."""

    meaningful_when_empty: ClassVar[frozenset[str]] = frozenset({"after"})

    type: EventType | None = None
    space_id: str | None = None
    after: str | None = Field(
        None,
        description="An event id or a `next_cursor`: list the events after it, oldest first; "
        "empty or 0: from the beginning. `next_cursor` is then always given, and is passed as `after` again.",
    )

    @field_validator("after")
    @classmethod
    def _alone(cls, after: str | None, info: ValidationInfo) -> str | None:
        if after is not None and info.data.get("cursor") is not None:
            raise ValueError("goes in the opposite direction of cursor; pass one of them")
        return after


def event_view(event: LoggedEvent) -> EventView:
    """Return a logged event as the API shows it."""
    return EventView(id=event.id, **json.loads(event.body))


async def list_events(call: Call[None, EventListQuery]) -> Reply[PageView[EventView]]:
    """List events.

    The newest comes first; with `after`, the oldest.
    """
    query, log = call.query, call.runtime.store.events
    wanted: dict[str, Any] = {"limit": query.limit, "event_type": query.type, "space_id": query.space_id}
    if query.after is None:
        page = await log.page(cursor=position_of(call), **wanted)
        return page_reply(call, EventView, list(map(event_view, page.items)), page.next_cursor)
    page = await log.after(after=_place_in_log(query.after), **wanted)
    views = [event_view(event) for event in page.items]
    cursor = Place(PATH, ANY_FILTERS, page.next_cursor or "0").cursor()
    return Reply.of(PageView[EventView](data=views, next_cursor=cursor))


def _place_in_log(after: str) -> str:
    """Return what the store takes for ``after``: an event's id, or a place in the log.

    Any cursor of the log will do, whatever filters it came with: the place that it names is the same for all.
    Plain numbers are the cursors of earlier versions, which readers have written down.

    Raises:
        BadRequestError: It is neither.
    """
    if after.startswith(EVENT_PREFIX) or after.isdigit() or not after:
        return after
    place = Place.read(after, field="after")
    if place.resource != PATH:
        raise BadRequestError("after: this is the cursor of another list; pass one of /v1/events")
    return place.position


async def get_event(call: Call[None, None]) -> Reply[EventView]:
    """Get an event."""
    return Reply.of(event_view(await call.runtime.store.events.get(call.path["event_id"])))


OPERATIONS: Final = (
    operation("GET", PATH, list_events, key(Scope.EVENTS_READ)),
    operation("GET", PATH + "/{event_id}", get_event, key(Scope.EVENTS_READ)),
)
