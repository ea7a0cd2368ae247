"""The events of a poll: their order, content and details."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from notifier.core.model.observation import Evidence
from tests.support.space_builders import (
    CANCELED_BY_SILENCE,
    ENDED,
    ENDED_BY_SILENCE,
    LIVE,
    PLANNED,
    History,
    at,
    not_found,
    seen,
    space,
    types,
    variant,
)

STARTED, ENDED_EVENT = "space.started", "space.ended"
CANCELED, UPDATED = "space.canceled", "space.updated"


class TestOrder:
    CHANGED: ClassVar[dict[str, object]] = {
        "title": "Renamed",
        "lang": "de",
        "host_ids": ("1", "2", "3"),
        "speaker_ids": ("7",),
    }

    @pytest.fixture
    def history(self) -> History:
        return History(seen(0, variant(PLANNED, lang="en")))

    def test_events_without_a_start_or_an_end(self, history: History) -> None:
        put_off = variant(PLANNED, scheduled_start=at(900), **self.CHANGED)
        assert types(history.poll(seen(30, put_off))) == [
            "space.rescheduled",
            "space.title_changed",
            UPDATED,
            "space.hosts_changed",
            "space.speakers_added",
        ]

    def test_going_live_comes_first(self, history: History) -> None:
        live = variant(LIVE, **self.CHANGED)
        assert types(history.poll(seen(620, live))) == [
            STARTED,
            "space.title_changed",
            UPDATED,
            "space.hosts_changed",
            "space.speakers_added",
        ]

    def test_the_end_comes_last(self, history: History) -> None:
        history.poll(seen(620, LIVE))
        ended = variant(ENDED, **self.CHANGED)
        assert types(history.poll(seen(4300, ended))) == [
            "space.title_changed",
            UPDATED,
            "space.hosts_changed",
            "space.speakers_added",
            ENDED_EVENT,
        ]

    def test_a_cancellation_comes_last(self, history: History) -> None:
        canceled = variant(PLANNED, state="canceled", scheduled_start=at(900), title="Renamed")
        assert types(history.poll(seen(30, canceled))) == ["space.title_changed", CANCELED]

    def test_a_start_and_an_end_in_one_poll_come_first_and_last(self, history: History) -> None:
        ended = variant(ENDED, **self.CHANGED)
        events = history.poll(seen(4300, ended))
        assert types(events)[0] == STARTED
        assert types(events)[-1] == ENDED_EVENT
        assert len(events) == 6

    def test_sequences_are_gapless_and_each_event_shows_its_resulting_state(self, history: History) -> None:
        history.poll(seen(4300, variant(ENDED, **self.CHANGED)))
        assert [event.sequence for event in history.events] == list(range(1, 8))
        started, renamed, *_, ended = history.events[1:]
        assert started.data["space"]["title"] == "Planned"
        assert "ended_at" not in started.data["space"]
        assert renamed.data["space"]["title"] == "Renamed"
        assert renamed.data["previous"] == {"title": "Planned"}
        assert ended.data["space"]["state"] == "ended"


class TestFieldsWithoutAnEventOfTheirOwn:
    def test_are_part_of_the_phase_event_when_they_become_known_with_it(self) -> None:
        history = History(seen(0, space("scheduled")))
        (event,) = history.poll(seen(620, variant(LIVE, lang="en", creator_id="1")))
        assert event.type == STARTED
        assert event.data["changed"] == [
            "creator_id",
            "host_ids",
            "lang",
            "scheduled_start",
            "started_at",
            "state",
            "title",
        ]

    def test_are_announced_by_an_update_when_the_phase_stays(self) -> None:
        history = History(seen(0, space("live")))
        (event,) = history.poll(seen(30, variant(LIVE, speaker_ids=None)))
        assert event.type == UPDATED
        assert event.data["changed"] == ["host_ids", "scheduled_start", "started_at", "title"]

    def test_a_scheduled_start_that_changes_while_live_is_an_update(self) -> None:
        history = History(seen(0, LIVE))
        (event,) = history.poll(seen(30, variant(LIVE, scheduled_start=at(660))))
        assert (event.type, event.data["previous"]) == (UPDATED, {"scheduled_start": at(600)})

    def test_counts_and_updated_at_change_without_an_event(self) -> None:
        history = History(seen(0, LIVE))
        moved = variant(LIVE, participant_count=9, subscriber_count=8, updated_at=at(20))
        assert history.poll(seen(30, moved)) == ()
        assert history.state.space == moved


class TestDetails:
    def details(self, *polls: Evidence) -> dict[str, Any]:
        return dict(History(*polls).events[-1].data["details"])

    @pytest.mark.parametrize("put_off_by", [300, -300])
    def test_of_a_reschedule(self, put_off_by: int) -> None:
        moved = variant(PLANNED, scheduled_start=at(600 + put_off_by))
        assert self.details(seen(0, PLANNED), seen(30, moved)) == {"delta_seconds": put_off_by}

    @pytest.mark.parametrize(("before", "after"), [(at(600), "soon"), ("soon", at(600)), ("soon", "later")])
    def test_an_unreadable_start_has_no_delta(self, before: str, after: str) -> None:
        history = History(seen(0, variant(PLANNED, scheduled_start=before)))
        (event,) = history.poll(seen(30, variant(PLANNED, scheduled_start=after)))
        assert (event.type, event.data["changed"]) == (UPDATED, ["scheduled_start"])
        assert event.data["space"]["scheduled_start"] == after

    def test_of_a_start(self) -> None:
        assert self.details(seen(0, PLANNED), seen(620, LIVE)) == {
            "late_by_seconds": 12,
            "unscheduled": False,
        }

    def test_of_an_unplanned_start(self) -> None:
        live = space("live", started_at=at(0.25))
        assert self.details(seen(1, live)) == {"late_by_seconds": None, "unscheduled": True}

    def test_of_an_end_that_x_states(self) -> None:
        polls = [
            seen(700 + 30 * number, variant(LIVE, participant_count=count))
            for number, count in enumerate((10, 250, 40))
        ]
        assert self.details(*polls, seen(4300, ENDED)) == {
            "duration_seconds": 3600,
            "peak_participant_count": 250,
        }

    def test_the_last_poll_may_have_the_highest_count(self) -> None:
        details = self.details(seen(700, LIVE), seen(4300, variant(ENDED, participant_count=9)))
        assert details["peak_participant_count"] == 9

    def test_of_an_inferred_end(self) -> None:
        history = History(seen(700, LIVE), not_found(730), not_found(760))
        event = history.events[-1]
        assert event.data["details"] == {
            "duration_seconds": None,
            "peak_participant_count": None,
            "ended_between": [at(700), at(730)],
        }
        assert event.data["inferred"] is True
        assert event.data["occurred_at"] is None
        assert event.timestamp == at(760)

    @pytest.mark.parametrize(
        ("polls", "reason"),
        [
            ((seen(30, space("canceled")),), "explicit"),
            ((not_found(30), not_found(60)), "not_found"),
            ((seen(30, space("ended", ended_at=at(20))),), "never_started"),
            ((not_found(30), seen(60, space("ended"))), "never_started"),
        ],
    )
    def test_of_a_cancellation(self, polls: tuple[Evidence, ...], reason: str) -> None:
        assert self.details(seen(0, PLANNED), *polls) == {"reason": reason}

    def test_of_a_correction(self) -> None:
        history = History(*ENDED_BY_SILENCE)
        wrong = history.events[-1]
        history.poll(seen(100, space("live")))
        (correction,) = history.poll(seen(130, space("live")))
        assert correction.data["details"] == {"retracts": wrong.id}
        assert (correction.data["previous"], correction.data["inferred"]) == ({"state": "ended"}, False)

    def test_an_unreadable_time_is_kept_but_dates_no_event(self) -> None:
        (event,) = History(seen(10, space("live", started_at="2021-7-14T04:35:55Z"))).events
        assert event.data["space"]["started_at"] == "2021-7-14T04:35:55Z"
        assert (event.data["occurred_at"], event.timestamp) == (None, at(10))

    def test_a_date_at_the_edge_of_the_calendar_does_no_harm(self) -> None:
        (event,) = History(seen(10, space("live", started_at="0001-01-01T00:00:00+23:59"))).events
        assert event.data["observed_between"] == [at(10), at(10)]

    def test_an_event_of_a_known_space_lies_between_the_two_last_sightings(self) -> None:
        history = History(seen(0, PLANNED), not_found(10), seen(30, variant(PLANNED, title="Renamed")))
        event = history.events[-1]
        assert event.data["observed_between"] == [at(0), at(30)]
        assert (event.data["observed_at"], event.data["first_sighting"]) == (at(30), False)


class TestCorrections:
    def test_a_corrected_space_can_end_again(self) -> None:
        history = History(*ENDED_BY_SILENCE, seen(100, LIVE), seen(130, LIVE))
        history.poll(seen(4300, ENDED))
        assert history.types[-1] == ENDED_EVENT
        assert history.state.retractable == history.events[-1].id

    def test_a_stated_start_is_announced_by_the_start_event_not_the_correction(self) -> None:
        live = space("live", started_at=at(90))
        history = History(*CANCELED_BY_SILENCE, seen(100, live), seen(130, live))
        corrected, started = history.events[-2:]
        assert corrected.data["changed"] == ["state"]
        assert corrected.data["space"]["state"] == "scheduled"
        assert started.data["changed"] == ["started_at", "state"]

    def test_a_correction_lies_after_the_last_sighting_before_the_mistake(self) -> None:
        history = History(*ENDED_BY_SILENCE, seen(100, space("live")), seen(130, space("live")))
        assert history.events[-1].data["observed_between"] == [at(0), at(130)]

    def test_an_inferred_end_that_x_confirms_counts_as_stated_from_then_on(self) -> None:
        history = History(*ENDED_BY_SILENCE, seen(100, ENDED))
        inferred = history.events[-1]
        assert history.state.is_over_by_word
        for seconds in (140, 180, 220):
            assert history.poll(seen(seconds, LIVE)) == ()
            assert history.poll(seen(seconds + 20, ENDED)) == ()
        for seconds in (260, 290, 320, 350):
            history.poll(seen(seconds, LIVE))
        correction = history.poll(seen(380, LIVE))[0]
        assert correction.data["details"] == {"retracts": inferred.id}

    def test_a_correction_is_not_itself_corrected(self) -> None:
        history = History(*CANCELED_BY_SILENCE, seen(100, PLANNED), seen(130, PLANNED))
        assert history.state.retractable is None
        assert types(history.poll(seen(620, LIVE))) == [STARTED]
