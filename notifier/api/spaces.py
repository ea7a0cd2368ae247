"""``/v1/spaces``: the Spaces that are tracked, as they are known."""

from collections.abc import Sequence
from typing import Final

from pydantic import create_model

from notifier.api.events import EventView, event_view
from notifier.api.models import Time
from notifier.api.operations import Call, operation
from notifier.api.paging import PageQuery, PageView, page_of, page_reply
from notifier.core.events.event import SPACE_URL
from notifier.core.events.payload import SpaceObject
from notifier.core.model.api_key import Scope
from notifier.core.model.instants import rfc3339
from notifier.core.model.space import Phase
from notifier.core.spaces.known import KnownSpace
from notifier.errors import NotFoundError
from notifier.http.access import key
from notifier.http.reply import Reply

PATH: Final = "/v1/spaces"
ONE: Final = PATH + "/{space_id}"

SpaceView: Final = create_model(
    "SpaceView",
    __base__=SpaceObject,
    __doc__="A Space under X's names, with what we know about it; unknown fields are left out.",
    state=(Phase, ...),
    url=(str, ...),
    watch_ids=(list[str], ...),
    sequence=(int, ...),
    observed_at=(Time, ...),
)


class SpaceListQuery(PageQuery):
    """Which Spaces to list."""

    state: Phase | None = None
    watch_id: str | None = None


def _view(known: KnownSpace, watch_ids: Sequence[str]) -> SpaceView:
    return SpaceView(
        **known.space.as_json()
        | {
            "state": known.phase,
            "url": SPACE_URL + known.space.id,
            "watch_ids": list(watch_ids),
            "sequence": known.sequence,
            "observed_at": rfc3339(known.observed_at),
        }
    )


async def list_spaces(call: Call[None, SpaceListQuery]) -> Reply[PageView[SpaceView]]:
    """List Spaces.

    The newest comes first.
    """
    query = call.query
    page = await call.runtime.store.spaces.page(**page_of(call), state=query.state, watch_id=query.watch_id)
    views = [_view(tracked.known, tracked.watch_ids) for tracked in page.items if tracked.known is not None]
    return page_reply(call, SpaceView, views, page.next_cursor)


async def get_space(call: Call[None, None]) -> Reply[SpaceView]:
    """Get a Space."""
    space_id = call.path["space_id"]
    tracked = await call.runtime.store.spaces.get(space_id)
    if tracked.known is None:
        raise NotFoundError.of("Space", space_id)
    return Reply.of(_view(tracked.known, tracked.watch_ids))


async def list_space_events(call: Call[None, PageQuery]) -> Reply[PageView[EventView]]:
    """List the events of a Space.

    They come by sequence, the oldest first.
    """
    space_id, store = call.path["space_id"], call.runtime.store
    page = await store.events.of_space(space_id, **page_of(call))
    if not page.items and call.query.cursor is None:
        # A Space without events is empty, one that was never seen is not found; a forgotten one has its log.
        await store.spaces.get(space_id)
    views = [event_view(event) for event in page.items]
    return page_reply(call, EventView, views, page.next_cursor)


OPERATIONS: Final = (
    operation("GET", PATH, list_spaces, key(Scope.SPACES_READ)),
    operation("GET", ONE, get_space, key(Scope.SPACES_READ)),
    operation("GET", ONE + "/events", list_space_events, key(Scope.SPACES_READ)),
)
