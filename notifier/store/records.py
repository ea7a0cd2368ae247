"""Optimistic changes of JSON records: replace one only if unchanged, or read it again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from weakref import WeakValueDictionary

from pydantic import TypeAdapter

from notifier.errors import VersionConflictError
from notifier.store.database import Database
from notifier.store.scripts import Script, script

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")

REPLACE: Final[Script[int]] = script("replace")

CHANGED: Final = "changed"
"""Stands for a text that no record has, so that a script finds nothing to replace."""

CHANGE_TRIES: Final = 50
"""How often a change is tried. Within a process the changes of a record take turns, so they collide only with
those of other processes; with a handful of them it hardly ever takes ten tries."""


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """What a record was, and what it has become; the same where there was nothing to do."""

    before: T
    after: T


class Changes(Generic[T]):
    """Changes of one kind of record, of which none is lost and none is refused for having been second."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def make(
        self,
        record_id: str,
        read: Callable[[str], Awaitable[T]],
        decide: Callable[[T], T],
        save: Callable[[Change[T]], Awaitable[None]],
    ) -> Change[T]:
        """Read a record, decide on it and save it; repeat if the record was changed in the meantime.

        Args:
            record_id: Whose turn is waited for in this process.
            read: Reads the record.
            decide: Returns what becomes of it. It may be asked again, and may refuse by raising.
            save: Saves a change; raises VersionConflictError if the record has changed since it was read.

        Raises:
            VersionConflictError: Others kept changing it.
        """
        async with self._turns.setdefault(record_id, asyncio.Lock()):
            tries = CHANGE_TRIES
            while True:
                before = await read(record_id)
                change = Change(before, decide(before))
                tries -= 1
                try:
                    await save(change)
                except VersionConflictError:
                    if not tries:
                        raise
                else:
                    return change


def version_of(record: DataclassInstance) -> str:
    """Return a text that differs between any two states of a record."""
    document = json.dumps(asdict(record), sort_keys=True)
    return blake2b(document.encode(), digest_size=12).hexdigest()


async def text_of(database: Database, key: str, adapter: TypeAdapter[T], record: T) -> str | None:
    """Return the stored text of a record, for a script to compare; or None if it has changed.

    The text is not recreated from the record: one stored by an earlier version may lack a field that has a
    default now, and would never compare equal.
    """
    async with database.translated():
        text: str | None = await database.redis.get(key)
    return text if text is not None and adapter.validate_json(text) == record else None
