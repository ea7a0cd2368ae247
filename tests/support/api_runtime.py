"""A runtime on a real server with a fixed clock, which records wakeups instead of sending them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace

from notifier.config import load_settings
from notifier.core.model.api_key import ApiKey, Scope, hash_key
from notifier.errors import UnavailableError
from notifier.runtime import Runtime, open_runtime
from notifier.store import Database, JobName, Store, Wakeup, connect

MASTER_KEY = "test:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
TEST_KEY = "test-key"
DEAD_URL = "redis://127.0.0.1:1"


@dataclass
class Clock:
    """Epoch seconds that a test sets."""

    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class RecordedWakeups(Wakeup):
    """Records wakeups; while ``lost`` is set, the queue is down."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.jobs: list[JobName] = []
        self.lost = False

    async def ring(self, *jobs: JobName) -> None:
        if self.lost:
            raise UnavailableError("Redis does not serve: ConnectionError")
        self.jobs.extend(jobs)


@asynccontextmanager
async def open_test_runtime(redis_url: str, *, empty: bool = True) -> AsyncIterator[Runtime]:
    """Open a runtime with the admin key ``test-key``; ``empty`` clears the database first."""
    settings = load_settings(
        redis_url=redis_url, admin_key=TEST_KEY, master_keys=MASTER_KEY, allowed_networks="127.0.0.0/8"
    )
    async with open_runtime(settings, clock=Clock()) as runtime:
        if empty:
            await runtime.store.database.redis.flushdb()
        yield replace(runtime, wakeup=RecordedWakeups(runtime.store.database))


def clock_of(runtime: Runtime) -> Clock:
    """Return the clock, for a test to set."""
    assert isinstance(runtime.clock, Clock)
    return runtime.clock


def wakeups_of(runtime: Runtime) -> RecordedWakeups:
    """Return the recorded wakeups."""
    assert isinstance(runtime.wakeup, RecordedWakeups)
    return runtime.wakeup


@asynccontextmanager
async def without_redis(runtime: Runtime) -> AsyncIterator[Runtime]:
    """Open a copy of the runtime whose store has no server."""
    database = Database(connect(DEAD_URL))
    try:
        yield replace(runtime, store=Store(database, retention_days=1, partitions=1))
    finally:
        await database.close()


@dataclass(frozen=True, slots=True)
class ScopedRuntime(Runtime):
    """A runtime whose only key has limited scopes or an expiry."""

    scopes: frozenset[Scope] = frozenset()
    expires_at: float | None = None

    async def admin_key(self) -> ApiKey:
        return ApiKey(hash_key(TEST_KEY), self.scopes, self.expires_at)


def with_scopes(runtime: Runtime, *scopes: Scope, expires_at: float | None = None) -> Runtime:
    """Return a copy of the runtime whose key has only these scopes."""
    same = {each.name: getattr(runtime, each.name) for each in fields(Runtime)}
    return ScopedRuntime(**same, scopes=frozenset(scopes), expires_at=expires_at)
