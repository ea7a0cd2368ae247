"""What a user of Redis must be allowed, and no more: docs/operating.md has it as a line to copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

KEYS: Final = ("sn:*", "arq:*")
"""The patterns of all keys: ours, and those of arq."""

OWN_KEY: Final = "sn:permissions"
ARQ_KEY: Final = "arq:permissions"
SHA: Final = "0" * 40

COMMANDS: Final[Mapping[str, Sequence[str]]] = {
    # Keys as such
    "DEL": (OWN_KEY,),
    "EXISTS": (OWN_KEY,),
    "EXPIRE": (OWN_KEY, "1"),
    "PERSIST": (OWN_KEY,),
    "PEXPIRE": (OWN_KEY, "1"),
    "PTTL": (OWN_KEY,),
    "RENAME": (OWN_KEY, OWN_KEY),
    "SCAN": ("0",),
    "TTL": (OWN_KEY,),
    "TYPE": (OWN_KEY,),
    # Strings
    "GET": (OWN_KEY,),
    "INCR": (OWN_KEY,),
    "INCRBY": (OWN_KEY, "1"),
    "MGET": (OWN_KEY,),
    "PSETEX": (ARQ_KEY, "1", "x"),
    "SET": (OWN_KEY, "x"),
    "SETEX": (ARQ_KEY, "1", "x"),
    # Hashes
    "HDEL": (OWN_KEY, "x"),
    "HEXISTS": (OWN_KEY, "x"),
    "HGET": (OWN_KEY, "x"),
    "HGETALL": (OWN_KEY,),
    "HINCRBY": (OWN_KEY, "x", "1"),
    "HINCRBYFLOAT": (OWN_KEY, "x", "1"),
    "HLEN": (OWN_KEY,),
    "HMGET": (OWN_KEY, "x"),
    "HSCAN": (OWN_KEY, "0"),
    "HSET": (OWN_KEY, "x", "x"),
    "HVALS": (OWN_KEY,),
    # Sets
    "SADD": (OWN_KEY, "x"),
    "SCARD": (OWN_KEY,),
    "SISMEMBER": (OWN_KEY, "x"),
    "SMEMBERS": (OWN_KEY,),
    "SMISMEMBER": (OWN_KEY, "x"),
    "SREM": (OWN_KEY, "x"),
    "SSCAN": (OWN_KEY, "0"),
    # Sorted sets
    "BZPOPMIN": (OWN_KEY, "1"),
    "ZADD": (OWN_KEY, "1", "x"),
    "ZCARD": (OWN_KEY,),
    "ZCOUNT": (OWN_KEY, "1", "2"),
    "ZINCRBY": (OWN_KEY, "1", "x"),
    "ZRANGE": (OWN_KEY, "0", "0"),
    "ZRANGEBYSCORE": (OWN_KEY, "1", "2"),
    "ZREM": (ARQ_KEY, "x"),
    "ZREMRANGEBYSCORE": (OWN_KEY, "1", "2"),
    "ZREVRANGE": (OWN_KEY, "0", "0"),
    "ZSCAN": (OWN_KEY, "0"),
    "ZSCORE": (OWN_KEY, "x"),
    # Scripts and the rest
    "EVALSHA": (SHA, "1", OWN_KEY),
    "SCRIPT|LOAD": ("return 1",),
    "TIME": (),
}
"""The commands that are tried at a start, each with arguments that the server accepts."""

TRANSACTION_COMMANDS: Final = ("WATCH", "UNWATCH", "MULTI", "EXEC", "DISCARD")
OTHER_COMMANDS: Final = ("PING", "SELECT")
"""What else is needed; ``SELECT`` only for another database than 0."""


def acl_rules() -> str:
    """Return the rules of ``ACL SETUSER`` that allow what is needed and nothing else."""
    names = (*OTHER_COMMANDS, *TRANSACTION_COMMANDS, *COMMANDS)
    return " ".join([*(f"~{pattern}" for pattern in KEYS), *(f"+{name.lower()}" for name in names)])
