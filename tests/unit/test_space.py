"""Every field of X's Space data dictionary, from X's JSON to the receiver's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.core.events.event import encode
from notifier.core.model.answers import read_answer
from notifier.core.model.observation import Call, Question
from notifier.core.model.space import (
    FIELD_KINDS,
    MAX_COUNT,
    SILENT_FIELDS,
    Space,
    Value,
    meaning,
    read_space,
    read_user,
    same,
)
from notifier.core.spaces.known import read_known
from notifier.core.spaces.transitions import has_unknown_state
from tests.support.space_builders import LIVE, SPACE_ID, START, History, at, seen, space, variant


@dataclass(frozen=True)
class Row:
    """A field in X's JSON: a value, the same value in another format, and a different one."""

    name: str
    value: Any
    alike: Any
    other: Any


DICTIONARY = [
    Row("state", "live", "live", "ended"),
    Row("title", "Say hello", "Say hello", "Say goodbye"),
    Row("lang", "en", "en", "de"),
    Row("creator_id", "2244994945", "2244994945", "6253282"),
    Row("created_at", at(-60), "2021-07-14T09:59:00+02:00", at(-61)),
    Row("scheduled_start", at(0), "2021-07-14T08:00:00Z", at(600)),
    Row("started_at", at(12), "2021-07-14T08:00:12Z", at(13)),
    Row("ended_at", at(3600), "2021-07-14T04:00:00-05:00", at(3601)),
    Row("updated_at", at(5), "2021-07-14T08:00:05+00:00", at(6)),
    Row("is_ticketed", False, False, True),
    Row("participant_count", 0, 0, 7),
    Row("subscriber_count", 10, 10, 11),
    Row("host_ids", ["1", "2"], ["2", "1"], ["1", "2", "3"]),
    Row("speaker_ids", ["1", "2"], ["2", "1"], ["1", "2", "3"]),
    Row("invited_user_ids", ["1", "2"], ["2", "1"], ["3"]),
    Row("topic_ids", ["1", "2"], ["2", "1"], ["3"]),
]

rows = pytest.mark.parametrize("row", DICTIONARY, ids=lambda row: row.name)
told_rows = pytest.mark.parametrize(
    "row",
    [row for row in DICTIONARY if row.name not in {"state", *SILENT_FIELDS}],
    ids=lambda row: row.name,
)


def typed(value: Any) -> Value:
    """Return the value as a Space has it."""
    held: Value = tuple(value) if isinstance(value, list) else value
    return held


def test_the_dictionary_has_these_fields() -> None:
    assert set(FIELD_KINDS) == {row.name for row in DICTIONARY}


@rows
def test_a_field_is_read_and_written_in_the_format_of_x(row: Row) -> None:
    found = read_space(SPACE_ID, {"id": SPACE_ID, row.name: row.value})
    assert found == variant(Space(id=SPACE_ID), **{row.name: typed(row.value)})
    assert found.as_json() == {"id": SPACE_ID, row.name: row.value}


@rows
def test_a_field_that_is_left_out_or_null_is_unknown(row: Row) -> None:
    assert read_space(SPACE_ID, {"id": SPACE_ID}).value(row.name) is None
    assert read_space(SPACE_ID, {"id": SPACE_ID, row.name: None}) == Space(id=SPACE_ID)


@rows
def test_a_field_is_compared_by_its_meaning(row: Row) -> None:
    assert same(row.name, typed(row.value), typed(row.alike))
    assert not same(row.name, typed(row.value), typed(row.other))
    assert not same(row.name, typed(row.value), None)
    assert not same(row.name, None, typed(row.value))
    assert same(row.name, None, None)


@rows
def test_a_field_survives_the_store(row: Row) -> None:
    history = History(seen(0, space("live", **{row.name: typed(row.value)} if row.name != "state" else {})))
    written = json.dumps(history.state.as_json())
    assert read_known(json.loads(written)) == history.state


@rows
def test_a_field_is_delivered_as_x_wrote_it(row: Row) -> None:
    found = read_space(SPACE_ID, {"id": SPACE_ID, "state": "live", row.name: row.value})
    (event,) = History(seen(10, found)).events
    assert json.loads(encode(event))["data"]["space"][row.name] == row.value


@told_rows
def test_a_change_of_a_field_is_announced_once(row: Row) -> None:
    history = History(seen(0, space("live", **{row.name: typed(row.value)})))
    (event,) = history.poll(seen(30, space("live", **{row.name: typed(row.other)})))
    assert event.data["changed"] == [row.name]
    assert event.data["previous"] == {row.name: row.value}
    assert event.data["space"][row.name] == row.other
    assert history.poll(seen(60, space("live", **{row.name: typed(row.other)}))) == ()


@rows
def test_another_format_of_the_same_value_is_no_change(row: Row) -> None:
    live = variant(LIVE, **{row.name: typed(row.value)})
    history = History(seen(0, live))
    assert history.poll(seen(30, variant(live, **{row.name: typed(row.alike)}))) == ()


@pytest.mark.parametrize("name", sorted(SILENT_FIELDS))
def test_a_silent_field_is_kept_without_an_event(name: str) -> None:
    (row,) = (row for row in DICTIONARY if row.name == name)
    history = History(seen(0, space("live", **{name: row.value})))
    assert history.poll(seen(30, space("live", **{name: row.other}))) == ()
    assert history.state.space.value(name) == row.other


WRONG: dict[str, list[Any]] = {
    "text": ["", 7, True, ["A"], {"a": "A"}, 1.5],
    "time": ["", 7, True, ["A"], {"a": "A"}, "2021-07-14T08:00:00." + "0" * 100 + "Z"],
    "flag": ["true", "", 0, 1, [], {}],
    "count": [-1, "7", 7.0, True, [], MAX_COUNT + 1, 10**400],
    "ids": ["1", 1, True, {"1": 1}, [1], [None], ["1", None], [""], ["1", {"id": "2"}], [["1"]]],
}


@pytest.mark.parametrize(
    ("name", "wrong"), [(name, wrong) for name, kind in FIELD_KINDS.items() for wrong in WRONG[kind]]
)
def test_a_value_of_the_wrong_form_is_unknown(name: str, wrong: Any) -> None:
    read = read_space(SPACE_ID, {"id": SPACE_ID, name: wrong})
    if name == "state" and wrong is not None:
        # It does not prove that the Space is unchanged (E6).
        assert has_unknown_state(read)
    else:
        assert read == Space(id=SPACE_ID)


class TestTopics:
    OLD = ({"id": "1", "name": "Tech", "description": "All of it"}, {"id": "2", "name": "Music"})

    def test_the_older_contract_has_them_as_objects(self) -> None:
        assert read_space(SPACE_ID, {"topics": list(self.OLD)}).topic_ids == ("1", "2")

    def test_the_newer_contract_takes_precedence(self) -> None:
        assert read_space(SPACE_ID, {"topics": list(self.OLD), "topic_ids": ["3"]}).topic_ids == ("3",)

    def test_a_change_of_contract_is_no_change_of_topics(self) -> None:
        history = History(seen(0, read_space(SPACE_ID, {"state": "live", "topics": list(self.OLD)})))
        assert history.poll(seen(30, read_space(SPACE_ID, {"state": "live", "topic_ids": ["2", "1"]}))) == ()

    @pytest.mark.parametrize("topics", [{}, "1", [1], [{}], [{"id": 1}], [{"id": "1"}, None]])
    def test_of_the_wrong_form_are_unknown(self, topics: Any) -> None:
        assert read_space(SPACE_ID, {"topics": topics}).topic_ids is None


def test_ids_are_kept_once_and_in_the_order_of_x() -> None:
    assert read_space(SPACE_ID, {"host_ids": ["3", "1", "3", "2", "1"]}).host_ids == ("3", "1", "2")


def test_people_are_creator_hosts_speakers_and_guests_in_this_order_and_once() -> None:
    full = space(creator_id="2", host_ids=("1", "2"), speaker_ids=("3", "1"), invited_user_ids=("9", "3"))
    assert full.people() == ("2", "1", "3", "9")


@given(st.text(min_size=1))
def test_a_title_is_kept_letter_by_letter(title: str) -> None:
    assert read_space(SPACE_ID, {"title": title}).title == title


@given(st.text(st.characters(exclude_categories=()), min_size=1))
def test_any_title_can_be_sent(title: str) -> None:
    assert (read_space(SPACE_ID, {"title": title}).title or "").encode()


@pytest.mark.parametrize(
    ("title", "kept"),
    [
        ("\ud83c\udfd9", "\U0001f3d9"),
        ("a\ud83cb", "a\ufffdb"),
        ("a\udfd9", "a\ufffd"),
        ("b\ud83c", "b\ufffd"),
        ("\ufeffa", "\ufeffa"),
    ],
)
def test_surrogates_are_joined_or_replaced(title: str, kept: str) -> None:
    assert read_space(SPACE_ID, {"title": title}).title == kept


@pytest.mark.parametrize("raw", [None, [], "1", 1, {}, {"id": 1}, {"id": ""}, {"name": "A"}])
def test_a_user_without_an_id_is_ignored(raw: Any) -> None:
    assert read_user(raw) is None


def test_a_user_without_names_is_kept() -> None:
    found = read_user({"id": "1", "name": None, "username": 5})
    assert found is not None
    assert found.as_json() == {"id": "1", "name": "", "username": ""}


def test_a_whole_answer_becomes_a_whole_space() -> None:
    raw = {"id": SPACE_ID} | {row.name: row.value for row in DICTIONARY}
    answer = read_answer(Question(Call.LOOKUP, (SPACE_ID,)), {"data": [raw]}, START, START + 1)
    assert answer.snapshots[SPACE_ID].space.as_json() == raw


@given(st.permutations(["3", "1", "2"]))
def test_the_meaning_of_a_list_is_its_members(order: list[str]) -> None:
    assert meaning("host_ids", tuple(order)) == ["1", "2", "3"]
