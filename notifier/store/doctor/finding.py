"""What an examination finds, and how it reads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeVar

from notifier.store.database import Database

T = TypeVar("T")

AT_ONCE: Final = 250
"""How many records one round trip reads: no script holds the server for more than a few milliseconds."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something that must not be so: the key where it shows, what it means, and what fixes it, if we know."""

    key: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.key}: {self.text}"


def batches(items: Iterable[T], size: int = AT_ONCE) -> Iterator[list[T]]:
    """Deal items out in lists of this size."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch


async def atomically(database: Database, *commands: Sequence[Any]) -> list[Any]:
    """Run plain commands at one moment, each given as its name and its arguments."""
    async with database.translated(), database.redis.pipeline(transaction=True) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        answers: list[Any] = await pipe.execute()
        return answers


async def members(database: Database, key: str, kind: str) -> AsyncIterator[list[str]]:
    """Walk a ``zset``, a ``set`` or the names of a ``hash``; what was in it all the time is given."""
    scan = {
        "zset": database.redis.zscan,
        "set": database.redis.sscan,
        "hash": database.redis.hscan,
    }[kind]
    cursor = 0
    while True:
        async with database.translated():
            cursor, rows = await scan(key, cursor, count=AT_ONCE)
        yield [row[0] for row in rows] if kind == "zset" else list(rows)
        if cursor == 0:
            return


def score_of(rows: Sequence[Any]) -> float | None:
    """Read the score out of the answer of a ``ZRANGE`` of one member ``WITHSCORES``; None for no member."""
    last = rows[-1] if rows else None
    return None if last is None else float(last[1] if isinstance(last, (list, tuple)) else last)
