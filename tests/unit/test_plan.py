"""Planned starts: the reminder before, and the event about an overdue start."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.core.events.event import Event, EventType
from notifier.core.events.occasion import OVERDUE, REMINDER
from notifier.core.model.observation import Evidence
from notifier.core.model.space import Phase, Space
from notifier.core.spaces.known import KnownSpace
from notifier.core.spaces.merging import Patience
from notifier.core.spaces.plan import MAX_ANNOUNCED, note_announced, overdue_at, planned_start, reminder_at
from notifier.core.spaces.timers import ON_TIME_SECONDS, TimerKind, timers_of
from tests.support.space_builders import (
    LIVE,
    PATIENCE,
    PLANNED,
    START,
    History,
    at,
    described_body_of,
    not_found,
    reminder,
    seen,
    space,
    types,
    variant,
)

LEAD = PATIENCE.reminder
PLAN = 10_000


def planned(start: float | None = PLAN, **fields: object) -> Space:
    """Return a Space that is planned to start this many seconds after ``START``."""
    return variant(PLANNED, scheduled_start=None if start is None else at(start), **fields)


def armed(known: KnownSpace) -> float | None:
    """Return when the reminder is due, in seconds after ``START``, or None."""
    moment = timers_of(known, patience=PATIENCE).get(TimerKind.REMINDER)
    return None if moment is None else moment - START


class TestTheReminder:
    def test_is_set_for_the_configured_time_before_the_start(self) -> None:
        known = History(seen(0, planned())).state
        assert armed(known) == PLAN - 900
        own = replace(PATIENCE, reminder=60.0)
        assert timers_of(known, patience=own) == {TimerKind.REMINDER: START + PLAN - 60}

    def test_is_announced_once_when_it_fires(self) -> None:
        history = History(seen(0, planned(), took=0.5))
        (event,) = history.take(reminder(PLAN - LEAD + 1))
        assert (event.type, event.sequence) == (EventType.REMINDER, 2)
        assert event.data["details"] == {"minutes_before": 15}
        assert armed(history.state) is None
        assert history.take(reminder(PLAN - LEAD + 2)) == ()
        assert history.state.sequence == 2

    def test_shows_the_space_and_changes_nothing(self) -> None:
        history = History(seen(0, planned()))
        before = history.state.space
        (event,) = history.take(reminder(PLAN - LEAD))
        data = described_body_of(event)["data"]
        assert data["space"] == before.as_json()
        assert (data["changed"], data["previous"]) == ([], {})
        assert (data["inferred"], data["first_sighting"], data["occurred_at"]) == (False, False, None)
        assert data["observed_between"] == [at(0), at(PLAN - LEAD)]
        assert data["watch_ids"] == ["wch_0000000000000001"]
        assert event.timestamp == at(PLAN - LEAD)
        assert history.state.space == before

    @pytest.mark.parametrize("early", [0.001, 1, 5000])
    def test_is_not_announced_when_it_fires_too_early(self, early: float) -> None:
        history = History(seen(0, planned()))
        assert history.take(reminder(PLAN - LEAD - early)) == ()
        assert armed(history.state) == PLAN - LEAD

    def test_is_not_announced_for_an_unwatched_space(self) -> None:
        history = History(seen(0, planned()))
        assert history.take(replace(reminder(PLAN - LEAD), watched=False)) == ()
        assert armed(history.state) == PLAN - LEAD

    @pytest.mark.parametrize("start", [None, "soon"])
    def test_needs_a_readable_start(self, start: str | None) -> None:
        history = History(seen(0, variant(PLANNED, scheduled_start=start)))
        assert armed(history.state) is None
        assert history.take(reminder(PLAN)) == ()

    @pytest.mark.parametrize(
        ("late", "minutes"),
        [
            (0, 15),
            (ON_TIME_SECONDS, 15),
            (ON_TIME_SECONDS + 1, 14.48),
            (60, 14),
            (299, 10.02),
            (600, 5),
            (890, 0.17),
            (899.9, 0),
        ],
    )
    def test_that_is_late_states_the_remaining_minutes(self, late: float, minutes: float) -> None:
        history = History(seen(0, planned()))
        (event,) = history.take(reminder(PLAN - LEAD + late))
        assert event.data["details"] == {"minutes_before": minutes}
        described_body_of(event)

    @pytest.mark.parametrize("late", [900, 901, 90_000])
    def test_that_is_late_beyond_the_start_is_dropped(self, late: float) -> None:
        history = History(seen(0, planned()))
        assert history.take(reminder(PLAN - LEAD + late)) == ()
        assert armed(history.state) is None
        assert history.state.sequence == 1

    def test_that_is_late_survives_a_poll_in_between(self) -> None:
        history = History(seen(0, planned()))
        history.poll(seen(PLAN - LEAD + 100, planned(title="Renamed")))
        assert armed(history.state) == PLAN - LEAD
        (event,) = history.take(reminder(PLAN - LEAD + 120))
        assert event.data["details"] == {"minutes_before": 13}

    def test_of_a_lead_shorter_than_its_tolerance_is_not_announced_after_the_start(self) -> None:
        own = replace(PATIENCE, reminder=10.0)
        history = History(seen(0, planned()), patience=own)
        assert history.take(reminder(PLAN + 1)) == ()

    @pytest.mark.parametrize(
        "first_seen", [PLAN - LEAD, PLAN - LEAD + 1, PLAN - 1, PLAN, PLAN + 5000], ids=lambda at: f"{at}s"
    )
    @pytest.mark.parametrize("silent", [False, True])
    def test_of_a_start_learned_of_too_late_is_skipped(self, first_seen: float, silent: bool) -> None:
        history = History(seen(first_seen, planned()), silent=silent)
        assert armed(history.state) is None
        assert history.take(reminder(first_seen + 1)) == ()

    def test_of_a_start_learned_of_in_time_is_kept(self) -> None:
        assert armed(History(seen(PLAN - LEAD - 1, planned()), silent=True).state) == PLAN - LEAD


class TestAReschedule:
    @pytest.mark.parametrize("other", [PLAN + 5000, PLAN - 5000])
    def test_moves_the_reminder(self, other: float) -> None:
        history = History(seen(0, planned()), seen(60, planned(other)))
        assert armed(history.state) == other - LEAD
        if other > PLAN:
            assert history.take(reminder(PLAN - LEAD)) == ()
        assert types(history.take(reminder(other - LEAD))) == [EventType.REMINDER]

    def test_after_the_reminder_reminds_again(self) -> None:
        history = History(seen(0, planned()), reminder(PLAN - LEAD))
        history.poll(seen(PLAN - 800, planned(PLAN + 5000)))
        assert types(history.take(reminder(PLAN + 5000 - LEAD))) == [EventType.REMINDER]
        one, other = (event.id for event in history.events if event.type is EventType.REMINDER)
        assert one != other

    def test_to_a_start_within_the_lead_skips_the_reminder(self) -> None:
        history = History(seen(0, planned()))
        assert types(history.poll(seen(60, planned(60 + LEAD)))) == [EventType.RESCHEDULED]
        assert armed(history.state) is None

    def test_and_back_does_not_remind_of_the_same_start_again(self) -> None:
        history = History(seen(0, planned()), reminder(PLAN - LEAD))
        history.poll(seen(PLAN - 800, planned(PLAN + 5000)))
        history.poll(seen(PLAN - 700, planned()))
        history.poll(seen(PLAN - 670, planned()))
        assert history.types[-1] == EventType.RESCHEDULED
        assert armed(history.state) is None
        assert history.take(reminder(PLAN - 600)) == ()

    def test_and_back_before_the_reminder_keeps_it(self) -> None:
        history = History(seen(0, planned()), seen(60, planned(PLAN + 5000)))
        history.poll(seen(120, planned()))
        history.poll(seen(150, planned()))
        assert armed(history.state) == PLAN - LEAD

    def test_back_to_a_start_whose_reminder_was_skipped_does_not_remind(self) -> None:
        history = History(seen(PLAN - 800, planned()), seen(PLAN - 790, planned(PLAN + 5000)))
        history.poll(seen(PLAN - 780, planned()))
        history.poll(seen(PLAN - 750, planned()))
        assert armed(history.state) is None

    def test_to_the_same_time_in_another_format_is_none(self) -> None:
        history = History(seen(0, variant(PLANNED, scheduled_start="2021-07-14T12:00:00Z")))
        (event,) = history.take(reminder(4 * 3600 - LEAD))
        history.poll(seen(4 * 3600 - 800, variant(PLANNED, scheduled_start="2021-07-14T14:00:00.000+02:00")))
        assert armed(history.state) is None
        assert event.data["space"]["scheduled_start"] == "2021-07-14T12:00:00Z"

    def test_repeated_without_end_does_not_grow_the_record(self) -> None:
        history = History(seen(0, planned()))
        for number in range(3 * MAX_ANNOUNCED):
            start = PLAN * (number + 1)
            history.take(reminder(start - LEAD))
            history.poll(seen(start - 100, planned(start + PLAN)))
        assert history.types.count(EventType.REMINDER) == 3 * MAX_ANNOUNCED
        assert len(history.state.announced) == MAX_ANNOUNCED


class TestTheReminderIsDropped:
    @pytest.mark.parametrize(
        ("polls", "phase"),
        [
            ([seen(60, LIVE)], Phase.LIVE),
            ([seen(60, space("canceled"))], Phase.CANCELED),
            ([not_found(60), not_found(90)], Phase.CANCELED),
            ([seen(60, space("ended", ended_at=at(50)))], Phase.CANCELED),
            ([seen(60, space("ended", started_at=at(40), ended_at=at(50)))], Phase.ENDED),
        ],
        ids=["start", "cancellation", "not found", "never started", "end"],
    )
    def test_when_the_space_is_no_longer_scheduled(self, polls: list[Evidence], phase: Phase) -> None:
        history = History(seen(0, planned()), *polls)
        assert history.phase is phase
        assert TimerKind.REMINDER not in timers_of(history.state, patience=PATIENCE)
        assert history.take(reminder(PLAN - LEAD)) == ()

    def test_but_restored_when_a_cancellation_is_corrected(self) -> None:
        history = History(seen(0, planned()), not_found(10), not_found(40), seen(100, planned()))
        history.poll(seen(130, planned()))
        assert history.types[-1] == "space.corrected"
        assert armed(history.state) == PLAN - LEAD

    def test_and_not_announced_late_when_the_space_returns_after_its_time(self) -> None:
        history = History(seen(0, planned()), not_found(10), not_found(40))
        back = PLAN - LEAD + 100
        history.poll(seen(back, planned()))
        history.poll(seen(back + 30, planned()))
        assert history.types[-1] == "space.corrected"
        assert armed(history.state) is None


class TestAnOverdueStart:
    def test_is_announced_by_the_first_poll_requested_after_that_time(self) -> None:
        history = History(seen(0, planned()))
        assert history.poll(seen(PLAN + 599, planned())) == ()
        assert history.poll(seen(PLAN + 600.5, planned())) == ()
        (event,) = history.poll(seen(PLAN + 602, planned()))
        assert (event.type, event.sequence) == (EventType.START_OVERDUE, 2)
        assert event.data["details"] == {"overdue_seconds": 602}
        assert (event.data["changed"], event.data["inferred"]) == ([], False)
        described_body_of(event)

    def test_is_announced_once(self) -> None:
        history = History(seen(0, planned()), restart=True)
        for seconds in range(PLAN + 600, PLAN + 10_000, 600):
            history.poll(seen(seconds, planned()))
        assert history.types == ["space.scheduled", "space.start_overdue"]

    def test_is_announced_by_any_poll_that_shows_it_scheduled_however_late(self) -> None:
        history = History(seen(0, planned()))
        (event,) = history.poll(seen(PLAN + 90_000.25, planned()))
        assert event.data["details"] == {"overdue_seconds": 90_000.25}

    def test_comes_after_the_configured_time(self) -> None:
        history = History(seen(0, planned()), patience=Patience(2, 30.0, overdue=5.0))
        assert history.poll(seen(PLAN + 4, planned())) == ()
        assert types(history.poll(seen(PLAN + 6, planned()))) == ["space.start_overdue"]

    @pytest.mark.parametrize("state", ["paused", None])
    def test_is_not_announced_by_a_poll_that_leaves_the_state_open(self, state: str | None) -> None:
        history = History(seen(0, planned()))
        assert history.poll(seen(PLAN + 700, planned(state=state))) == ()
        assert types(history.poll(seen(PLAN + 710, planned()))) == ["space.start_overdue"]

    def test_is_not_announced_by_a_poll_that_postpones_it(self) -> None:
        history = History(seen(0, planned()))
        later = planned(PLAN + 5000)
        assert types(history.poll(seen(PLAN + 700, later))) == [EventType.RESCHEDULED]
        assert history.poll(seen(PLAN + 5599, later)) == ()
        assert types(history.poll(seen(PLAN + 5602, later))) == [EventType.START_OVERDUE]

    def test_is_announced_again_for_the_next_planned_start_and_not_again_for_the_same(self) -> None:
        history = History(seen(0, planned()))
        for seconds, start in ((600, PLAN), (6000, PLAN + 5000), (6100, PLAN), (6200, PLAN + 5000)):
            history.poll(seen(PLAN + seconds + 2, planned(start)))
        overdue = [event for event in history.events if event.type is EventType.START_OVERDUE]
        assert [event.data["space"]["scheduled_start"] for event in overdue] == [at(PLAN), at(PLAN + 5000)]
        assert len({event.id for event in overdue}) == 2

    @pytest.mark.parametrize("state", ["live", "canceled"])
    def test_is_not_announced_by_a_poll_that_shows_it_started_or_over(self, state: str) -> None:
        history = History(seen(0, planned()))
        events = history.poll(seen(PLAN + 700, planned(state=state)))
        assert EventType.START_OVERDUE not in types(events)

    def test_comes_last_among_the_events_of_its_poll(self) -> None:
        history = History(seen(0, planned()))
        renamed = planned(title="Renamed", host_ids=("1", "2", "3"))
        assert types(history.poll(seen(PLAN + 700, renamed))) == [
            "space.title_changed",
            "space.hosts_changed",
            "space.start_overdue",
        ]

    def test_waits_while_the_source_is_degraded_and_is_announced_by_the_first_poll_after(self) -> None:
        history = History(seen(0, planned()))
        renamed = planned(title="Renamed")
        assert types(history.poll(seen(PLAN + 700, renamed), degraded=True)) == ["space.title_changed"]
        assert history.poll(seen(PLAN + 710, renamed), degraded=True) == ()
        (event,) = history.poll(seen(PLAN + 720, renamed))
        assert event.data["details"] == {"overdue_seconds": 720}

    def test_is_announced_for_a_space_from_a_baseline(self) -> None:
        history = History(seen(PLAN + 700, planned()), silent=True)
        assert types(history.poll(seen(PLAN + 710, planned()))) == ["space.start_overdue"]

    def test_uses_the_believed_start_with_an_older_updated_at(self) -> None:
        current = planned(updated_at=at(0))
        history = History(seen(0, current))
        stale = planned(PLAN + 50_000, updated_at=at(-1))
        assert types(history.poll(seen(PLAN + 700, stale))) == ["space.start_overdue"]


@pytest.mark.parametrize("what", [EventType.REMINDER, EventType.START_OVERDUE])
def test_ids_of_two_planned_starts_differ_in_the_same_place(what: EventType) -> None:
    events: list[Event] = []
    for start in (PLAN, PLAN + 5000):
        step = reminder(start - LEAD) if what is EventType.REMINDER else seen(start + 700, planned(start))
        events += History(seen(0, planned(start))).take(step)
    one, other = events
    assert (one.type, one.sequence) == (other.type, other.sequence) == (what, 2)
    assert one.id != other.id


@pytest.mark.parametrize("what", [REMINDER, OVERDUE])
def test_an_announcement_is_recorded_once(what: str) -> None:
    known = History(seen(0, planned())).state
    noted = note_announced(known, what)
    assert len(noted.announced) == 1
    assert note_announced(noted, what) is noted


def test_without_a_planned_start_nothing_is_recorded() -> None:
    known = History(seen(0, planned(None))).state
    assert note_announced(known, REMINDER) is known


@pytest.mark.parametrize("phase", [Phase.LIVE, Phase.ENDED, Phase.CANCELED])
def test_only_a_scheduled_space_has_a_planned_start(phase: Phase) -> None:
    known = replace(History(seen(0, planned())).state, phase=phase)
    assert planned_start(known) is None
    assert reminder_at(known, lead=LEAD) is None
    assert overdue_at(known, overdue=600.0) is None


@pytest.mark.parametrize(
    "start",
    [
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59.999999Z",
        "9999-12-31T23:59:59.99999Z",
    ],
)
def test_a_start_at_the_edge_of_the_calendar_does_no_harm(start: str) -> None:
    history = History(seen(0, variant(PLANNED, scheduled_start=start)), restart=True)
    history.poll(seen(60, variant(PLANNED, scheduled_start=start)))
    history.take(reminder(1e12))
    assert set(history.types) <= {"space.scheduled", "space.start_overdue"}


@given(st.lists(st.tuples(st.sampled_from([1500, 3000, 6000]), st.integers(1, 1500)), max_size=12))
def test_no_start_has_two_reminders_or_is_overdue_twice(steps: list[tuple[int, int]]) -> None:
    history = History(seen(0, planned(1500)), restart=True)
    seconds = 0
    for start, pause in steps:
        seconds += pause
        history.take(reminder(seconds))
        history.poll(seen(seconds + 1, planned(start)))
    for what in (EventType.REMINDER, EventType.START_OVERDUE):
        starts = [event.data["space"]["scheduled_start"] for event in history.events if event.type is what]
        assert len(starts) == len(set(starts))
    for event in history.events:
        if event.type is EventType.REMINDER:
            assert event.timestamp < event.data["space"]["scheduled_start"]
