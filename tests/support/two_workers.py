"""Two workers over one database, an operator who changes watches, and the state of the database."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeVar

from notifier.config import load_settings
from notifier.core.events.event import Event
from notifier.core.model.ids import SpaceId, WatchId
from notifier.core.model.observation import Call, Question
from notifier.core.model.poll import DuePoll, NextPoll, Urgency
from notifier.core.model.watch import OnFirstSight, Watch, WatchKind
from notifier.core.polling.health import CallFailure, after_answer, after_failure
from notifier.core.polling.outages import respond
from notifier.core.spaces.known import KnownSpace
from notifier.runtime import Runtime, open_runtime
from notifier.store import Database, LoggedEvent, Store, Wakeup, schema
from notifier.store.polls import sets_of
from notifier.store.scripts import ScriptCall
from tests.support.api_runtime import MASTER_KEY, Clock
from tests.support.space_machine import CROWD, SPACES, Answer, Fault, X
from workers.applying import apply_spaces
from workers.clients import delivery_client
from workers.context import Worker
from workers.health import note_health
from workers.timers import fire_timers

T = TypeVar("T")

EVERY: Final = tuple(SpaceId(each) for each in (*SPACES, *CROWD))
CROWD_WATCH: Final = "crowd"
TARGETS: Final = {
    "creator": (WatchKind.CREATOR, "11"),
    "space": (WatchKind.SPACE, "SpaceA"),
    "other space": (WatchKind.SPACE, "spaceA"),
    "search": (WatchKind.SEARCH, "talks"),
    CROWD_WATCH: (WatchKind.CREATOR, "99"),
}
"""The watches that can be added."""


class WorkerCrashedError(Exception):
    """A worker was killed between two steps in the database."""


class CrashingDatabase(Database):
    """A database that can crash its worker.

    Attributes:
        steps_left: How many more batches of scripts run before the crash; None for no crash.
    """

    steps_left: int | None = None

    async def run_all(self, calls: Sequence[ScriptCall[T]]) -> list[T]:
        """Run scripts, or crash."""
        if self.steps_left is not None:
            self.steps_left -= 1
            if self.steps_left < 0:
                raise WorkerCrashedError
        return await super().run_all(calls)


@dataclass
class StoredState:
    """The contents of the database at one moment.

    Attributes:
        forgotten: The Spaces whose records expire.
        polls: The Spaces with a scheduled lookup, once per entry.
        discovery: The subjects with a scheduled poll by another call, once per entry.
        serial: The position of the last event in the log.
        events: The events logged since the previous state.
    """

    known: dict[SpaceId, KnownSpace | None] = field(default_factory=lambda: dict.fromkeys(EVERY))
    watches: dict[SpaceId, tuple[WatchId, ...]] = field(default_factory=dict)
    forgotten: set[SpaceId] = field(default_factory=set)
    polls: list[str] = field(default_factory=list)
    discovery: list[str] = field(default_factory=list)
    serial: int = 0
    events: list[Event] = field(default_factory=list)


class WorkerPair:
    """Two workers without their loops: the test decides which one asks, applies or crashes, and when."""

    def __init__(self, url: str, clock: Clock, x: X) -> None:
        self._url = url
        self._clock = clock
        self._x = x
        self._stack = AsyncExitStack()
        self._numbered = 0
        self.workers: list[Worker] = []
        self.watches: dict[str, Watch] = {}

    async def open(self) -> None:
        """Start both workers with nothing in memory."""
        self._operator = await self._runtime()
        runtimes = [await self._runtime(), await self._runtime()]
        self.workers = [
            Worker(str(number), runtime, None, delivery_client(runtime, max_connections=1))
            for number, runtime in enumerate(runtimes)
        ]

    async def close(self) -> None:
        """Stop everything."""
        await self._stack.aclose()

    async def _runtime(self) -> Runtime:
        settings = load_settings(redis_url=self._url, admin_key="test-key", master_keys=MASTER_KEY)
        runtime = await self._stack.enter_async_context(open_runtime(settings, clock=self._clock))
        database = CrashingDatabase(runtime.store.database.redis)
        store = Store(
            database, retention_days=settings.retention_days, partitions=settings.delivery_partitions
        )
        return replace(runtime, store=store, wakeup=Wakeup(database))

    # The operator

    async def add(self, name: str, first_sight: OnFirstSight) -> None:
        """Add a watch with a new id."""
        kind, target = TARGETS[name]
        self._numbered += 1
        watch = self.watches[name] = Watch(
            id=WatchId(f"wch_{self._numbered}"),
            kind=kind,
            target=target,
            subject=target,
            on_first_sight=first_sight,
            created_at=self._clock(),
        )
        await self._operator.store.watches.create(watch, now=self._clock())

    async def delete(self, name: str) -> None:
        """Delete a watch."""
        await self._operator.store.watches.delete(self.watches.pop(name).id, now=self._clock())

    async def toggle(self, name: str) -> None:
        """Pause or resume a watch."""
        before = await self._operator.store.watches.get(self.watches[name].id)
        after = self.watches[name] = replace(before, paused=not before.paused)
        await self._operator.store.watches.save(after, replacing=before, now=self._clock())

    def polling(self) -> list[Watch]:
        """Return the watches that are polled."""
        return [watch for watch in self.watches.values() if watch.is_polling]

    # The workers

    async def ask(
        self, number: int, call: Call, fault: Fault, *, one: str | None = None, behind: int = 0
    ) -> Answer:
        """Claim polls and ask X; ``one`` limits a lookup to a single Space."""
        subjects: tuple[str, ...] = (one,) if one else EVERY
        named = subjects
        if call is not Call.LOOKUP:
            kind = WatchKind.CREATOR if call is Call.CREATORS else WatchKind.SEARCH
            asking = [watch for watch in self.polling() if watch.kind is kind]
            named = tuple(watch.target for watch in asking)
            subjects = named if call is Call.CREATORS else tuple(watch.id for watch in asking)
        now = self._clock()
        polls = [DuePoll(subject, now, Urgency.URGENT) for subject in subjects]
        await self.workers[number].runtime.store.polls.claim(call, polls, now=now)
        return Answer(
            Question(call, named), subjects, self._x.answer(call, named, fault, behind), now, now + 1
        )

    async def apply(self, number: int, answer: Answer) -> None:
        """Apply an answer as the polling job does."""
        worker, call, now = self.workers[number], answer.question.call, answer.answered_at
        cadence, observation = worker.runtime.cadence, answer.observation()
        failure = observation.failure
        if failure is not None:
            call_failure = CallFailure(call, failure, respond(failure, now=now, cadence=cadence))
            await note_health(
                worker, partial(after_failure, call_failure=call_failure, now=now, cadence=cadence)
            )
        else:
            await note_health(worker, partial(after_answer, call=call))
            await apply_spaces(worker, answer.subjects, observation)
        if failure is not None or call is not Call.LOOKUP:
            later = NextPoll(now + cadence.discovery, Urgency.PATIENT)
            await worker.runtime.store.polls.schedule(call, dict.fromkeys(answer.subjects, later))

    async def run_timers(self, number: int) -> None:
        """Handle the timers that are due."""
        await fire_timers(self.workers[number])

    async def run_with_crash(
        self, number: int, steps_left: int | None, work: Callable[[], Awaitable[None]]
    ) -> None:
        """Run a worker's job, which crashes after ``steps_left`` batches of scripts."""
        database = self.workers[number].runtime.store.database
        assert isinstance(database, CrashingDatabase)
        database.steps_left = steps_left
        try:
            await work()
        except WorkerCrashedError:
            return
        finally:
            database.steps_left = None

    # The state

    async def read_state(self, before: StoredState) -> StoredState:
        """Return the current state of the database."""
        store = self._operator.store
        tracked = await store.spaces.read_many(EVERY)
        async with store.database.pipeline() as pipe:
            for space_id in EVERY:
                pipe.ttl(schema.SPACE(space_id))
            for call in (Call.LOOKUP, Call.CREATORS, Call.SEARCH):
                for part in sets_of(call):
                    pipe.zrange(part, 0, -1)
            pipe.zrange(schema.EVENTS(), f"({before.serial}", "+inf", byscore=True)
            answers = await pipe.execute()
        ttls, polls, event_ids = answers[: len(EVERY)], answers[len(EVERY) : -1], answers[-1]
        logged = (await store.events.get_many(event_ids)).values()
        return StoredState(
            known={space_id: each.known for space_id, each in tracked.items()},
            watches={space_id: each.watch_ids for space_id, each in tracked.items()},
            forgotten={space_id for space_id, ttl in zip(EVERY, ttls, strict=True) if ttl >= 0},
            polls=[subject for part in polls[:3] for subject in part],
            discovery=[subject for part in polls[3:] for subject in part],
            serial=max((event.serial for event in logged), default=before.serial),
            events=[_read(event) for event in logged],
        )


def _read(logged: LoggedEvent) -> Event:
    body = json.loads(logged.body)
    return Event(logged.id, logged.type, body["timestamp"], body["data"], logged.routing, logged.sequence)
