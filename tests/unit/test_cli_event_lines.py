"""Events as lines for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.cli.event_lines import duration, event_line
from notifier.core.events.catalogue import ROWS, event_types
from notifier.core.events.event import EventType
from notifier.core.events.examples import example

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
DATA = st.fixed_dictionaries(
    {},
    optional={
        "sequence": JSON,
        "space": JSON | st.fixed_dictionaries({"title": JSON, "id": JSON, "scheduled_start": JSON}),
        "previous": JSON | st.fixed_dictionaries({"title": JSON}),
        "changed": JSON,
        "inferred": JSON,
        "details": JSON
        | st.dictionaries(
            st.sampled_from(
                [
                    "delta_seconds",
                    "late_by_seconds",
                    "duration_seconds",
                    "added",
                    "removed",
                    "total",
                    "reason",
                ]
            ),
            JSON,
        ),
    },
)


@pytest.mark.parametrize(
    ("event_type", "facts"),
    [
        (
            EventType.SCHEDULED,
            ["#1", "“Say hello to the Space data object!”", "for 2021-07-14T08:00:00.000Z"],
        ),
        (EventType.RESCHEDULED, ["later by 1 h 30 min", "to 2021-07-14T09:30:00.000Z"]),
        (EventType.STARTED, ["12 s late"]),
        (EventType.ENDED, ["lasted 4 s", "up to 118 people"]),
        (EventType.CANCELED, ["explicit"]),
        (EventType.TITLE_CHANGED, ["“Say hello to Spaces”", "was “Say hello to the Space data object!”"]),
        (EventType.HOSTS_CHANGED, ["+1"]),
        (EventType.SPEAKERS_ADDED, ["+1", "2 in all"]),
        (EventType.UPDATED, ["is_ticketed, topic_ids"]),
        (EventType.WEBHOOK_TEST, ["A test of this endpoint."]),
    ],
)
def test_a_line_states_the_relevant_facts(event_type: EventType, facts: list[str]) -> None:
    line = event_line(example(ROWS[event_type])).plain
    assert line.startswith(event_type)
    assert [fact for fact in facts if fact not in line] == []


def test_every_type_has_a_line_in_both_formats() -> None:
    for info in event_types():
        cloudevent = {"type": f"com.x.{info.name}", "data": info.example["data"]}
        assert event_line(cloudevent).plain == event_line(info.example).plain


@given(JSON, DATA, st.sampled_from(list(EventType)) | JSON)
def test_any_event_makes_one_harmless_line(body: object, data: object, event_type: object) -> None:
    for each in (body, {"type": event_type, "data": data}):
        line = event_line(each if isinstance(each, dict) else None).plain
        assert all(character.isprintable() or character == "\N{ZERO WIDTH JOINER}" for character in line)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (12.04, "12 s"),
        (-5, "-5 s"),
        (150, "2 min"),
        (5400, "1 h 30 min"),
        (-5400, "-1 h 30 min"),
        (float("nan"), ""),
        (float("inf"), ""),
        (10**400, ""),
        ("12", ""),
        (True, ""),
        (None, ""),
    ],
)
def test_durations(seconds: object, text: str) -> None:
    assert duration(seconds) == text
