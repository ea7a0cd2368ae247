"""CloudEvents: the same data in another envelope, as the CloudEvents SDK reads it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st

from notifier.core.delivery.endpoint import Endpoint, PayloadFormat
from notifier.core.delivery.request import content_for
from notifier.core.events.catalogue import ROWS
from notifier.core.events.cloud_events import CONTENT_TYPE, cloud_event
from notifier.core.events.event import MAX_BODY_BYTES, EventType, PayloadForm, canonical, encode, thin
from notifier.core.events.examples import example
from notifier.core.model.ids import EndpointId
from notifier.core.model.space import Space
from tests.support.space_builders import LIVE, change, variant

SOURCE = "https://notifier.example.org/spaces"
LONGEST_SOURCE = "https://notifier.example.org/" + "x" * 2000
ABOUT_NO_SPACE = tuple(each for each in EventType if not each.startswith("space."))


def payload_of(event_type: EventType) -> bytes:
    return canonical(example(ROWS[event_type])).encode()


def read(body: bytes) -> BaseCloudEvent:
    message = HTTPMessage(headers={"content-type": CONTENT_TYPE}, body=body)
    return from_http_event(message, JSONFormat())


@pytest.mark.parametrize("form", PayloadForm)
@pytest.mark.parametrize("event_type", EventType)
def test_the_sdk_reads_every_event_back(event_type: EventType, form: PayloadForm) -> None:
    payload = payload_of(event_type)
    expected = json.loads(thin(payload) if form is PayloadForm.THIN else payload)
    endpoint = Endpoint(
        id=EndpointId("ep_1"),
        url="https://example.com",
        payload=form,
        format=PayloadFormat.CLOUDEVENTS,
        created_at=0.0,
        updated_at=0.0,
    )
    content = content_for(endpoint, payload, source=SOURCE)
    assert content.content_type == "application/cloudevents+json"
    event = read(content.body)
    assert event.get_data() == expected["data"]
    assert (event.get_id(), event.get_source()) == (expected["data"]["id"], SOURCE)
    assert (event.get_specversion(), event.get_datacontenttype()) == ("1.0", "application/json")
    assert event.get_type() == f"com.x.{event_type}"
    assert event.get_subject() == expected["data"].get("space", {}).get("id")
    assert json.loads(content.body)["time"] == expected["timestamp"]
    assert event.get_time() is not None


@pytest.mark.parametrize("event_type", ABOUT_NO_SPACE)
def test_an_event_about_no_space_has_no_subject(event_type: EventType) -> None:
    assert "subject" not in json.loads(cloud_event(payload_of(event_type), source=SOURCE))


@pytest.mark.parametrize(
    ("timestamp", "time"),
    [
        ("2021-07-14T08:00:12Z", "2021-07-14T08:00:12Z"),
        ("2021-07-14T08:00:12.5+02:00", "2021-07-14T08:00:12.5+02:00"),
        ("2021-07-14T08:00:12", "2021-07-14T08:00:12.000Z"),
    ],
)
def test_a_time_without_an_offset_gets_one(timestamp: str, time: str) -> None:
    document: dict[str, Any] = {**example(ROWS[EventType.STARTED]), "timestamp": timestamp}
    made = cloud_event(canonical(document).encode(), source=SOURCE)
    assert json.loads(made)["time"] == time


@given(st.integers(1, 2000), st.integers(0, 4000), st.sampled_from([SOURCE, LONGEST_SOURCE]))
def test_a_body_with_its_envelope_stays_below_20_kb(people: int, letters: int, source: str) -> None:
    crowd = tuple(str(10**18 + number) for number in range(people))
    titled = variant(LIVE, title="ö" * letters)
    logged = encode(change(titled, variant(titled, speaker_ids=crowd)))
    made = cloud_event(logged, source=source)
    assert len(made) < MAX_BODY_BYTES
    data = json.loads(made)["data"]
    before = json.loads(logged)["data"]
    if data != before:
        assert data["truncated"] is True
        assert data["counts"]["speaker_ids"] == people
        kept = data["space"]["speaker_ids"]
        assert kept == before["space"]["speaker_ids"][: len(kept)]


def test_the_counts_of_a_truncated_body_are_kept() -> None:
    at_limit = Space(id=LIVE.id, state="live", speaker_ids=tuple(str(10**18 + n) for n in range(5000)))
    logged = encode(change(LIVE, at_limit))
    made = json.loads(cloud_event(logged, source="https://example.org/" + "x" * 9000))["data"]
    assert made["counts"] == json.loads(logged)["data"]["counts"]
    assert made["counts"]["speaker_ids"] == 5000
