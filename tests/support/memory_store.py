"""A store in memory with the shapes of the Redis one, for the admin API's tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from notifier.config import Settings, load_settings
from notifier.core.delivery import Attempt, Delivery, DeliveryStatus
from notifier.core.endpoint import Endpoint
from notifier.core.events import Event, encode
from notifier.core.known import KnownSpace
from notifier.core.watch import Watch
from notifier.errors import BadRequestError, ConflictError, NotFoundError, UnavailableError
from notifier.store import StoredAnswer
from notifier.store.endpoints import EndpointHealth
from notifier.store.events import LoggedEvent
from notifier.store.paging import Page
from notifier.store.sealing import SecretBox
from notifier.store.spaces import TrackedSpace


def cut(items: Sequence[Any], limit: int, cursor: str | None) -> Page[Any]:
    if cursor is not None and not cursor.isdigit():
        raise BadRequestError("cursor: pass the next_cursor of the page before, unchanged")
    start = int(cursor or 0)
    more = start + limit < len(items)
    return Page(tuple(items[start : start + limit]), str(start + limit) if more else None)


class Records:
    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.items: dict[str, Any] = {}

    async def get(self, record_id: str) -> Any:
        if record_id not in self.items:
            raise NotFoundError.of(self.kind, record_id)
        return self.items[record_id]

    async def delete(self, record_id: str) -> None:
        await self.get(record_id)
        del self.items[record_id]

    async def page(self, *, limit: int, cursor: str | None) -> Page[Any]:
        return cut(list(self.items.values())[::-1], limit, cursor)


class Watches(Records):
    async def create(self, watch: Watch, *, now: float) -> None:
        assert now == watch.created_at
        for other in self.items.values():
            if (other.kind, other.identity) == (watch.kind, watch.identity):
                raise ConflictError(
                    f"{watch.target} is watched already, by {other.id}.", existing_id=other.id
                )
        self.items[watch.id] = watch

    async def save(self, watch: Watch, *, now: float) -> None:
        assert now
        await self.get(watch.id)
        self.items[watch.id] = watch

    async def space_ids(self, watch_id: str) -> tuple[str, ...]:
        await self.get(watch_id)
        return ("1abc",)


class Endpoints(Records):
    async def create(self, endpoint: Endpoint) -> None:
        self.items[endpoint.id] = endpoint

    async def save(self, endpoint: Endpoint) -> None:
        await self.get(endpoint.id)
        self.items[endpoint.id] = endpoint

    async def health(self, endpoint_id: str) -> EndpointHealth:
        await self.get(endpoint_id)
        return EndpointHealth(0, None, 0, None, None, None)


class Spaces(Records):
    def put(self, known: KnownSpace, *watch_ids: str) -> None:
        self.items[known.space.id] = TrackedSpace(known, 1, tuple(watch_ids))  # type: ignore[arg-type]  # plain ids

    async def page(  # type: ignore[override]  # a list with filters
        self, *, limit: int, cursor: str | None, state: str | None, watch_id: str | None
    ) -> Page[Any]:
        found = [
            tracked
            for tracked in self.items.values()
            if state in (None, tracked.known.phase) and (watch_id is None or watch_id in tracked.watch_ids)
        ]
        return cut(found[::-1], limit, cursor)


class Events(Records):
    async def commit(self, event: Event) -> bool:
        self.items[event.id] = LoggedEvent(
            event.id,
            event.type,
            encode(event),
            event.routing,
            event.routing.space_id,
            event.sequence,
            len(self.items) + 1,
            0.0,
        )
        return True

    def _wanted(self, event_type: str | None, space_id: str | None) -> list[LoggedEvent]:
        return [
            event
            for event in self.items.values()
            if event_type in (None, event.type) and space_id in (None, event.space_id)
        ]

    async def page(
        self, *, limit: int, cursor: str | None, event_type: str | None = None, space_id: str | None = None
    ) -> Page[Any]:
        return cut(self._wanted(event_type, space_id)[::-1], limit, cursor)

    async def after(
        self, *, after: str, limit: int, event_type: str | None = None, space_id: str | None = None
    ) -> Page[Any]:
        serial = self.items[after].serial if after.startswith("evt_") else int(after or 0)
        found = [event for event in self._wanted(event_type, space_id) if event.serial > serial][:limit]
        return Page(tuple(found), str(found[-1].serial if found else serial))

    async def of_space(self, space_id: str, *, limit: int, cursor: str | None) -> Page[Any]:
        return cut(self._wanted(None, space_id), limit, cursor)


class Deliveries(Records):
    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.tried: dict[str, tuple[Attempt, ...]] = {}

    def put(self, delivery: Delivery, *attempts: Attempt) -> None:
        self.items[delivery.id] = delivery
        self.tried[delivery.id] = attempts

    async def attempts(self, delivery_id: str) -> tuple[Attempt, ...]:
        return self.tried[delivery_id]

    async def page(self, *, limit: int, cursor: str | None, **filters: str | None) -> Page[Any]:
        assert filters.pop("space_id") is None
        found = [
            delivery
            for delivery in self.items.values()
            if all(wanted in (None, getattr(delivery, name)) for name, wanted in filters.items())
        ]
        return cut(found[::-1], limit, cursor)

    async def redeliver(self, delivery_id: str) -> int:
        self.items[delivery_id] = replace(await self.get(delivery_id), status=DeliveryStatus.PENDING)
        return 3


class Answers:
    def __init__(self) -> None:
        self.items: dict[str, tuple[str, StoredAnswer | None]] = {}

    async def begin(self, key: str, fingerprint: str) -> StoredAnswer | None:
        if key not in self.items:
            self.items[key] = (fingerprint, None)
            return None
        mark, answer = self.items[key]
        if mark != fingerprint or answer is None:
            raise ConflictError("Idempotency-Key: it was used for another request, or is in use right now.")
        return answer

    async def finish(self, key: str, fingerprint: str, answer: StoredAnswer) -> None:
        self.items[key] = (fingerprint, answer)

    async def abandon(self, key: str) -> None:
        del self.items[key]


@dataclass
class Nudges:
    """Records the nudges; while ``lost`` is set, the queue is down."""

    jobs: list[object] = field(default_factory=list)
    lost: bool = False

    async def observe(self) -> None:
        self._take("observe")

    async def dispatch(self) -> None:
        self._take("dispatch")

    async def deliver(self, partitions: Iterable[int]) -> None:
        self._take(("deliver", *partitions))

    def _take(self, job: object) -> None:
        if self.lost:
            raise UnavailableError("Redis does not serve: ConnectionError")
        self.jobs.append(job)


class MemoryRuntime:
    """What the API needs of a runtime, and what tests need to set it up."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.secrets = SecretBox({"test": bytes(32)})
        self.nudge = Nudges()
        self.now = 1_700_000_000.0
        self.redis_down = False
        self.reported = True
        self.stored_hash: str | None = None
        self.store = SimpleNamespace(
            ping=self._ping,
            watches=Watches("watch"),
            spaces=Spaces("Space"),
            events=Events("event"),
            endpoints=Endpoints("endpoint"),
            deliveries=Deliveries("delivery"),
            idempotency=Answers(),
            admin_keys=SimpleNamespace(admin_hash=self._admin_hash),
            workers=SimpleNamespace(reported_within=self._reported_within),
            partitions=SimpleNamespace(of=lambda _endpoint_id: 5),
        )

    def clock(self) -> float:
        return self.now

    async def metrics_text(self) -> bytes:
        return b"notifier_up 1\n"

    async def _ping(self) -> None:
        if self.redis_down:
            raise UnavailableError("Redis does not serve: ConnectionError")

    async def _admin_hash(self) -> str | None:
        await self._ping()
        return self.stored_hash

    async def _reported_within(self, seconds: float, *, now: float) -> bool:
        assert (seconds, now) == (15, self.now)
        return self.reported


@pytest.fixture
def api_runtime(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> MemoryRuntime:
    monkeypatch.chdir(tmp_path)
    return MemoryRuntime(load_settings(admin_key="test-key", allowed_networks="127.0.0.0/8"))
