"""Values that X refuses: left out for an hour, then retried."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from notifier.core.model.observation import Call
from notifier.core.polling.refusals import REFUSED_FOR_SECONDS, Refusal, Refusals

NOW = 1_700_000_000.0
ASKED = {"space.fields": ("id", "state", "title"), "expansions": ("creator_id",)}
TITLE = Refusals().refuse(Call.LOOKUP, {"space.fields": {"title"}}, now=NOW)


def test_without_refusals_everything_is_requested() -> None:
    assert Refusals().without(Call.LOOKUP, ASKED, now=NOW) == ASKED


def test_a_refused_value_is_left_out_of_its_call_only() -> None:
    assert TITLE.without(Call.LOOKUP, ASKED, now=NOW) == ASKED | {"space.fields": ("id", "state")}
    assert TITLE.without(Call.SEARCH, ASKED, now=NOW) == ASKED


def test_a_parameter_without_a_value_is_left_out() -> None:
    refusals = TITLE.refuse(Call.LOOKUP, {"expansions": {"creator_id"}}, now=NOW)
    assert refusals.without(Call.LOOKUP, ASKED, now=NOW) == {"space.fields": ("id", "state")}


def test_a_refused_value_is_retried_after_an_hour() -> None:
    end = NOW + REFUSED_FOR_SECONDS
    assert "title" not in TITLE.without(Call.LOOKUP, ASKED, now=end - 1)["space.fields"]
    assert TITLE.without(Call.LOOKUP, ASKED, now=end) == ASKED
    assert (len(TITLE.current(end - 1)), TITLE.current(end)) == (1, ())


def test_a_repeated_refusal_renews_the_existing_one() -> None:
    again = TITLE.refuse(Call.LOOKUP, {"space.fields": {"title"}}, now=NOW + 4000)
    assert again.all == (Refusal(Call.LOOKUP, "space.fields", "title", NOW + 4000 + REFUSED_FOR_SECONDS),)
    assert again.since(TITLE) == ()
    assert TITLE.since(Refusals()) == TITLE.all


def test_an_answer_with_the_value_ends_it_for_its_call() -> None:
    both = TITLE.refuse(Call.SEARCH, {"space.fields": {"title"}}, now=NOW)
    assert both.accept(Call.LOOKUP, ASKED).all == both.all[1:]
    assert TITLE.accept(Call.LOOKUP, {"space.fields": ("id",)}) == TITLE


refused = st.dictionaries(
    st.sampled_from(["space.fields", "expansions", "state"]), st.sets(st.text(max_size=3), max_size=3)
)


@given(st.lists(st.tuples(st.sampled_from(Call), refused, st.floats(0, 10**5)), max_size=6))
def test_the_record_survives_json_with_a_stable_text(
    steps: list[tuple[Call, dict[str, set[str]], float]],
) -> None:
    refusals, records = Refusals(), TypeAdapter(Refusals)
    for call, values, later in steps:
        refusals = refusals.refuse(call, values, now=NOW + later)
    text = records.dump_json(refusals)
    assert records.validate_json(text) == refusals
    assert records.dump_json(records.validate_json(text)) == text


@pytest.mark.parametrize("call", Call)
def test_refused_values_are_not_requested(call: Call) -> None:
    every = Refusals().refuse(call, {name: set(values) for name, values in ASKED.items()}, now=NOW)
    assert every.without(call, ASKED, now=NOW) == {}
