"""Spaces, events, deliveries and event types, as they are read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from notifier.core.catalogue_examples import DEVELOPERS, LIVE, PLANNED
from notifier.core.delivery import Attempt, Delivery, DeliveryStatus, Trigger
from notifier.core.events import Event, EventType, Sighting, space_event
from notifier.core.ids import AttemptId, EndpointId, delivery_id, event_id
from notifier.core.known import KnownSpace
from notifier.core.space import Phase
from tests.support.admin_api import Client, problem, refused_fields


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


@pytest.fixture
def live_space(api_runtime: Any) -> KnownSpace:
    known = KnownSpace(
        space=LIVE, phase=Phase.LIVE, sequence=2, began_at=0.0, observed_at=10.0, phase_since=0.0
    )
    api_runtime.store.spaces.put(known, "wch_1")
    return known


async def test_a_space_has_xs_names_and_what_we_know(api_client: Client, live_space: KnownSpace) -> None:
    space = await (await api_client.get(f"/v1/spaces/{LIVE.id}")).json()
    assert space == {
        **live_space.space.as_json(),
        "url": "https://x.com/i/spaces/1zqKVXPQhvZJB",
        "watch_ids": ["wch_1"],
        "sequence": 2,
        "observed_at": "1970-01-01T00:00:10.000Z",
    }
    assert "topic_ids" not in space


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 1),
        ("?state=live", 1),
        ("?state=ended", 0),
        ("?watch_id=wch_1", 1),
        ("?watch_id=wch_2", 0),
        ("?state=&watch_id=", 1),
    ],
)
@pytest.mark.usefixtures("live_space")
async def test_spaces_are_listed_by_state_and_watch(api_client: Client, query: str, count: int) -> None:
    page = await (await api_client.get(f"/v1/spaces{query}")).json()
    assert len(page["data"]) == count
    assert page["next_cursor"] is None


async def test_an_unknown_state_is_refused(api_client: Client) -> None:
    assert await refused_fields(await api_client.get("/v1/spaces?state=running")) == {"query.state"}


async def test_the_events_of_a_space_come_by_sequence(api_client: Client, api_runtime: Any) -> None:
    for sequence in (1, 2, 3):
        await api_runtime.store.events.commit(started(sequence))
    page = await (await api_client.get(f"/v1/spaces/{LIVE.id}/events?limit=2")).json()
    assert [event["data"]["sequence"] for event in page["data"]] == [1, 2]
    rest = await api_client.get(f"/v1/spaces/{LIVE.id}/events?limit=2&cursor={page['next_cursor']}")
    assert [event["data"]["sequence"] for event in (await rest.json())["data"]] == [3]


async def test_a_space_that_was_never_seen_is_not_found(api_client: Client) -> None:
    await problem(await api_client.get("/v1/spaces/1none"), 404)
    await problem(await api_client.get("/v1/spaces/1none/events"), 404)


async def test_a_known_space_may_have_no_events(api_client: Client, live_space: KnownSpace) -> None:
    response = await api_client.get(f"/v1/spaces/{live_space.space.id}/events")
    assert await response.json() == {"data": [], "next_cursor": None}


async def test_an_event_is_shown_as_it_is_sent(api_client: Client, api_runtime: Any) -> None:
    event = started(1)
    await api_runtime.store.events.commit(event)
    body = json.loads((await api_runtime.store.events.get(event.id)).body)
    assert await (await api_client.get(f"/v1/events/{event.id}")).json() == {"id": event.id, **body}
    await problem(await api_client.get("/v1/events/evt_none"), 404)


async def test_events_are_listed_newest_first_and_polled_oldest_first(
    api_client: Client, api_runtime: Any
) -> None:
    events = [started(sequence) for sequence in range(1, 6)]
    for event in events:
        await api_runtime.store.events.commit(event)
    ids = [event.id for event in events]

    async def read(query: str) -> tuple[list[str], str | None]:
        page = await (await api_client.get(f"/v1/events?{query}")).json()
        return [event["id"] for event in page["data"]], page["next_cursor"]

    assert (await read("limit=50"))[0] == ids[::-1]
    seen, after = await read("limit=2&after=")
    assert seen == ids[:2]
    assert (await read(f"limit=2&after=&cursor={after}"))[0] == ids[2:4]
    seen, after = await read(f"after={ids[3]}")
    assert seen == ids[4:]
    seen, again = await read(f"after={after}")
    assert (seen, again) == ([], after)
    assert (await read("type=space.ended"))[0] == []
    assert (await read(f"type=space.started&space_id={LIVE.id}"))[0] == ids[::-1]
    assert await refused_fields(await api_client.get("/v1/events?type=space.exploded")) == {"query.type"}


@pytest.fixture
def delivery(api_runtime: Any) -> Delivery:
    endpoint_id = EndpointId("ep_" + "a" * 16)
    event = event_id("x")
    owed = Delivery(
        id=delivery_id(event, endpoint_id),
        event_id=event,
        endpoint_id=endpoint_id,
        status=DeliveryStatus.EXHAUSTED,
        created_at=0.0,
        attempts_made=1,
        settled_at=1.0,
        last_reason="status_500",
    )
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
    api_runtime.store.deliveries.put(owed, attempt)
    return owed


async def test_a_delivery_shows_its_attempts(api_client: Client, delivery: Delivery) -> None:
    plain = {
        "id": delivery.id,
        "event_id": delivery.event_id,
        "endpoint_id": delivery.endpoint_id,
        "status": "exhausted",
        "attempts_made": 1,
        "created_at": "1970-01-01T00:00:00.000Z",
        "next_attempt_at": None,
        "settled_at": "1970-01-01T00:00:01.000Z",
        "last_reason": "status_500",
    }
    attempt = {
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
    assert (await (await api_client.get("/v1/deliveries")).json())["data"] == [plain]
    one = await api_client.get(f"/v1/deliveries/{delivery.id}")
    assert await one.json() == {**plain, "attempts": [attempt]}
    await problem(await api_client.get("/v1/deliveries/dlv_none"), 404)


async def test_deliveries_are_listed_by_what_they_belong_to(api_client: Client, delivery: Delivery) -> None:
    for query, count in (
        (f"endpoint_id={delivery.endpoint_id}&event_id={delivery.event_id}&status=exhausted", 1),
        ("status=pending", 0),
        ("endpoint_id=ep_other", 0),
    ):
        page = await (await api_client.get(f"/v1/deliveries?{query}")).json()
        assert len(page["data"]) == count
    assert await refused_fields(await api_client.get("/v1/deliveries?status=lost")) == {"query.status"}


async def test_a_delivery_is_sent_again(api_client: Client, api_runtime: Any, delivery: Delivery) -> None:
    response = await api_client.post(f"/v1/deliveries/{delivery.id}/redeliver")
    assert response.status == 202
    assert await response.json() == {"id": delivery.id, "status": "pending"}
    assert api_runtime.nudge.jobs == [("deliver", 3)]
    await problem(await api_client.post("/v1/deliveries/dlv_none/redeliver"), 404)


async def test_event_types_have_a_schema_and_an_example(api_client: Client) -> None:
    page = await (await api_client.get("/v1/event-types")).json()
    assert [entry["name"] for entry in page["data"]] == [event_type.value for event_type in EventType]
    for entry in page["data"]:
        assert set(entry) == {"name", "description", "schema", "example"}
        assert entry["example"]["type"] == entry["name"]
        assert entry["schema"]["properties"]["data"]
