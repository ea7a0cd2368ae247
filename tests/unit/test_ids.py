from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.core.model.ids import (
    ALPHABET,
    EVENT_TAIL,
    RANDOM_TAIL,
    EndpointId,
    EventId,
    delivery_id,
    event_id,
    new_tail,
    split_delivery_id,
    tail,
)

event_tails = st.text(ALPHABET, min_size=EVENT_TAIL, max_size=EVENT_TAIL)
random_tails = st.text(ALPHABET, min_size=RANDOM_TAIL, max_size=RANDOM_TAIL)


@pytest.mark.parametrize(
    ("raw", "length", "written"),
    [
        (b"", 3, "000"),
        (b"\x00", 1, "0"),
        (b"\x3d", 2, "0z"),
        (b"\x3e", 2, "10"),
        (b"\xff\xff", 2, "31"),
        (b"\xff\xff", 4, "0H31"),
    ],
)
def test_a_tail_is_base62_of_a_fixed_length(raw: bytes, length: int, written: str) -> None:
    assert tail(raw, length) == written


@given(st.binary(min_size=12, max_size=32))
def test_a_random_tail_has_sixteen_letters_and_digits(raw: bytes) -> None:
    made = new_tail(raw)
    assert len(made) == RANDOM_TAIL
    assert set(made) <= set(ALPHABET)


@given(st.lists(st.text(st.characters(exclude_categories=())), max_size=4))
def test_an_event_id_is_a_function_of_any_content(content: list[str]) -> None:
    made = event_id(*content)
    assert made == event_id(*content)
    assert made.startswith("evt_")
    assert len(made) == len("evt_") + EVENT_TAIL


def test_an_event_id_never_changes_between_releases() -> None:
    assert event_id("1zqKVXPQhvZJB", "3", "space.started", '{"state":"live"}') == "evt_aTJgBwQ6q2SBSoEbKkEsQM"


def test_an_event_id_distinguishes_its_parts() -> None:
    assert len({event_id("a", "bc"), event_id("ab", "c"), event_id("abc"), event_id("a", "b", "c")}) == 4


@given(event_tails, random_tails)
def test_a_delivery_id_splits_back(event_tail: str, endpoint_tail: str) -> None:
    event, endpoint = EventId("evt_" + event_tail), EndpointId("ep_" + endpoint_tail)
    assert split_delivery_id(delivery_id(event, endpoint)) == (event, endpoint)


GOOD = "dlv_" + "a" * (EVENT_TAIL + RANDOM_TAIL)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dlv_",
        GOOD[:-1],
        GOOD + "a",
        GOOD.removeprefix("dlv_"),
        GOOD.replace("dlv_", "evt_"),
        GOOD[:-1] + "-",
        GOOD[:-1] + "\n",
        GOOD[:-1] + "\u00e9",
        GOOD[:-1] + "\u0663",
        GOOD[:10] + ":" + GOOD[11:],
    ],
)
def test_an_invalid_delivery_id_is_not_split(text: str) -> None:
    assert split_delivery_id(text) is None


@given(st.text())
def test_splitting_never_raises(text: str) -> None:
    assert split_delivery_id("dlv_" + text) is None or len(text) == EVENT_TAIL + RANDOM_TAIL
