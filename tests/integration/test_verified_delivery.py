"""Challenges, CloudEvents and ed25519 with a real worker and a real receiver."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp.test_utils import TestClient, TestServer
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.formats.json import JSONFormat

from notifier.cli.listener import Received, create_listener
from notifier.core.delivery.challenge import WAITS_SECONDS
from notifier.core.delivery.endpoint import (
    Endpoint,
    Verification,
    VerificationStatus,
    disabled_event,
    verified_again,
)
from notifier.runtime import Runtime, open_runtime
from notifier.server import create_server
from notifier.store import Job
from tests.support.admin_api import KEY, ApiTestServer, Client, create
from tests.support.api_runtime import Clock, RecordedWakeups, clock_of
from tests.support.pipeline import add_endpoint, commit_space_events, numbered_event, quick_settings
from tests.support.receiver import Receiver
from tests.support.wait import wait_until
from tests.support.worker import running_worker
from workers.challenge import challenge
from workers.clients import delivery_client
from workers.context import Worker
from workers.deliver import deliver
from workers.dispatch import empty_outbox

pytestmark = pytest.mark.server

PATH = "/v1/endpoints"
PUBLIC_URL = "https://notifier.example.org"


def proof(secret: str) -> Callable[[bytes], bytes]:
    """Return a function that answers challenges as documented, without code of the product."""
    raw = base64.b64decode(secret.removeprefix("whsec_"))

    def answer(body: bytes) -> bytes:
        document = json.loads(body)
        if not document["type"].endswith("webhook.challenge"):
            return b""
        digest = hmac.new(raw, document["data"]["token"].encode(), hashlib.sha256).digest()
        return json.dumps({"response": "sha256=" + base64.b64encode(digest).decode()}).encode()

    return answer


@asynccontextmanager
async def installation(redis_url: str) -> AsyncIterator[tuple[Runtime, Client]]:
    """The API and a worker over one database."""
    settings = quick_settings(redis_url, public_url=PUBLIC_URL)
    async with (
        open_runtime(settings) as runtime,
        running_worker(settings),
        TestClient(ApiTestServer(create_server(runtime)), headers=KEY) as client,
    ):
        yield runtime, client


async def verification_becomes(client: Client, endpoint_id: str, status: str) -> None:
    async def is_so() -> bool:
        endpoint = await (await client.get(f"{PATH}/{endpoint_id}")).json()
        return bool(endpoint["verification"]["status"] == status)

    await wait_until(is_so, message=f"the verification has {status}")


async def test_a_verified_receiver_gets_the_waiting_deliveries(redis_url: str) -> None:
    async with Receiver() as receiver, installation(redis_url) as (runtime, client):
        created = await create(
            client,
            PATH,
            url=receiver.url(),
            event_types=["*"],
            verify="challenge",
            payload="thin",
            headers={"X-Team": "spaces"},
        )
        event = numbered_event(1)
        await runtime.store.events.commit(event)
        await runtime.wakeup.ring(Job.DISPATCH)
        (first,) = await receiver.wait_for("/hook")
        assert first.json["type"] == "webhook.challenge"
        assert first.headers["x-team"] == "spaces"

        async def queued() -> bool:
            return (await runtime.store.endpoints.health(created["id"])).pending == 1

        await wait_until(queued, message="the event waits")
        receiver.verify("/hook", created["secret"])
        receiver.answer("/hook", body=proof(created["secret"]))
        await client.post(f"{PATH}/{created['id']}/verify")
        await verification_becomes(client, created["id"], "passed")
        await wait_until(
            lambda: [each.event_id for each in receiver.received("/hook")][-1] == event.id,
            message="what has waited arrives",
        )
    *challenges, delivered = receiver.received("/hook")
    assert {each.json["type"] for each in challenges} == {"webhook.challenge"}
    assert challenges[-1].verified
    assert len({each.json["data"]["token"] for each in challenges}) == len(challenges)
    assert len({each.event_id for each in challenges}) == len(challenges)
    assert delivered.verified


@pytest.mark.parametrize("form", ["standard", "cloudevents"])
async def test_listen_answers_challenges(redis_url: str, form: str) -> None:
    secret = "whsec_" + base64.b64encode(bytes(range(32))).decode()
    got: list[Received] = []
    listener = TestServer(create_listener(secret, got.append))
    async with listener as server, installation(redis_url) as (_, client):
        url = str(server.make_url("/hook"))
        created = await create(client, PATH, url=url, secret=secret, verify="challenge", format=form)
        await verification_becomes(client, created["id"], "passed")
        assert (await client.post(f"{PATH}/{created['id']}/test")).status == 202
        await wait_until(lambda: len(got) == 2, message="the test arrives")
    assert [each.refusal for each in got] == [None, None]


async def test_cloud_events_are_signed_as_they_are_sent(redis_url: str) -> None:
    async with Receiver() as receiver, installation(redis_url) as (runtime, client):
        created = await create(
            client, PATH, url=receiver.url(), event_types=["*"], format="cloudevents", payload="thin"
        )
        receiver.verify("/hook", created["secret"])
        (event_id,) = await commit_space_events(runtime.store, "1aaaaaaaaaaaa", 1)
        await runtime.wakeup.ring(Job.DISPATCH)
        (request,) = await receiver.wait_for("/hook")
    assert request.verified
    assert request.headers["content-type"] == "application/cloudevents+json"
    event = from_http_event(HTTPMessage(request.headers, request.body), JSONFormat())
    assert event.get_id() == request.event_id == event_id
    assert (event.get_source(), event.get_subject()) == (PUBLIC_URL, "1aaaaaaaaaaaa")
    assert event.get_type() == "com.x.space.title_changed"
    data = event.get_data()
    assert isinstance(data, dict)
    assert data["space"] == {"id": "1aaaaaaaaaaaa"}


async def test_ed25519_is_verified_with_the_public_key_through_a_rotation(redis_url: str) -> None:
    async with Receiver() as receiver, installation(redis_url) as (runtime, client):
        created = await create(client, PATH, url=receiver.url(), event_types=["*"], signing="ed25519")
        receiver.verify("/hook", created["public_key"])
        await runtime.store.events.commit(numbered_event(1))
        await runtime.wakeup.ring(Job.DISPATCH)
        await receiver.wait_for("/hook", 1)
        path = f"{PATH}/{created['id']}/rotate-secret"
        rotated = await (await client.post(path, json={"grace_seconds": 3600})).json()
        await runtime.store.events.commit(numbered_event(2))
        await runtime.wakeup.ring(Job.DISPATCH)
        await receiver.wait_for("/hook", 2)
        receiver.verify("/hook", rotated["public_key"])
        await runtime.store.events.commit(numbered_event(3))
        await runtime.wakeup.ring(Job.DISPATCH)
        requests = await receiver.wait_for("/hook", 3)
    assert [each.verified for each in requests] == [True, True, True]
    entries = [each.headers["webhook-signature"].split() for each in requests]
    assert [len(each) for each in entries] == [1, 2, 2]
    assert all(entry.startswith("v1a,") for each in entries for entry in each)


@asynccontextmanager
async def controlled_worker(redis_url: str) -> AsyncIterator[Worker]:
    """A worker whose jobs and clock the test controls."""
    settings = quick_settings(redis_url)
    async with open_runtime(settings, clock=Clock()) as runtime:
        noted = replace(runtime, wakeup=RecordedWakeups(runtime.store.database))
        async with delivery_client(runtime, max_connections=4) as client:
            yield Worker("worker", noted, None, client)


def to_verify(runtime: Runtime) -> Verification:
    return Verification(started_at=runtime.clock(), next_try_at=runtime.clock())


async def pending_endpoint(worker: Worker, receiver: Receiver) -> Endpoint:
    verification = to_verify(worker.runtime)
    return await add_endpoint(
        worker.runtime, receiver, "/hook", event_types=("*",), verification=verification
    )


async def current(worker: Worker, endpoint: Endpoint) -> Endpoint:
    return await worker.runtime.store.endpoints.get(endpoint.id)


async def test_verification_fails_after_minutes_and_notifies_other_endpoints(redis_url: str) -> None:
    async with Receiver() as receiver, controlled_worker(redis_url) as worker:
        receiver.answer("/hook", body=lambda body: body)  # an echo
        endpoint = await pending_endpoint(worker, receiver)
        clock = clock_of(worker.runtime)
        await challenge(worker)
        for tries, wait in enumerate(WAITS_SECONDS, start=1):
            clock.now += wait - 0.5
            await challenge(worker)
            assert len(receiver.received("/hook")) == tries
            clock.now += 0.5
            await challenge(worker)
            assert len(receiver.received("/hook")) == tries + 1
        failed = await current(worker, endpoint)
        page = await worker.runtime.store.events.page(limit=10, cursor=None)
        assert await worker.runtime.store.waiting_work(now=clock() + 1e6) == ["dispatch"]
    assert failed.verification is not None
    assert failed.verification.status is VerificationStatus.FAILED
    announced = disabled_event(endpoint, failed)
    assert announced is not None
    assert [each.id for each in page.items] == [announced.id]
    assert announced.data["details"]["reason"] == "not_verified"


async def test_a_worker_that_dies_leaves_the_challenge_to_another(redis_url: str) -> None:
    async with Receiver() as receiver, controlled_worker(redis_url) as worker:
        endpoint = await pending_endpoint(worker, receiver)
        store, clock = worker.runtime.store, clock_of(worker.runtime)
        lease_end = clock() + worker.runtime.settings.lease_seconds
        claimed = await store.endpoints.claim_challenges(due_at=clock(), lease_end=lease_end, limit=10)
        assert claimed == [endpoint]
        await challenge(worker)
        assert receiver.received("/hook") == []
        clock.now = lease_end
        assert "challenge" in await store.waiting_work(now=clock())
        await challenge(worker)
        assert len(receiver.received("/hook")) == 1


async def test_concurrent_changes_of_the_owner_are_kept_by_verification(redis_url: str) -> None:
    async with Receiver() as receiver, controlled_worker(redis_url) as worker:
        endpoint = await pending_endpoint(worker, receiver)
        described = replace(endpoint, description="changed")
        post = worker.client.send

        async def changing(request: object) -> object:
            await worker.runtime.store.endpoints.save(described, replacing=endpoint)
            return await post(request)  # type: ignore[arg-type]  # passed on unchanged

        worker.client.send = changing  # type: ignore[assignment,method-assign]  # replaces it
        await challenge(worker)
        after = await current(worker, endpoint)
    assert after.description == "changed"
    assert after.verification is not None
    assert after.verification.tries == 1


async def test_changes_of_the_owner_during_the_save_are_kept_by_verification(redis_url: str) -> None:
    async with Receiver() as receiver, controlled_worker(redis_url) as worker:
        endpoint = await pending_endpoint(worker, receiver)
        store, changes = worker.runtime.store.endpoints, ["a change"]
        save = store.save

        async def interrupted(endpoint: Endpoint, *, replacing: Endpoint, **_more: bool) -> None:
            if changes:
                await save(replace(replacing, description=changes.pop()), replacing=replacing)
            await save(endpoint, replacing=replacing)

        store.save = interrupted  # type: ignore[method-assign]  # replaces it
        await challenge(worker)
        after = await current(worker, endpoint)
    assert len(receiver.received("/hook")) == 1
    assert after.description == "a change"
    assert after.verification is not None
    assert after.verification.tries == 1


async def test_an_answer_of_the_old_url_does_not_count(redis_url: str) -> None:
    async with Receiver() as receiver, controlled_worker(redis_url) as worker:
        endpoint = await pending_endpoint(worker, receiver)
        moved = replace(endpoint, url=receiver.url("/other"))
        moved = verified_again(moved, now=worker.runtime.clock() + 1)
        secret = worker.runtime.secrets.open(endpoint.secrets[0].sealed)
        receiver.answer("/hook", body=proof(secret))
        post = worker.client.send

        async def moving(request: object) -> object:
            answer = await post(request)  # type: ignore[arg-type]  # passed on unchanged
            await worker.runtime.store.endpoints.save(moved, replacing=endpoint)
            return answer

        worker.client.send = moving  # type: ignore[assignment,method-assign]  # replaces it
        await challenge(worker)
        assert await current(worker, endpoint) == moved


async def test_an_earlier_claim_is_not_sent_to_an_unverified_url(redis_url: str) -> None:
    async with Receiver() as receiver, controlled_worker(redis_url) as worker:
        endpoint = await add_endpoint(worker.runtime, receiver, "/hook", event_types=("*",))
        store = worker.runtime.store
        await store.events.commit(numbered_event(1))
        await empty_outbox(worker)
        moved = replace(endpoint, verification=to_verify(worker.runtime))
        turn = store.queue.turn

        async def changed_after_the_claim(*args: object, **options: object) -> object:
            claimed = await turn(*args, **options)  # type: ignore[arg-type]  # passed on unchanged
            if claimed.claims:
                await store.endpoints.save(moved, replacing=endpoint)
                return replace(claimed, generation="")
            return claimed

        store.queue.turn = changed_after_the_claim  # type: ignore[assignment,method-assign]  # stands in
        await deliver(worker, store.partitions.of(endpoint.id))
        assert receiver.received("/hook") == []
        assert (await store.endpoints.health(endpoint.id)).pending == 1
