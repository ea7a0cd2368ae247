"""``/v1/event-types``: what can be subscribed to."""

from typing import Any, Final

from pydantic import BaseModel, Field

from notifier.api.operations import Call, operation
from notifier.api.paging import PageView
from notifier.core.events.catalogue import event_types
from notifier.core.model.api_key import Scope
from notifier.http.access import key
from notifier.http.reply import Reply


class EventTypeView(BaseModel):
    """An event type."""

    name: str
    description: str
    json_schema: dict[str, Any] = Field(alias="schema", description="JSON Schema of the body.")
    example: dict[str, Any]


async def list_event_types(_call: Call[None, None]) -> Reply[PageView[EventTypeView]]:
    """List event types.

    All are on one page.
    """
    views = [
        EventTypeView(name=info.name, description=info.description, schema=info.schema, example=info.example)
        for info in event_types()
    ]
    return Reply.of(PageView[EventTypeView](data=views, next_cursor=None))


OPERATIONS: Final = (operation("GET", "/v1/event-types", list_event_types, key(Scope.EVENTS_READ)),)
