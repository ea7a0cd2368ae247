"""Spaces in Redis: what is known of each, and the atomic commit."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from notifier.core.events.event import Event, encode
from notifier.core.model.ids import SpaceId, WatchId
from notifier.core.model.poll import NextPoll
from notifier.core.model.space import Phase
from notifier.core.spaces.known import KnownSpace, read_known
from notifier.core.spaces.timers import TimerKind
from notifier.errors import NotFoundError
from notifier.store import keys
from notifier.store.database import Argument, Database, ScriptCall, script
from notifier.store.events import routing_json
from notifier.store.paging import Page, page_of, slice_of

TRIMMED_AT_ONCE: Final = 250
RECENT_SPACES: Final = 20
"""How far back a watch's Spaces are searched for some that are still alive."""


@dataclass(frozen=True, slots=True)
class TrackedSpace:
    """A Space's record: what is known, the version that a commit must name, and the watches that match it.

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
        timers: When which of its timers rings, in epoch seconds; the others are dropped.
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
                pipe.hmget(keys.space(space_id), "doc", "version")
                pipe.smembers(keys.space_watches(space_id))
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
            index = keys.watch_spaces(watch_id)
        else:
            index = keys.spaces_in(state) if state is not None else keys.SPACES
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
                pipe.zrange(keys.watch_spaces(watch_id), 0, RECENT_SPACES - 1, desc=True)
            space_ids = sorted({each for recent in await pipe.execute() for each in recent})
        phases = await self.phases(space_ids)
        return {SpaceId(space_id) for space_id, phase in phases.items() if not phase.is_over}

    async def phases(self, space_ids: Sequence[str]) -> dict[str, Phase]:
        """Return the phases of those of the Spaces that have been seen, in one round trip."""
        async with self._database.pipeline() as pipe:
            for space_id in space_ids:
                pipe.hget(keys.space(space_id), "phase")
            phases = await pipe.execute()
        return {space_id: Phase(each) for space_id, each in zip(space_ids, phases, strict=True) if each}

    async def trim(self) -> int:
        """Drop what the indexes say of Spaces whose records have expired; gives how many."""
        indexes = [keys.SPACES, *(keys.spaces_in(phase) for phase in Phase)]
        dropped, cursor = 0, None
        while rows := await slice_of(self._database, keys.SPACES, limit=TRIMMED_AT_ONCE, cursor=cursor):
            cursor = str(rows[-1][1])
            dropped += sum(
                await self._database.run_all(
                    [
                        ScriptCall(
                            script("forget_space"),
                            [keys.space(space_id), keys.space_watches(space_id), *indexes],
                            [space_id],
                        )
                        for space_id, _ in rows
                    ]
                )
            )
        return dropped

    async def commit(self, commits: Iterable[Commit]) -> list[bool]:
        """Store decisions, each wholly or not at all, in one round trip.

        Returns:
            For each, whether it went in; where not, the Space or one of its watches changed meanwhile.
        """
        versions = await self._database.run_all([self._call(commit) for commit in commits])
        return [version > 0 for version in versions]

    def _call(self, commit: Commit) -> ScriptCall:
        space_id = commit.known.space.id
        events: list[Argument] = []
        for event in commit.events:
            events += [event.id, event.type, encode(event), routing_json(event), event.sequence or 0]
        return ScriptCall(
            script("commit"),
            [keys.space(space_id), keys.space_watches(space_id)],
            [
                space_id,
                commit.version,
                json.dumps(commit.known.as_json(), ensure_ascii=False, separators=(",", ":")),
                commit.known.phase,
                *_poll(commit),
                *(_timer(commit.timers.get(kind)) for kind in (TimerKind.REMINDER, TimerKind.ERASURE)),
                self._ttl,
                len(commit.watch_ids),
                *commit.watch_ids,
                *events,
            ],
        )


def _poll(commit: Commit) -> tuple[Argument, Argument]:
    """Return when and how urgently to poll, as the script takes it."""
    if commit.keeps_poll:
        return "keep", ""
    return ("", "") if commit.poll is None else (int(commit.poll.at * 1000), commit.poll.urgency)


def _timer(at: float | None) -> Argument:
    # Rounded up: a timer that rang a fraction too early would ring again and again until its moment.
    return "" if at is None else math.ceil(at * 1000)
