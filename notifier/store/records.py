"""Replacing a JSON record only as it was read."""

from __future__ import annotations

from typing import Final, TypeVar

from pydantic import TypeAdapter

from notifier.store.database import Database

T = TypeVar("T")

CHANGED: Final = "changed"
"""Stands for a text that no record has, so that a script finds nothing to replace."""


async def text_of(database: Database, key: str, adapter: TypeAdapter[T], record: T) -> str | None:
    """Give the stored text of a record, for a script to compare; None where it is not this record any more.

    The text is not written anew from the record: one that an earlier version stored may lack a field that has
    a default by now, and would never compare equal.
    """
    async with database.translated():
        text: str | None = await database.redis.get(key)
    return text if text is not None and adapter.validate_json(text) == record else None
