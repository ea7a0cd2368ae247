"""Redacted events: what is left after the content of a Space is erased."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.core.events.catalogue import EventTypeInfo, event_types
from notifier.core.events.event import EventType, encode, plain_event, redact, thin
from notifier.core.model.ids import SpaceId
from notifier.core.model.observation import Call
from notifier.core.model.reasons import OutageKind
from notifier.core.model.space import Space
from notifier.core.polling.health import Health, Outage, news
from tests.support.space_builders import (
    LIVE,
    PAYLOADS,
    SPACE_ID,
    START,
    History,
    at,
    seen,
    space,
    user,
    variant,
)

MARK = "\u00a7private\u00a7"
"""Stands in every text that has to go; no id, type or time contains it."""

OTHER = SpaceId("1DXxyRYNejbKM")
CROWD = tuple(str(10**18 + number) for number in range(3000))

every_type = pytest.mark.parametrize("info", event_types(), ids=lambda info: info.name)

private = st.text(st.characters(exclude_categories=["Cs"]), max_size=40).map(lambda text: MARK + text)


def bodies(title: str, name: str, *, crowd: int = 0) -> list[bytes]:
    """Return the event bodies of a busy Space, with all erasable content marked."""
    people = [user("1", name), user("2", name)]
    busy = variant(LIVE, title=title, lang=MARK, creator_id="1", speaker_ids=CROWD[:crowd])
    history = History(
        seen(0, variant(busy, state="scheduled", started_at=None), users=people),
        seen(30, variant(busy, title=title + "!", lang=MARK + "2"), users=people),
        seen(
            60,
            variant(busy, title=title + "?", host_ids=("1", "2", "3"), participant_count=700),
            users=people,
        ),
        seen(90, variant(busy, state="ended", ended_at=at(80), title=title), users=people),
    )
    return [encode(event) for event in history.events]


def baseline(*spaces: Space) -> bytes:
    return encode(
        plain_event(
            EventType.WATCH_BASELINE,
            content=["wch_1"],
            details={
                "watch": {"id": "wch_1", "kind": "creator", "target": "@TwitterDev"},
                "spaces": [each.as_json() for each in spaces],
            },
            observed_at=START,
        )
    )


def facts(body: bytes) -> dict[str, Any]:
    """Return what must stay: ids, type and times."""
    payload = json.loads(body)
    data = payload["data"]
    names = (
        "id",
        "sequence",
        "occurred_at",
        "observed_at",
        "observed_between",
        "watch_ids",
        "url",
        "changed",
    )
    return {name: payload[name] for name in ("type", "timestamp")} | {name: data.get(name) for name in names}


def check_that_nothing_is_left(busy: list[bytes]) -> None:
    for body in busy:
        assert MARK.encode() in body
        for left in (redact(body, SPACE_ID), thin(body)):
            assert MARK.encode() not in left
            assert b"user_1" not in left
            assert facts(left) == facts(body)
            assert json.loads(left)["data"]["space"] == {"id": SPACE_ID}


@given(private, private)
def test_no_content_is_left(title: str, name: str) -> None:
    check_that_nothing_is_left(bodies(title, name))


def test_no_content_is_left_in_a_truncated_body() -> None:
    busy = bodies(MARK, MARK, crowd=3000)
    assert all(json.loads(body)["data"]["truncated"] for body in busy)
    check_that_nothing_is_left(busy)


@given(private, private)
def test_redacting_twice_changes_nothing(title: str, name: str) -> None:
    everything = variant(LIVE, title=title)
    for body in (*bodies(title, name), baseline(everything), baseline(variant(everything, id=OTHER))):
        once, thinned = redact(body, SPACE_ID), thin(body)
        assert redact(once, SPACE_ID) == once
        assert thin(thinned) == thinned
        assert redact(thinned, SPACE_ID) == thin(once)


@every_type
def test_a_redacted_body_fits_the_same_model(info: EventTypeInfo) -> None:
    space_id = SpaceId(info.example["data"].get("space", {}).get("id", SPACE_ID))
    body = json.loads(redact(json.dumps(info.example).encode(), space_id))
    assert PAYLOADS.dump_python(PAYLOADS.validate_python(body), mode="json", exclude_unset=True) == body
    assert (body["type"], body["timestamp"]) == (info.name, info.example["timestamp"])


def test_an_event_of_another_space_is_unchanged() -> None:
    for body in bodies("title", "name"):
        assert redact(body, OTHER) == body


@given(private)
def test_a_baseline_loses_the_content_of_the_one_space_and_keeps_the_others(title: str) -> None:
    other = variant(LIVE, id=OTHER, title="Another title")
    body = baseline(other, variant(LIVE, title=title), other)
    left = redact(body, SPACE_ID)
    assert MARK.encode() not in left
    data = json.loads(left)["data"]
    assert data["details"]["spaces"] == [other.as_json(), {"id": SPACE_ID}, other.as_json()]
    assert data["details"]["watch"] == json.loads(body)["data"]["details"]["watch"]


def test_a_truncated_baseline_loses_its_content_too() -> None:
    crowded = variant(LIVE, title=MARK * 200, speaker_ids=CROWD)
    body = baseline(*(variant(crowded, id=SpaceId(f"space{number}")) for number in range(30)), crowded)
    assert json.loads(body)["data"]["truncated"] is True
    kept = [SpaceId(each["id"]) for each in json.loads(body)["data"]["details"]["spaces"]]
    assert kept
    for space_id in kept:
        body = redact(body, space_id)
    assert MARK.encode() not in body


@pytest.mark.parametrize("event_type", [EventType.WEBHOOK_TEST, EventType.ENDPOINT_DISABLED])
def test_an_event_that_names_no_space_keeps_its_facts(event_type: EventType) -> None:
    (info,) = (info for info in event_types() if info.name == event_type)
    body = json.dumps(info.example).encode()
    assert json.loads(redact(body, SPACE_ID)) == json.loads(thin(body)) == info.example


def test_people_are_reduced_to_their_ids() -> None:
    history = History(seen(0, LIVE, users=[user("1", MARK)]))
    (event,) = history.poll(seen(30, variant(LIVE, speaker_ids=("7",)), users=[user("7", MARK)]))
    left = json.loads(redact(encode(event), SPACE_ID))
    assert left["data"]["details"] == {"added": ["7"], "total": 1}


@pytest.mark.parametrize("detail", ["\ud800", "half a pair: \udfd9", "\ud83c\udfd9"])
def test_error_details_of_x_are_always_sent_as_utf8(detail: str) -> None:
    outage = Outage(OutageKind.CREDITS_DEPLETED, detail, START, START, is_announced=True)
    (event,) = news(Health(), Health({Call.LOOKUP: outage}), now=START)
    body = json.loads(encode(event).decode())
    assert body["data"]["details"]["kind"] == "credits_depleted"


def test_a_body_is_read_back_as_it_was_sent() -> None:
    (event,) = History(seen(0, space("live", title="\u2028\x00\U0001f3d9"))).events
    assert json.loads(encode(event).decode())["data"]["space"]["title"] == "\u2028\x00\U0001f3d9"
