"""Reading Spaces, events, deliveries and event types."""

from __future__ import annotations

import json

from notifier.core.delivery.delivery import Attempt, DeliveryStatus, Trigger
from notifier.core.events.event import Event, EventType, Sighting, space_event
from notifier.core.events.examples import DEVELOPERS
from notifier.core.events.space_events import LIVE, PLANNED
from notifier.core.model.ids import AttemptId, DeliveryId, WatchId, delivery_id
from notifier.core.model.space import Phase
from notifier.core.spaces.known import KnownSpace
from notifier.runtime import Runtime
from notifier.store import Commit, Settlement, deliver_job
from tests.support.admin_api import Client, add_endpoint, create, problem, refused_fields
from tests.support.api_runtime import wakeups_of
from tests.support.dispatching import dispatch_events


def started(sequence: int) -> Event:
    return space_event(
        EventType.STARTED,
        sequence=sequence,
        before=PLANNED,
        after=LIVE,
        changed=("state",),
        details={"late_by_seconds": 12.0, "unscheduled": False},
        users={DEVELOPERS.id: DEVELOPERS},
        sighting=Sighting(10.0, (0.0, 10.0), first_sighting=False, watch_ids=()),
    )


async def store(runtime: Runtime, *events: Event, watch_ids: tuple[WatchId, ...] = ()) -> KnownSpace:
    known = KnownSpace(
        space=LIVE, phase=Phase.LIVE, sequence=2, began_at=0.0, observed_at=10.0, phase_since=0.0
    )
    commit = Commit(known, version=0, events=events, watch_ids=watch_ids, timers={})
    assert await runtime.store.spaces.commit([commit]) == [True]
    return known


async def test_a_space_has_the_field_names_of_x_and_the_known_state(
    api_client: Client, api_runtime: Runtime
) -> None:
    watch = await create(api_client, "/v1/watches", kind="creator", target="2244994945")
    known = await store(api_runtime, watch_ids=(watch["id"],))
    space = await (await api_client.get(f"/v1/spaces/{LIVE.id}")).json()
    assert space == {
        **known.space.as_json(),
        "url": "https://x.com/i/spaces/1zqKVXPQhvZJB",
        "watch_ids": [watch["id"]],
        "sequence": 2,
        "observed_at": "1970-01-01T00:00:10.000Z",
    }
    assert "topic_ids" not in space
    assert (await (await api_client.get(f"/v1/watches/{watch['id']}")).json())["spaces"] == [LIVE.id]


async def test_spaces_are_listed_by_state_and_watch(api_client: Client, api_runtime: Runtime) -> None:
    watch = await create(api_client, "/v1/watches", kind="creator", target="2244994945")
    await store(api_runtime, watch_ids=(watch["id"],))
    for query, count in (
        ("", 1),
        ("?state=live", 1),
        ("?state=ended", 0),
        (f"?watch_id={watch['id']}", 1),
        ("?watch_id=wch_other", 0),
        (f"?state=ended&watch_id={watch['id']}", 0),
        ("?state=&watch_id=", 1),
    ):
        page = await (await api_client.get(f"/v1/spaces{query}")).json()
        assert len(page["data"]) == count, query
        assert page["next_cursor"] is None


async def test_an_unknown_state_is_refused(api_client: Client) -> None:
    assert await refused_fields(await api_client.get("/v1/spaces?state=running")) == {"query.state"}


async def test_the_events_of_a_space_come_by_sequence(api_client: Client, api_runtime: Runtime) -> None:
    await store(api_runtime, started(1), started(2), started(3))
    page = await (await api_client.get(f"/v1/spaces/{LIVE.id}/events?limit=2")).json()
    assert [event["data"]["sequence"] for event in page["data"]] == [1, 2]
    rest = await api_client.get(f"/v1/spaces/{LIVE.id}/events?limit=2&cursor={page['next_cursor']}")
    assert [event["data"]["sequence"] for event in (await rest.json())["data"]] == [3]


async def test_a_space_that_was_never_seen_is_not_found(api_client: Client) -> None:
    await problem(await api_client.get("/v1/spaces/1none"), 404)
    await problem(await api_client.get("/v1/spaces/1none/events"), 404)


async def test_a_known_space_may_have_no_events(api_client: Client, api_runtime: Runtime) -> None:
    await store(api_runtime)
    response = await api_client.get(f"/v1/spaces/{LIVE.id}/events")
    assert await response.json() == {"data": [], "next_cursor": None}


async def test_an_event_is_shown_as_it_is_sent(api_client: Client, api_runtime: Runtime) -> None:
    event = started(1)
    await store(api_runtime, event)
    body = json.loads((await api_runtime.store.events.get(event.id)).body)
    assert await (await api_client.get(f"/v1/events/{event.id}")).json() == {"id": event.id, **body}
    await problem(await api_client.get("/v1/events/evt_none"), 404)


async def test_events_are_listed_newest_first_and_polled_oldest_first(
    api_client: Client, api_runtime: Runtime
) -> None:
    events = [started(sequence) for sequence in range(1, 6)]
    await store(api_runtime, *events)
    ids = [event.id for event in events]

    async def read(query: str) -> tuple[list[str], str | None]:
        page = await (await api_client.get(f"/v1/events?{query}")).json()
        return [event["id"] for event in page["data"]], page["next_cursor"]

    assert (await read("limit=50"))[0] == ids[::-1]
    seen, after = await read("limit=2&after=")
    assert seen == ids[:2]
    assert (await read(f"limit=2&after={after}"))[0] == ids[2:4]
    seen, after = await read(f"after={ids[3]}")
    assert seen == ids[4:]
    seen, again = await read(f"after={after}")
    assert (seen, again) == ([], after)
    assert (await read("type=space.ended"))[0] == []
    assert (await read(f"type=space.started&space_id={LIVE.id}"))[0] == ids[::-1]
    assert await refused_fields(await api_client.get("/v1/events?type=space.exploded")) == {"query.type"}


async def exhaust(client: Client, runtime: Runtime) -> DeliveryId:
    """Create an exhausted delivery after one attempt."""
    endpoint = await add_endpoint(client)
    event = started(1)
    await store(runtime, event)
    (partition,) = await dispatch_events(
        runtime.store, [(event.id, [await runtime.store.endpoints.get(endpoint["id"])])]
    )
    (claim,) = (await runtime.store.queue.turn(partition, [], limit=10, lease_seconds=30)).claims
    attempt = Attempt(
        id=AttemptId("att_1"),
        number=1,
        trigger=Trigger.SCHEDULED,
        started_at=0.5,
        outcome="retry",
        reason="status_500",
        status_code=500,
        duration_ms=12.5,
        headers={"retry-after": "5"},
        body="oops",
    )
    settlement = Settlement(claim, DeliveryStatus.EXHAUSTED, attempt, attempts_made=1, succeeded=False)
    await runtime.store.queue.turn(partition, [settlement], limit=0, lease_seconds=30)
    return delivery_id(event.id, endpoint["id"])


async def test_a_delivery_shows_its_attempts(api_client: Client, api_runtime: Runtime) -> None:
    delivery = await exhaust(api_client, api_runtime)
    one = await (await api_client.get(f"/v1/deliveries/{delivery}")).json()
    assert one.pop("attempts") == [
        {
            "id": "att_1",
            "number": 1,
            "trigger": "scheduled",
            "started_at": "1970-01-01T00:00:00.500Z",
            "outcome": "retry",
            "reason": "status_500",
            "status_code": 500,
            "error": None,
            "duration_ms": 12.5,
            "headers": {"retry-after": "5"},
            "body": "oops",
        }
    ]
    assert (await (await api_client.get("/v1/deliveries")).json())["data"] == [one]
    assert one.pop("created_at") <= one.pop("settled_at")
    assert one == {
        "id": delivery,
        "event_id": started(1).id,
        "endpoint_id": (await (await api_client.get("/v1/endpoints")).json())["data"][0]["id"],
        "status": "exhausted",
        "attempts_made": 1,
        "next_attempt_at": None,
        "last_reason": "status_500",
    }
    await problem(await api_client.get("/v1/deliveries/dlv_none"), 404)


async def test_deliveries_are_listed_by_what_they_belong_to(api_client: Client, api_runtime: Runtime) -> None:
    one = await api_runtime.store.deliveries.get(await exhaust(api_client, api_runtime))
    for query, count in (
        (f"endpoint_id={one.endpoint_id}&event_id={one.event_id}&status=exhausted", 1),
        (f"space_id={LIVE.id}", 1),
        ("space_id=1other", 0),
        ("status=pending", 0),
        ("endpoint_id=ep_other", 0),
        ("event_id=evt_other", 0),
    ):
        page = await (await api_client.get(f"/v1/deliveries?{query}")).json()
        assert len(page["data"]) == count, query
    assert await refused_fields(await api_client.get("/v1/deliveries?status=lost")) == {"query.status"}


async def test_a_delivery_is_sent_again(api_client: Client, api_runtime: Runtime) -> None:
    delivery = await exhaust(api_client, api_runtime)
    response = await api_client.post(f"/v1/deliveries/{delivery}/redeliver")
    assert response.status == 202
    assert await response.json() == {"id": delivery, "status": "pending"}
    endpoint_id = (await api_runtime.store.deliveries.get(delivery)).endpoint_id
    assert wakeups_of(api_runtime).jobs == [deliver_job(api_runtime.store.partitions.of(endpoint_id))]
    await problem(await api_client.post("/v1/deliveries/dlv_none/redeliver"), 404)


async def test_a_delivery_of_a_deleted_endpoint_cannot_be_redelivered(
    api_client: Client, api_runtime: Runtime
) -> None:
    delivery = await exhaust(api_client, api_runtime)
    endpoint_id = (await api_runtime.store.deliveries.get(delivery)).endpoint_id
    await api_client.delete(f"/v1/endpoints/{endpoint_id}")
    await problem(await api_client.post(f"/v1/deliveries/{delivery}/redeliver"), 404)


async def test_event_types_have_a_schema_and_an_example(api_client: Client) -> None:
    page = await (await api_client.get("/v1/event-types")).json()
    assert [entry["name"] for entry in page["data"]] == [event_type.value for event_type in EventType]
    for entry in page["data"]:
        assert set(entry) == {"name", "description", "schema", "example"}
        assert entry["example"]["type"] == entry["name"]
        assert entry["schema"]["properties"]["data"]
