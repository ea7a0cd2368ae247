"""The id of every type of event can be computed from its payload."""

from __future__ import annotations

import json

import pytest

from notifier.core.events.event import Event, EventType, encode, redact, thin
from notifier.core.events.identity import expected_id
from notifier.core.model.ids import SpaceId
from tests.support.space_builders import ENDED_BY_SILENCE, History, at, reminder, seen, space

PLANNED = space("scheduled", title="Planned", scheduled_start=at(1000), host_ids=("1", "2"))


def events_of_a_life() -> list[Event]:
    history = History(
        seen(0, PLANNED),
        reminder(150),
        seen(200, space("scheduled", title="Other", scheduled_start=at(1200), host_ids=("1", "2", "3"))),
        seen(1900, space("scheduled", scheduled_start=at(1200))),
        seen(2000, space("live", started_at=at(1990), speaker_ids=("7", "5"), participant_count=120)),
        seen(2100, space("live", participant_count=30_000)),
        seen(2200, space("ended", ended_at=at(2150))),
    )
    return history.events


@pytest.mark.parametrize("event", events_of_a_life(), ids=lambda event: event.type)
def test_the_id_can_be_computed_from_the_payload(event: Event) -> None:
    assert expected_id(json.loads(encode(event))) == event.id


def test_the_id_of_a_correction_can_be_computed_from_its_payload() -> None:
    history = History(*ENDED_BY_SILENCE, seen(100, space("live")), seen(140, space("live")))
    assert EventType.CORRECTED in [event.type for event in history.events]
    assert [expected_id(json.loads(encode(each))) for each in history.events] == [
        each.id for each in history.events
    ]


def test_a_forged_payload_has_another_id() -> None:
    event = events_of_a_life()[0]
    payload = json.loads(encode(event))
    payload["data"]["space"]["title"] = "Forged"
    assert expected_id(payload) not in (None, event.id)


def test_erased_and_truncated_payloads_do_not_determine_the_id() -> None:
    event = events_of_a_life()[0]
    assert expected_id(json.loads(redact(encode(event), SpaceId(event.data["space"]["id"])))) is None
    assert expected_id(json.loads(thin(encode(event)))) is None
    cut = json.loads(encode(event))
    cut["data"]["truncated"] = True
    assert expected_id(cut) is None
