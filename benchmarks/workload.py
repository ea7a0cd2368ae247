"""What is delivered: endpoints and events as the product creates and stores them."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from notifier.config import Settings, load_settings
from notifier.core.delivery.endpoint import Endpoint, SealedSecret
from notifier.core.delivery.request import DeliveryRequest, build_request
from notifier.core.delivery.signing import generate_secret, parse_signing_key
from notifier.core.events.event import Event, EventType, encode, plain_event
from notifier.core.model.answers import read_answer
from notifier.core.model.ids import EndpointId, SpaceId, new_tail
from notifier.core.model.observation import Call, Question
from notifier.core.spaces.decide import PollContext, decide
from notifier.core.spaces.merging import Patience
from notifier.runtime import Runtime
from notifier.store import Commit

NOW: Final = 1_760_000_000.0
CONCURRENCY: Final = 64
COMMITTED_AT_ONCE: Final = 250
PATIENCE: Final = Patience(needed=2, apart=30.0)


@dataclass(frozen=True, slots=True)
class Shape:
    """How many endpoints and events make up the deliveries."""

    name: str
    endpoints: int
    events: int

    @property
    def deliveries(self) -> int:
        """Every event goes to every endpoint."""
        return self.endpoints * self.events


@dataclass(frozen=True, slots=True)
class Subscriber:
    """An endpoint, with its secret in clear text for signing."""

    endpoint: Endpoint
    secret: str


def shapes(deliveries: int) -> tuple[Shape, ...]:
    """Return the shapes that are measured, the usual one first."""
    return (
        Shape("100 endpoints", 100, max(deliveries // 100, 1)),
        Shape("1 endpoint", 1, deliveries),
        Shape("2 events", max(deliveries // 2, 1), 2),
        Shape("1 event", deliveries, 1),
    )


def settings_of(redis_url: str, folder: Path, **more: str) -> dict[str, str]:
    """Return the settings of a worker on loopback; everything else has its default."""
    return {
        "redis_url": redis_url,
        "data_dir": str(folder),
        "master_keys": "bench:" + base64.b64encode(bytes(32)).decode(),
        "allow_http": "true",
        "allowed_networks": "127.0.0.0/8",
        "log_format": "json",
        **more,
    }


def load(settings: dict[str, str]) -> Settings:
    """Return settings that were written for another process."""
    return load_settings(**settings)


def subscribers(
    runtime: Runtime, url: str, count: int, *, max_concurrency: int = CONCURRENCY
) -> list[Subscriber]:
    """Return endpoints with their own paths below ``url``, numbered from 0."""
    made = []
    for number in range(count):
        secret = generate_secret(secrets.token_bytes(32))
        endpoint = Endpoint(
            id=EndpointId("ep_" + new_tail(secrets.token_bytes(12))),
            url=f"{url}/{number}",
            secrets=(SealedSecret(runtime.secrets.seal(secret)),),
            max_concurrency=max_concurrency,
            created_at=NOW,
            updated_at=NOW,
        )
        made.append(Subscriber(endpoint, secret))
    return made


def commits(count: int) -> Iterator[Commit]:
    """Yield decisions on Spaces that have just started: one event of about 1.2 kB each."""
    for number in range(count):
        space_id = SpaceId(f"1bench{number:07}")
        question = Question(Call.LOOKUP, (space_id,))
        evidence = read_answer(question, space_answer(space_id, f"Number {number}"), NOW, NOW + 0.1).evidence(
            space_id
        )
        decision = decide(None, evidence, patience=PATIENCE, context=PollContext())
        if decision.known is not None:
            yield Commit(decision.known, 0, decision.events, (), timers={})


def space_answer(space_id: str, title: str) -> dict[str, object]:
    """Return what X answers about a live Space."""
    people = [
        {"id": str(1000 + each), "username": f"user{each}", "name": f"User {each}"} for each in range(4)
    ]
    return {
        "data": [
            {
                "id": space_id,
                "state": "live",
                "title": title,
                "lang": "en",
                "creator_id": "1000",
                "host_ids": ["1000", "1001"],
                "speaker_ids": ["1000", "1001", "1002", "1003"],
                "created_at": "2025-10-09T08:00:00.000Z",
                "started_at": "2025-10-09T08:53:00.000Z",
                "participant_count": 120,
                "is_ticketed": False,
            }
        ],
        "includes": {"users": people},
    }


def test_event(number: int, endpoint: EndpointId) -> Event:
    """Return an event for one endpoint alone."""
    return plain_event(
        EventType.WEBHOOK_TEST,
        content=(endpoint, str(number)),
        details={"endpoint_id": endpoint, "message": f"number {number}"},
        observed_at=NOW,
        endpoint_id=endpoint,
    )


async def register(runtime: Runtime, made: list[Subscriber]) -> None:
    """Store endpoints."""
    for each in made:
        await runtime.store.endpoints.create(each.endpoint)


async def fill_outbox(runtime: Runtime, made: list[Commit]) -> None:
    """Commit events without a wakeup; a worker that runs would find them by its sweep."""
    for start in range(0, len(made), COMMITTED_AT_ONCE):
        await runtime.store.spaces.commit(made[start : start + COMMITTED_AT_ONCE])


def requests(made: list[Commit], receivers: list[Subscriber]) -> Iterator[DeliveryRequest]:
    """Yield every event signed for every endpoint, as a worker does."""
    signers = [(each.endpoint.url, [parse_signing_key(each.secret)]) for each in receivers]
    for commit in made:
        for event in commit.events:
            body = encode(event)
            for url, signing_keys in signers:
                yield build_request(
                    url=url,
                    event_id=event.id,
                    body=body,
                    content_type="application/json",
                    keys=signing_keys,
                    timestamp=int(NOW),
                )


def write_requests(path: Path, made: Iterator[DeliveryRequest]) -> None:
    """Write requests to a file, one per line, for a process that only sends."""
    with path.open("w") as file:
        for request in made:
            line = {"url": request.url, "headers": dict(request.headers), "body": request.body.decode()}
            file.write(json.dumps(line) + "\n")
