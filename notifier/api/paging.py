"""Pages of a list: how they are asked for and how they are answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, Field

from notifier.api.bodies import Query
from notifier.api.cursors import ADVICE, Place, digest_of
from notifier.api.models import QueryInteger
from notifier.api.operations import Call
from notifier.errors import BadRequestError
from notifier.http.reply import Reply

MAX_LIMIT: Final = 250
DEFAULT_LIMIT: Final = 50
WHICH_PAGE: Final = {"limit", "cursor"}
"""The parameters that say which page of a list, and not which list."""

ItemT = TypeVar("ItemT", bound=BaseModel)


class PageQuery(Query):
    """Which page of a list."""

    limit: QueryInteger = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)
    cursor: str | None = Field(
        None, description="The `next_cursor` of the previous page of the same list with the same filters."
    )


class PageView(BaseModel, Generic[ItemT]):
    """One page of a list."""

    data: list[ItemT]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last.")


def page_of(call: Call[Any, PageQuery]) -> dict[str, Any]:
    """Return the page that is asked for, as the store's arguments.

    Raises:
        BadRequestError: The cursor is not one of this list under these filters.
    """
    return {"limit": call.query.limit, "cursor": position_of(call)}


def position_of(call: Call[Any, PageQuery]) -> str | None:
    """Return where the page begins in the store's terms, None for the beginning of the list.

    Raises:
        BadRequestError: The cursor is not one of this list under these filters.
    """
    if call.query.cursor is None:
        return None
    place = Place.read(call.query.cursor, field="cursor")
    if (place.resource, place.filters) != (call.resource, _filters_of(call)):
        raise BadRequestError(f"cursor: it is of another list, or of other filters; {ADVICE}")
    return place.position


def page_reply(
    call: Call[Any, PageQuery], view: type[ItemT], views: Sequence[ItemT], position: str | None
) -> Reply[PageView[ItemT]]:
    """Answer with a page.

    Args:
        call: What was asked.
        view: The model of an item.
        views: The items.
        position: Where the next page begins in the store's terms, None at the end.
    """
    cursor = None if position is None else Place(call.resource, _filters_of(call), position).cursor()
    return Reply.of(PageView[view](data=views, next_cursor=cursor))  # type: ignore[valid-type]  # known at runtime


def _filters_of(call: Call[Any, PageQuery]) -> str:
    return digest_of(call.query.model_dump(mode="json", exclude=WHICH_PAGE))
