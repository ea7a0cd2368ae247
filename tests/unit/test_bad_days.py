"""Faults from public reports about X: lagging replicas, contradicting answers, unknown states."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import cycle, islice
from typing import Any, Final

import pytest

from notifier.core.events.event import Event
from notifier.core.events.identity import expected_id
from notifier.core.model.answers import read_answer
from notifier.core.model.observation import Call, Evidence, Question
from notifier.core.model.space import Phase, Space
from notifier.core.spaces.known import KnownSpace
from notifier.core.spaces.lists import LISTED_SECONDS, list_of, note_left_out, shown_by, to_ask
from notifier.core.spaces.merging import Patience
from notifier.core.spaces.returns import MAX_RETURN_FACTOR
from notifier.core.spaces.timers import TimerKind, timers_of
from notifier.core.spaces.transitions import LONGEST_WORD, unknown_states
from notifier.core.spaces.vanishing import BLACKOUT_HOLD_SECONDS, CYCLE_SECONDS, Vanished, is_blackout
from tests.support.space_builders import (
    CANCELED_BY_SILENCE,
    ENDED,
    ENDED_BY_SILENCE,
    LIVE,
    PATIENCE,
    PLANNED,
    START,
    History,
    absent,
    announced_fields,
    at,
    body_of,
    erasure,
    failed_call,
    inaccessible,
    not_found,
    reminder,
    replay,
    seen,
    space,
    types,
    variant,
)

CORRECTED, ENDED_EVENT, CANCELED = "space.corrected", "space.ended", "space.canceled"
CREATORS = list_of(Call.CREATORS, "1")
SEARCH = list_of(Call.SEARCH, "wch_1")
HOUR = 3600.0

FIELDS: Final[dict[str, tuple[Any, Any]]] = {
    "title": ("One", "Two"),
    "scheduled_start": (at(90_000), at(99_000)),
    "lang": ("en", "de"),
    "is_ticketed": (False, True),
    "topic_ids": (("5",), ("5", "6")),
    "invited_user_ids": (("5",), ("6",)),
    "host_ids": (("1", "2"), ("1", "2", "3")),
    "creator_id": ("1", "2"),
    "created_at": (at(-90), at(-80)),
    "started_at": (at(-70), at(-60)),
}
MARKS: Final[dict[str, tuple[str | None, str | None]]] = {
    "the mark moves": (at(-10), at(-5)),
    "there is no mark": (None, None),
    "the mark stands still": (at(-10), at(-10)),
    "the mark lies in the future": ("2099-01-01T00:00:00Z", "2099-01-01T00:00:00Z"),
}


def versions(name: str, marks: str) -> tuple[Space, Space]:
    """Return an older and a newer version of a Space that differ in one field, and maybe ``updated_at``."""
    base = space("scheduled", title="Talk", scheduled_start=at(90_000), host_ids=("1", "2"))
    (old, new), (old_mark, new_mark) = FIELDS[name], MARKS[marks]
    return (
        variant(base, updated_at=old_mark, **{name: old}),
        variant(base, updated_at=new_mark, **{name: new}),
    )


def polls(answers: Iterable[Space], *, first: float = 30, every: float = 30) -> list[Evidence]:
    return [seen(first + every * number, answer) for number, answer in enumerate(answers)]


class TestLaggingReplicas:
    @pytest.mark.parametrize("pattern", ["nno", "no", "on", "nnno"])
    @pytest.mark.parametrize("marks", MARKS)
    @pytest.mark.parametrize("name", FIELDS)
    def test_that_alternate_cause_one_event_per_change(self, name: str, marks: str, pattern: str) -> None:
        old, new = versions(name, marks)
        answers = islice(cycle(pattern), 60)
        history = History(seen(0, old), *polls({"o": old, "n": new}[each] for each in answers))
        assert len(history.events) == 2, history.types
        assert history.state.space.value(name) == new.value(name)

    def test_that_alternate_about_a_departed_host_cause_one_event(self) -> None:
        old, new = (
            variant(PLANNED, host_ids=hosts, updated_at=mark, scheduled_start=at(90_000))
            for hosts, mark in ((("1", "2"), at(-10)), (("1",), at(-5)))
        )
        history = History(seen(0, old), *polls(islice(cycle([new, old]), 60)))
        assert history.types == ["space.scheduled", "space.hosts_changed"]
        assert history.state.space.host_ids == ("1",)

    def test_a_host_who_left_and_shows_up_in_an_older_answer_is_not_new(self) -> None:
        old, new = variant(LIVE, updated_at=at(-10)), variant(LIVE, host_ids=("1",), updated_at=at(-5))
        history = History(seen(0, old), seen(30, new), seen(60, new))
        assert history.poll(seen(90, variant(old, host_ids=("1", "2", "9")))) != ()
        assert history.state.space.host_ids == ("1", "9")

    @pytest.mark.parametrize("name", FIELDS)
    def test_a_return_is_believed_when_confirmed(self, name: str) -> None:
        old, new = versions(name, "the mark stands still")
        history = History(seen(0, old), seen(30, new))
        removes = name == "host_ids"
        if removes:  # a departure is doubtful anyway; the reappearance is a return
            old, new = new, old
            history.poll(seen(60, old))
            history.poll(seen(90, new))
            history.poll(seen(120, new))
        assert history.poll(seen(150, old)) == ()
        assert history.poll(seen(179, old)) == ()
        assert len(history.poll(seen(180, old))) == 1
        assert history.state.space.value(name) == old.value(name)

    # A host's departure needs confirmations whatever the timestamp says.
    @pytest.mark.parametrize("name", sorted(FIELDS.keys() - {"host_ids"}))
    def test_a_newer_timestamp_proves_a_return(self, name: str) -> None:
        old, new = versions(name, "the mark moves")
        history = History(seen(0, old), seen(30, new))
        assert len(history.poll(seen(60, variant(old, updated_at=at(50))))) == 1

    def test_a_timestamp_in_the_future_proves_no_return(self) -> None:
        old, new = versions("title", "the mark moves")
        history = History(seen(0, old), seen(30, new))
        assert history.poll(seen(60, variant(old, updated_at=at(60 + 301)))) == ()

    def test_a_sighting_of_the_known_value_resets_a_return(self) -> None:
        old, new = versions("title", "there is no mark")
        history = History(seen(0, old), seen(30, new), seen(60, old), seen(90, new))
        assert history.state.doubts == {}

    def test_each_return_doubles_the_proof_for_the_next_and_a_new_value_resets_it(self) -> None:
        old, new = versions("title", "there is no mark")
        history = History(seen(0, old), seen(30, new))
        seconds, needed = 60, []
        for turn in range(7):
            answers = 0
            while not history.poll(seen(seconds, old if turn % 2 == 0 else new)):
                answers += 1
                seconds += 30
            seconds += 30
            needed.append(answers + 1)
        assert needed == [2, 4, 8, 16, 32, 32, 32]
        assert max(needed) == PATIENCE.needed * MAX_RETURN_FACTOR
        assert len(history.poll(seen(seconds, variant(old, title="Three")))) == 1
        assert history.state.returns == {}

    def test_only_a_few_former_values_are_kept_and_none_after_an_erasure(self) -> None:
        history = History(*polls(variant(LIVE, title=f"title {number}") for number in range(9)))
        assert history.state.former["title"] == ("title 7", "title 6", "title 5", "title 4")
        history.poll(seen(5000, ENDED))
        history.fire(erasure(10**6))
        assert (history.state.former, history.state.has_content) == ({}, False)

    def test_an_alternating_start_is_never_retracted(self) -> None:
        history = History(seen(0, PLANNED), *polls(islice(cycle([LIVE, PLANNED]), 60)))
        assert history.types == ["space.scheduled", "space.started"]

    def test_an_older_answer_retracts_neither_a_start_nor_an_end(self) -> None:
        marked = variant(LIVE, updated_at=at(-5))
        history = History(seen(0, marked))
        assert history.poll(seen(30, variant(PLANNED, updated_at=at(-9)))) == ()
        assert history.poll(seen(60, variant(PLANNED, updated_at=at(-5)))) == ()
        history = History(seen(0, marked), seen(10, ENDED))
        assert history.poll(seen(40, variant(LIVE, updated_at=at(-9)))) == ()
        assert history.state.doubts.keys() == {"updated_at"}
        assert history.poll(seen(70, marked)) == ()


class TestMarks:
    OLD = variant(PLANNED, updated_at=at(-50), title="Old")
    NEW = variant(PLANNED, updated_at=at(-20), title="New")

    @pytest.mark.parametrize("mark", ["2099-01-01T00:00:00Z", at(301)])
    def test_one_from_the_future_is_unknown(self, mark: str) -> None:
        history = History(seen(0, variant(self.OLD, updated_at=mark)))
        assert history.state.space.updated_at is None
        assert types(history.poll(seen(30, self.NEW))) == ["space.title_changed"]
        assert history.poll(seen(40, variant(self.NEW, updated_at="2100-01-01T00:00:00Z"))) == ()
        assert history.state.space.updated_at == self.NEW.updated_at

    def test_one_slightly_ahead_is_accepted(self) -> None:
        assert History(seen(0, variant(self.OLD, updated_at=at(299)))).state.space.updated_at == at(299)

    def test_a_stored_one_in_the_future_is_ignored(self) -> None:
        history = History(seen(0, self.OLD))
        stored = replace(history.state.space, updated_at="2099-01-01T00:00:00Z")
        history.known = replace(history.state, space=stored)
        assert types(history.poll(seen(30, self.NEW))) == ["space.title_changed"]
        assert history.state.space.updated_at == self.NEW.updated_at

    def test_a_repeated_older_one_is_believed_and_its_fields_count_again(self) -> None:
        history = History(seen(0, self.NEW))
        other = variant(self.OLD, title="Other")
        assert history.poll(seen(30, other)) == ()
        assert history.poll(seen(59, other)) == ()
        assert types(history.poll(seen(60, other))) == ["space.title_changed"]
        assert history.state.space.updated_at == self.OLD.updated_at

    def test_an_older_one_is_not_believed_while_the_known_one_also_appears(self) -> None:
        history = History(seen(0, self.NEW), *polls(islice(cycle([self.OLD, self.NEW]), 20)))
        assert history.state.space.updated_at == self.NEW.updated_at
        assert history.types == ["space.scheduled"]

    def test_an_abandoned_one_proves_nothing_when_it_returns(self) -> None:
        history = History(seen(0, self.OLD), seen(30, self.NEW), *polls([self.OLD] * 3, first=60))
        assert history.state.space.title == "Old"
        assert history.poll(seen(200, self.NEW)) == ()
        assert types(history.poll(seen(230, variant(self.NEW, updated_at=at(220))))) == [
            "space.title_changed"
        ]


class TestListsAgainstLookups:
    def test_not_founds_do_not_end_a_space_that_a_list_shows(self) -> None:
        history = History(seen(0, LIVE))
        for minute in range(30):
            assert history.poll(seen(60 * minute + 10, LIVE), lists=(CREATORS,)) == ()
            assert history.poll(not_found(60 * minute + 20)) == ()
            assert history.poll(not_found(60 * minute + 55)) == ()
        assert history.phase is Phase.LIVE

    def test_an_end_comes_with_the_last_confirmation_if_no_list_shows_the_space(self) -> None:
        history = History()
        history.poll(seen(0, LIVE), lists=(CREATORS,))
        history.poll(seen(1, LIVE), lists=(SEARCH,))
        before = history.state
        history.poll(not_found(30))
        assert to_ask(before, history.state, now=START + 30) == [CREATORS, SEARCH]
        history.known = note_left_out(history.state, [CREATORS], began_at=START + 31)
        assert history.poll(not_found(60)) == ()
        history.known = note_left_out(history.state, [SEARCH], began_at=START + 61)
        assert types(history.poll(not_found(90))) == [ENDED_EVENT]

    def test_a_list_that_cannot_be_polled_delays_an_end_only_for_a_while(self) -> None:
        history = History()
        history.poll(seen(0, LIVE), lists=(CREATORS,))
        for seconds in range(30, int(LISTED_SECONDS), 30):
            assert history.poll(not_found(seconds)) == ()
        assert types(history.poll(not_found(LISTED_SECONDS))) == [ENDED_EVENT]

    def test_an_older_answer_of_a_list_does_not_count_against_the_space(self) -> None:
        history = History()
        history.poll(seen(10, LIVE), lists=(CREATORS,))
        assert note_left_out(history.state, [CREATORS], began_at=START + 9) is history.state

    def test_only_the_first_not_found_makes_the_lists_due(self) -> None:
        history = History()
        history.poll(seen(0, LIVE), lists=(CREATORS,))
        history.poll(not_found(30))
        before = history.state
        history.poll(not_found(60))
        assert to_ask(before, history.state, now=START + 60) == []

    def test_lists_correct_a_wrong_end_while_lookups_still_miss_the_space(self) -> None:
        history = History(*ENDED_BY_SILENCE)
        assert history.poll(seen(100, space("live")), lists=(CREATORS,)) == ()
        for seconds in (105, 115, 125):
            assert history.poll(not_found(seconds)) == ()
        assert types(history.poll(seen(131, space("live")), lists=(CREATORS,))) == [CORRECTED]

    def test_creators_distinguish_the_lists_in_one_answer(self) -> None:
        asked = [list_of(Call.CREATORS, each) for each in ("1", "2", "3")]
        assert shown_by(variant(LIVE, creator_id="3", host_ids=None), None, asked) == (asked[2],)
        assert shown_by(variant(LIVE, creator_id=None, host_ids=None), LIVE, asked) == (asked[0], asked[1])
        assert shown_by(space("live"), None, [SEARCH]) == (SEARCH,)
        assert shown_by(space("live"), None, []) == ()


class TestStates:
    @pytest.mark.parametrize("word", ["LIVE", " Live ", "live\n"])
    def test_states_are_compared_without_case_and_whitespace(self, word: str) -> None:
        assert History(seen(0, PLANNED), seen(30, variant(LIVE, state=word))).phase is Phase.LIVE

    def test_cancelled_is_canceled(self) -> None:
        (event,) = History(seen(0, PLANNED)).poll(seen(30, variant(PLANNED, state="Cancelled")))
        assert (event.type, event.data["details"]) == (CANCELED, {"reason": "explicit"})

    def test_an_end_time_with_an_unknown_state_is_an_end_when_confirmed(self) -> None:
        odd = variant(LIVE, state="archived", started_at=at(1), ended_at=at(20))
        history = History(seen(0, variant(LIVE, started_at=at(1))))
        assert history.poll(seen(30, odd)) == ()
        (event,) = history.poll(seen(60, odd))
        assert (event.type, event.data["occurred_at"]) == (ENDED_EVENT, at(20))

    def test_no_reminder_fires_while_the_state_is_unclear(self) -> None:
        for unclear in (
            seen(30, variant(PLANNED, state="running", scheduled_start=at(2000))),
            inaccessible(30),
        ):
            history = History(seen(0, variant(PLANNED, scheduled_start=at(2000))), unclear)
            assert TimerKind.REMINDER not in timers_of(history.state, patience=PATIENCE)
            assert history.fire(reminder(1100)) == ()
            history.poll(seen(1160, variant(PLANNED, scheduled_start=at(2000))))
            assert timers_of(history.state, patience=PATIENCE)[TimerKind.REMINDER] == START + 1100
            (event,) = history.fire(reminder(1160))
            assert event.data["details"] == {"minutes_before": 14}

    def test_an_answer_without_a_state_leaves_the_state_unclear(self) -> None:
        history = History(seen(0, PLANNED), seen(30, space(title="Planned")))
        assert not history.state.is_unclear
        history = History(seen(0, PLANNED), seen(30, space("odd")), seen(60, space(title="Planned")))
        assert history.state.is_unclear

    def test_an_unknown_state_makes_no_start_overdue(self) -> None:
        history = History(seen(0, PLANNED))
        assert history.poll(seen(1300, variant(PLANNED, state="running"))) == ()

    def test_unknown_states_are_counted(self) -> None:
        words = ["running", "Running ", "live", None, "x" * 99, "a|b\nc", 3, ["live"], ""]
        data = [{"id": f"S{number}", "state": word} for number, word in enumerate(words)]
        answer = read_answer(Question(Call.LOOKUP, ("S0",)), {"data": data}, START, START + 1)
        assert unknown_states(answer) == {
            "running": 2,
            "x" * LONGEST_WORD: 1,
            "a?b?c": 1,
            "3": 1,
            "??live??": 1,
            "??": 1,
        }

    @pytest.mark.parametrize(
        ("sign", "last"),
        [
            ({}, {"participant_count": 12}),
            ({}, {"speaker_ids": ("1", "7")}),
            ({"speaker_ids": ("7",)}, {}),
        ],
    )
    def test_a_space_that_was_on_the_air_ends_even_without_a_start(
        self, sign: dict[str, Any], last: dict[str, Any]
    ) -> None:
        history = History(seen(0, variant(PLANNED, **sign)))
        started, *_, ended = history.poll(seen(4300, space("ended", ended_at=at(4212), **last)))
        assert (started.type, started.data["inferred"], ended.type) == ("space.started", True, ENDED_EVENT)

    def test_hosts_and_the_creator_as_speakers_prove_no_start(self) -> None:
        planned = variant(PLANNED, creator_id="9", speaker_ids=("1", "9"), participant_count=0)
        (event,) = History(seen(0, planned)).poll(seen(4300, space("ended", ended_at=at(4212))))
        assert event.data["details"] == {"reason": "never_started"}


class TestInaccessible:
    @pytest.mark.parametrize(
        ("before", "announced", "reason"),
        [(LIVE, ENDED_EVENT, "inaccessible"), (PLANNED, CANCELED, "inaccessible")],
    )
    def test_hours_of_inaccessibility_end_the_space(self, before: Space, announced: str, reason: str) -> None:
        history = History(seen(0, before))
        for seconds in range(30, 30 + int(2 * HOUR), 600):
            assert history.poll(inaccessible(seconds)) == ()
        (event,) = history.poll(inaccessible(30 + 2 * HOUR))
        assert (event.type, event.data["inferred"]) == (announced, True)
        assert event.data["details"]["reason"] == reason
        assert history.state.gone_since == START + 30
        body_of(event)
        if before is LIVE:
            assert event.data["details"]["ended_between"] == [at(0), at(30)]
        assert history.poll(seen(40 + 2 * HOUR, before)) == ()
        assert CORRECTED in types(history.poll(seen(70 + 2 * HOUR, before)))

    @pytest.mark.parametrize("other", [seen(3600, LIVE), not_found(3600)])
    def test_any_other_evidence_restarts_the_hours(self, other: Evidence) -> None:
        history = History(seen(0, LIVE), inaccessible(30), other)
        assert history.state.unclear_since is None
        assert history.poll(inaccessible(2 * HOUR + 31)) == ()

    @pytest.mark.parametrize("nothing", [absent, failed_call])
    def test_silence_does_not_restart_the_hours(self, nothing: Any) -> None:
        history = History(seen(0, LIVE), inaccessible(30), nothing(3600))
        assert types(history.poll(inaccessible(2 * HOUR + 30))) == [ENDED_EVENT]

    def test_a_mass_vanish_delays_the_end(self) -> None:
        history = History(seen(0, LIVE))
        history.poll(inaccessible(30), mass_vanish=True)
        history.poll(inaccessible(3600), mass_vanish=True)
        assert history.poll(inaccessible(2 * HOUR + 31)) == ()
        assert types(history.poll(inaccessible(3 * HOUR))) == [ENDED_EVENT]

    def test_inaccessibility_between_not_founds_does_not_count(self) -> None:
        history = History(seen(0, LIVE), not_found(30), inaccessible(45))
        assert types(history.poll(not_found(60))) == [ENDED_EVENT]

    def test_inaccessibility_of_an_ended_space_does_not_count(self) -> None:
        history = History(seen(0, LIVE), seen(10, ENDED))
        before = history.known
        history.poll(inaccessible(60))
        assert history.known == before


def goes_on(history: History, shown: Space, seconds: float) -> tuple[Event, ...]:
    """Show a Space alive for two minutes after a stated end, until that is believed."""
    for later in range(0, 120, 30):
        assert history.poll(seen(seconds + later, shown)) == ()
    return history.poll(seen(seconds + 120, shown))


class TestTakenBack:
    def test_a_start_that_x_retracts_is_corrected_when_confirmed(self) -> None:
        history = History(seen(0, PLANNED), seen(620, LIVE))
        started = history.events[-1]
        (event,) = goes_on(history, PLANNED, 650)
        assert (event.type, event.data["details"]) == (CORRECTED, {"retracts": started.id})
        assert event.data["changed"] == ["started_at", "state"]
        assert event.data["previous"] == {"started_at": at(612), "state": "live"}
        assert "started_at" not in event.data["space"]
        assert history.state.space.started_at is None
        assert announced_fields(replay(history.events, None)) == announced_fields(history.state.space)
        assert expected_id(body_of(event)) == event.id
        assert types(history.poll(seen(800, LIVE))) == ["space.started"]

    def test_a_replica_two_minutes_behind_retracts_nothing(self) -> None:
        history = History(seen(0, PLANNED), seen(620, LIVE))
        for seconds in range(625, 735, 10):
            assert history.poll(seen(seconds, PLANNED)) == ()
        assert history.poll(seen(740, LIVE)) == ()
        assert history.phase is Phase.LIVE

    def test_a_start_known_only_from_a_baseline_is_retracted_without_an_id(self) -> None:
        history = History(seen(0, LIVE), silent=True)
        (event,) = goes_on(history, PLANNED, 30)
        assert event.data["details"] == {"retracts": None}
        body_of(event)

    def test_a_live_answer_in_between_resets_the_correction(self) -> None:
        history = History(seen(0, LIVE), seen(30, PLANNED), seen(45, LIVE), seen(61, PLANNED))
        assert history.phase is Phase.LIVE

    @pytest.mark.parametrize("ending", [seen(40, ENDED), seen(40, space("ended", ended_at=at(39)))])
    def test_a_space_that_continues_after_a_stated_end_is_corrected(self, ending: Evidence) -> None:
        history = History(seen(0, variant(LIVE, started_at=None)), ending)
        ended = history.events[-1]
        assert ended.type == ENDED_EVENT
        going_on = variant(LIVE, started_at=history.state.space.started_at)
        (event,) = goes_on(history, going_on, 100)
        assert (event.type, event.data["details"]) == (CORRECTED, {"retracts": ended.id})
        assert event.data["changed"] == ["ended_at", "state"]
        assert history.state.space.ended_at is None
        assert announced_fields(replay(history.events, None)) == announced_fields(history.state.space)

    def test_a_canceled_space_that_is_scheduled_again_is_corrected(self) -> None:
        history = History(seen(0, PLANNED), seen(10, variant(PLANNED, state="canceled")))
        canceled = history.events[-1]
        (event,) = goes_on(history, PLANNED, 40)
        assert (event.type, event.data["details"]) == (CORRECTED, {"retracts": canceled.id})

    def test_an_ended_space_that_is_scheduled_again_retracts_start_and_end(self) -> None:
        history = History(seen(0, PLANNED), seen(620, LIVE), seen(700, ENDED))
        started, ended = history.events[-2:]
        first, second = goes_on(history, PLANNED, 800)
        assert [each.data["details"]["retracts"] for each in (first, second)] == [ended.id, started.id]
        assert [each.data["space"]["state"] for each in (first, second)] == ["live", "scheduled"]
        assert [each.data["changed"] for each in (first, second)] == [
            ["ended_at", "state"],
            ["started_at", "state"],
        ]
        assert announced_fields(replay(history.events, None)) == announced_fields(history.state.space)

    @pytest.mark.parametrize(("alive", "corrections"), [(2, 0), (5, 2)])
    def test_alternating_between_ended_and_live_needs_ever_more_proof(
        self, alive: int, corrections: int
    ) -> None:
        history = History(seen(0, LIVE))
        answers = islice(cycle([ENDED, *[LIVE] * alive]), 90)
        for poll in polls(answers):
            history.poll(poll)
        assert history.types.count(CORRECTED) == corrections

    @pytest.mark.parametrize("lost", [ENDED_BY_SILENCE, CANCELED_BY_SILENCE])
    def test_correcting_an_inferred_end_never_needs_more_proof(self, lost: Sequence[Evidence]) -> None:
        state = "live" if lost is ENDED_BY_SILENCE else "scheduled"
        history = History(*lost)
        for seconds in (100, 300, 500):
            history.poll(seen(seconds, space(state)))
            assert types(history.poll(seen(seconds + 30, space(state)))) == [CORRECTED]
            history.poll(not_found(seconds + 60))
            history.poll(not_found(seconds + 90))
            assert history.phase.is_over


class TestAbsurdTimes:
    def last(self, *polls: Evidence) -> Event:
        return History(*polls).events[-1]

    @pytest.mark.parametrize(
        "start", ["1970-01-01T00:00:00Z", "2019-12-31T23:59:59Z", "2044-01-01T00:00:00Z"]
    )
    def test_an_impossible_start_dates_nothing(self, start: str) -> None:
        event = self.last(seen(10, space("live", started_at=start, scheduled_start=at(0))))
        assert (event.data["occurred_at"], event.timestamp) == (None, at(10))
        assert event.data["observed_between"] == [at(10), at(10)]
        assert event.data["details"] == {"late_by_seconds": None, "unscheduled": False}
        assert event.data["space"]["started_at"] == start

    def test_an_impossible_plan_makes_no_start_late(self) -> None:
        event = self.last(seen(10, space("live", started_at=at(0), scheduled_start="1970-01-01T00:00:00Z")))
        assert event.data["details"] == {"late_by_seconds": None, "unscheduled": False}

    def test_an_end_before_its_start_is_unknown(self) -> None:
        ended = space("ended", started_at=at(612), ended_at=at(500))
        event = self.last(seen(700, LIVE), seen(800, ended))
        assert (event.data["occurred_at"], event.timestamp) == (None, at(800))
        assert event.data["details"] == {
            "duration_seconds": None,
            "peak_participant_count": None,
            "ended_between": [at(700), at(800)],
        }
        assert event.data["space"]["ended_at"] == at(500)

    def test_a_duration_of_years_is_unknown(self) -> None:
        began = "2020-02-01T00:00:00Z"
        event = self.last(
            seen(700, variant(LIVE, started_at=began)), seen(800, variant(ENDED, started_at=began))
        )
        assert event.data["details"]["duration_seconds"] is None

    def test_a_plan_moved_by_years_has_no_delta(self) -> None:
        event = self.last(
            seen(0, PLANNED), seen(30, variant(PLANNED, scheduled_start="2044-01-01T00:00:00Z"))
        )
        assert (event.type, event.data["details"]) == ("space.rescheduled", {"delta_seconds": None})
        body_of(event)

    @pytest.mark.parametrize(
        "start", ["1970-01-01T00:00:00Z", "2044-01-01T00:00:00Z", "2020-02-01T00:00:00Z"]
    )
    def test_an_impossible_start_has_no_reminder_and_is_never_overdue(self, start: str) -> None:
        history = History(*polls([variant(PLANNED, scheduled_start=start)] * 3, every=1000))
        assert history.types == ["space.scheduled"]
        assert timers_of(history.state, patience=PATIENCE) == {}


class TestAFewThatVanishTogether:
    NOW = START

    def vanished(self, *each: tuple[float, str | None]) -> bool:
        return is_blackout([Vanished(self.NOW - ago, creator) for ago, creator in each], now=self.NOW)

    def test_of_two_creators_are_held(self) -> None:
        assert self.vanished((0, "1"), (0, "2"))
        assert self.vanished((0, "1"), (CYCLE_SECONDS, "1"), (CYCLE_SECONDS, "2"))
        assert self.vanished((BLACKOUT_HOLD_SECONDS - 1, "1"), (BLACKOUT_HOLD_SECONDS - 1, "2"))

    def test_of_one_or_an_unknown_creator_are_believed(self) -> None:
        assert not self.vanished((0, "1"))
        assert not self.vanished((0, "1"), (0, "1"))
        assert not self.vanished((0, "1"), (0, None), (0, None))

    def test_one_after_the_other_are_believed(self) -> None:
        assert not self.vanished((0, "1"), (CYCLE_SECONDS + 1, "2"))

    def test_are_believed_eventually(self) -> None:
        assert not self.vanished((BLACKOUT_HOLD_SECONDS, "1"), (BLACKOUT_HOLD_SECONDS, "2"))


def test_a_poll_without_changes_adds_nothing_to_the_record() -> None:
    history = History(*polls([LIVE] * 5))
    assert history.state.as_json().keys() == {
        *("space", "phase", "sequence", "began_at", "observed_at", "phase_since", "started_event"),
    }


def test_new_fields_survive_the_store() -> None:
    history = History(*polls([LIVE, variant(LIVE, title="Two", host_ids=("1",)), LIVE]), restart=True)
    history.poll(seen(200, variant(LIVE, state="odd")), lists=(CREATORS,))
    history.poll(inaccessible(230))
    known: KnownSpace = history.state
    assert known.former
    assert known.listed == {CREATORS: START + 200}
    assert history.poll(inaccessible(231)) == ()
    assert replace(history.state, began_at=0) == replace(known, began_at=0)


def test_with_one_confirmation_a_return_still_needs_more_proof_each_time() -> None:
    old, new = versions("title", "there is no mark")
    history = History(seen(0, old), *polls(islice(cycle([new, old]), 12)), patience=Patience(1, 30.0))
    assert history.types.count("space.title_changed") == 2
