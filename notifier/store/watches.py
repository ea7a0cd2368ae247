"""Watches in Redis."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from pydantic import TypeAdapter

from notifier.core.model.ids import SpaceId, WatchId
from notifier.core.model.observation import Call
from notifier.core.model.watch import Watch, WatchKind, WatchRole
from notifier.core.spaces.timers import ERASE_AFTER_SECONDS
from notifier.errors import ConflictError, NotFoundError, VersionConflictError
from notifier.store import schema
from notifier.store.database import Database
from notifier.store.paging import Page, page_of, slice_of
from notifier.store.polls import POLL_CALLS
from notifier.store.records import CHANGED, Change, Changes, text_of
from notifier.store.scripts import Script, script
from notifier.store.standings import STANDING

SAVE_WATCH: Final[Script[str]] = script("save_watch")
DELETE_WATCH: Final[Script[int]] = script("delete_watch")

WATCH = TypeAdapter(Watch)
MAX_LISTED_SPACES: Final = 100
NO_POLL: Final = ("", "")


class Watches:
    """The records of watches; each change starts or stops the corresponding polls."""

    def __init__(self, database: Database, *, ttl_seconds: int) -> None:
        self._database = database
        self._ttl = ttl_seconds
        self._changes = Changes[Watch]()

    async def create(self, watch: Watch, *, now: float) -> None:
        """Add a watch and make its first poll due.

        Raises:
            ConflictError: Its kind and target are watched already; ``existing_id`` says by which.
        """
        await self._save(watch, before=None, now=now)

    async def save(self, watch: Watch, *, replacing: Watch, now: float) -> None:
        """Replace a watch, if unchanged since it was read.

        Raises:
            NotFoundError: It has been deleted.
            VersionConflictError: It was changed meanwhile.
            ConflictError: Another watch follows the same subject, which can show once a name is resolved.
        """
        await self._save(watch, before=replacing, now=now)

    async def change(self, watch_id: str, decide: Callable[[Watch], Watch], *, now: float) -> Change[Watch]:
        """Change a watch, even if others change it at the same time.

        Args:
            watch_id: Which.
            decide: Returns what becomes of it. It may be asked again, about what others have made of it by
                then, and may refuse by raising.
            now: Epoch seconds.

        Raises:
            NotFoundError: There is none.
            VersionConflictError: Others kept changing it.
            ConflictError: Another watch follows the same subject, which can show once a name is resolved.
        """

        async def save(change: Change[Watch]) -> None:
            if change.after != change.before:
                await self.save(change.after, replacing=change.before, now=now)

        return await self._changes.make(watch_id, self.get, decide, save)

    async def _save(self, watch: Watch, *, before: Watch | None, now: float) -> None:
        replaced: str | None = ""
        if before is not None:
            replaced = await text_of(self._database, schema.WATCH(watch.id), WATCH, before)
        asked: dict[str, Any] = {
            "id": watch.id,
            "document": WATCH.dump_json(watch).decode(),
            "replaced": CHANGED if replaced is None else replaced,
            "identity": watch.identity,
            "identity_before": before.identity if before else "",
            "now": int(now * 1000),
            "space": _space_of(watch),
            "follows_hosts": WatchRole.HOST in watch.roles,
        }
        ends, begins = poll_of(before), poll_of(watch)
        if ends != begins:
            polls = {"ends": ends, "begins": begins}
            asked |= {name: _poll(*poll) for name, poll in polls.items() if poll != NO_POLL}
        holder = await self._database.run(
            SAVE_WATCH,
            keys=[schema.WATCH(watch.id), schema.WATCH_BY(watch.kind)],
            args=[json.dumps(asked)],
        )
        if holder == "-":
            raise NotFoundError.of("watch", watch.id)
        if holder == "~":
            raise VersionConflictError(f"Watch {watch.id} was changed meanwhile; try again.")
        if holder:
            raise ConflictError(f"{watch.target} is watched already, by {holder}.", existing_id=holder)

    async def get(self, watch_id: str) -> Watch:
        """Read one watch.

        Raises:
            NotFoundError: There is none.
        """
        found = await self.get_many([watch_id])
        if watch_id not in found:
            raise NotFoundError.of("watch", watch_id)
        return found[WatchId(watch_id)]

    async def get_many(self, watch_ids: Collection[str]) -> dict[WatchId, Watch]:
        """Return those of the watches that exist."""
        if not watch_ids:
            return {}
        async with self._database.translated():
            documents = await self._database.redis.mget([schema.WATCH(watch_id) for watch_id in watch_ids])
        found = [WATCH.validate_json(document) for document in documents if document]
        return {watch.id: watch for watch in found}

    async def by_subjects(self, kind: WatchKind, subjects: Sequence[str]) -> dict[str, Watch]:
        """Find the watches of a kind that follow these subjects, by subject."""
        if not subjects:
            return {}
        async with self._database.translated():
            watch_ids = await self._database.redis.hmget(schema.WATCH_BY(kind), list(subjects))
        watches = await self.get_many([watch_id for watch_id in watch_ids if watch_id])
        return {watch.identity: watch for watch in watches.values()}

    async def page(self, *, limit: int, cursor: str | None) -> Page[Watch]:
        """List watches, newest first."""
        rows = await slice_of(self._database, schema.WATCHES(), limit=limit, cursor=cursor)
        found = await self.get_many([watch_id for watch_id, _ in rows])
        return page_of([(found.get(WatchId(watch_id)), serial) for watch_id, serial in rows], limit=limit)

    async def delete(self, watch_id: str, *, now: float) -> None:
        """Remove a watch; Spaces that no other watch matches are no longer polled.

        Raises:
            NotFoundError: There is none.
        """
        watch = await self.get(watch_id)
        call, subject = poll_of(watch)
        asked = {
            "id": watch_id,
            "identity": watch.identity,
            **_poll(call, subject),
            "space": _space_of(watch),
            "ttl": self._ttl,
            "erase_at": int((now + ERASE_AFTER_SECONDS) * 1000),
        }
        deleted = await self._database.run(
            DELETE_WATCH,
            keys=[schema.WATCH(watch_id), schema.WATCH_BY(watch.kind), schema.WATCH_SPACES(watch_id)],
            args=[json.dumps(asked)],
        )
        if not deleted:
            raise NotFoundError.of("watch", watch_id)

    async def reasons(self, watches: Collection[Watch]) -> dict[WatchId, str]:
        """Return the reason for the standing of each watch's subject, for people, where there is one."""
        places = {watch.id: poll_of(watch) for watch in watches}
        async with self._database.pipeline() as pipe:
            for call, subject in places.values():
                pipe.hget(schema.STANDINGS(call), subject)
            found = await pipe.execute()
        standings = {
            watch_id: STANDING.validate_json(text)
            for watch_id, text in zip(places, found, strict=True)
            if text is not None
        }
        return {watch_id: standing.reason for watch_id, standing in standings.items() if standing.reason}

    async def follow_hosts(self) -> bool:
        """Return whether any watch follows a person as a host."""
        async with self._database.translated():
            return bool(await self._database.redis.exists(schema.HOST_WATCHES()))

    async def space_ids(self, watch_ids: Sequence[str]) -> list[tuple[SpaceId, ...]]:
        """List the Spaces that each watch matched last, newest first."""
        async with self._database.pipeline() as pipe:
            for watch_id in watch_ids:
                pipe.zrange(schema.WATCH_SPACES(watch_id), 0, MAX_LISTED_SPACES - 1, desc=True)
            return [tuple(space_ids) for space_ids in await pipe.execute()]


def _poll(call: str, subject: str) -> dict[str, str]:
    return {"call": call, "subject": subject}


def _space_of(watch: Watch) -> str:
    """Return the Space that a watch of one Space follows, empty for the other kinds."""
    return watch.subject if watch.kind is WatchKind.SPACE and watch.subject else ""


def poll_of(watch: Watch | None) -> tuple[str, str]:
    """Return the call and subject by which X is asked for a watch, empty where it is not asked."""
    if watch is None or watch.paused:
        return NO_POLL
    if watch.subject is None:
        return Call.USERS, watch.id
    return POLL_CALLS[watch.kind], watch.id if watch.kind is WatchKind.SEARCH else watch.subject
