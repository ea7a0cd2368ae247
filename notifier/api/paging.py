"""Pages of a list: how they are asked for and how they are answered."""

from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import BaseModel, Field

from notifier.api.bodies import Query

MAX_LIMIT: Final = 250
DEFAULT_LIMIT: Final = 50

ItemT = TypeVar("ItemT", bound=BaseModel)


class PageQuery(Query):
    """Which page of a list."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: str | None = Field(None, description="The next_cursor of the page before.")

    def page(self) -> dict[str, Any]:
        """Give the page as the store's arguments."""
        return {"limit": self.limit, "cursor": self.cursor}


class PageView(BaseModel, Generic[ItemT]):
    """One page of a list."""

    data: list[ItemT]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last.")
