"""The event catalogue describes exactly what is sent."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from notifier.core.events.catalogue import AnyPayload, EventTypeInfo, event_types
from notifier.core.events.event import EventType, Sighting, encode, space_event, thin
from notifier.core.events.payload import SpaceObject
from notifier.core.events.space_events import LIVE
from notifier.core.model.space import FIELD_KINDS

PAYLOADS: TypeAdapter[Any] = TypeAdapter(AnyPayload)

every_type = pytest.mark.parametrize("info", event_types(), ids=lambda info: info.name)


def test_every_type_is_in_the_catalogue_in_order() -> None:
    assert [info.name for info in event_types()] == [event_type.value for event_type in EventType]


@every_type
def test_a_description_says_when_it_is_sent(info: EventTypeInfo) -> None:
    assert re.match(r"Sent (when|some minutes before|to other endpoints when) ", info.description)


@every_type
def test_the_example_is_what_the_model_describes_and_nothing_more(info: EventTypeInfo) -> None:
    payload = PAYLOADS.validate_python(info.example)
    assert payload.type == info.name
    assert PAYLOADS.dump_python(payload, mode="json", exclude_unset=True) == info.example


@every_type
def test_the_thin_form_fits_the_same_model(info: EventTypeInfo) -> None:
    body = json.loads(thin(json.dumps(info.example).encode()))
    assert PAYLOADS.dump_python(PAYLOADS.validate_python(body), mode="json", exclude_unset=True) == body


@every_type
def test_a_body_without_its_details_is_refused(info: EventTypeInfo) -> None:
    body = {
        **info.example,
        "data": {key: value for key, value in info.example["data"].items() if key != "details"},
    }
    with pytest.raises(ValidationError):
        PAYLOADS.validate_python(body)


@every_type
def test_the_schema_allows_null_only_where_it_is_sent(info: EventTypeInfo) -> None:
    nullable = {
        name
        for model in [info.schema, *info.schema["$defs"].values()]
        for name, field in model.get("properties", {}).items()
        if {"type": "null"} in field.get("anyOf", [])
    }
    details = {"delta_seconds", "late_by_seconds", "duration_seconds", "peak_participant_count", "retracts"}
    assert nullable <= {"occurred_at", *details}


def test_a_truncated_body_fits_the_model() -> None:
    crowd = tuple(str(10**18 + number) for number in range(2000))
    after = LIVE.with_values({"speaker_ids": crowd})
    event = space_event(
        EventType.SPEAKERS_ADDED,
        sequence=1,
        before=LIVE,
        after=after,
        changed=["speaker_ids"],
        details={"added": list(crowd), "total": len(crowd)},
        users={},
        sighting=Sighting(1.0, (0.0, 1.0), first_sighting=False, watch_ids=()),
    )
    body = json.loads(encode(event))
    assert body["data"]["counts"]["speaker_ids"] == 2000
    assert PAYLOADS.dump_python(PAYLOADS.validate_python(body), mode="json", exclude_unset=True) == body


def test_a_space_has_every_field_of_x_and_only_the_id_is_required() -> None:
    schema = SpaceObject.model_json_schema()
    assert set(schema["properties"]) == {"id", *FIELD_KINDS}
    assert schema["required"] == ["id"]
    assert schema["properties"]["host_ids"]["type"] == "array"


def test_an_inferred_end_fits_the_model() -> None:
    (body,) = (info.example for info in event_types() if info.name == EventType.ENDED)
    between = ["2021-07-14T08:00:09.000Z", "2021-07-14T08:00:19.000Z"]
    details = {"duration_seconds": None, "peak_participant_count": None, "ended_between": between}
    inferred = {**body, "data": {**body["data"], "details": details, "occurred_at": None, "inferred": True}}
    payload = PAYLOADS.validate_python(inferred)
    assert PAYLOADS.dump_python(payload, mode="json", exclude_unset=True) == inferred
