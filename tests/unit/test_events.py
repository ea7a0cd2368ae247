"""Event bodies: their keys, ids and thin form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from notifier.core.events.event import (
    Event,
    EventType,
    Sighting,
    encode,
    plain_event,
    space_event,
    thin,
)
from notifier.core.model.ids import EndpointId, WatchId
from notifier.core.spaces.timers import ERASE_AFTER_SECONDS
from tests.support.space_builders import (
    LIVE,
    PLANNED,
    SPACE_ID,
    START,
    History,
    at,
    body_of,
    change,
    described_body_of,
    erasure,
    not_found,
    reminder,
    seen,
    space,
    user,
    variant,
)

KEYS = [
    "id",
    "sequence",
    "space",
    "users",
    "previous",
    "changed",
    "details",
    "occurred_at",
    "observed_at",
    "observed_between",
    "inferred",
    "first_sighting",
    "watch_ids",
    "url",
]


class TestTheEnvelope:
    def test_is_the_one_of_the_contract(self) -> None:
        planned = variant(PLANNED, scheduled_start=at(0), title="Say hello to the Space data object!")
        live = variant(planned, state="live", started_at=at(12))
        history = History(seen(9, planned, users=[user("1")]), seen(19, live))
        event = history.events[-1]
        assert body_of(event) == {
            "type": "space.started",
            "timestamp": at(12),
            "data": {
                "id": event.id,
                "sequence": 2,
                "space": {
                    "id": SPACE_ID,
                    "state": "live",
                    "title": "Say hello to the Space data object!",
                    "scheduled_start": at(0),
                    "started_at": at(12),
                    "host_ids": ["1", "2"],
                },
                "users": [{"id": "1", "name": "Twitter Dev", "username": "user_1"}],
                "previous": {"state": "scheduled"},
                "changed": ["started_at", "state"],
                "details": {"late_by_seconds": 12, "unscheduled": False},
                "occurred_at": at(12),
                "observed_at": at(19),
                "observed_between": [at(9), at(19)],
                "inferred": False,
                "first_sighting": False,
                "watch_ids": ["wch_0000000000000001"],
                "url": f"https://x.com/i/spaces/{SPACE_ID}",
            },
        }

    def test_has_the_same_keys_in_the_same_order_for_every_event_of_a_space(self) -> None:
        busy = variant(LIVE, title="Renamed", lang="de", host_ids=("1", "2", "3"), speaker_ids=("4",))
        history = History(
            seen(0, variant(PLANNED, lang="en")),
            seen(30, variant(PLANNED, scheduled_start=at(900))),
            seen(620, busy),
            not_found(650),
            not_found(680),
            seen(700, busy),
            seen(731, busy),
            seen(760, variant(busy, participant_count=100)),
            seen(4300, space("ended", ended_at=at(4200))),
        )
        waiting = variant(PLANNED, scheduled_start=at(1500))
        canceled = History(
            seen(0, waiting),
            reminder(600),
            seen(2200, waiting),
            seen(2230, space("canceled")),
            erasure(2230 + ERASE_AFTER_SECONDS),
        )
        events = [*history.events, *canceled.events]
        assert {event.type for event in events} == {name for name in EventType if name.startswith("space.")}
        for event in events:
            body = described_body_of(event)
            assert list(body) == ["type", "timestamp", "data"]
            assert list(body["data"]) == KEYS
            assert body["timestamp"] == (body["data"]["occurred_at"] or body["data"]["observed_at"])

    def test_of_an_event_that_is_not_about_a_space_has_neither_space_nor_sequence(self) -> None:
        event = plain_event(
            EventType.WEBHOOK_TEST,
            content=["ep_1", "1"],
            details={"message": "hello"},
            observed_at=START,
            endpoint_id=EndpointId("ep_1"),
        )
        body = body_of(event)
        assert list(body["data"]) == [
            "id",
            "details",
            "occurred_at",
            "observed_at",
            "inferred",
            "watch_ids",
        ]
        assert (body["timestamp"], event.sequence) == (at(0), None)
        assert event.routing.endpoint_id == "ep_1"

    def test_routes_by_creator_hosts_language_and_watches(self) -> None:
        (event,) = History(seen(0, variant(LIVE, creator_id="9", lang="en"))).events
        routing = event.routing
        assert (routing.space_id, routing.creator_ids, routing.lang) == (SPACE_ID, ("9", "1", "2"), "en")
        assert routing.watch_ids == ("wch_0000000000000001",)


class TestTheId:
    def event(self, **changes: Any) -> Event:
        values: dict[str, Any] = {
            "sequence": 3,
            "before": PLANNED,
            "after": LIVE,
            "changed": ["state", "started_at"],
            "details": {},
            "users": {},
            "sighting": Sighting(START, (START - 10, START), first_sighting=False, watch_ids=()),
        }
        return space_event(EventType.STARTED, **values | changes)

    @pytest.mark.parametrize(
        "changes",
        [
            {"sighting": Sighting(START + 5, (START, START + 5), first_sighting=True, watch_ids=())},
            {
                "sighting": Sighting(
                    START, (START, START), first_sighting=False, watch_ids=(WatchId("wch_1"),)
                )
            },
            {"users": {"1": user("1")}},
            {"details": {"late_by_seconds": 12}},
            {"before": None},
            {"inferred": True},
            {"changed": ["started_at", "state"]},
            {"after": variant(LIVE, participant_count=7)},
            {"after": variant(LIVE, started_at="2021-07-14T10:10:12+02:00")},
        ],
    )
    def test_does_not_depend_on_how_it_was_seen(self, changes: dict[str, Any]) -> None:
        assert self.event(**changes).id == self.event().id

    @pytest.mark.parametrize(
        "changes",
        [
            {"sequence": 4},
            {"changed": ["state"]},
            {"after": variant(LIVE, started_at=at(613))},
            {"after": variant(LIVE, id="1ZQKVXPQHVZJB")},
            {"occasion": "100"},
        ],
    )
    def test_depends_on_what_is_announced(self, changes: dict[str, Any]) -> None:
        assert self.event(**changes).id != self.event().id

    def test_does_not_depend_on_the_order_of_a_list(self) -> None:
        one, other = (
            self.event(after=variant(LIVE, speaker_ids=speakers), changed=["speaker_ids"]).id
            for speakers in (("1", "2"), ("2", "1"))
        )
        assert one == other

    def test_of_a_plain_event_depends_only_on_its_content(self) -> None:
        def made(seconds: float, *content: str) -> str:
            return plain_event(
                EventType.WATCH_BASELINE, content=content, details={"at": seconds}, observed_at=seconds
            ).id

        assert made(1, "wch_1") == made(2, "wch_1") != made(1, "wch_2")


MANY = tuple(str(10**18 + number) for number in range(5000))


class TestTheThinForm:
    def test_has_ids_type_and_times_only(self) -> None:
        before = variant(LIVE, creator_id="9")
        event = change(before, variant(before, title="Renamed"))
        data = json.loads(thin(encode(event)))["data"]
        assert list(data) == [key for key in KEYS if key not in {"users", "previous"}]
        assert data["space"] == {"id": SPACE_ID}
        assert (data["changed"], data["details"]) == (["title"], {})
        assert (data["id"], data["sequence"], data["url"]) == (event.id, 2, event.data["url"])

    def test_contains_only_the_ids_of_people(self) -> None:
        event = change(LIVE, variant(LIVE, host_ids=("1", "2", "31337")))
        body = json.loads(thin(encode(event)))
        assert body["data"]["details"] == {"added": ["31337"], "removed": []}

    def test_says_that_people_were_cut(self) -> None:
        body = json.loads(thin(encode(change(LIVE, variant(LIVE, speaker_ids=MANY)))))
        assert body["data"]["truncated"] is True
        assert 0 < len(body["data"]["details"]["added"]) < len(MANY)
        assert body["data"]["counts"]["added"] == len(MANY)

    def test_keeps_type_timestamp_and_plain_facts(self) -> None:
        event = History(seen(0, PLANNED), seen(620, LIVE)).events[-1]
        body = json.loads(thin(encode(event)))
        assert (body["type"], body["timestamp"]) == ("space.started", at(612))
        assert body["data"]["details"] == {"late_by_seconds": 12, "unscheduled": False}

    def test_of_a_baseline_contains_only_the_ids_of_spaces(self) -> None:
        event = plain_event(
            EventType.WATCH_BASELINE,
            content=["wch_1"],
            details={"spaces": [LIVE.as_json()]},
            observed_at=START,
        )
        assert json.loads(thin(encode(event)))["data"]["details"] == {"spaces": [{"id": SPACE_ID}]}


@pytest.mark.parametrize(
    "title",
    [
        "@everyone",
        "<!channel>",
        "</b>",
        "a\r\nb",
        "\u202eabc",
        "\U0001f3d9\ufe0f",
        "\u2028",
        "\ufeffx",
        "\x00",
    ],
)
def test_titles_are_written_raw_as_utf8(title: str) -> None:
    (event,) = History(seen(700, variant(LIVE, title=title))).events
    body = encode(event)
    assert json.loads(body)["data"]["space"]["title"] == title
    assert json.dumps(title, ensure_ascii=False).encode() in body
