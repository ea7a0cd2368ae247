"""Milestones of listeners: each is announced once, on the way up."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.core.model.observation import Evidence
from notifier.core.model.space import MAX_COUNT
from notifier.core.spaces.decide import decide
from notifier.core.spaces.milestones import crossed
from notifier.core.spaces.timers import ERASE_AFTER_SECONDS
from tests.support.space_builders import (
    ENDED,
    LIVE,
    PATIENCE,
    PLANNED,
    WATCHED,
    History,
    described_body_of,
    erasure,
    not_found,
    seen,
    space,
    types,
    variant,
)

MILESTONE = "space.participants_milestone"
FIRST_ONES = (100, 500, 1000, 5000, 10_000, 50_000, 100_000, 500_000, 1_000_000)


def live(seconds: float, count: int | None) -> Evidence:
    return seen(seconds, variant(LIVE, participant_count=count))


def reached(history: History) -> list[int]:
    return [event.data["details"]["threshold"] for event in history.events if event.type == MILESTONE]


class TestTheThresholds:
    @pytest.mark.parametrize(
        ("before", "now", "thresholds"),
        [
            (0, 0, ()),
            (0, 99, ()),
            (0, 100, (100,)),
            (99, 100, (100,)),
            (100, 100, ()),
            (100, 499, ()),
            (100, 500, (500,)),
            (0, 1_000_000, FIRST_ONES),
            (499, 10_001, (500, 1000, 5000, 10_000)),
            (10_000, 9_999, ()),
            (700, 20, ()),
        ],
    )
    def test_are_those_above_the_old_count_up_to_the_new_one(
        self, before: int, now: int, thresholds: tuple[int, ...]
    ) -> None:
        assert crossed(before, now) == thresholds

    @given(st.integers(0, MAX_COUNT), st.integers(0, MAX_COUNT))
    def test_continue_in_steps_of_ones_and_fives(self, before: int, now: int) -> None:
        found = crossed(before, now)
        assert list(found) == sorted(set(found))
        assert all(
            before < threshold <= now and str(threshold).rstrip("0") in ("1", "5") for threshold in found
        )
        assert len(found) <= 2 * len(str(MAX_COUNT))

    @given(st.lists(st.integers(0, MAX_COUNT), min_size=2, max_size=6).map(sorted))
    def test_are_the_same_in_many_steps_as_in_one(self, counts: list[int]) -> None:
        steps = [threshold for before, now in pairwise(counts) for threshold in crossed(before, now)]
        assert tuple(steps) == crossed(counts[0], counts[-1])


class TestALiveSpace:
    def test_announces_each_number_once_however_the_count_moves(self) -> None:
        history = History(live(0, 40))
        for seconds, count in enumerate((99, 100, 130, 90, 120, 499, 501, 100, 600, None, 700), start=1):
            history.poll(live(30 * seconds, count))
        assert reached(history) == [100, 500]

    def test_announces_every_number_that_a_jump_passes_the_lowest_first(self) -> None:
        history = History(live(0, 40))
        events = history.poll(live(30, 6000))
        assert types(events) == [MILESTONE] * 4
        assert reached(history) == [100, 500, 1000, 5000]
        assert [event.sequence for event in events] == [2, 3, 4, 5]
        for event in events:
            body = described_body_of(event)
            assert body["data"]["space"]["participant_count"] == 6000
            assert (body["data"]["changed"], body["data"]["previous"]) == ([], {})

    def test_announces_no_number_reached_before_the_first_sighting(self) -> None:
        history = History(live(0, 730))
        assert history.types == ["space.started"]
        assert history.poll(live(30, 999)) == ()
        history.poll(live(60, 1000))
        assert reached(history) == [1000]

    def test_from_a_baseline_announces_no_number_reached_by_then(self) -> None:
        history = History(live(0, 730), silent=True)
        assert history.poll(live(30, 740)) == ()

    def test_with_an_unknown_first_count_counts_from_zero(self) -> None:
        history = History(live(0, None))
        history.poll(live(30, 101))
        assert reached(history) == [100]

    def test_keeps_announced_numbers_through_the_store(self) -> None:
        history = History(live(0, 40), live(30, 101), live(60, 20), live(90, 101), restart=True)
        assert reached(history) == [100]

    def test_announces_them_after_people_and_metadata(self) -> None:
        history = History(live(0, 40))
        busy = variant(LIVE, title="Renamed", speaker_ids=("7",), participant_count=100)
        assert types(history.poll(seen(30, busy))) == [
            "space.title_changed",
            "space.speakers_added",
            MILESTONE,
        ]


class TestAScheduledSpace:
    def test_counts_no_listeners_before_its_start(self) -> None:
        history = History(seen(0, variant(PLANNED, participant_count=300)))
        assert history.poll(seen(60, variant(PLANNED, participant_count=800))) == ()
        assert history.state.peak_participant_count is None
        assert types(history.poll(live(620, 120))) == ["space.started", MILESTONE]
        assert reached(history) == [100]
        assert history.state.peak_participant_count == 120

    def test_that_is_canceled_announces_none(self) -> None:
        history = History(seen(0, PLANNED))
        canceled = space("canceled", participant_count=9000)
        assert types(history.poll(seen(30, canceled))) == ["space.canceled"]


class TestTheEnd:
    def test_comes_after_the_numbers_that_its_poll_shows(self) -> None:
        history = History(live(0, 40))
        events = history.poll(seen(4300, variant(ENDED, participant_count=501)))
        assert types(events) == [MILESTONE, MILESTONE, "space.ended"]
        assert events[-1].data["details"]["peak_participant_count"] == 501

    def test_of_a_space_never_seen_live_announces_them_between_start_and_end(self) -> None:
        history = History(seen(0, PLANNED))
        events = history.poll(seen(4300, variant(ENDED, participant_count=100)))
        assert types(events) == ["space.started", MILESTONE, "space.ended"]

    def test_allows_no_further_milestones(self) -> None:
        history = History(live(0, 40), seen(4300, ENDED))
        assert history.poll(seen(4360, variant(ENDED, participant_count=5000))) == ()

    def test_that_is_retracted_repeats_no_number(self) -> None:
        history = History(live(0, 40), live(30, 120), not_found(60), not_found(90))
        history.take(erasure(60 + ERASE_AFTER_SECONDS))
        later = 100 + ERASE_AFTER_SECONDS
        history.poll(live(later, 130))
        history.poll(live(later + 30, 530))
        assert "space.corrected" in history.types
        assert reached(history) == [100, 500]


@pytest.mark.parametrize("counts", [(250, 300), (120, 499), (100, 5200)])
def test_ids_do_not_depend_on_the_observed_count(counts: tuple[int, int]) -> None:
    known = History(live(0, 40)).known
    one, other = (
        decide(known, live(30 + number, count), patience=PATIENCE, context=WATCHED).events
        for number, count in enumerate(counts)
    )
    assert one[0].id == other[0].id
    assert len({event.id for event in other}) == len(other)


def test_ids_of_two_numbers_differ_in_the_same_place() -> None:
    (hundred,), (five_hundred,) = (History(live(0, count - 1)).poll(live(30, count)) for count in (100, 500))
    assert hundred.sequence == five_hundred.sequence
    assert hundred.id != five_hundred.id


@given(st.integers(0, 10**6), st.lists(st.none() | st.integers(0, 10**6), max_size=20))
def test_each_number_is_announced_once_and_none_is_left_out(first: int, counts: list[int | None]) -> None:
    history = History(live(0, first), restart=True)
    for number, count in enumerate(counts, start=1):
        history.poll(live(30 * number, count))
    highest = max([first, *(count for count in counts if count is not None)])
    assert tuple(reached(history)) == crossed(first, highest)
