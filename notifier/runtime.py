"""The composition root: from settings to everything that a process uses."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from notifier import metrics
from notifier.config import Settings
from notifier.core.delivery.kinds.table import KINDS, Kinds
from notifier.core.delivery.retry import RetrySchedule
from notifier.core.model.api_key import ApiKey, Scope, hash_key
from notifier.core.model.poll import Cadence
from notifier.core.spaces.merging import Patience
from notifier.errors import ConfigError, UnavailableError
from notifier.metrics import Tally
from notifier.source.origin import origin_of
from notifier.store import (
    Database,
    Retrying,
    SecretBox,
    Severity,
    Store,
    Wakeup,
    concerns_of,
    connect,
)

MASTER_KEY_FILE: Final = "master.key"
MASTER_KEY_BYTES: Final = 32
ADMIN_KEY_PREFIX: Final = "snk_"
ADMIN_SCOPES: Final = frozenset({Scope.ADMIN})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Runtime:
    """What every process uses. ``clock`` returns epoch seconds."""

    settings: Settings
    store: Store
    secrets: SecretBox
    wakeup: Wakeup
    clock: Callable[[], float] = time.time
    tally: Tally = field(default_factory=Tally)
    kinds: Kinds = field(default_factory=lambda: KINDS)

    @property
    def cadence(self) -> Cadence:
        """How often to poll."""
        settings = self.settings
        return Cadence(
            discovery=settings.poll_discovery_seconds,
            near=settings.poll_near_seconds,
            live=settings.poll_live_seconds,
            scheduled=settings.poll_scheduled_seconds,
            near_window=settings.near_window_seconds,
        )

    @property
    def patience(self) -> Patience:
        """How long to wait before something is believed or announced."""
        settings = self.settings
        return Patience(
            settings.confirmations,
            settings.confirm_seconds,
            reminder=settings.reminder_minutes * 60,
            overdue=settings.overdue_seconds,
        )

    @property
    def retry_schedule(self) -> RetrySchedule:
        """When a failed delivery is tried again."""
        return RetrySchedule(tuple(self.settings.retry_schedule_seconds))

    async def admin_key(self) -> ApiKey | None:
        """Return the key that may do everything: the setting's, else that of the first start, else None.

        Raises:
            UnavailableError: Redis does not answer.
        """
        setting = self.settings.admin_key
        key_hash = (
            await self.store.admin_keys.admin_hash()
            if setting is None
            else hash_key(setting.get_secret_value())
        )
        return None if key_hash is None else ApiKey(key_hash, ADMIN_SCOPES)

    async def metrics_text(self) -> bytes:
        """Return the metrics of all processes in Prometheus' text format."""
        await self.store.telemetry.add(self.tally.take())
        gauges = await self.store.gauges(now=self.clock())
        return metrics.render(
            await self.store.telemetry.read(),
            {
                metrics.DELIVERIES_PENDING.series(): gauges.deliveries_pending,
                metrics.OLDEST_DUE_SECONDS.series(): gauges.oldest_due_seconds,
                **{metrics.ENDPOINTS.series(status): count for status, count in gauges.endpoints.items()},
                **{
                    metrics.X_REQUESTS_REMAINING.series(call): left
                    for call, left in gauges.x_requests_remaining.items()
                },
            },
        )


@asynccontextmanager
async def open_runtime(
    settings: Settings,
    *,
    clock: Callable[[], float] = time.time,
    retrying: Retrying | None = None,
    kinds: Kinds = KINDS,
) -> AsyncIterator[Runtime]:
    """Connect to Redis and yield a runtime.

    Args:
        settings: What the operator chose.
        clock: Returns epoch seconds.
        retrying: Has commands wait for a server that does not serve; without it they fail.
        kinds: What endpoints can be.

    Raises:
        ConfigError: There is no Redis URL, a key cannot be read, or the database is of a newer version.
        UnavailableError: Redis does not answer, or cannot do the work.
    """
    if settings.redis_url is None:
        raise ConfigError("NOTIFIER_REDIS_URL: is required; only `space-notifier up` runs its own server")
    box = SecretBox(dict(settings.master_key_ring or [_own_master_key(settings.data_dir)]))
    database = Database(connect(settings.redis_url, retrying=retrying))
    try:
        token = settings.x_bearer_token.get_secret_value() if settings.x_bearer_token else ""
        store = Store(
            database,
            retention_days=settings.retention_days,
            partitions=settings.delivery_partitions,
            origin=origin_of(settings.x_api_url, token),
        )
        await check_server(store)
        await store.layout.settle_in()
        yield Runtime(settings, store, box, Wakeup(database), clock, kinds=kinds)
    finally:
        await database.close()


async def check_server(store: Store) -> None:
    """Make sure that the configured server answers and can do the work.

    Raises:
        UnavailableError: It does not; the message names the setting.
    """
    try:
        await store.ping()
        await store.server.check()
    except UnavailableError as error:
        raise type(error)(f"NOTIFIER_REDIS_URL: {error.message}") from error


async def report_concerns(store: Store) -> None:
    """Log everything that an operator should know about the server.

    Raises:
        UnavailableError: Redis does not answer.
    """
    for concern in concerns_of(await store.server.read()):
        write = log.info if concern.severity is Severity.NOTE else log.warning
        write(concern.name, reason=concern.text, remedy=concern.remedy)


async def make_admin_key(runtime: Runtime) -> str | None:
    """Return a new admin key on the first start, to be shown once, or None if there already is one."""
    if runtime.settings.admin_key is not None:
        return None
    key = ADMIN_KEY_PREFIX + secrets.token_urlsafe(32)
    made = await runtime.store.admin_keys.set_admin(hash_key(key))
    return key if made else None


def _own_master_key(data_dir: Path) -> tuple[str, bytes]:
    """Return the master key in the data directory, created if missing and shared by local processes."""
    path = data_dir / MASTER_KEY_FILE
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _write_once(path, secrets.token_bytes(MASTER_KEY_BYTES))
        key = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"NOTIFIER_DATA_DIR: {path} cannot be used ({type(error).__name__}); set NOTIFIER_MASTER_KEYS"
        ) from None
    if len(key) != MASTER_KEY_BYTES:
        raise ConfigError(f"NOTIFIER_DATA_DIR: {path} does not hold a key of {MASTER_KEY_BYTES} bytes")
    return "local", key


def _write_once(path: Path, content: bytes) -> None:
    """Create a file atomically; if two processes try, one wins and both read the same."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.touch(mode=0o600, exist_ok=True)
    draft.write_bytes(content)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
