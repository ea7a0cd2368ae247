"""Watches: their records and identities, and the polls that go with them."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

from notifier.core.model.observation import Call
from notifier.core.model.watch import Watch, WatchKind
from notifier.store import schema
from notifier.store.database import Database
from notifier.store.doctor.finding import Finding, atomically, members
from notifier.store.doctor.keyspace import Keyspace
from notifier.store.polls import sets_of
from notifier.store.watches import WATCH, poll_of

ABOUT_WATCHES: Final = (Call.CREATORS, Call.SEARCH, Call.USERS)
"""The calls whose polls are those of watches; the others are about Spaces."""

NEVER_SEEN: Final = -2
"""The time to live of a record that is not there."""


async def examine_watches(database: Database, keyspace: Keyspace) -> list[Finding]:
    """Examine every watch, every identity and every poll of something that is watched."""
    found: list[Finding] = []
    for watch_id in keyspace.parts(schema.WATCH, "watch"):
        found += await _watch(database, watch_id)
    known = set(keyspace.parts(schema.WATCH, "watch"))
    found += await _indexes(database, known)
    for call in ABOUT_WATCHES:
        for key in sets_of(call):
            async for subjects in members(database, key, "zset"):
                for subject in subjects:
                    found += await _poll(database, call, key, subject)
    for key in sets_of(Call.LOOKUP):
        async for subjects in members(database, key, "zset"):
            for subject in subjects:
                found += await _lookup(database, key, subject)
    return found


async def _read(database: Database, watch_id: str | None) -> Watch | None:
    """Return a watch, or None if there is none that can be read."""
    (text,) = await atomically(database, ("GET", schema.WATCH(watch_id or "")))
    try:
        return WATCH.validate_json(text) if text else None
    except ValidationError:
        return None


async def _watch(database: Database, watch_id: str) -> list[Finding]:
    key = schema.WATCH(watch_id)
    watch = await _read(database, watch_id)
    if watch is None or watch.id != watch_id:
        (exists,) = await atomically(database, ("EXISTS", key))
        return [Finding(key, "cannot be read, or holds another watch")] if exists else []
    call, subject = poll_of(watch)
    text, serial, holder, is_matched, record, *polls = await atomically(
        database,
        ("GET", key),
        ("ZSCORE", schema.WATCHES(), watch_id),
        ("HGET", schema.WATCH_BY(watch.kind), watch.identity),
        ("SISMEMBER", schema.SPACE_WATCHES(subject), watch_id),
        ("PTTL", schema.SPACE(subject)),
        *(("ZSCORE", part, subject) for part in sets_of(Call(call or Call.LOOKUP))),
    )
    if text is None or WATCH.validate_json(text) != watch:
        return []  # Changed in the meantime.
    found = [] if serial is not None else [Finding(schema.WATCHES(), f"{watch_id} is not in it")]
    if holder != watch_id:
        text = f"{watch.identity} belongs to {watch_id} and is {holder or 'nobody'}'s here"
        found.append(Finding(schema.WATCH_BY(watch.kind), text))
    filed = [poll for poll in polls if poll is not None]
    # A Space that is forgotten is polled no more; examine_spaces knows which are not.
    may_rest = call == Call.LOOKUP and (not is_matched or record != NEVER_SEEN)
    if call and len(filed) != 1 and not (may_rest and not filed):
        found.append(Finding(key, f"has {len(filed)} polls and must have one"))
    return found


async def _indexes(database: Database, known: set[str]) -> list[Finding]:
    """Find entries of watches that do not exist."""
    found: list[Finding] = []
    named: list[tuple[str, str, tuple[str, ...]]] = []
    async for watch_ids in members(database, schema.WATCHES(), "zset"):
        named += [(schema.WATCHES(), each, ("ZSCORE", schema.WATCHES(), each)) for each in watch_ids]
    for kind in WatchKind:
        holders = schema.WATCH_BY(kind)
        async with database.translated():
            identities = await database.redis.hgetall(holders)
        named += [
            (holders, watch_id, ("HGET", holders, identity)) for identity, watch_id in identities.items()
        ]
    for key, watch_id, entry in named:
        if watch_id not in known:
            exists, is_there = await atomically(database, ("EXISTS", schema.WATCH(watch_id)), entry)
            if not exists and is_there is not None:
                found.append(Finding(key, f"there is no watch {watch_id}"))
    return found


async def _poll(database: Database, call: Call, key: str, subject: str) -> list[Finding]:
    """Find a poll that no watch asks for."""
    watch_id: str | None = subject
    if call is Call.CREATORS:
        (watch_id,) = await atomically(database, ("HGET", schema.WATCH_BY(WatchKind.CREATOR), subject))
    watch = await _read(database, watch_id)
    if watch is not None and poll_of(watch) == (call, subject):
        return []
    (at,) = await atomically(database, ("ZSCORE", key, subject))
    return [] if at is None else [Finding(key, f"{subject} is polled for no watch")]


async def _lookup(database: Database, key: str, subject: str) -> list[Finding]:
    """Find a poll of a Space that is neither known nor watched."""
    exists, watcher, at = await atomically(
        database,
        ("EXISTS", schema.SPACE(subject)),
        ("HGET", schema.WATCH_BY(WatchKind.SPACE), subject),
        ("ZSCORE", key, subject),
    )
    if exists or watcher is not None or at is None:
        return []
    return [Finding(key, f"{subject} is polled, and is neither known nor watched")]
