"""A kind that consists of a module and a row, from the API to a receiver on loopback."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from notifier.core.delivery.delivery import Delivery, DeliveryStatus
from notifier.core.delivery.endpoint import EndpointStatus
from notifier.core.delivery.kinds.kind import Reading, Sending
from notifier.core.delivery.kinds.table import KINDS, Kinds, table_of
from notifier.core.delivery.outcome import Answer
from notifier.core.events.event import EventType
from notifier.core.model.ids import EndpointId, EventId, delivery_id
from notifier.errors import NotFoundError
from notifier.runtime import Runtime, open_runtime
from notifier.server import create_server
from notifier.store import Job, schema
from notifier.store.doctor import findings
from tests.support.admin_api import KEY, ApiTestServer, Client, create
from tests.support.echo import ECHO, WITH_ECHO, EchoTarget
from tests.support.pipeline import commit_space_events, quick_settings
from tests.support.receiver import Receiver
from tests.support.wait import wait_until
from tests.support.worker import running_worker

TOKEN = "tok_0123456789abcdef"
LONG = "x" * 9000
"""Padding, so that an id after it is found only if more of an answer is read than is recorded."""


@dataclass
class EchoSetup:
    """A receiver, the API, a worker, and an endpoint of the kind ``echo``."""

    runtime: Runtime
    receiver: Receiver
    client: Client
    endpoint: dict[str, Any]

    async def announce(
        self, *sequences: int, event_type: EventType = EventType.TITLE_CHANGED, space: str = "A"
    ) -> list[EventId]:
        events = await commit_space_events(self.runtime.store, space, *sequences, event_type=event_type)
        await self.runtime.wakeup.ring(Job.DISPATCH)
        return events

    async def becomes(self, event: EventId, status: DeliveryStatus, *, reason: str = "") -> Delivery:
        """Wait until a delivery has a status, and a reason if given."""
        name = delivery_id(event, EndpointId(self.endpoint["id"]))

        async def found() -> Delivery | None:
            try:
                delivery = await self.runtime.store.deliveries.get(name)
            except NotFoundError:
                return None
            is_it = delivery.status is status and reason in (delivery.last_reason or "")
            return delivery if is_it else None

        delivery: Delivery = await wait_until(found, message=f"the delivery is {status}")
        return delivery

    async def delivered(self, sequence: int, event_type: EventType = EventType.TITLE_CHANGED) -> Delivery:
        (event,) = await self.announce(sequence, event_type=event_type)
        return await self.becomes(event, DeliveryStatus.DELIVERED)

    async def quiet_for(self, seconds: float) -> float:
        """Start quiet hours of the endpoint; return their end."""
        until = self.runtime.clock() + seconds
        target = {"url": self.receiver.url("/rooms"), "token": TOKEN, "quiet_until": until}
        response = await self.client.patch(f"/v1/endpoints/{self.endpoint['id']}", json={"target": target})
        assert response.status == 200, await response.text()
        return until

    def requests(self) -> list[tuple[str, str]]:
        return [(each.method, each.path) for each in self.receiver.received()]


def numbering_messages() -> Callable[[bytes], bytes]:
    """Return a function that answers with a new message id, deep inside the body."""
    numbers = count(1)
    return lambda _body: json.dumps({"pad": LONG, "id": f"m{next(numbers)}"}).encode()


@asynccontextmanager
async def open_setup(redis_url: str, *, kinds: Kinds = WITH_ECHO) -> AsyncIterator[EchoSetup]:
    settings = quick_settings(redis_url, retry_schedule_seconds=(600,))
    async with (
        Receiver() as receiver,
        open_runtime(settings, kinds=kinds) as runtime,
        running_worker(settings, kinds=kinds),
        TestClient(ApiTestServer(create_server(runtime)), headers=KEY) as client,
    ):
        receiver.answer("/rooms", body=numbering_messages())
        target = {"url": receiver.url("/rooms"), "token": TOKEN}
        endpoint = await create(client, "/v1/endpoints", kind="echo", target=target)
        yield EchoSetup(runtime, receiver, client, endpoint)
        assert await findings(runtime.store) == []


async def test_a_space_has_one_message_that_is_kept_current(redis_url: str) -> None:
    async with open_setup(redis_url) as setup:
        first = await setup.delivered(1)
        await setup.delivered(2)
        await setup.delivered(3, EventType.STARTED)
        await setup.delivered(4)
        memories = setup.runtime.store.partitions.key(schema.MEMORIES, setup.endpoint["id"])
        assert json.loads(await setup.runtime.store.database.redis.hget(memories, "A")) == {
            "id": "m2",
            "shown": 4,
        }
        await setup.delivered(5, EventType.REDACTED)
        assert not await setup.runtime.store.database.redis.exists(memories)
        assert setup.requests() == [
            ("POST", "/rooms"),
            ("PATCH", "/rooms/m1"),
            ("POST", "/rooms"),
            ("DELETE", "/rooms/m1"),
            ("PATCH", "/rooms/m2"),
            ("DELETE", "/rooms/m2"),
        ]
        assert {each.headers["authorization"] for each in setup.receiver.received()} == {f"Bearer {TOKEN}"}
        assert setup.receiver.received("/rooms/m1")[0].json == {"room": "lobby", "text": "number 2"}
        (attempt,) = await setup.runtime.store.deliveries.attempts(first.id)
        assert (attempt.status_code, len(attempt.body)) == (200, 4096)


async def test_one_request_shows_the_newest_of_several_waiting_events(redis_url: str) -> None:
    async with open_setup(redis_url) as setup:
        first, second, third = await setup.announce(1, 2, 3)
        await setup.becomes(third, DeliveryStatus.DELIVERED)
        for event in (first, second):
            skipped = await setup.becomes(event, DeliveryStatus.DISCARDED)
            assert skipped.last_reason == f"superseded by {third}"
            assert skipped.attempts_made == 0
        (request,) = setup.receiver.received()
        assert request.json["text"] == "number 3"


async def test_a_held_delivery_stays_pending_and_counts_no_attempt(redis_url: str) -> None:
    async with open_setup(redis_url) as setup:
        until = await setup.quiet_for(600)
        (event,) = await setup.announce(1)
        held = await setup.becomes(event, DeliveryStatus.PENDING, reason="quiet hours")
        assert held.attempts_made == 0
        assert held.next_attempt_at == pytest.approx(until, abs=0.5)
        (attempt,) = await setup.runtime.store.deliveries.attempts(held.id)
        assert (attempt.outcome, attempt.status_code) == ("held", None)
        health = await setup.runtime.store.endpoints.health(setup.endpoint["id"])
        assert (health.pending, health.consecutive_failures) == (1, 0)
        assert setup.requests() == []


async def test_a_held_delivery_is_sent_when_its_hold_ends(redis_url: str) -> None:
    async with open_setup(redis_url) as setup:
        until = await setup.quiet_for(2)
        (event,) = await setup.announce(1)
        sent = await setup.becomes(event, DeliveryStatus.DELIVERED)
        assert sent.attempts_made == 1
        (request,) = setup.receiver.received()
        assert request.received_at >= until


async def test_a_deleted_message_is_posted_again(redis_url: str) -> None:
    async with open_setup(redis_url) as setup:
        await setup.delivered(1)
        setup.receiver.answer("/rooms/m1", statuses=[404])
        again = await setup.delivered(2)
        assert setup.requests() == [("POST", "/rooms"), ("PATCH", "/rooms/m1"), ("POST", "/rooms")]
        assert again.attempts_made == 2
        health = await setup.runtime.store.endpoints.health(setup.endpoint["id"])
        assert health.consecutive_failures == 0


async def test_failures_are_retried_on_the_schedule_of_the_kind(redis_url: str) -> None:
    async with open_setup(redis_url) as setup:
        setup.receiver.answer("/rooms", statuses=[500])
        (event,) = await setup.announce(1)
        exhausted = await setup.becomes(event, DeliveryStatus.EXHAUSTED)
        assert exhausted.attempts_made == len(setup.requests()) == 3


async def test_a_code_in_the_answer_may_mean_gone(redis_url: str) -> None:
    async with open_setup(redis_url) as setup:
        setup.receiver.answer("/rooms", statuses=[403], body=b'{"code": "no_such_room"}')
        (event,) = await setup.announce(1)
        await setup.becomes(event, DeliveryStatus.PENDING, reason="no_such_room")
        endpoint = await setup.runtime.store.endpoints.get(setup.endpoint["id"])
        assert (endpoint.status, endpoint.disabled_reason) == (EndpointStatus.DISABLED, "gone")


async def test_a_code_in_the_answer_may_mean_that_the_destination_has_moved(redis_url: str) -> None:
    async with open_setup(redis_url) as setup:
        moved = b'{"code": "moved", "moved_to": "attic"}'
        setup.receiver.answer(
            "/rooms", statuses=[400, 200], body=lambda body: moved if b"lobby" in body else b""
        )
        await setup.delivered(1)
        assert [each.json["room"] for each in setup.receiver.received()] == ["lobby", "attic"]
        response = await setup.client.get(f"/v1/endpoints/{setup.endpoint['id']}")
        endpoint = await response.json()
        assert endpoint["target"] == setup.endpoint["target"] | {"room": "attic"}
        assert endpoint["health"]["consecutive_failures"] == 0


async def test_a_code_in_the_answer_may_mean_that_retrying_is_useless(redis_url: str) -> None:
    async with open_setup(redis_url) as setup:
        setup.receiver.answer("/rooms", statuses=[400], body=b'{"code": "blocked"}')
        (event,) = await setup.announce(1)
        discarded = await setup.becomes(event, DeliveryStatus.DISCARDED)
        assert (discarded.last_reason, discarded.attempts_made) == ("blocked", 1)
        endpoint = await setup.runtime.store.endpoints.get(setup.endpoint["id"])
        assert endpoint.status is EndpointStatus.ENABLED
        health = await setup.runtime.store.endpoints.health(endpoint.id)
        assert health.consecutive_failures == 0


async def test_a_header_that_only_the_kind_reads_may_ask_for_a_pause(redis_url: str) -> None:
    async with open_setup(redis_url) as setup:
        setup.receiver.answer("/rooms", headers={"X-Pause": "60"}, body=b'{"id": "m1"}')
        first = await setup.delivered(1)
        health = await setup.runtime.store.endpoints.health(setup.endpoint["id"])
        assert health.paused_until == pytest.approx(setup.runtime.clock() + 60, abs=5)
        (attempt,) = await setup.runtime.store.deliveries.attempts(first.id)
        assert "x-pause" not in attempt.headers


async def test_a_kind_that_fails_to_read_an_answer_does_not_resend_forever(redis_url: str) -> None:
    def fail(_sending: Sending[EchoTarget], _answer: Answer, _now: float) -> Reading:
        raise KeyError("id")

    broken = table_of(*KINDS.values(), replace(ECHO, read=fail))
    async with open_setup(redis_url, kinds=broken) as setup:
        await setup.delivered(1)
        setup.receiver.answer("/rooms", statuses=[500])
        (event,) = await setup.announce(2)
        await setup.becomes(event, DeliveryStatus.EXHAUSTED)
        assert len(setup.requests()) == 4


async def test_an_event_about_no_space_is_sent_without_a_memory(redis_url: str) -> None:
    async with open_setup(redis_url) as setup:
        response = await setup.client.post(f"/v1/endpoints/{setup.endpoint['id']}/test")
        event = EventId((await response.json())["event_id"])
        await setup.becomes(event, DeliveryStatus.DELIVERED)
        (request,) = setup.receiver.received()
        assert request.json["text"] == "webhook.test"
        assert not await setup.runtime.store.database.redis.exists(
            setup.runtime.store.partitions.key(schema.MEMORIES, setup.endpoint["id"])
        )


async def test_a_worker_of_an_older_version_leaves_the_delivery_to_a_newer_one(redis_url: str) -> None:
    settings = quick_settings(redis_url)
    async with (
        Receiver() as receiver,
        open_runtime(settings, kinds=WITH_ECHO) as runtime,
        TestClient(ApiTestServer(create_server(runtime)), headers=KEY) as client,
        running_worker(settings),
    ):
        target = {"url": receiver.url("/rooms"), "token": TOKEN}
        endpoint = await create(client, "/v1/endpoints", kind="echo", target=target)
        setup = EchoSetup(runtime, receiver, client, endpoint)
        (event,) = await setup.announce(1)
        waiting = await setup.becomes(event, DeliveryStatus.PENDING, reason="this version has no kind 'echo'")
        assert waiting.attempts_made == 0
        assert setup.requests() == []
