"""Pages over sorted sets whose scores are serial numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from notifier.errors import BadRequestError
from notifier.store.database import Database
from notifier.store.schema import Key

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some records and the cursor of the next page, None at the end."""

    items: tuple[T, ...]
    next_cursor: str | None


def read_cursor(cursor: str) -> int:
    """Read a cursor that is a serial number.

    Raises:
        BadRequestError: It is not one that a page has given out.
    """
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):  # noqa: PLR2004 - fits a double
        raise BadRequestError("cursor: pass the next_cursor of the previous page, unchanged")
    return int(cursor)


async def slice_of(
    database: Database, key: Key, *, limit: int, cursor: str | None, oldest_first: bool = False
) -> list[tuple[str, int]]:
    """Return up to ``limit`` members of a sorted set with their scores, after the cursor."""
    edge = f"({read_cursor(cursor)}" if cursor is not None else None
    async with database.translated():
        if oldest_first:
            rows = await database.redis.zrange(
                key, edge or "-inf", "+inf", byscore=True, offset=0, num=limit, withscores=True
            )
        else:
            rows = await database.redis.zrange(
                key, edge or "+inf", "-inf", desc=True, byscore=True, offset=0, num=limit, withscores=True
            )
    return [(member, int(score)) for member, score in rows]


def page_of(rows: Sequence[tuple[T | None, int]], *, limit: int) -> Page[T]:
    """Make a page of what was read: records with their serial numbers, None where one is gone.

    A short read is the last.
    """
    cursor = str(rows[-1][1]) if len(rows) >= limit else None
    return Page(tuple(item for item, _ in rows if item is not None), cursor)
