"""Building blocks for tests of the whole pipeline: settings, endpoints, watches, scenarios."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

from aiohttp.test_utils import TestServer

from notifier.config import Settings, load_settings
from notifier.core.delivery.endpoint import Endpoint, SealedSecret
from notifier.core.events.event import Event, EventType, Sighting, plain_event, space_event
from notifier.core.model.ids import EndpointId, EventId, SpaceId, WatchId
from notifier.core.model.space import Phase, Space
from notifier.core.model.watch import OnFirstSight, Watch, WatchKind, WatchRole, WatchStatus, check_target
from notifier.core.spaces.known import KnownSpace
from notifier.runtime import Runtime
from notifier.simulator import Contract, create_simulator
from notifier.simulator.files import parse_scenario
from notifier.store import Commit, Job, Store
from tests.support.receiver import Receiver

SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MASTER_KEY: Final = "test:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
NOWHERE: Final = "http://127.0.0.1:9"


def quick_settings(redis_url: str, *, x_url: str = NOWHERE, **changes: Any) -> Settings:
    """Return settings for loopback with which everything happens within a second."""
    values: dict[str, Any] = {
        "redis_url": redis_url,
        "admin_key": "test-key",
        "master_keys": MASTER_KEY,
        "x_bearer_token": "token",
        "x_api_url": x_url,
        "allow_http": True,
        "allowed_networks": "127.0.0.0/8",
        "poll_discovery_seconds": 0.1,
        "poll_near_seconds": 0.1,
        "poll_live_seconds": 0.1,
        "poll_scheduled_seconds": 0.1,
        "confirm_seconds": 0.2,
        "request_timeout_seconds": 2,
        "lease_seconds": 7,
    }
    return load_settings(**values | changes)


@asynccontextmanager
async def running_simulator(scenario: str) -> AsyncIterator[str]:
    """Run a scenario on the stand-in for X; yield its URL."""
    simulator = create_simulator(parse_scenario(scenario, source="test"), contract=Contract.CURRENT)
    async with TestServer(simulator) as server:
        yield str(server.make_url("")).rstrip("/")


async def add_endpoint(runtime: Runtime, receiver: Receiver, path: str, **changes: Any) -> Endpoint:
    """Register an endpoint at a path of the receiver, which verifies its requests."""
    receiver.verify(path, SECRET)
    now = runtime.clock()
    endpoint = Endpoint(
        id=EndpointId("ep_" + path.strip("/").rjust(16, "0")),
        url=receiver.url(path),
        secrets=(SealedSecret(runtime.secrets.seal(SECRET)),),
        created_at=now,
        updated_at=now,
    )
    endpoint = replace(endpoint, **changes)
    await runtime.store.endpoints.create(endpoint)
    return endpoint


async def add_watch(
    runtime: Runtime,
    kind: WatchKind,
    target: str,
    *,
    on_first_sight: OnFirstSight = OnFirstSight.ANNOUNCE,
    roles: tuple[WatchRole, ...] = (WatchRole.CREATOR,),
) -> Watch:
    """Register a watch as the API does."""
    subject = check_target(kind, target)
    watch = Watch(
        id=WatchId(f"wch_{kind}_{target.strip('@').replace(':', '.')}"),
        kind=kind,
        target=target,
        subject=subject,
        status=WatchStatus.RESOLVING if subject is None else WatchStatus.ACTIVE,
        on_first_sight=on_first_sight,
        roles=roles,
        created_at=runtime.clock(),
    )
    await runtime.store.watches.create(watch, now=runtime.clock())
    await runtime.wakeup.ring(Job.OBSERVE)
    return watch


def numbered_event(number: int) -> Event:
    """Return an event for every endpoint that subscribes to ``*``."""
    return plain_event(
        EventType.WEBHOOK_TEST,
        content=(str(number),),
        details={"endpoint_id": "", "message": f"number {number}"},
        observed_at=1_700_000_000.0 + number,
    )


async def commit_space_events(
    store: Store, space: str, *sequences: int, event_type: EventType = EventType.TITLE_CHANGED
) -> list[EventId]:
    """Log arbitrary events of a Space with these sequences; return their ids."""
    described = Space(id=SpaceId(space), state="live")
    known = KnownSpace(
        space=described,
        phase=Phase.LIVE,
        sequence=max(sequences),
        began_at=0.0,
        observed_at=0.0,
        phase_since=0.0,
    )
    events = tuple(
        space_event(
            event_type,
            sequence=sequence,
            before=described,
            after=described.with_values({"title": f"number {sequence}"}),
            changed=("title",),
            details={},
            users={},
            sighting=Sighting(1.0, (0.0, 1.0), first_sighting=False, watch_ids=()),
        )
        for sequence in sequences
    )
    version = (await store.spaces.read_many([space]))[described.id].version
    assert await store.spaces.commit([Commit(known, version, events, (), timers={})]) == [True]
    return [event.id for event in events]
