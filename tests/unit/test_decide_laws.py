"""The laws of docs/architecture.md over random histories of looks."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from notifier.core.decide import Circumstances, Decision, decide
from notifier.core.events import MAX_BODY_BYTES, EventType, encode, thin
from notifier.core.ids import WatchId
from notifier.core.known import KnownSpace, read_known
from notifier.core.merging import Patience
from notifier.core.observation import Call, Evidence, Presence, Question, Snapshot, read_answer
from notifier.core.space import FIELD_KINDS, FieldKind, Space
from tests.support.space_builders import (
    PATIENCE,
    SPACE_ID,
    START,
    WATCHED,
    History,
    absent,
    at,
    failed_call,
    not_found,
    replay,
    seen,
    space,
    told_part,
    user,
)

STATES = ["scheduled", "live", "ended", "canceled", "paused", None]
TIMES = [at(0), at(60), "2021-07-14T10:01:00.000+02:00", at(3600), "soon"]
ANY_WILL_DO = settings(max_examples=20_000, database=None, deadline=None, phases=[Phase.generate])
PEOPLE = st.lists(st.sampled_from(["1", "2", "3", "4"]), unique=True, max_size=4).map(tuple)

VALUES: dict[FieldKind, st.SearchStrategy[Any]] = {
    FieldKind.TEXT: st.sampled_from(["A", "B", "C"]),
    FieldKind.TIME: st.sampled_from(TIMES),
    FieldKind.FLAG: st.booleans(),
    FieldKind.COUNT: st.integers(0, 1000),
    FieldKind.IDS: PEOPLE,
}

spaces = st.fixed_dictionaries(
    {"state": st.sampled_from(STATES)},
    optional={name: VALUES[kind] for name, kind in FIELD_KINDS.items() if name != "state"},
).map(lambda values: space(**values))

users = st.lists(st.sampled_from(["1", "2", "3", "4"]).map(user), max_size=3)
patiences = st.builds(Patience, st.integers(1, 3), st.sampled_from([0.0, 30.0]))


@st.composite
def looks(draw: st.DrawFn, *, min_size: int = 0, silence: bool = True) -> list[Evidence]:
    """Looks as time goes on, some of them answered late, out of order or not at all."""
    seconds = 0
    found = []
    for _ in range(draw(st.integers(min_size, 12))):
        seconds += draw(st.sampled_from([1, 10, 31, 600]))
        answered = seconds + draw(st.sampled_from([0, 0, 0, 40]))
        kind = draw(st.sampled_from(["seen", "seen", "seen", "not found", "absent", "failed"]))
        if kind == "seen":
            took = draw(st.sampled_from([1, 1, 45]))
            found.append(seen(answered, draw(spaces), took=took, users=draw(users)))
        elif kind == "not found":
            found.append(not_found(answered))
        elif silence:
            found.append(absent(answered) if kind == "absent" else failed_call(answered))
    return found


@given(looks(min_size=1), patiences)
def test_law_1_the_same_look_again_tells_nothing(history: list[Evidence], patience: Patience) -> None:
    told = History(patience=patience)
    for look in history:
        told.look(look)
        again = decide(told.known, look, patience=patience, around=WATCHED)
        assert again.events == ()
        told.known = again.known


@given(looks(), patiences, st.booleans())
def test_law_2_replaying_the_changes_gives_the_state_as_known(
    history: list[Evidence], patience: Patience, silent: bool
) -> None:
    told = History(*history, patience=patience, silent=silent)
    if told.known is not None:
        assert told_part(replay(told.events, told.taken_in)) == told_part(told.known.space)


@given(looks(), patiences)
def test_law_2_each_event_shows_the_state_that_it_leads_to(
    history: list[Evidence], patience: Patience
) -> None:
    told = History(*history, patience=patience)
    for number, event in enumerate(told.events, start=1):
        replayed = replay(told.events[:number], told.taken_in)
        shown = {name: value for name, value in event.data["space"].items() if name in told_part(replayed)}
        assert shown == {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in told_part(replayed).items()
        }


@given(looks(), patiences)
def test_law_3_sequences_start_at_one_and_have_no_gap(history: list[Evidence], patience: Patience) -> None:
    told = History(*history, patience=patience)
    assert [event.sequence for event in told.events] == list(range(1, len(told.events) + 1))
    assert len({event.id for event in told.events}) == len(told.events)
    assert told.known is None or told.known.sequence == len(told.events)


@given(looks(), st.integers(1, 10**6))
def test_law_3_ids_depend_neither_on_when_it_was_seen_nor_on_the_watches(
    history: list[Evidence], later: int
) -> None:
    told = History(*history)
    known: KnownSpace | None = None
    ids = []
    for look in history:
        moved = replace(look, began_at=look.began_at + later, answered_at=look.answered_at + later)
        decision = decide(known, moved, patience=PATIENCE, around=Circumstances((WatchId("wch_other"),)))
        known = decision.known
        ids += [event.id for event in decision.events]
    assert ids == [event.id for event in told.events]


@given(looks(), spaces, st.integers(1, 25))
def test_law_3_a_transition_found_again_after_a_crash_has_the_same_id(
    history: list[Evidence], found: Space, later: int
) -> None:
    known = History(*history).known
    turned = {name: value[::-1] for name, value in found.known().items() if isinstance(value, tuple)}
    looks_at_it = (seen(10_000, found), seen(10_000 + later, found.with_values(turned), took=2))
    first, second = (
        decide(known, look, patience=Patience(1, 0), around=WATCHED).events for look in looks_at_it
    )
    assert [event.id for event in second] == [event.id for event in first]


@given(looks())
def test_law_4_nothing_follows_from_silence(history: list[Evidence]) -> None:
    heard = [look for look in history if look.presence in (Presence.SEEN, Presence.NOT_FOUND)]
    with_silence, without = History(*history), History(*heard)
    assert with_silence.known == without.known
    assert with_silence.events == without.events


@given(looks(), patiences)
def test_a_restart_between_any_two_looks_changes_nothing(history: list[Evidence], patience: Patience) -> None:
    steady = History(*history, patience=patience)
    restarted = History(*history, patience=patience, restart=True)
    assert [encode(event) for event in restarted.events] == [encode(event) for event in steady.events]
    assert restarted.known == steady.known


@given(looks(), patiences)
def test_a_phase_goes_back_only_by_a_correction(history: list[Evidence], patience: Patience) -> None:
    order = {"scheduled": 0, "live": 1, "ended": 2, "canceled": 2}
    reached = -1
    for event in History(*history, patience=patience).events:
        state = order[event.data["space"]["state"]]
        assert state >= reached or event.type == "space.corrected"
        reached = state


@given(looks(silence=False))
def test_a_speaker_once_seen_stays_a_speaker(history: list[Evidence]) -> None:
    told = History()
    for look in history:
        before = set((told.known and told.known.space.speaker_ids) or ())
        told.look(look)
        assert before <= set((told.known and told.known.space.speaker_ids) or ())


LETTERS = st.characters(exclude_categories=())  # lone surrogates too: they are legal in JSON
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(LETTERS)
    | st.sampled_from(
        [SPACE_ID, "live", "ended", *TIMES, "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)

records = st.fixed_dictionaries(
    {"id": st.just(SPACE_ID) | st.text(LETTERS, max_size=3) | JSON, "state": st.sampled_from(STATES) | JSON},
    optional={name: VALUES[kind] | JSON for name, kind in FIELD_KINDS.items() if name != "state"}
    | {"topics": st.lists(st.fixed_dictionaries({"id": JSON}), max_size=3) | JSON},
)

problems = st.fixed_dictionaries(
    {},
    optional={
        "type": st.just("https://api.x.com/2/problems/resource-not-found") | JSON,
        "resource_type": st.just("space") | JSON,
        "resource_id": st.just(SPACE_ID) | JSON,
        "value": JSON,
    },
)

people = st.fixed_dictionaries({"id": st.just("1") | JSON}, optional={"name": JSON, "username": JSON})

bodies = JSON | st.fixed_dictionaries(
    {},
    optional={
        "data": records | st.lists(records | JSON, max_size=3) | JSON,
        "errors": st.lists(problems | JSON, max_size=3) | JSON,
        "includes": st.fixed_dictionaries({"users": st.lists(people | JSON, max_size=3)}) | JSON,
        "meta": JSON,
    },
)


def take_in(known: KnownSpace | None, evidence: Evidence) -> Decision:
    """Decide, and write everything down that comes of it."""
    decision = decide(known, evidence, patience=PATIENCE, around=WATCHED)
    for event in decision.events:
        body = encode(event)
        assert len(body) < MAX_BODY_BYTES
        assert len(thin(body)) < MAX_BODY_BYTES
    if decision.known is not None:
        written = json.dumps(decision.known.as_json(), ensure_ascii=False).encode()
        assert read_known(json.loads(written)) == decision.known
    return decision


@settings(max_examples=300)
@given(bodies, bodies, st.sampled_from(Call), looks())
def test_no_answer_of_any_shape_does_harm(
    first: Any, second: Any, call: Call, history: list[Evidence]
) -> None:
    question = Question(call, (SPACE_ID, "1"))
    known = History(*history).known
    for number, body in enumerate((first, second)):
        began_at = START + 10**6 + 60 * number
        answer = read_answer(question, body, began_at, began_at + 1)
        for space_id in {SPACE_ID, *answer.snapshots}:
            take_in(None, answer.evidence(space_id))
        known = take_in(known, answer.evidence(SPACE_ID)).known


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=3))
def test_fields_that_x_adds_break_nothing(additions: dict[str, Any]) -> None:
    plain = {"id": SPACE_ID, "state": "live", "title": "Planned"}
    question = Question(Call.LOOKUP, (SPACE_ID,))
    extra = {name: value for name, value in additions.items() if name not in {*FIELD_KINDS, "id", "topics"}}
    bare = read_answer(question, {"data": plain}, START, START + 1)
    assert read_answer(question, {"data": extra | plain}, START, START + 1) == bare
    assert bare.snapshots == {SPACE_ID: Snapshot(space("live", title="Planned"))}


@pytest.mark.parametrize("event_type", [known for known in EventType if known.startswith("space.")])
def test_the_laws_are_tried_on_every_kind_of_event(event_type: EventType) -> None:
    seed = Random(1)  # noqa: S311  nothing is kept secret here
    find(looks(), lambda history: event_type in History(*history).types, random=seed, settings=ANY_WILL_DO)
