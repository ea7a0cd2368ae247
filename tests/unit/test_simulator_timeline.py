from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from notifier.simulator.asked import Asked, Call
from notifier.simulator.fault import FaultKind
from notifier.simulator.files import parse_scenario
from notifier.simulator.scenario import Absence, Scenario
from notifier.simulator.timeline import active_fault, scene_at, spaces_at
from notifier.simulator.times import RelativeTime

SCENARIO = parse_scenario(
    """
spaces:
  - id: one
    creator_id: 1
    timeline:
      - {at: 5s, set: {state: scheduled, title: Hello, scheduled_start: +20s, host_ids: [1]}}
      - {at: 10s, set: {title: Hello again}}
      - {at: 20s, set: {state: live, scheduled_start: null, host_ids: []}}
      - {at: 30s, gone: true}
      - {at: 40s, set: {participant_count: 3}}
  - id: two
    creator_id: 2
    timeline:
      - {at: 7s, set: {state: live, created_at: -1m}}
faults:
  - {at: 10s, for: 5s, kind: html, calls: [search]}
  - {at: 10s, for: 10s, kind: slow}
""",
    source="timeline.yaml",
)


def test_a_space_does_not_exist_before_its_first_entry() -> None:
    assert spaces_at(SCENARIO, -1.0) == {}
    assert spaces_at(SCENARIO, 4.999) == {}
    assert list(spaces_at(SCENARIO, 5.0)) == ["one"]


def test_a_change_keeps_what_it_does_not_name() -> None:
    before, after = (spaces_at(SCENARIO, at)["one"].fields for at in (9.999, 10.0))
    assert before["title"] == "Hello"
    assert after == {**before, "title": "Hello again"}


def test_null_removes_a_field_and_an_empty_list_is_a_value() -> None:
    fields = spaces_at(SCENARIO, 20.0)["one"].fields
    assert "scheduled_start" not in fields
    assert fields["host_ids"] == ()
    assert fields["state"] == "live"


def test_a_gone_space_returns_unchanged_with_its_next_entry() -> None:
    assert "one" in spaces_at(SCENARIO, 29.999)
    assert "one" not in spaces_at(SCENARIO, 30.0)
    back = spaces_at(SCENARIO, 40.0)["one"]
    assert back.state == "live"
    assert back.fields["title"] == "Hello again"
    assert back.fields["participant_count"] == 3


def test_a_space_that_is_over_keeps_its_state_or_is_gone() -> None:
    timeline = """
x: {%s}
spaces:
  - {id: e, creator_id: 1, timeline: [{at: 0s, set: {state: live}}, {at: 5s, set: {state: ended}}]}
  - {id: c, creator_id: 1, timeline: [{at: 0s, set: {state: scheduled}}, {at: 5s, set: {state: canceled}}]}
  - {id: l, creator_id: 1, timeline: [{at: 0s, set: {state: live}}]}
"""
    answered = {
        line: list(spaces_at(parse_scenario(timeline % line, source="over"), 5.0))
        for line in ("", "ended: state", "ended: gone", "canceled: gone", "ended: gone, canceled: gone")
    }
    assert answered == {
        "": ["e", "c", "l"],
        "ended: state": ["e", "c", "l"],
        "ended: gone": ["c", "l"],
        "canceled: gone": ["e", "l"],
        "ended: gone, canceled: gone": ["l"],
    }
    for line in answered:
        assert list(spaces_at(parse_scenario(timeline % line, source="over"), 4.999)) == ["e", "c", "l"]


def test_an_account_is_suspended_from_the_given_time_on() -> None:
    scenario = parse_scenario(
        "users: [{id: 1, name: a, username: a, suspended_at: 10s}, {id: 2, name: b, username: b}]", source="x"
    )
    assert scene_at(scenario, 9.999).suspended == frozenset()
    assert scene_at(scenario, 10.0).suspended == {"1"}
    assert scenario.duration_seconds == 10


def test_an_account_is_protected_from_the_given_time_on() -> None:
    scenario = parse_scenario("users: [{id: 1, name: a, username: a, protected_at: 10s}]", source="x")
    assert scene_at(scenario, 9.999).protected == frozenset()
    assert scene_at(scenario, 10.0).protected == {"1"}
    assert scenario.duration_seconds == 10


def test_a_space_may_be_withheld_until_it_changes_again() -> None:
    timeline = "[{at: 0s, set: {state: live}}, {at: 5s, %s: true}, {at: 9s, set: {lang: en}}]"
    for absence in Absence:
        text = f"spaces: [{{id: x, creator_id: 1, timeline: {timeline % absence}}}]"
        before, during, after = (scene_at(parse_scenario(text, source="x"), at) for at in (4.9, 5.0, 9.0))
        assert before.spaces
        assert after.spaces["x"].fields["state"] == "live"
        assert not before.withheld
        assert not after.withheld
        assert not during.spaces
        assert during.withheld == ({} if absence is Absence.GONE else {"x": absence})


def test_a_space_can_be_removed_from_a_scene() -> None:
    scene = scene_at(SCENARIO, 12.0)
    assert list(scene.without(["one", "nothere"], Absence.GONE).spaces) == ["two"]
    hidden = scene.without(["one", "nothere"], Absence.HIDDEN)
    assert hidden.withheld == {"one": Absence.HIDDEN}
    assert hidden.without(["two"], Absence.LEFT_OUT).withheld == {
        "one": Absence.HIDDEN,
        "two": Absence.LEFT_OUT,
    }


def test_a_space_was_created_at_its_first_entry_unless_it_says_otherwise() -> None:
    played = spaces_at(SCENARIO, 12.0)
    assert played["one"].fields["created_at"] == RelativeTime(5.0)
    assert played["two"].fields["created_at"] == RelativeTime(-60.0)


def test_the_first_matching_fault_applies() -> None:
    assert active_fault(SCENARIO, 9.999, Asked(Call.SEARCH)) is None
    struck = {call: active_fault(SCENARIO, 12.0, Asked(call)) for call in Call}
    assert {call: fault.kind for call, fault in struck.items() if fault} == {
        Call.LOOKUP: FaultKind.SLOW,
        Call.CREATORS: FaultKind.SLOW,
        Call.SEARCH: FaultKind.HTML,
        Call.USERS: FaultKind.SLOW,
    }
    after = active_fault(SCENARIO, 15.0, Asked(Call.SEARCH))
    assert after is not None
    assert after.kind is FaultKind.SLOW
    assert active_fault(SCENARIO, 20.0, Asked(Call.SEARCH)) is None


entries = st.lists(
    st.tuples(st.integers(0, 50), st.sampled_from(["scheduled", "live", "ended", "gone"])), max_size=8
)


def _random_scenario(first_at: int, steps: list[tuple[int, str]]) -> Scenario:
    timeline: list[dict[str, object]] = [{"at": f"{first_at}s", "set": {"state": "scheduled"}}]
    for wait, what in steps:
        first_at += wait
        change: dict[str, object] = {"gone": True} if what == "gone" else {"set": {"state": what}}
        timeline.append({"at": f"{first_at}s", **change})
    return Scenario.model_validate({"spaces": [{"id": "x", "creator_id": "1", "timeline": timeline}]})


@given(st.integers(0, 50), entries, st.floats(0, 600))
def test_nothing_changes_between_two_entries(
    first_at: int, steps: list[tuple[int, str]], offset: float
) -> None:
    scenario = _random_scenario(first_at, steps)
    times = [entry.at for entry in scenario.spaces[0].timeline if entry.at <= offset]
    last_change = max(times, default=-1.0)
    assert spaces_at(scenario, offset) == spaces_at(scenario, last_change)


@given(st.integers(0, 50), entries)
def test_the_last_of_simultaneous_entries_counts(first_at: int, steps: list[tuple[int, str]]) -> None:
    scenario = _random_scenario(first_at, steps)
    final = spaces_at(scenario, scenario.duration_seconds)
    last = steps[-1][1] if steps else "scheduled"
    assert [space.state for space in final.values()] == ([] if last == "gone" else [last])
