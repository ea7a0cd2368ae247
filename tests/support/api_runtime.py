"""A runtime on a real server whose clock stands still and whose wakeups are noted instead of sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace

from notifier.config import load_settings
from notifier.core.model.api_key import ApiKey, Scope, hash_key
from notifier.errors import UnavailableError
from notifier.runtime import Runtime, open_runtime
from notifier.store import Database, Store, Wakeup, connect

MASTER_KEY = "test:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
TEST_KEY = "test-key"
DEAD_URL = "redis://127.0.0.1:1"


@dataclass
class Clock:
    """Epoch seconds that a test sets."""

    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class NotedWakeups(Wakeup):
    """Notes the wakeups; while ``lost`` is set, the queue is down."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.jobs: list[object] = []
        self.lost = False

    async def observe(self) -> None:
        self._note("observe")

    async def dispatch(self) -> None:
        self._note("dispatch")

    async def challenge(self) -> None:
        self._note("challenge")

    async def deliver(self, partitions: Iterable[int]) -> None:
        self._note(("deliver", *partitions))

    def _note(self, job: object) -> None:
        if self.lost:
            raise UnavailableError("Redis does not serve: ConnectionError")
        self.jobs.append(job)


@asynccontextmanager
async def open_test_runtime(redis_url: str, *, empty: bool = True) -> AsyncIterator[Runtime]:
    """Open a runtime with the admin key ``test-key``, on a database that is emptied first unless said."""
    settings = load_settings(
        redis_url=redis_url, admin_key=TEST_KEY, master_keys=MASTER_KEY, allowed_networks="127.0.0.0/8"
    )
    async with open_runtime(settings, clock=Clock()) as runtime:
        if empty:
            await runtime.store.database.redis.flushdb()
        yield replace(runtime, wakeup=NotedWakeups(runtime.store.database))


def clock_of(runtime: Runtime) -> Clock:
    """Return the clock that a test may turn."""
    assert isinstance(runtime.clock, Clock)
    return runtime.clock


def wakeups_of(runtime: Runtime) -> NotedWakeups:
    """Return the wakeups that were noted."""
    assert isinstance(runtime.wakeup, NotedWakeups)
    return runtime.wakeup


@asynccontextmanager
async def without_redis(runtime: Runtime) -> AsyncIterator[Runtime]:
    """Return the runtime with a store that nothing answers."""
    database = Database(connect(DEAD_URL))
    try:
        yield replace(runtime, store=Store(database, retention_days=1, partitions=1))
    finally:
        await database.close()


@dataclass(frozen=True, slots=True)
class NarrowRuntime(Runtime):
    """A runtime whose one key may do less than everything, or not for ever."""

    scopes: frozenset[Scope] = frozenset()
    expires_at: float | None = None

    async def admin_key(self) -> ApiKey:
        return ApiKey(hash_key(TEST_KEY), self.scopes, self.expires_at)


def narrowed(runtime: Runtime, *scopes: Scope, expires_at: float | None = None) -> Runtime:
    """Return the runtime with a key of these scopes alone."""
    same = {each.name: getattr(runtime, each.name) for each in fields(Runtime)}
    return NarrowRuntime(**same, scopes=frozenset(scopes), expires_at=expires_at)
