"""``/v1/system``: the installation: version, workers, Redis, and the number of records."""

from typing import Final, Literal

from pydantic import BaseModel, Field

from notifier import __version__
from notifier.api.models import Time, time_or_none
from notifier.api.operations import Call, operation
from notifier.core.model.api_key import Scope
from notifier.core.model.instants import rfc3339
from notifier.http.access import key
from notifier.http.reply import Reply
from notifier.store import Concern, ServerState, Severity, concerns_of

PATH: Final = "/v1/system"


class WorkerView(BaseModel):
    """A worker that has reported within the last minute."""

    id: str
    reported_at: Time


class MemoryView(BaseModel):
    """What Redis uses and may use."""

    used_bytes: int
    limit_bytes: int | None = Field(description="`maxmemory`; null where there is no limit.")
    policy: str = Field(description="`maxmemory-policy`: what Redis drops when memory is short.")


class PersistenceView(BaseModel):
    """How Redis persists its data."""

    append_only: bool = Field(description="Whether there is an append-only file.")
    writes_succeed: bool = Field(description="False after a write to the disk that failed.")
    saved_at: Time | None = Field(description="The last snapshot.")


class RedisView(BaseModel):
    """The server behind the store."""

    server: str = Field(description="`redis`, `valkey` or another that speaks the same.")
    version: str
    role: Literal["primary", "replica"]
    memory: MemoryView | None = Field(description="Null where the user may not call `INFO`.")
    persistence: PersistenceView | None = Field(description="Null where the user may not call `INFO`.")


class CountsView(BaseModel):
    """The number of records."""

    watches: int
    spaces: int
    events: int
    endpoints: int
    deliveries_pending: int


class WarningView(BaseModel):
    """A problem with the configuration of Redis."""

    name: str
    severity: Severity = Field(
        description="`fault`: data is being lost; `risk`: it is lost if something else fails, or this "
        "server accepts no writes; `note`: something could not be checked."
    )
    text: str
    remedy: str


class SystemView(BaseModel):
    """The installation."""

    version: str = Field(description="The version of Space Notifier that answers.")
    workers: list[WorkerView] = Field(description="The one that reported last comes first.")
    redis: RedisView
    counts: CountsView
    warnings: list[WarningView]


async def get_system(call: Call[None, None]) -> Reply[SystemView]:
    """Show the version, the workers, Redis, and how much is kept."""
    store = call.runtime.store
    state = await store.server.read()
    reports = await store.workers.reports()
    return Reply.of(
        SystemView(
            version=__version__,
            workers=[WorkerView(id=worker, reported_at=rfc3339(at)) for worker, at in reports.items()],
            redis=_redis(state),
            counts=CountsView(**await store.counts()),
            warnings=[_warning(concern) for concern in concerns_of(state)],
        )
    )


def _redis(state: ServerState) -> RedisView:
    memory, persistence = state.memory, state.persistence
    return RedisView(
        server=state.name,
        version=state.version,
        role="replica" if state.is_replica else "primary",
        memory=memory and MemoryView(used_bytes=memory.used, limit_bytes=memory.limit, policy=memory.policy),
        persistence=persistence
        and PersistenceView(
            append_only=persistence.append_only,
            writes_succeed=persistence.writes_succeed,
            saved_at=time_or_none(persistence.saved_at or None),
        ),
    )


def _warning(concern: Concern) -> WarningView:
    return WarningView(name=concern.name, severity=concern.severity, text=concern.text, remedy=concern.remedy)


OPERATIONS: Final = (operation("GET", PATH, get_system, key(Scope.SYSTEM_READ)),)
