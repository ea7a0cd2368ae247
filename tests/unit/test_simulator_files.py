from __future__ import annotations

import math
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from notifier.errors import ScenarioError
from notifier.simulator import Behaviour, Ending, bundled_scenarios, load_scenario, read_behaviour
from notifier.simulator.asked import Call, Parameter
from notifier.simulator.fault import FAULT_OPTIONS, SHAPES, FaultKind, Naming, Shape, Window
from notifier.simulator.files import parse_scenario
from notifier.simulator.scenario import Absence, Scenario, SpaceChange
from notifier.simulator.timeline import spaces_at
from notifier.simulator.times import RelativeTime

CONTRACT_SAMPLE = """
users: [{id: 2244994945, name: Twitter Dev, username: TwitterDev}]
spaces:
  - id: 1zqKVXPQhvZJB
    creator_id: 2244994945
    timeline:
      - {at: 0s, set: {state: scheduled, title: Hello, scheduled_start: +20s}}
      - {at: 5s, set: {title: Hello again}}
      - {at: 20s, set: {state: live, started_at: +20s, speaker_ids: [2244994945]}}
      - {at: 40s, set: {state: ended, ended_at: +40s}}
      - {at: 50s, gone: true}
faults: [{at: 10s, for: 55s, kind: unavailable}]
"""

EVERY_FIELD = {
    "state": "live",
    "created_at": RelativeTime(-60.0),
    "ended_at": datetime(2021, 7, 6, 18, 40, 40, tzinfo=UTC),
    "host_ids": ("1", "2"),
    "lang": "no",
    "is_ticketed": True,
    "invited_user_ids": ("0123",),
    "participant_count": 10,
    "subscriber_count": 20,
    "scheduled_start": RelativeTime(20.0),
    "speaker_ids": (),
    "started_at": RelativeTime(1.5),
    "title": "12:30",
    "topic_ids": ("848920371311001600",),
    "updated_at": RelativeTime(0.0),
}
EVERY_FIELD_TEXT = """
spaces:
  - id: 1e5
    creator_id: 007
    timeline:
      - at: 0s
        set:
          state: live
          created_at: -1m
          ended_at: 2021-07-06T18:40:40Z
          host_ids: [1, 2]
          lang: no
          is_ticketed: true
          invited_user_ids: [0123]
          participant_count: 10
          subscriber_count: 20
          scheduled_start: +20s
          speaker_ids: []
          started_at: +1.5s
          title: 12:30
          topic_ids: [848920371311001600]
          updated_at: +0s
"""


def _space(timeline: str, space_id: str = "1abc") -> str:
    return f"spaces: [{{id: {space_id}, creator_id: 1, timeline: [{timeline}]}}]"


def test_the_sample_of_the_format_reads() -> None:
    scenario = parse_scenario(CONTRACT_SAMPLE, source="sample.yaml")
    space = scenario.spaces[0]
    assert [entry.at for entry in space.timeline] == [0, 5, 20, 40, 50]
    assert space.timeline[-1].gone
    fault = scenario.faults[0]
    assert (fault.at, fault.until, fault.kind) == (10, 65, FaultKind.UNAVAILABLE)
    assert fault.calls == tuple(Call)
    assert scenario.duration_seconds == 65


def test_every_field_of_the_dictionary_reads_as_written() -> None:
    space = parse_scenario(EVERY_FIELD_TEXT, source="fields.yaml").spaces[0]
    assert space.id == "1e5"
    assert space.creator_id == "007"
    change = space.timeline[0].change
    assert change is not None
    assert change.values == EVERY_FIELD


def test_an_empty_scenario_is_over_at_once() -> None:
    assert parse_scenario("description: nothing happens", source="x").duration_seconds == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("spaces: [", "bad.yaml: line 1, column "),
        ("a: 1\na: 2", "bad.yaml: line 1, column 1: a is defined twice"),
        ("\x00", "bad.yaml: is not YAML"),
        ("just text", "bad.yaml: "),
        ("actors: []", "bad.yaml: actors: "),
        (_space("{at: 5, set: {state: live}}"), "bad.yaml: spaces[0].timeline[0].at: write a duration"),
        (_space("{at: 0s, set: {title: x}}"), "bad.yaml: spaces[0]: the first entry must set state"),
        (_space("{at: 0s, gone: true}"), "bad.yaml: spaces[0]: the first entry must set state"),
        (_space("{at: 0s, set: {state: live}, gone: true}"), "spaces[0].timeline[0]: write either"),
        (_space("{at: 0s}"), "spaces[0].timeline[0]: write either"),
        (_space("{at: 9s, set: {state: live}}, {at: 8s, gone: true}"), "sort the entries by time"),
        (_space("{at: 0s, set: {state: live, started_at: 20s}}"), "timeline[0].set.started_at: write a time"),
        (_space("{at: 0s, set: {state: null}}"), "timeline[0].set.state: "),
        (_space("{at: 0s, set: {state: live, host_ids: [bob]}}"), "timeline[0].set.host_ids[0]: "),
        (_space("{at: 0s, set: {state: live, mentioned_user_ids: []}}"), "set.mentioned_user_ids: "),
        (_space("{at: 0s, set: {state: live}}", space_id="not-an-id"), "spaces[0].id: "),
        (_space(""), "spaces[0].timeline: "),
        ("faults: [{at: 0s, for: 1s, kind: earthquake}]", "faults[0].kind: "),
        ("faults: [{at: 0s, kind: slow}]", "faults[0].for: "),
        ("faults: [{at: 0s, for: 1s, kind: html, delay: 1s}]", "faults[0]: only kind slow takes delay"),
        ("faults: [{at: 0s, for: 1s, kind: slow, lag: 1s}]", "faults[0]: only kind stale takes lag"),
        (
            "faults: [{at: 0s, for: 1s, kind: html, shape: legacy}]",
            "faults[0]: only kinds inner_error and rate_limited take shape",
        ),
        ("faults: [{at: 0s, for: 1s, kind: stale, every: 0}]", "faults[0].every: "),
        ("faults: [{at: 0s, for: 1s, kind: html, subjects: []}]", "faults[0].subjects: "),
        ("faults: [{at: 0s, for: 1s, kind: html, subjects: [x, '']}]", "faults[0].subjects[1]: "),
        ("faults: [{at: 0s, for: 1s, kind: html, tokens: []}]", "faults[0].tokens: "),
        ("faults: [{at: 0s, for: 1s, kind: vanish}]", "faults[0]: kind vanish needs subjects"),
        ("faults: [{at: 0s, for: 1s, kind: inaccessible}]", "faults[0]: kind inaccessible needs subjects"),
        ("faults: [{at: 0s, for: 1s, kind: left_out}]", "faults[0]: kind left_out needs subjects"),
        ("faults: [{at: 0s, for: 1s, kind: refused}]", "faults[0]: kind refused needs parameter"),
        ("faults: [{at: 0s, for: 1s, kind: refused, parameter: mood}]", "faults[0].parameter: "),
        ("faults: [{at: 0s, for: 1s, kind: refused, parameter: ids, naming: x}]", "faults[0].naming: "),
        (
            "faults: [{at: 0s, for: 1s, kind: html, parameter: ids}]",
            "faults[0]: only kind refused takes parameter",
        ),
        (
            "faults: [{at: 0s, for: 1s, kind: html, remaining: 3}]",
            "faults[0]: only kind rate_limited takes remaining",
        ),
        ("faults: [{at: 0s, for: 1s, kind: rate_limited, remaining: -1}]", "faults[0].remaining: "),
        ("faults: [{at: 0s, for: 1s, kind: rate_limited, window: week}]", "faults[0].window: "),
        ("faults: [{at: 0s, for: 1s, kind: rate_limited, retry_after: 3}]", "faults[0].retry_after: "),
        (
            "faults: [{at: 0s, for: 1s, kind: slow, retry_after: 3s}]",
            "faults[0]: only kinds rate_limited, unavailable and usage_capped take retry_after",
        ),
        (
            "faults: [{at: 0s, for: 1s, kind: inner_error, shape: legacy}]",
            "faults[0]: kind inner_error takes shape code, problem, count or top",
        ),
        (
            "faults: [{at: 0s, for: 1s, kind: rate_limited, shape: code}]",
            "faults[0]: kind rate_limited takes shape window or legacy",
        ),
        (
            "faults: [{at: 0s, for: 1s, kind: unavailable, status: 403}]",
            "faults[0]: kind unavailable takes a status from 500 to 599",
        ),
        ("faults: [{at: 0s, for: 1s, kind: html, status: 199}]", "takes a status from 200 to 599"),
        ("faults: [{at: 0s, for: 1s, kind: forbidden, status: 403}]", "faults[0]: only kinds "),
        (
            _space("{at: 0s, set: {state: live}}, {at: 1s, gone: true, hidden: true}"),
            "timeline[1]: write either",
        ),
        (_space("{at: 0s, left_out: true}"), "spaces[0]: the first entry must set state"),
        ("x: {clock: 5}", "bad.yaml: x.clock: write how far a clock is off"),
        ("x: {clock: --5m}", "bad.yaml: x.clock: write how far a clock is off"),
        ("x: {other_states: maybe}", "bad.yaml: x.other_states: "),
        (
            "users: [{id: 1, name: a, username: a, protected_at: 5}]",
            "users[0].protected_at: write a duration",
        ),
        ("faults: [{at: 0s, for: 1s, kind: rate_limited, shape: round}]", "faults[0].shape: "),
        ("x: {ended: erased}", "bad.yaml: x.ended: "),
        ("x: {creators_per_second: -1}", "bad.yaml: x.creators_per_second: "),
        ("x: {moods: 1}", "bad.yaml: x.moods: "),
        (
            "users: [{id: 1, name: a, username: a, suspended_at: 5}]",
            "users[0].suspended_at: write a duration",
        ),
        ("faults: [{at: 0s, for: 1s, kind: html, calls: []}]", "faults[0].calls: "),
        (
            "users: [{id: 1, name: a, username: A}, {id: 2, name: b, username: a}]",
            "the username a is defined twice",
        ),
        (
            "users: [{id: 1, name: a, username: a}, {id: 1, name: b, username: b}]",
            "users: the id 1 is defined twice",
        ),
        ("topics: [{id: 1, name: a}, {id: 1, name: b}]", "topics: the id 1 is defined twice"),
        (
            "spaces: [&a {id: x, creator_id: 1, timeline: [{at: 0s, set: {state: live}}]}, *a]",
            "spaces: the id x is defined twice",
        ),
    ],
)
def test_a_mistake_is_reported_with_its_position(text: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text, source="bad.yaml")
    assert message in caught.value.message
    assert caught.value.message.startswith("bad.yaml: ")


def test_every_mistake_is_reported_at_once() -> None:
    with pytest.raises(ScenarioError, match=r"users\[0\]\.id: .*; faults\[0\]\.kind: "):
        parse_scenario(
            "{users: [{id: x, name: x, username: x}], faults: [{at: 0s, for: 1s, kind: x}]}",
            source="bad.yaml",
        )


def test_ids_that_differ_only_in_case_are_two_spaces() -> None:
    timeline = "timeline: [{at: 0s, set: {state: live}}]"
    text = f"spaces: [{{id: abc, creator_id: 1, {timeline}}}, {{id: ABC, creator_id: 1, {timeline}}}]"
    assert [space.id for space in parse_scenario(text, source="x").spaces] == ["abc", "ABC"]


def test_a_changed_behaviour_keeps_other_options() -> None:
    base = parse_scenario("x: {ended: gone, creators_per_second: 5}", source="x").x
    changed = read_behaviour(base, {"canceled": "gone", "creators_per_second": "0"}, source="--x")
    assert changed == Behaviour(ended=Ending.GONE, canceled=Ending.GONE, creators_per_second=0)
    early = read_behaviour(changed, {"clock": "+90s"}, source="--x")
    assert early == changed.model_copy(update={"clock": 90.0})
    assert read_behaviour(early, {"ended": "state"}, source="--x").clock == 90


def test_a_file_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(CONTRACT_SAMPLE, encoding="utf-8")
    assert load_scenario(str(path)).spaces[0].id == "1zqKVXPQhvZJB"


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"description: caf\xe9")
    with pytest.raises(ScenarioError, match=r"missing\.yaml: cannot be read: No such file"):
        load_scenario(str(tmp_path / "missing.yaml"))
    with pytest.raises(ScenarioError, match=r"latin\.yaml: is not UTF-8"):
        load_scenario(str(tmp_path / "latin.yaml"))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ScenarioError, match="week: no such scenario; there are bad-days, day, demo, storm"):
        load_scenario("week")


@pytest.mark.parametrize("name", bundled_scenarios())
def test_bundled_scenarios_define_all_their_users(name: str) -> None:
    scenario = load_scenario(name)
    people = {user.id for user in scenario.users}
    for space in scenario.spaces:
        assert space.creator_id in people
        for entry in space.timeline:
            values = entry.change.values if entry.change else {}
            for field in ("host_ids", "speaker_ids", "invited_user_ids"):
                ids = values.get(field, ())
                assert isinstance(ids, tuple)
                assert people.issuperset(ids)


def test_the_demo_can_be_followed_step_by_step() -> None:
    scenario = load_scenario("demo")
    main = scenario.spaces[0]
    assert main.creator_id == "2244994945"
    assert scenario.duration_seconds <= 110
    for space in scenario.spaces:
        times = [entry.at for entry in space.timeline]
        assert times[0] >= 8
        assert all(later - earlier >= 10 for earlier, later in pairwise(times))


def test_the_day_lasts_a_day() -> None:
    scenario = load_scenario("day")
    assert scenario.duration_seconds == 24 * 3600
    assert len(scenario.users) == 8
    assert len(scenario.spaces) == 6


def _calm_stretches(scenario: Scenario) -> list[tuple[float, float]]:
    """Return the periods between faults, except lasting faults of single subjects."""
    faults = [fault for fault in scenario.faults if fault.lasts < 60]
    ends = [0.0, *(fault.until for fault in faults)]
    begins = [*(fault.at for fault in faults), math.inf]
    return list(zip(ends, begins, strict=True))


@pytest.mark.parametrize(("name", "longest"), [("storm", 185), ("bad-days", 300)])
def test_every_change_among_faults_lasts_through_ten_calm_seconds(name: str, longest: float) -> None:
    scenario = load_scenario(name)
    assert 120 <= scenario.duration_seconds <= longest
    calm = _calm_stretches(scenario)
    for space in scenario.spaces:
        times = [entry.at for entry in space.timeline]
        assert times[0] >= 10
        for begin, end in pairwise([*times, math.inf]):
            assert any(min(end, stop) - max(begin, start) >= 10 for start, stop in calm), (space.id, begin)


def test_the_storm_and_the_bad_days_have_every_kind_of_fault() -> None:
    faults = [*load_scenario("storm").faults, *load_scenario("bad-days").faults]
    assert {fault.kind for fault in faults} == set(FaultKind)
    for kind, shapes in SHAPES.items():
        assert {fault.body_shape for fault in faults if fault.kind is kind} == set(shapes)


def test_the_storm_has_every_fault_that_affects_all_requests() -> None:
    scenario = load_scenario("storm")
    faults = scenario.faults
    assert all(fault.subjects is None for fault in faults)
    assert {fault.every > 1 for fault in faults if fault.kind is FaultKind.STALE} == {True, False}
    (vanishing,) = (fault for fault in faults if fault.kind is FaultKind.VANISH_ALL)
    alive = [space for space in spaces_at(scenario, vanishing.at).values() if space.state != "canceled"]
    assert len(alive) == 11
    suspended = {user.id for user in scenario.users if user.suspended_at is not None}
    assert len(suspended) == 2
    assert [space.id for space in alive if space.creator_id in suspended] == ["1StormOrphanL"]
    entries = [entry for space in scenario.spaces for entry in space.timeline]
    states = {entry.change.state for entry in entries if entry.change is not None}
    assert states == {"", "scheduled", "live", "ended", "canceled", "on_break"}
    assert sum(entry.gone for entry in entries) == 3
    assert any("@everyone" in (entry.change.title or "") for entry in entries if entry.change is not None)


def test_on_the_bad_days_one_creator_and_one_space_always_fail() -> None:
    scenario = load_scenario("bad-days")
    lasting = [fault for fault in scenario.faults if fault.lasts >= 60]
    assert [(fault.calls, fault.subjects) for fault in lasting] == [
        ((Call.CREATORS,), ("3100000099",)),
        ((Call.LOOKUP,), ("1BadPoisonedP",)),
    ]
    assert {fault.until for fault in lasting} == {scenario.duration_seconds}
    theirs = [space.id for space in scenario.spaces if space.creator_id == "3100000099"]
    assert theirs == ["1BadPoisonedP"]


@pytest.mark.parametrize("name", ["storm", "bad-days"])
def test_no_space_appears_or_disappears_during_a_stale_answer(name: str) -> None:
    """A stale answer must contradict known state, not state that no client could know."""
    scenario = load_scenario(name)
    told_late = [
        (fault.at - fault.lag, fault.until) for fault in scenario.faults if fault.kind is FaultKind.STALE
    ]
    for space in scenario.spaces:
        for entry in space.timeline:
            if entry is space.timeline[0] or entry.absence is not None:
                assert not any(start < entry.at < end for start, end in told_late), space.id


def test_the_docs_show_a_valid_scenario_and_describe_every_option() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
    examples = [each.split("```")[0] for each in manual.split("```yaml\n")[1:]]
    scenarios = [parse_scenario(example, source="docs/simulator.md") for example in examples]
    assert [scenario.duration_seconds for scenario in scenarios] == [50, 60]
    assert all(f"| `{kind}` |" in manual for kind in FaultKind)
    assert all(f"`{field}`" in manual for field in SpaceChange.model_fields)
    assert all(f"{option}:" in manual or f"`{option}`" in manual for option in FAULT_OPTIONS)
    assert all(f"`{name}`" in manual for name in (*Parameter, *Naming))
    assert all(f"`{absence}: true`" in manual for absence in Absence)
    assert all(f"shape: {shape}" in manual for shape in Shape)
    assert all(f"window: {window}" in manual for window in Window)
    assert all(f"`{option}: " in manual for option in ("subjects", "every", "tokens"))
    assert all(f"| `{line}` |" in manual for line in Behaviour.model_fields)
    assert all(f"| `{name}` |" in manual for name in bundled_scenarios())
