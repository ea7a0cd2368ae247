"""The numbered edge cases of docs/architecture.md that a single poll decides."""

from __future__ import annotations

import json

import pytest

from notifier.core.delivery.endpoint import Filters
from notifier.core.delivery.filters import passes
from notifier.core.events.event import encode
from notifier.core.model.answers import read_answer
from notifier.core.model.ids import SpaceId, WatchId
from notifier.core.model.observation import Call, Evidence, Failure, Observation, Presence, Question, failed
from notifier.core.model.poll import Cadence, NextPoll, Urgency
from notifier.core.model.problems import FailureKind
from notifier.core.model.space import Phase, Space
from notifier.core.spaces.decide import PollContext, decide
from notifier.core.spaces.known import KnownSpace
from notifier.core.spaces.next_poll import next_poll
from notifier.core.spaces.timers import TimerKind, timers_of
from tests.support.space_builders import (
    ENDED,
    ENDED_BY_SILENCE,
    LIVE,
    PATIENCE,
    PLANNED,
    START,
    Cycle,
    History,
    at,
    not_found,
    reminder,
    seen,
    space,
    types,
    variant,
)

LOOKUP = Question(Call.LOOKUP, ("1zqKVXPQhvZJB",))
NOT_FOUND_TYPE = "https://api.x.com/2/problems/resource-not-found"


def tracked(*names: str) -> dict[str, KnownSpace]:
    """Return live, known Spaces."""
    found = {}
    for name in names:
        space_id = SpaceId(name)
        poll = seen(0, Space(id=space_id, state="live"))
        decision = decide(None, poll, patience=PATIENCE, context=PollContext())
        assert decision.known is not None
        found[name] = decision.known
    return found


def poll_all(
    known: dict[str, KnownSpace], observation: Observation, *, mass_vanish: bool = False
) -> list[str]:
    """Apply one answer for every Space, and return the types of the events."""
    context = PollContext(mass_vanish=mass_vanish)
    announced: list[str] = []
    for name, state in known.items():
        decision = decide(state, observation.evidence(SpaceId(name)), patience=PATIENCE, context=context)
        assert decision.known is not None
        known[name] = decision.known
        announced += types(decision.events)
    return announced


def test_case_1_first_run_with_three_live_spaces_makes_no_space_event() -> None:
    for number in range(3):
        found = Space(id=SpaceId(f"space{number}"), state="live")
        history = History(seen(0, found), silent=True)
        assert (history.events, history.phase) == ([], Phase.LIVE)


def test_case_2_first_seen_live_forty_minutes_late() -> None:
    (event,) = History(seen(2400, space("live", scheduled_start=at(-30), started_at=at(0)))).events
    assert event.type == "space.started"
    assert event.data["first_sighting"] is True
    assert event.data["occurred_at"] == event.timestamp == at(0)
    assert event.data["observed_between"] == [at(0), at(2400)]
    assert event.data["details"] == {"late_by_seconds": 30, "unscheduled": False}
    assert event.data["previous"] == {}


def test_case_3_first_seen_ended_is_stored_without_an_event() -> None:
    history = History(seen(5000, ENDED))
    assert (history.phase, history.state.sequence, history.events) == (Phase.ENDED, 0, [])


@pytest.mark.parametrize(
    "polls", [[seen(4300, ENDED)], [seen(4300 + n, variant(ENDED, ended_at=None)) for n in (0, 31)]]
)
def test_case_4_scheduled_then_ended_between_two_polls(polls: list[Evidence]) -> None:
    history = History(seen(0, PLANNED), *polls)
    started, ended = history.events[1:]
    assert (started.type, started.sequence, started.data["inferred"]) == ("space.started", 2, True)
    assert started.timestamp == at(612)
    assert (ended.type, ended.sequence, ended.data["inferred"]) == ("space.ended", 3, False)


def test_case_4_without_a_start_it_never_started() -> None:
    history = History(seen(0, PLANNED), seen(4300, space("ended", ended_at=at(4212))))
    canceled = history.events[-1]
    assert (canceled.type, canceled.data["details"]) == ("space.canceled", {"reason": "never_started"})
    assert history.types == ["space.scheduled", "space.canceled"]


def test_case_4_with_an_earlier_start_it_ends() -> None:
    history = History(seen(0, variant(PLANNED, started_at=at(612))))
    assert types(history.poll(seen(4300, space("ended", ended_at=at(4212))))) == [
        "space.started",
        "space.ended",
    ]


def test_case_5_rescheduled_twice_between_polls_is_one_reschedule() -> None:
    history = History(seen(0, PLANNED))
    (event,) = history.poll(seen(60, variant(PLANNED, scheduled_start=at(1800))))
    assert event.type == "space.rescheduled"
    assert event.data["previous"] == {"scheduled_start": at(600)}
    assert event.data["details"] == {"delta_seconds": 1200}


@pytest.mark.parametrize("spelling", [at(600), "2021-07-14T10:10:00+02:00", "2021-07-14T08:10:00Z"])
def test_case_5_rescheduled_and_back_again_is_none(spelling: str) -> None:
    history = History(seen(0, PLANNED))
    assert history.poll(seen(60, variant(PLANNED, scheduled_start=spelling))) == ()


def test_case_6_rescheduled_into_the_past_and_live_in_one_poll() -> None:
    history = History(seen(0, PLANNED))
    (event,) = history.poll(seen(200, variant(LIVE, scheduled_start=at(100), started_at=at(101))))
    assert event.type == "space.started"
    assert event.data["details"] == {"late_by_seconds": 1, "unscheduled": False}
    assert event.data["previous"] == {"scheduled_start": at(600), "state": "scheduled"}


def test_case_7_title_and_state_in_one_poll_are_two_events_in_order() -> None:
    history = History(seen(0, PLANNED))
    assert types(history.poll(seen(620, variant(LIVE, title="Renamed")))) == [
        "space.started",
        "space.title_changed",
    ]
    assert types(history.poll(seen(4300, variant(ENDED, title="Renamed again")))) == [
        "space.title_changed",
        "space.ended",
    ]


@pytest.mark.parametrize("call", [Call.CREATORS, Call.SEARCH])
def test_case_8_gone_from_creators_while_the_lookup_says_live(call: Call) -> None:
    history = History(seen(0, LIVE))
    before = history.known
    gone = read_answer(Question(call, ("2244994945",)), {"meta": {"result_count": 0}}, START + 59, START + 60)
    assert history.poll(gone.evidence(LIVE.id)) == ()
    assert history.known == before
    assert history.poll(seen(61, LIVE)) == ()


def test_case_9_not_found_then_live_makes_no_event() -> None:
    history = History(seen(0, LIVE))
    for seconds in (30, 90, 150):
        assert history.poll(not_found(seconds)) == ()
        assert history.poll(seen(seconds + 30, LIVE)) == ()
    assert history.phase is Phase.LIVE


def test_case_9_live_again_after_the_inferred_end_is_a_correction() -> None:
    history = History(*ENDED_BY_SILENCE)
    wrong = history.events[-1]
    assert history.poll(seen(70, space("live"))) == ()
    (event,) = history.poll(seen(100, space("live")))
    assert (event.type, event.data["details"]) == ("space.corrected", {"retracts": wrong.id})
    assert history.phase is Phase.LIVE


@pytest.mark.parametrize("kind", FailureKind)
def test_case_10_a_failed_call_for_a_whole_batch_changes_nothing(kind: FailureKind) -> None:
    known = tracked("a", "b", "c")
    before = dict(known)
    question = Question(Call.LOOKUP, tuple(known))
    for seconds in (30, 60, 90, 120):
        answer = failed(question, Failure(kind, "no answer"), START + seconds, START + seconds + 15)
        assert poll_all(known, answer) == []
    assert known == before


def test_case_11_nothing_but_errors_for_a_hundred_ids_opens_the_circuit() -> None:
    names = tuple(f"space{number}" for number in range(100))
    known = tracked(*names)
    errors = [
        {"type": NOT_FOUND_TYPE, "resource_type": "space", "parameter": "ids", "resource_id": name}
        for name in names
    ]
    cycle = Cycle()
    for seconds in range(30, 3600, 30):
        answer = read_answer(
            Question(Call.LOOKUP, names), {"errors": errors}, START + seconds, START + seconds + 1
        )
        mass_vanish = cycle.note(known, answer)
        assert mass_vanish
        assert poll_all(known, answer, mass_vanish=mass_vanish) == []
    assert {state.phase for state in known.values()} == {Phase.LIVE}


def test_case_11_is_seen_across_many_requests_of_a_few_ids_each() -> None:
    names = tuple(f"space{number}" for number in range(20))
    known = tracked(*names)
    cycle = Cycle()
    announced: list[str] = []
    for number in range(4 * len(names)):
        name = names[number % len(names)]
        error = {"type": NOT_FOUND_TYPE, "resource_type": "space", "resource_id": name}
        answer = read_answer(
            Question(Call.LOOKUP, (name,)), {"errors": [error]}, START + 2 * number, START + 2 * number + 1
        )
        mass_vanish = cycle.note({name: known[name]}, answer)
        announced += poll_all(known, answer, mass_vanish=mass_vanish)
    assert announced == []
    assert {state.phase for state in known.values()} == {Phase.LIVE}


def test_case_12_errors_about_users_do_not_affect_phases() -> None:
    known = tracked("1zqKVXPQhvZJB")
    body = {
        "errors": [
            {"type": NOT_FOUND_TYPE, "resource_type": "user", "parameter": "speaker_ids", "resource_id": "7"},
            {
                "type": NOT_FOUND_TYPE,
                "resource_type": "user",
                "parameter": "ids",
                "resource_id": "1zqKVXPQhvZJB",
            },
        ]
    }
    before = dict(known)
    for seconds in (30, 60, 90):
        assert poll_all(known, read_answer(LOOKUP, body, START + seconds, START + seconds + 1)) == []
    assert {name: state.phase for name, state in known.items()} == {
        name: state.phase for name, state in before.items()
    }
    # That X leaves the Space out is recorded, and has no effect for hours (E7).
    assert known["1zqKVXPQhvZJB"].unclear_since == START + 31


def test_case_13_a_late_answer_is_dropped() -> None:
    history = History(seen(0, PLANNED), seen(620, LIVE))
    before = history.known
    assert history.poll(seen(630, variant(PLANNED, title="Old"), took=60)) == ()
    assert history.known == before


def test_case_13_the_same_snapshot_twice_makes_no_event() -> None:
    history = History(seen(0, PLANNED), seen(620, LIVE))
    assert history.poll(seen(620, LIVE)) == ()
    assert history.poll(seen(650, LIVE)) == ()


def test_case_14_speakers_shrink_and_grow_back() -> None:
    history = History(seen(0, variant(LIVE, speaker_ids=("7", "8", "9"))))
    for speakers in (("7",), (), ("9", "8"), ("7", "8", "9")):
        for seconds in (0, 31):
            assert history.poll(seen(700 + seconds, variant(LIVE, speaker_ids=speakers))) == ()
    assert history.state.space.speaker_ids == ("7", "8", "9")


def test_case_15_scheduled_in_the_past_when_first_seen() -> None:
    history = History(seen(3600, PLANNED))
    assert history.types == ["space.scheduled"]
    again = next_poll(history.state, now=START + 3600, cadence=Cadence(), patience=PATIENCE)
    assert again == NextPoll(START + 3600 + 600, Urgency.PATIENT)


def test_case_15_is_overdue_after_another_poll_and_only_then() -> None:
    history = History(seen(3600, PLANNED))
    assert history.poll(seen(3600, PLANNED)) == ()
    assert history.poll(seen(3620, PLANNED, took=21)) == ()
    (event,) = history.poll(seen(4200, PLANNED))
    assert (event.type, event.data["details"]) == ("space.start_overdue", {"overdue_seconds": 3600})
    assert history.poll(seen(4800, PLANNED)) == ()


@pytest.mark.parametrize(("took", "announced"), [(1, []), (0.001, []), (0, ["space.start_overdue"])])
def test_case_15_the_poll_must_be_requested_after_the_overdue_time(took: float, announced: list[str]) -> None:
    history = History(seen(0, PLANNED), seen(900, PLANNED))
    assert types(history.poll(seen(1200, PLANNED, took=took))) == announced
    assert types(history.poll(seen(1202, PLANNED))) == (["space.start_overdue"] if not announced else [])


@pytest.mark.parametrize(
    "kind", [Presence.FAILED, Presence.ABSENT, Presence.NOT_FOUND], ids=lambda presence: presence.value
)
def test_case_15_a_poll_without_a_sighting_makes_no_start_overdue(kind: Presence) -> None:
    history = History(seen(0, PLANNED))
    assert history.poll(Evidence(PLANNED.id, kind, START + 5000, START + 5001)) == ()


def test_case_16_started_three_seconds_early() -> None:
    history = History(seen(0, PLANNED))
    (event,) = history.poll(seen(610, variant(LIVE, started_at=at(597))))
    assert event.data["details"]["late_by_seconds"] == -3


def test_case_17_a_reminder_due_in_the_same_tick_as_the_start_is_dropped() -> None:
    history = History(seen(0, variant(PLANNED, scheduled_start=at(1500))))
    assert timers_of(history.state, patience=PATIENCE) == {TimerKind.REMINDER: START + 600}
    (started,) = history.poll(seen(600, variant(LIVE, scheduled_start=at(1500), started_at=at(599))))
    assert started.type == "space.started"
    assert timers_of(history.state, patience=PATIENCE) == {}
    before = history.known
    assert history.fire(reminder(600)) == ()
    assert history.known == before


def test_case_18_ids_that_differ_only_in_case_are_two_spaces() -> None:
    body = {"data": [{"id": "1zqKVXPQhvZJB", "state": "live"}, {"id": "1ZQKVXPQHVZJB", "state": "scheduled"}]}
    answer = read_answer(Question(Call.LOOKUP, ("1zqKVXPQhvZJB", "1ZQKVXPQHVZJB")), body, START, START + 1)
    announced = {}
    for space_id in answer.snapshots:
        decision = decide(None, answer.evidence(space_id), patience=PATIENCE, context=PollContext())
        announced[space_id] = decision.events[0]
    lower, upper = announced[SpaceId("1zqKVXPQhvZJB")], announced[SpaceId("1ZQKVXPQHVZJB")]
    assert [lower.type, upper.type] == ["space.started", "space.scheduled"]
    assert lower.id != upper.id
    assert answer.evidence(SpaceId("1zqkvxpqhvzjb")).presence is Presence.ABSENT


def test_case_19_one_space_matched_by_three_watches_is_one_event() -> None:
    watches = tuple(WatchId(f"wch_{number:016}") for number in range(3))
    decision = decide(None, seen(0, LIVE), patience=PATIENCE, context=PollContext(watches))
    (event,) = decision.events
    assert event.data["watch_ids"] == list(watches)
    for watch in watches:
        assert passes(Filters(watch_ids=(watch,)), event.routing)


def test_case_20_two_workers_that_see_the_same_transition_make_the_same_event() -> None:
    before = History(seen(0, PLANNED)).known
    (one,) = decide(before, seen(620, LIVE), patience=PATIENCE, context=PollContext()).events
    (other,) = decide(before, seen(625, LIVE, took=3), patience=PATIENCE, context=PollContext()).events
    assert (one.id, one.sequence) == (other.id, other.sequence)


HOSTILE_TITLES = {
    "everyone": "@everyone <!channel> <!here>",
    "markup": "</b><script>alert(1)</script> & [a](b) *c* ~d~ `e`",
    "line ends": "one\r\ntwo\nthree\rfour\u2028five",
    "right to left": "\u202egnp.exe\u202c \u0633\u0644\u0627\u0645",
    "emoji": "\U0001f3d9\ufe0f\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea",
    "controls": "\x00\x1b[31m\x7f",
    "quotes": '"\\"\\u0041',
    "five thousand": "x" * 5000,
}


@pytest.mark.parametrize("title", HOSTILE_TITLES.values(), ids=HOSTILE_TITLES)
def test_case_22_a_hostile_title_is_kept_raw(title: str) -> None:
    answer = read_answer(
        LOOKUP, {"data": {"id": "1zqKVXPQhvZJB", "state": "live", "title": title}}, START, START + 1
    )
    (event,) = decide(None, answer.evidence(LIVE.id), patience=PATIENCE, context=PollContext()).events
    assert json.loads(encode(event))["data"]["space"]["title"] == title
