"""Recoveries and statistics of an endpoint in the admin API."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from notifier.api.recoveries import missed_since
from notifier.core.delivery import breaker
from notifier.core.delivery.delivery import DeliveryStatus
from notifier.core.delivery.endpoint import EndpointStatus
from notifier.core.delivery.recovery import RecoveryStatus
from notifier.runtime import Runtime
from notifier.store import schema
from tests.support.admin_api import Client, add_endpoint, problem, refused_fields
from tests.support.api_runtime import open_test_runtime
from tests.support.dispatching import allow_full_concurrency, dispatch_events
from tests.support.pipeline import numbered_event
from tests.support.queue import queue_events, settled

PATH = "/v1/endpoints"
LONG_AGO = "2001-01-01T00:00:00Z"


def ago(**parts: float) -> str:
    return (datetime.now(UTC) - timedelta(**parts)).isoformat().replace("+00:00", "Z")


async def log(runtime: Runtime, *numbers: int) -> None:
    for number in numbers:
        event = numbered_event(number)
        await runtime.store.events.commit(event)
        await dispatch_events(runtime.store, [(event.id, [])])


async def recover(client: Client, endpoint_id: str, status: int = 202, **body: Any) -> dict[str, Any]:
    response = await client.post(f"{PATH}/{endpoint_id}/recover", json={"since": ago(days=1), **body})
    assert response.status == status, await response.text()
    answer: dict[str, Any] = await response.json()
    return answer


async def test_a_dry_run_only_counts(api_client: Client, api_runtime: Runtime) -> None:
    await log(api_runtime, 1, 2, 3)
    endpoint = await add_endpoint(api_client, event_types=["*"])
    counted = await recover(api_client, endpoint["id"], dry_run=True)
    assert (counted["count"], counted["clamped"], "id" in counted) == (3, False, False)
    listed = await (await api_client.get(f"{PATH}/{endpoint['id']}/recoveries")).json()
    assert listed == {"data": [], "next_cursor": None}


async def test_a_recovery_is_a_job_with_progress(api_client: Client, api_runtime: Runtime) -> None:
    await log(api_runtime, 1, 2, 3)
    endpoint = await add_endpoint(api_client, event_types=["*"])
    response = await api_client.post(f"{PATH}/{endpoint['id']}/recover", json={"since": ago(hours=1)})
    job = await response.json()
    assert response.status == 202
    assert response.headers["Location"] == f"{PATH}/{endpoint['id']}/recoveries/{job['id']}"
    assert job["id"].startswith("rec_")
    assert (job["status"], job["count"], job["queued"], job["finished_at"]) == ("running", 3, 0, None)
    shown = await (await api_client.get(response.headers["Location"])).json()
    assert shown == job
    listed = await (await api_client.get(f"{PATH}/{endpoint['id']}/recoveries")).json()
    assert listed["data"] == [job]
    refused = await problem(
        await api_client.post(f"{PATH}/{endpoint['id']}/recover", json={"since": ago(hours=1)}), 409
    )
    assert refused["id"] == job["id"]
    canceled = await api_client.post(f"{PATH}/{endpoint['id']}/recoveries/{job['id']}/cancel")
    assert (await canceled.json())["status"] == "canceled"


async def test_a_finished_recovery_cannot_be_canceled(api_client: Client, api_runtime: Runtime) -> None:
    endpoint = await add_endpoint(api_client)
    job = await recover(api_client, endpoint["id"])
    await api_runtime.store.database.redis.hset(schema.RECOVERY(job["id"]), "status", RecoveryStatus.DONE)
    await problem(await api_client.post(f"{PATH}/{endpoint['id']}/recoveries/{job['id']}/cancel"), 409)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body.since"),
        ({"since": "yesterday"}, "body.since"),
        ({"since": 5}, "body.since"),
        ({"since": ago(days=-1)}, "body.since"),
        ({"since": ago(days=1), "until": "soon"}, "body.until"),
        ({"since": ago(days=1), "until": ago(days=2)}, "body.until"),
        ({"since": ago(days=1), "dry_run": "yes"}, "body.dry_run"),
        ({"since": ago(days=1), "from": ago(days=2)}, "body.from"),
    ],
)
async def test_a_bad_time_is_refused_by_name(api_client: Client, body: dict[str, Any], field: str) -> None:
    endpoint = await add_endpoint(api_client)
    response = await api_client.post(f"{PATH}/{endpoint['id']}/recover", json=body)
    assert await refused_fields(response) == {field}


async def test_a_span_beyond_the_retention_is_cut_and_the_answer_says_so(api_client: Client) -> None:
    endpoint = await add_endpoint(api_client)
    counted = await recover(api_client, endpoint["id"], since=LONG_AGO, dry_run=True)
    kept_days = (datetime.now(UTC) - datetime.fromisoformat(counted["since"])) / timedelta(days=1)
    assert counted["clamped"]
    assert kept_days == pytest.approx(30, abs=0.01)
    before = await recover(api_client, endpoint["id"], since=LONG_AGO, until=LONG_AGO, dry_run=True)
    assert before["since"] == before["until"]
    assert before["count"] == 0


async def test_a_recovery_of_a_disabled_endpoint_only_counts(
    api_client: Client, api_runtime: Runtime
) -> None:
    endpoint = await add_endpoint(api_client, event_types=["webhook.test"])
    await api_client.post(f"{PATH}/{endpoint['id']}/disable")
    await log(api_runtime, 1, 2)
    assert (await recover(api_client, endpoint["id"], dry_run=True))["count"] == 2
    refused = await problem(
        await api_client.post(f"{PATH}/{endpoint['id']}/recover", json={"since": ago(days=1)}), 409
    )
    assert f"POST {PATH}/{endpoint['id']}/enable" in refused["detail"]


@pytest.mark.parametrize(
    ("method", "tail"),
    [
        ("POST", "/recover"),
        ("GET", "/recoveries"),
        ("GET", "/recoveries/rec_1"),
        ("POST", "/recoveries/rec_1/cancel"),
        ("GET", "/stats"),
    ],
)
async def test_an_unknown_endpoint_or_recovery_is_not_found(
    api_client: Client, method: str, tail: str
) -> None:
    endpoint = await add_endpoint(api_client)
    body = {"since": ago(days=1)} if method == "POST" else None
    await problem(await api_client.request(method, f"{PATH}/ep_none{tail}", json=body), 404)
    if "rec_1" in tail:
        await problem(await api_client.request(method, f"{PATH}/{endpoint['id']}{tail}"), 404)


async def test_a_recovery_counts_what_was_missed_since_a_time(
    api_client: Client, api_runtime: Runtime
) -> None:
    created = await add_endpoint(api_client, event_types=["webhook.test"])
    endpoint = await api_runtime.store.endpoints.get(created["id"])
    await log(api_runtime, 1, 2)
    found = await missed_since(api_runtime, replace(endpoint, status=EndpointStatus.DISABLED), 1_500_000_000)
    assert found.events == 2
    assert found.recover == f"POST {PATH}/{endpoint.id}/recover"


async def test_enabling_reports_what_was_missed_and_how_to_recover_it(
    api_client: Client, api_runtime: Runtime
) -> None:
    endpoint = await add_endpoint(api_client, event_types=["webhook.test"])
    await api_client.post(f"{PATH}/{endpoint['id']}/disable")
    await log(api_runtime, 1, 2, 3)
    enabled = await (await api_client.post(f"{PATH}/{endpoint['id']}/enable")).json()
    missed = enabled["missed"]
    assert missed["events"] == 3
    method, path = missed["recover"].split(" ")
    response = await api_client.request(method, path, json={"since": missed["since"]})
    assert (await response.json())["count"] == 3


async def stats(client: Client, endpoint_id: str) -> dict[str, Any]:
    response = await client.get(f"{PATH}/{endpoint_id}/stats")
    assert response.status == 200, await response.text()
    answer: dict[str, Any] = await response.json()
    return answer


async def test_stats_of_an_endpoint_without_deliveries(api_client: Client) -> None:
    endpoint = await add_endpoint(api_client)
    shown = await stats(api_client, endpoint["id"])
    assert shown["pending"] == {
        "total": 0,
        "due": 0,
        "waiting": 0,
        "under_way": 0,
        "oldest_due_at": None,
        "oldest_due_seconds": 0.0,
    }
    assert shown["attempts"] == {"total": 0, "failed": 0, "refused": 0, "success_rate": None}
    assert shown["breaker"] == {"state": "closed", "open_until": None}


async def test_stats_count_deliveries_by_outcome(redis_url: str, serve: Any) -> None:
    async with open_test_runtime(redis_url) as runtime:
        client = await serve(runtime)
        client.session.headers.update({"Authorization": "Bearer test-key"})
        created = await add_endpoint(client, max_concurrency=6)
        endpoint = await runtime.store.endpoints.get(created["id"])
        store = runtime.store
        await allow_full_concurrency(store, endpoint)
        await queue_events(store, [endpoint], *range(8))
        partition = store.partitions.of(endpoint.id)
        turn = await store.queue.turn(partition, [], limit=100, lease_seconds=30)
        first, second, third, fourth, *_ = turn.claims
        await store.queue.turn(
            partition,
            [
                settled(first),
                settled(second),
                settled(third, DeliveryStatus.EXHAUSTED, succeeded=False),
                settled(fourth, DeliveryStatus.PENDING, delay=60, succeeded=False),
            ],
            limit=0,
            lease_seconds=30,
        )
        shown = await stats(client, endpoint.id)
    pending = shown["pending"]
    assert (pending["total"], pending["due"], pending["waiting"], pending["under_way"]) == (5, 2, 1, 2)
    assert pending["oldest_due_at"] is not None
    assert shown["deliveries"] == {"delivered": 2, "exhausted": 1, "discarded": 0}
    assert shown["attempts"] == {"total": 4, "failed": 2, "refused": 0, "success_rate": 0.5}
    assert shown["last_success_at"] is not None


async def test_stats_show_the_breaker(api_client: Client, api_runtime: Runtime) -> None:
    created = await add_endpoint(api_client)
    store = api_runtime.store
    run = store.partitions.key(schema.STATE, created["id"])
    endpoint = await store.endpoints.get(created["id"])
    partition = store.partitions.of(endpoint.id)
    await allow_full_concurrency(store, endpoint)
    await queue_events(store, [endpoint], *range(breaker.FAILURES_IN_A_ROW))
    turn = await store.queue.turn(partition, [], limit=100, lease_seconds=30)
    failed = [settled(each, DeliveryStatus.PENDING, delay=1, succeeded=False) for each in turn.claims]
    await store.queue.turn(partition, failed, limit=0, lease_seconds=30)
    shown = await stats(api_client, endpoint.id)
    assert shown["breaker"]["state"] == "open"
    assert shown["breaker"]["open_until"] == shown["held_until"] is not None
    assert shown["consecutive_failures"] == breaker.FAILURES_IN_A_ROW
    assert shown["failing_since"] is not None
    await store.database.redis.hset(run, mapping={"open_until": 1, "resume_at": 1})
    shown = await stats(api_client, endpoint.id)
    assert shown["breaker"] == {"state": "half_open", "open_until": None}
    assert shown["held_until"] is None
