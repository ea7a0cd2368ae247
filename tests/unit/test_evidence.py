"""The rules of evidence: what a poll may change in the known state."""

from __future__ import annotations

from typing import Any

import pytest

from notifier.core.model.observation import Evidence
from notifier.core.model.space import Phase, Space
from notifier.core.spaces.decide import MAX_KNOWN_USERS
from notifier.core.spaces.merging import Patience
from tests.support.space_builders import (
    ENDED,
    ENDED_BY_SILENCE,
    LIVE,
    PLANNED,
    History,
    absent,
    at,
    failed_call,
    not_found,
    seen,
    space,
    types,
    user,
    variant,
)

STARTED, ENDED_EVENT = "space.started", "space.ended"
CORRECTED, UPDATED = "space.corrected", "space.updated"


class TestConfirmations:
    @pytest.mark.parametrize("restart", [False, True])
    def test_count_only_when_far_enough_apart(self, restart: bool) -> None:
        history = History(seen(0, LIVE), not_found(100), restart=restart)
        assert history.poll(not_found(129.9)) == ()
        assert types(history.poll(not_found(130))) == [ENDED_EVENT]

    def test_of_two_kinds_of_end_add_up(self) -> None:
        history = History(seen(0, LIVE), not_found(100))
        assert types(history.poll(seen(130, space("ended", started_at=at(612))))) == [ENDED_EVENT]

    @pytest.mark.parametrize("between", [LIVE, space("paused"), space()])
    def test_restart_after_any_sighting(self, between: Space) -> None:
        history = History(seen(0, LIVE), not_found(100), seen(110, between), not_found(140))
        assert history.phase is Phase.LIVE
        assert types(history.poll(not_found(170))) == [ENDED_EVENT]

    def test_restart_after_a_stale_sighting(self) -> None:
        history = History(seen(0, LIVE), not_found(10))
        assert history.poll(seen(25, variant(PLANNED, title="Stale"))) == ()
        assert history.state.space.title == "Planned"
        assert history.poll(not_found(45)) == ()
        assert history.phase is Phase.LIVE
        (event,) = history.poll(not_found(75))
        assert event.type == ENDED_EVENT
        assert event.data["details"]["ended_between"] == [at(0), at(45)]

    @pytest.mark.parametrize("nothing", [absent, failed_call])
    def test_are_not_affected_by_silence(self, nothing: Any) -> None:
        history = History(seen(0, LIVE), not_found(100), nothing(135))
        assert history.phase is Phase.LIVE
        assert types(history.poll(not_found(170))) == [ENDED_EVENT]

    def test_against_an_inferred_end_count_whatever_lookups_say_in_between(self) -> None:
        history = History(*ENDED_BY_SILENCE, seen(100, LIVE), not_found(115), not_found(129))
        assert types(history.poll(seen(130, LIVE)))[0] == CORRECTED

    @pytest.mark.parametrize("needed", [1, 2, 3, 5])
    def test_are_as_many_as_the_setting_says(self, needed: int) -> None:
        history = History(seen(0, LIVE), patience=Patience(needed, apart=10.0))
        for number in range(needed - 1):
            assert history.poll(not_found(100 + 10 * number)) == ()
        assert types(history.poll(not_found(100 + 10 * needed))) == [ENDED_EVENT]

    def test_keep_the_minimum_distance_from_the_previous_one(self) -> None:
        history = History(seen(0, LIVE), not_found(100), not_found(130), patience=Patience(3, apart=30.0))
        assert history.poll(not_found(140)) == ()
        assert types(history.poll(not_found(160))) == [ENDED_EVENT]

    def test_need_two_polls_even_without_a_minimum_distance(self) -> None:
        history = History(seen(0, LIVE), not_found(100), not_found(100), patience=Patience(2, apart=0.0))
        assert history.phase is Phase.LIVE
        assert types(history.poll(not_found(101))) == [ENDED_EVENT]

    def test_leave_no_doubt_when_the_space_is_over(self) -> None:
        without_host_2 = variant(LIVE, host_ids=("1",))
        history = History(seen(0, LIVE), seen(30, without_host_2))
        assert set(history.state.doubts) == {"host_ids"}
        history.poll(seen(40, variant(without_host_2, state="ended", ended_at=at(39))))
        assert history.phase is Phase.ENDED
        assert history.state.doubts == {}

    @pytest.mark.parametrize("again", [not_found(160), seen(160, ENDED), seen(160, space("canceled"))])
    def test_against_an_end_that_x_stated_start_again_when_it_is_announced_again(
        self, again: Evidence
    ) -> None:
        history = History(seen(0, LIVE), seen(10, ENDED), seen(100, LIVE))
        assert set(history.state.doubts) == {"phase"}
        history.poll(again)
        assert "phase" not in history.state.doubts


class TestLateAnswers:
    @pytest.mark.parametrize("late", [variant(LIVE, title="Old"), space("ended", ended_at=at(1))])
    def test_are_dropped_when_asked_before_the_last_applied_poll(self, late: Space) -> None:
        history = History(seen(100, LIVE, took=1))
        before = history.known
        assert history.poll(seen(130, late, took=32)) == ()
        assert history.known == before

    def test_are_measured_against_the_last_poll_not_the_first(self) -> None:
        history = History(seen(0, LIVE), seen(100, LIVE))
        assert history.poll(seen(120, variant(LIVE, title="Old"), took=50)) == ()

    def test_of_not_found_are_dropped_too(self) -> None:
        history = History(seen(100, LIVE, took=1))
        before = history.known
        assert history.poll(not_found(160, took=62)) == ()
        assert history.known == before

    def test_count_from_a_not_found_as_well(self) -> None:
        history = History(seen(0, LIVE), not_found(100, took=1))
        assert history.poll(seen(120, variant(LIVE, title="Old"), took=30)) == ()
        assert history.state.space.title == "Planned"

    def test_asked_later_but_answered_earlier_count_and_keep_the_interval_ordered(self) -> None:
        history = History(seen(100, LIVE, took=60))
        (event,) = history.poll(seen(90, variant(LIVE, title="New"), took=1))
        earliest, latest = event.data["observed_between"]
        assert earliest <= latest == at(90)


class TestUpdatedAt:
    CURRENT = variant(PLANNED, updated_at=at(0))

    def test_an_older_one_allows_only_new_people_times_and_counts(self) -> None:
        history = History(seen(10, self.CURRENT))
        stale = variant(
            self.CURRENT,
            updated_at=at(-1),
            title="Old",
            scheduled_start=at(900),
            lang="de",
            is_ticketed=True,
            creator_id="1",
            created_at=at(-60),
            started_at=at(11),
            topic_ids=("5",),
            invited_user_ids=("6",),
            host_ids=("2", "3"),
            speaker_ids=("7",),
            participant_count=7,
        )
        events = history.poll(seen(20, stale))
        assert types(events) == [UPDATED, "space.hosts_changed", "space.speakers_added"]
        assert history.state.space == variant(
            self.CURRENT,
            started_at=at(11),
            host_ids=("1", "2", "3"),
            speaker_ids=("7",),
            participant_count=7,
        )

    def test_an_older_one_does_not_block_going_live(self) -> None:
        history = History(seen(10, self.CURRENT))
        assert types(history.poll(seen(20, variant(LIVE, updated_at=at(-259_200))))) == [STARTED]

    @pytest.mark.parametrize("updated_at", [None, at(0), at(1), "2021-07-14T10:00:00+02:00", "yesterday"])
    def test_one_that_is_not_older_blocks_nothing(self, updated_at: str | None) -> None:
        history = History(seen(10, self.CURRENT))
        renamed = variant(self.CURRENT, updated_at=updated_at, title="Renamed")
        assert types(history.poll(seen(20, renamed))) == ["space.title_changed"]


class TestUnknownValues:
    FULL = space(
        "live",
        title="Full",
        lang="en",
        creator_id="1",
        created_at=at(-60),
        scheduled_start=at(0),
        started_at=at(1),
        ended_at=at(2),
        updated_at=at(3),
        is_ticketed=True,
        participant_count=4,
        subscriber_count=5,
        host_ids=("1", "2"),
        speaker_ids=("3",),
        invited_user_ids=("4",),
        topic_ids=("5",),
    )

    def test_keep_what_is_known_without_an_event(self) -> None:
        history = History(seen(10, self.FULL))
        assert history.poll(seen(40, space("live"))) == ()
        assert history.state.space == self.FULL

    @pytest.mark.parametrize("name", ["topic_ids", "invited_user_ids"])
    def test_an_emptied_list_is_unknown_until_confirmed(self, name: str) -> None:
        history = History(seen(0, self.FULL))
        emptied = variant(self.FULL, **{name: ()})
        assert history.poll(seen(30, emptied)) == ()
        assert history.poll(seen(59, emptied)) == ()
        (event,) = history.poll(seen(60, emptied))
        assert (event.type, event.data["changed"], event.data["space"][name]) == (UPDATED, [name], [])

    @pytest.mark.parametrize("name", ["topic_ids", "invited_user_ids"])
    def test_an_emptied_list_that_fills_again_has_no_effect(self, name: str) -> None:
        history = History(seen(0, self.FULL))
        emptied = variant(self.FULL, **{name: ()})
        for number in range(1, 6):
            assert history.poll(seen(60 * number, emptied)) == ()
            assert history.poll(seen(60 * number + 30, self.FULL)) == ()
        assert history.state.doubts == {}

    @pytest.mark.parametrize("name", ["host_ids", "speaker_ids", "topic_ids", "invited_user_ids"])
    def test_an_initially_empty_list_is_not_announced(self, name: str) -> None:
        history = History(seen(0, space("live")))
        for seconds in (30, 60, 90):
            assert history.poll(seen(seconds, space("live", **{name: ()}))) == ()


class TestPeople:
    def test_a_removed_host_is_believed_when_confirmed(self) -> None:
        history = History(seen(0, LIVE))
        assert history.poll(seen(30, variant(LIVE, host_ids=("2",)))) == ()
        assert history.state.space.host_ids == ("1", "2")
        (event,) = history.poll(seen(60, variant(LIVE, host_ids=("2",))))
        assert event.data["details"] == {"added": [], "removed": ["1"]}
        assert event.data["space"]["host_ids"] == ["2"]

    def test_an_added_host_is_announced_at_once_despite_an_unconfirmed_removal(self) -> None:
        history = History(seen(0, LIVE))
        (event,) = history.poll(seen(30, variant(LIVE, host_ids=("2", "3"))))
        assert event.data["details"] == {"added": ["3"], "removed": []}
        (event,) = history.poll(seen(60, variant(LIVE, host_ids=("2", "3"))))
        assert event.data["details"] == {"added": [], "removed": ["1"]}

    def test_another_removal_restarts_the_count(self) -> None:
        history = History(seen(0, LIVE), seen(30, variant(LIVE, host_ids=("2",))))
        assert history.poll(seen(60, variant(LIVE, host_ids=("1",)))) == ()
        assert types(history.poll(seen(90, variant(LIVE, host_ids=("1",))))) == ["space.hosts_changed"]

    def test_a_returning_host_restarts_the_count(self) -> None:
        history = History(seen(0, LIVE), seen(30, variant(LIVE, host_ids=("2",))), seen(60, LIVE))
        assert history.poll(seen(90, variant(LIVE, host_ids=("2",)))) == ()
        assert types(history.poll(seen(120, variant(LIVE, host_ids=("2",))))) == ["space.hosts_changed"]

    def test_all_hosts_gone_is_believed_when_confirmed(self) -> None:
        history = History(seen(0, LIVE))
        assert history.poll(seen(30, variant(LIVE, host_ids=()))) == ()
        (event,) = history.poll(seen(60, variant(LIVE, host_ids=())))
        assert event.data["details"]["removed"] == ["1", "2"]

    def test_the_order_of_a_list_does_not_matter(self) -> None:
        mixed = variant(LIVE, speaker_ids=("7", "8"), topic_ids=("5", "6"), invited_user_ids=("3", "4"))
        history = History(seen(0, mixed))
        turned = variant(
            mixed,
            host_ids=("2", "1"),
            speaker_ids=("8", "7"),
            topic_ids=("6", "5"),
            invited_user_ids=("4", "3"),
        )
        assert history.poll(seen(30, turned)) == ()

    def test_speakers_are_announced_once_against_everyone_ever_seen(self) -> None:
        history = History(seen(0, variant(LIVE, speaker_ids=("7",))))
        (event,) = history.poll(seen(30, variant(LIVE, speaker_ids=("8", "9"))))
        assert event.data["details"] == {"added": ["8", "9"], "total": 3}
        assert event.data["space"]["speaker_ids"] == ["7", "8", "9"]

    def test_the_first_speakers_of_a_running_space_are_announced(self) -> None:
        history = History(seen(0, LIVE))
        (event,) = history.poll(seen(30, variant(LIVE, speaker_ids=("7",))))
        assert event.data["details"] == {"added": ["7"], "total": 1}

    def test_the_people_of_a_space_are_kept_as_last_described(self) -> None:
        history = History(seen(0, LIVE, users=[user("1", "One"), user("99", "A stranger")]))
        (event,) = history.poll(seen(30, variant(LIVE, speaker_ids=("7",)), users=[user("7"), user("1")]))
        assert [person["id"] for person in event.data["users"]] == ["1", "7"]
        assert event.data["users"][0]["name"] == "Twitter Dev"

    def test_the_number_of_people_in_a_record_is_limited(self) -> None:
        crowd = tuple(str(number) for number in range(3 * MAX_KNOWN_USERS))
        full = variant(LIVE, speaker_ids=crowd)
        history = History(seen(0, full, users=[user(person) for person in crowd]))
        assert len(history.state.users) == MAX_KNOWN_USERS
        assert history.state.space.speaker_ids == crowd
