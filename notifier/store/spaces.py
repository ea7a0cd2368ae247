"""Spaces in Redis: the known state of each, and the atomic commit."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from notifier.core.events.event import Event
from notifier.core.model.ids import SpaceId, WatchId
from notifier.core.model.poll import NextPoll
from notifier.core.model.space import Phase
from notifier.core.spaces.known import KnownSpace, read_known
from notifier.core.spaces.timers import TimerKind
from notifier.errors import NotFoundError
from notifier.store import schema
from notifier.store.database import Database
from notifier.store.events import logged
from notifier.store.paging import Page, page_of, slice_of
from notifier.store.scripts import Script, ScriptCall, script

FORGET_SPACE: Final[Script[int]] = script("forget_space")
COMMIT: Final[Script[int]] = script("commit")

TRIMMED_AT_ONCE: Final = 250
RECENT_SPACES: Final = 20
"""How far back a watch's Spaces are searched for some that are still alive."""


@dataclass(frozen=True, slots=True)
class TrackedSpace:
    """A Space's record: the known state, the version that a commit must name, and the matching watches.

    ``known`` is None and ``version`` 0 for a Space that is watched and was never seen.
    """

    known: KnownSpace | None
    version: int
    watch_ids: tuple[WatchId, ...]


@dataclass(frozen=True, slots=True)
class Commit:
    """A decision to be stored.

    Attributes:
        version: Of the record that was decided on.
        watch_ids: The watches that match the Space; they are linked to it.
        timers: When each of its timers fires, in epoch seconds; the others are dropped.
        poll: The next poll; None forgets the Space.
        keeps_poll: Leave the polls as they are, whatever ``poll`` says.
    """

    known: KnownSpace
    version: int
    events: tuple[Event, ...]
    watch_ids: tuple[WatchId, ...]
    timers: Mapping[TimerKind, float]
    poll: NextPoll | None = None
    keeps_poll: bool = False


class Spaces:
    """The records of Spaces."""

    def __init__(self, database: Database, *, ttl_seconds: int) -> None:
        self._database = database
        self._ttl = ttl_seconds

    async def read_many(self, space_ids: Sequence[str]) -> dict[SpaceId, TrackedSpace]:
        """Read the records of these Spaces, one for each, in one round trip."""
        async with self._database.pipeline() as pipe:
            for space_id in space_ids:
                pipe.hmget(schema.SPACE(space_id), "doc", "version")
                pipe.smembers(schema.SPACE_WATCHES(space_id))
            answers = await pipe.execute()
        records = zip(space_ids, answers[::2], answers[1::2], strict=True)
        return {
            SpaceId(space_id): TrackedSpace(
                read_known(json.loads(document)) if document else None,
                int(version or 0),
                tuple(sorted(watch_ids)),
            )
            for space_id, (document, version), watch_ids in records
        }

    async def get(self, space_id: str) -> TrackedSpace:
        """Read one Space that has been seen.

        Raises:
            NotFoundError: There is none.
        """
        tracked = (await self.read_many([space_id]))[SpaceId(space_id)]
        if tracked.known is None:
            raise NotFoundError.of("Space", space_id)
        return tracked

    async def page(
        self, *, limit: int, cursor: str | None, state: Phase | None = None, watch_id: str | None = None
    ) -> Page[TrackedSpace]:
        """List Spaces, the latest seen for the first time first."""
        if watch_id is not None:
            index = schema.WATCH_SPACES(watch_id)
        else:
            index = schema.SPACES_IN(state) if state is not None else schema.SPACES()
        found: list[tuple[TrackedSpace, int]] = []
        while True:
            rows = await slice_of(self._database, index, limit=limit, cursor=cursor)
            records = await self.read_many([space_id for space_id, _ in rows])
            for space_id, serial in rows:
                tracked = records[SpaceId(space_id)]
                cursor = str(serial)
                if tracked.known is not None and state in (None, tracked.known.phase):
                    found.append((tracked, serial))
                    if len(found) == limit:
                        return page_of(found, limit=limit)
            if len(rows) < limit:
                return page_of(found, limit=limit)

    async def alive_of(self, watch_ids: Sequence[str]) -> set[SpaceId]:
        """Return the scheduled and live Spaces among those that the watches matched last."""
        async with self._database.pipeline() as pipe:
            for watch_id in watch_ids:
                pipe.zrange(schema.WATCH_SPACES(watch_id), 0, RECENT_SPACES - 1, desc=True)
            space_ids = sorted({each for recent in await pipe.execute() for each in recent})
        phases = await self.phases(space_ids)
        return {SpaceId(space_id) for space_id, phase in phases.items() if not phase.is_over}

    async def phases(self, space_ids: Sequence[str]) -> dict[str, Phase]:
        """Return the phases of those Spaces that have been seen, in one round trip."""
        async with self._database.pipeline() as pipe:
            for space_id in space_ids:
                pipe.hget(schema.SPACE(space_id), "phase")
            phases = await pipe.execute()
        return {space_id: Phase(each) for space_id, each in zip(space_ids, phases, strict=True) if each}

    async def trim(self) -> int:
        """Drop what the indexes say of Spaces whose records have expired; returns how many."""
        indexes = [schema.SPACES(), *(schema.SPACES_IN(phase) for phase in Phase)]
        dropped, cursor = 0, None
        while rows := await slice_of(self._database, schema.SPACES(), limit=TRIMMED_AT_ONCE, cursor=cursor):
            cursor = str(rows[-1][1])
            dropped += sum(
                await self._database.run_all(
                    [
                        ScriptCall(
                            FORGET_SPACE,
                            [schema.SPACE(space_id), schema.SPACE_WATCHES(space_id), *indexes],
                            [space_id],
                        )
                        for space_id, _ in rows
                    ]
                )
            )
        return dropped

    async def commit(self, commits: Iterable[Commit]) -> list[bool]:
        """Store decisions, each atomically, in one round trip.

        Returns:
            For each, whether it went in; where not, the Space or one of its watches changed meanwhile.
        """
        versions = await self._database.run_all([self._call(commit) for commit in commits])
        return [version > 0 for version in versions]

    def _call(self, commit: Commit) -> ScriptCall[int]:
        space_id = commit.known.space.id
        asked = {
            "id": space_id,
            "version": commit.version,
            "doc": json.dumps(commit.known.as_json(), ensure_ascii=False, separators=(",", ":")),
            "phase": commit.known.phase,
            "poll": _poll(commit),
            # Rounded up: a timer that is due too early would stay due until its time.
            "timers": {kind: math.ceil(at * 1000) for kind, at in commit.timers.items()},
            "ttl": self._ttl,
            "watches": commit.watch_ids,
            "events": [{**logged(event), "sequence": event.sequence or 0} for event in commit.events],
        }
        return ScriptCall(
            COMMIT,
            [schema.SPACE(space_id), schema.SPACE_WATCHES(space_id)],
            [json.dumps(asked, ensure_ascii=False)],
        )


def _poll(commit: Commit) -> str | dict[str, int | str]:
    """Return when and how urgently to poll, as the script takes it."""
    if commit.keeps_poll:
        return "keep"
    if commit.poll is None:
        return "forget"
    return {"at": int(commit.poll.at * 1000), "urgency": commit.poll.urgency}
