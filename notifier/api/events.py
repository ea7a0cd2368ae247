"""``/v1/events``: the event log, for reading and for polling."""

import json
from typing import Any, ClassVar, Final

from pydantic import BaseModel, Field

from notifier.api.models import Time
from notifier.api.operations import Call, Operation, Reply
from notifier.api.paging import PageQuery, PageView
from notifier.core.events import EventType
from notifier.store.events import LoggedEvent

PATH: Final = "/v1/events"


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
        description="An event id or a `next_cursor`: list what came after it, the oldest first; "
        "empty or 0: from the beginning. `next_cursor` is then always given.",
    )


def event_view(event: LoggedEvent) -> EventView:
    """Give a logged event as the API shows it."""
    return EventView(id=event.id, **json.loads(event.body))


async def list_events(call: Call[None, EventListQuery]) -> Reply:
    """List events, the newest first; with ``after``, the oldest first."""
    query, log = call.query, call.runtime.store.events
    wanted: dict[str, Any] = {"limit": query.limit, "event_type": query.type, "space_id": query.space_id}
    if query.after is None:
        page = await log.page(cursor=query.cursor, **wanted)
    else:
        page = await log.after(after=query.cursor or query.after, **wanted)
    views = [event_view(event) for event in page.items]
    return Reply.of(PageView[EventView](data=views, next_cursor=page.next_cursor))


async def get_event(call: Call[None, None]) -> Reply:
    """Give one event."""
    return Reply.of(event_view(await call.runtime.store.events.get(call.path["event_id"])))


OPERATIONS: Final = (
    Operation(
        method="GET",
        path=PATH,
        handler=list_events,
        summary="List events",
        query=EventListQuery,
        answer=PageView[EventView],
    ),
    Operation(
        method="GET",
        path=PATH + "/{event_id}",
        handler=get_event,
        summary="Get an event",
        answer=EventView,
    ),
)
