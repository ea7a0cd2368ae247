"""No answer of X, of any shape, does more harm than a failed call."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.core.events.event import MAX_BODY_BYTES, Event, encode, redact, thin
from notifier.core.model.answers import read_answer
from notifier.core.model.observation import Call, Evidence, Presence, Question, Snapshot
from notifier.core.model.poll import Cadence
from notifier.core.model.space import FIELD_KINDS
from notifier.core.spaces.decide import Decision, decide
from notifier.core.spaces.known import KnownSpace, read_known
from notifier.core.spaces.next_poll import next_poll
from notifier.core.spaces.timers import TimerKind, fire, timers_of
from tests.support.examples import examples
from tests.support.space_builders import PATIENCE, SPACE_ID, START, WATCHED, History, space
from tests.support.space_histories import STATES, TIMES, VALUES, Step, steps

LETTERS = st.characters(exclude_categories=())  # includes lone surrogates, which are valid in JSON


def nested(depth: int) -> Any:
    """Return nested lists and dictionaries, as deep as a JSON parser allows."""
    value: Any = "live"
    for level in range(depth):
        value = [value] if level % 2 else {"id": value}
    return value


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.text(LETTERS)
    | st.sampled_from([10**400, -(10**400), 1e400, float("nan"), "\ud800", "\x00", "x" * 30_000])
    | st.sampled_from([900, 50]).map(nested)
    | st.sampled_from(
        [
            *(SPACE_ID, "live", "ended", *TIMES),
            *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59.999999Z"),
        ]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)

records = st.fixed_dictionaries(
    {"id": st.just(SPACE_ID) | st.text(LETTERS, max_size=3) | JSON, "state": st.sampled_from(STATES) | JSON},
    optional={
        name: st.sampled_from(VALUES[kind]) | JSON for name, kind in FIELD_KINDS.items() if name != "state"
    }
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


def no_constant(name: str) -> float:
    raise AssertionError(f"{name} is no JSON")


def check(event: Event) -> None:
    """Encode an event in every form, and parse it as a strict receiver does."""
    body = encode(event)
    for form in (body, thin(body), redact(body, SPACE_ID)):
        assert len(form) < MAX_BODY_BYTES
        assert json.loads(form.decode(), parse_constant=no_constant)["data"]["id"] == event.id


def check_decision(decision: Decision) -> None:
    """Check that everything in a decision can be stored and sent."""
    for event in decision.events:
        check(event)
    if decision.known is not None:
        written = json.dumps(decision.known.as_json(), ensure_ascii=False, allow_nan=False).encode()
        assert read_known(json.loads(written)) == decision.known


def take_in(known: KnownSpace | None, evidence: Evidence) -> KnownSpace | None:
    """Decide on a poll, and check all results."""
    decision = decide(known, evidence, patience=PATIENCE, context=WATCHED)
    check_decision(decision)
    if decision.known is not None:
        timers_of(decision.known, patience=PATIENCE)
        next_poll(decision.known, now=evidence.answered_at, cadence=Cadence(), patience=PATIENCE)
        for kind in TimerKind:
            for now in (evidence.answered_at, evidence.answered_at + 10**6):
                check_decision(
                    fire(decision.known, kind, now=now, patience=PATIENCE, watch_ids=WATCHED.watch_ids)
                )
    return decision.known


@settings(max_examples=examples(60))
@given(bodies, bodies, st.sampled_from(Call), steps())
def test_no_answer_of_any_shape_does_harm(first: Any, second: Any, call: Call, history: list[Step]) -> None:
    question = Question(call, (SPACE_ID, "1"))
    known = History(*history).known
    for number, body in enumerate((first, second)):
        began_at = START + 10**6 + 60 * number
        answer = read_answer(question, body, began_at, began_at + 1)
        assert answer.failure is None or answer.evidence(SPACE_ID).presence is Presence.FAILED
        for space_id in {SPACE_ID, *answer.snapshots}:
            take_in(None, answer.evidence(space_id))
        known = take_in(known, answer.evidence(SPACE_ID))


TEXTS = [
    '{"data": [{"id": "1zqKVXPQhvZJB", "state": "live", "participant_count": NaN}]}',
    '{"data": [{"id": "1zqKVXPQhvZJB", "state": "live", "participant_count": Infinity, "title": -Infinity}]}',
    '{"data": [{"id": "1zqKVXPQhvZJB", "state": "live", "participant_count": 1e999}]}',
    '{"data": [{"id": "1zqKVXPQhvZJB", "state": "live", "participant_count": 9007199254740993}]}',
    '{"data": [{"id": "1zqKVXPQhvZJB", "state": "live", "title": "\\ud83c", "host_ids": ["\\udfd9"]}]}',
    '{"data": {"id":"1zqKVXPQhvZJB", "state":"scheduled", "scheduled_start":"9999-12-31T23:59:59.99999Z"}}',
    '{"data": {"id": "1zqKVXPQhvZJB", "state": "live", "title": ' + "[" * 900 + "]" * 900 + "}}",
    '{"data": ' + "[" * 900 + "]" * 900 + "}",
    '{"errors": [{"type": "x/resource-not-found", "resource_type": "space", "resource_id": NaN}]}',
    '{"data": [{"id": "1zqKVXPQhvZJB"}], "includes": {"users": [{"id": NaN, "name": {}}]}}',
    '{"data": [{"id": "1zqKVXPQhvZJB", "state": "live", "state": "ended"}]}',
]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:90])
def test_json_extensions_of_python_do_no_harm(text: str) -> None:
    known: KnownSpace | None = None
    for number in range(3):
        began_at = START + 10**6 + 700 * number
        answer = read_answer(Question(Call.LOOKUP, (SPACE_ID,)), json.loads(text), began_at, began_at + 1)
        known = take_in(known, answer.evidence(SPACE_ID))


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=3))
def test_fields_that_x_adds_break_nothing(additions: dict[str, Any]) -> None:
    plain = {"id": SPACE_ID, "state": "live", "title": "Planned"}
    question = Question(Call.LOOKUP, (SPACE_ID,))
    extra = {name: value for name, value in additions.items() if name not in {*FIELD_KINDS, "id", "topics"}}
    bare = read_answer(question, {"data": plain}, START, START + 1)
    assert read_answer(question, {"data": extra | plain}, START, START + 1) == bare
    assert bare.snapshots == {SPACE_ID: Snapshot(space("live", title="Planned"))}
