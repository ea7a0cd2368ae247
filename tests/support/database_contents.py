"""The full contents of a database, for tests of what an operation changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

READERS: Final[Mapping[str, Callable[[Any, str], object]]] = {
    "string": lambda pipe, key: pipe.get(key),
    "hash": lambda pipe, key: pipe.hgetall(key),
    "set": lambda pipe, key: pipe.smembers(key),
    "zset": lambda pipe, key: pipe.zrange(key, 0, -1, withscores=True),
}
"""How each type of value is read; a type that the store does not use is an error."""


class Value(NamedTuple):
    """A key's value with its fields, members and scores, and whether it expires."""

    type: str
    value: Any
    expires: bool


async def contents(redis: Any) -> dict[str, Value]:
    """Return everything in the database; the client must decode responses."""
    names = sorted([key async for key in redis.scan_iter(count=1000)])
    async with redis.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.type(name)
        types = await pipe.execute()
        for name, kind in zip(names, types, strict=True):
            READERS[kind](pipe, name)
            pipe.pttl(name)
        rows = await pipe.execute()
    found = zip(names, types, rows[::2], rows[1::2], strict=True)
    return {name: Value(kind, value, ttl >= 0) for name, kind, value, ttl in found}


def differences(before: Mapping[str, Value], after: Mapping[str, Value]) -> dict[str, Any]:
    """Return the new values of the keys that differ, None for a deleted key.

    Of a hash only the fields that differ are returned, None for a deleted one.
    """
    changed = {name: after.get(name) for name in {*before, *after} if before.get(name) != after.get(name)}
    return {name: _difference(before.get(name), value) for name, value in changed.items()}


def _difference(before: Value | None, after: Value | None) -> Any:
    if after is None or before is None or after[::2] != before[::2] or after.type != "hash":
        return after and after.value
    fields = {*before.value, *after.value}
    return {each: after.value.get(each) for each in fields if before.value.get(each) != after.value.get(each)}
