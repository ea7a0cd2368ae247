"""When X is believed to have lost a Space, and what is left after its erasure."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.core.delivery.endpoint import Endpoint, Filters
from notifier.core.delivery.filters import is_wanted
from notifier.core.events.event import EventType, PayloadForm, encode
from notifier.core.model.ids import EndpointId
from notifier.core.model.observation import Evidence
from notifier.core.model.space import FIELD_KINDS, FieldKind, Phase, Space
from notifier.core.spaces.known import KnownSpace
from notifier.core.spaces.next_poll import FORGOTTEN_SECONDS
from notifier.core.spaces.timers import ERASE_AFTER_SECONDS, TimerKind, timers_of
from tests.support.space_builders import (
    CANCELED_BY_SILENCE,
    ENDED,
    ENDED_BY_SILENCE,
    PATIENCE,
    PLANNED,
    SPACE_ID,
    START,
    History,
    absent,
    at,
    described_body_of,
    erasure,
    failed_call,
    not_found,
    reminder,
    seen,
    space,
    types,
    user,
    variant,
)

FULL = space(
    "live",
    title="A very private title",
    lang="xx-private",
    creator_id="2244994945",
    created_at=at(-60),
    scheduled_start=at(0),
    started_at=at(1),
    updated_at=at(3),
    is_ticketed=True,
    participant_count=40,
    subscriber_count=5,
    host_ids=("31337001", "31337002"),
    speaker_ids=("31337003",),
    invited_user_ids=("31337004",),
    topic_ids=("31337005",),
)
FULL_ENDED = variant(FULL, state="ended", ended_at=at(4200))
PEOPLE = [user("31337001", "A private name"), user("31337003", "Another private name")]
CONTENT = ("private", "user_31337", "31337")
"""What must not be left of :data:`FULL` and :data:`PEOPLE`."""


def erased_at(known: KnownSpace) -> float | None:
    """Return when the content is erased, in seconds after ``START``, or None."""
    moment = timers_of(known, patience=PATIENCE).get(TimerKind.ERASURE)
    return None if moment is None else moment - START


def gone_at(known: KnownSpace) -> float | None:
    return None if known.gone_since is None else known.gone_since - START


def left_of(known: KnownSpace) -> str:
    return json.dumps(known.as_json())


class TestASpaceIsGone:
    def test_when_x_repeatedly_does_not_find_it_after_its_end(self) -> None:
        history = History(seen(0, FULL), seen(4300, FULL_ENDED))
        history.poll(not_found(4360))
        assert gone_at(history.state) is None
        history.poll(not_found(4389))
        assert gone_at(history.state) is None
        assert history.poll(not_found(4390)) == ()
        assert gone_at(history.state) == 4360
        history.poll(not_found(9000))
        assert gone_at(history.state) == 4360

    def test_from_the_moment_x_cancels_it(self) -> None:
        history = History(seen(0, PLANNED), seen(60, space("canceled")))
        assert gone_at(history.state) == 60
        history.poll(seen(120, space("canceled")))
        assert gone_at(history.state) == 60

    def test_when_x_cancels_it_while_it_is_live_and_says_so_again(self) -> None:
        history = History(seen(0, FULL), seen(60, space("canceled")), seen(90, space("canceled")))
        assert (history.phase, gone_at(history.state)) == (Phase.ENDED, 90)

    def test_when_it_is_first_seen_canceled(self) -> None:
        history = History(seen(60, space("canceled", title="A title")))
        assert (history.events, gone_at(history.state)) == ([], 60)

    @pytest.mark.parametrize("silence", [ENDED_BY_SILENCE, CANCELED_BY_SILENCE])
    def test_since_it_was_missing_where_its_end_was_inferred(self, silence: tuple[Evidence, ...]) -> None:
        assert gone_at(History(*silence).state) == 10

    @pytest.mark.parametrize(
        "polls",
        [
            (seen(0, PLANNED),),
            (seen(0, FULL),),
            (seen(0, FULL), not_found(60)),
            (seen(0, FULL), seen(4300, FULL_ENDED)),
            (seen(4300, FULL_ENDED),),
            (seen(0, PLANNED), seen(60, space("ended", ended_at=at(50)))),
            (seen(0, FULL), seen(4300, FULL_ENDED), absent(4360), absent(4400), failed_call(4500)),
            (seen(0, FULL), seen(4300, FULL_ENDED), not_found(4360), not_found(4360)),
        ],
    )
    def test_but_not_while_x_may_still_have_it(self, polls: tuple[Evidence, ...]) -> None:
        assert History(*polls).state.gone_since is None

    @pytest.mark.parametrize("word", ["ended", "live", "scheduled", "paused", None])
    def test_only_when_the_not_founds_are_consecutive(self, word: str | None) -> None:
        history = History(seen(0, FULL), seen(4300, FULL_ENDED), not_found(4360))
        history.poll(seen(4380, variant(FULL, state=word)))
        history.poll(not_found(4400))
        assert gone_at(history.state) is None
        history.poll(not_found(4430))
        assert gone_at(history.state) == 4400

    def test_no_longer_when_it_is_seen_again(self) -> None:
        history = History(seen(0, FULL), seen(4300, FULL_ENDED), not_found(4360), not_found(4400))
        assert gone_at(history.state) == 4360
        history.poll(seen(4430, FULL_ENDED))
        assert gone_at(history.state) is None

    def test_no_longer_when_x_confirms_an_inferred_end(self) -> None:
        history = History(*ENDED_BY_SILENCE, seen(100, variant(ENDED, started_at=None)))
        assert (gone_at(history.state), history.state.is_over_by_word) == (None, True)

    @pytest.mark.parametrize("silence", [ENDED_BY_SILENCE, CANCELED_BY_SILENCE])
    def test_no_longer_when_its_end_is_corrected(self, silence: tuple[Evidence, ...]) -> None:
        history = History(*silence, seen(100, FULL), seen(130, FULL))
        assert "space.corrected" in history.types
        assert (gone_at(history.state), erased_at(history.state)) == (None, None)

    def test_a_single_sighting_after_an_inferred_end_is_not_enough(self) -> None:
        history = History(*ENDED_BY_SILENCE, seen(100, space("live")))
        assert gone_at(history.state) == 10


class TestTheErasure:
    def test_is_due_half_a_day_after_x_lost_the_space(self) -> None:
        assert ERASE_AFTER_SECONDS <= 86_400 / 2
        assert erased_at(History(*ENDED_BY_SILENCE).state) == 10 + ERASE_AFTER_SECONDS

    def test_is_due_when_the_space_is_forgotten_even_if_x_still_has_it(self) -> None:
        history = History(seen(0, FULL), seen(4300, FULL_ENDED))
        assert erased_at(history.state) == 4300 + FORGOTTEN_SECONDS

    def test_of_a_space_gone_at_its_last_poll_comes_no_later_than_that(self) -> None:
        history = History(seen(0, FULL), seen(4300, FULL_ENDED))
        history.poll(not_found(4300 + 86_400))
        history.poll(not_found(4300 + 86_430))
        assert erased_at(history.state) == 4300 + FORGOTTEN_SECONDS

    @pytest.mark.parametrize("polls", [(seen(0, PLANNED),), (seen(0, FULL),), (seen(0, FULL), not_found(30))])
    def test_is_not_due_before_the_space_is_over(self, polls: tuple[Evidence, ...]) -> None:
        history = History(*polls)
        before = history.state
        assert erased_at(before) is None
        assert history.take(erasure(10**7)) == ()
        assert history.state == before

    def test_leaves_ids_times_and_the_state_and_nothing_else(self) -> None:
        history = History(seen(0, FULL, users=PEOPLE), seen(4300, FULL_ENDED, users=PEOPLE))
        assert all(word in left_of(history.state) for word in CONTENT)
        history.take(erasure(4300 + FORGOTTEN_SECONDS))
        assert history.state.space == Space(
            id=SPACE_ID,
            state="ended",
            creator_id="2244994945",
            created_at=at(-60),
            scheduled_start=at(0),
            started_at=at(1),
            ended_at=at(4200),
            updated_at=at(3),
        )
        assert history.state.users == {}
        assert not any(word in left_of(history.state) for word in CONTENT)
        assert history.state.erased is True
        assert erased_at(history.state) is None

    def test_is_announced_if_x_is_known_not_to_have_the_space(self) -> None:
        history = History(seen(0, FULL, users=PEOPLE), not_found(30), not_found(60))
        (event,) = history.take(erasure(30 + ERASE_AFTER_SECONDS))
        assert (event.type, event.sequence) == (EventType.REDACTED, 3)
        data = described_body_of(event)["data"]
        assert data["space"] == {"id": SPACE_ID}
        assert (data["users"], data["changed"], data["previous"], data["details"]) == ([], [], {}, {})
        assert not any(word in encode(event).decode() for word in CONTENT)

    @pytest.mark.parametrize(
        "polls",
        [
            (seen(0, variant(FULL, state="canceled")),),
            (seen(0, FULL_ENDED), not_found(60), not_found(90)),
        ],
        ids=["canceled", "ended"],
    )
    @pytest.mark.parametrize(("silent", "announced"), [(False, []), (True, [EventType.REDACTED])])
    def test_of_a_space_first_seen_ended_is_announced_if_a_baseline_listed_it(
        self, polls: tuple[Evidence, ...], silent: bool, announced: list[EventType]
    ) -> None:
        history = History(*polls, silent=silent)
        assert types(history.take(erasure(90 + ERASE_AFTER_SECONDS))) == announced
        assert not any(word in left_of(history.state) for word in CONTENT)
        assert history.state.erased

    def test_is_not_announced_if_x_may_still_have_the_space(self) -> None:
        history = History(seen(0, FULL), seen(4300, FULL_ENDED))
        assert history.take(erasure(4300 + FORGOTTEN_SECONDS)) == ()
        assert history.state.sequence == 2

    @pytest.mark.parametrize("early", [0.001, 1000])
    def test_does_nothing_before_its_time(self, early: float) -> None:
        history = History(*ENDED_BY_SILENCE)
        before = history.state
        assert history.take(erasure(10 + ERASE_AFTER_SECONDS - early)) == ()
        assert history.state == before

    def test_happens_once(self) -> None:
        history = History(*ENDED_BY_SILENCE, erasure(10 + ERASE_AFTER_SECONDS))
        before = history.state
        for seconds in (10 + ERASE_AFTER_SECONDS, 10**7):
            assert history.take(erasure(seconds)) == ()
            assert history.take(erasure(seconds, watched=False)) == ()
        assert history.state == before

    @pytest.mark.parametrize("state", ["live", "scheduled"])
    def test_comes_at_once_for_an_unfollowed_space(self, state: str) -> None:
        full = variant(FULL, state=state)
        history = History(seen(0, full, users=PEOPLE), seen(30, variant(full, host_ids=("31337001",))))
        assert set(history.state.doubts) == {"host_ids"}
        assert history.take(erasure(60, watched=False)) == ()
        assert not any(word in left_of(history.state) for word in CONTENT)
        assert history.phase is Phase(state)

    def test_of_a_lost_space_is_announced_even_if_its_watch_was_deleted(self) -> None:
        history = History(*ENDED_BY_SILENCE)
        (event,) = history.take(erasure(60, watched=False))
        assert (event.type, event.data["watch_ids"]) == (EventType.REDACTED, [])

    def test_is_dropped_when_the_space_is_seen_again_in_time(self) -> None:
        history = History(seen(0, FULL), seen(4300, FULL_ENDED), not_found(4360), not_found(4400))
        history.poll(seen(4430, FULL_ENDED))
        assert history.take(erasure(4360 + ERASE_AFTER_SECONDS)) == ()
        assert history.state.erased is False

    def test_is_repeated_for_a_space_that_x_loses_twice(self) -> None:
        history = History(seen(0, FULL), not_found(30), not_found(60), erasure(30 + ERASE_AFTER_SECONDS))
        later = 100 + ERASE_AFTER_SECONDS
        for step in (seen(later, FULL), seen(later + 30, FULL), not_found(later + 60), not_found(later + 90)):
            history.take(step)
        history.take(erasure(later + 60 + ERASE_AFTER_SECONDS))
        announced = [event for event in history.events if event.type is EventType.REDACTED]
        assert len({event.id for event in announced}) == 2
        assert not any(word in left_of(history.state) for word in CONTENT)


class TestAfterTheErasure:
    @pytest.fixture
    def history(self) -> History:
        history = History(seen(0, FULL, users=PEOPLE), not_found(30), not_found(60), restart=True)
        history.take(erasure(30 + ERASE_AFTER_SECONDS))
        return history

    @pytest.fixture
    def later(self) -> float:
        return 100 + ERASE_AFTER_SECONDS

    def test_an_ended_space_gets_no_new_content(self, history: History, later: float) -> None:
        for poll in (
            not_found(later),
            not_found(later + 40),
            seen(later + 80, variant(FULL_ENDED, state="ended")),
        ):
            assert history.poll(poll) == ()
        assert not any(word in left_of(history.state) for word in CONTENT)
        assert history.state.erased is True

    def test_a_single_sighting_brings_no_content_back(self, history: History, later: float) -> None:
        assert history.poll(seen(later, FULL, users=PEOPLE)) == ()
        assert not any(word in left_of(history.state) for word in CONTENT)

    def test_a_correction_brings_the_content_back(self, history: History, later: float) -> None:
        history.poll(seen(later, FULL, users=PEOPLE))
        corrected, *_ = history.poll(seen(later + 30, FULL, users=PEOPLE))
        assert corrected.type is EventType.CORRECTED
        assert corrected.data["space"]["title"] == FULL.title
        assert corrected.data["details"] == {"retracts": history.events[1].id}
        assert (history.state.space, history.state.erased) == (FULL, False)
        assert [person.name for person in history.state.users.values()] == [person.name for person in PEOPLE]

    def test_restored_content_is_erased_again(self, history: History, later: float) -> None:
        for number in range(2):
            history.poll(seen(later + 30 * number, FULL, users=PEOPLE))
        history.poll(seen(later + 60, FULL_ENDED, users=PEOPLE))
        assert erased_at(history.state) == later + 60 + FORGOTTEN_SECONDS
        history.take(erasure(later + 60 + FORGOTTEN_SECONDS))
        assert not any(word in left_of(history.state) for word in CONTENT)

    def test_a_cancellation_corrected_to_an_end_is_erased_again(self) -> None:
        history = History(*CANCELED_BY_SILENCE, erasure(10 + ERASE_AFTER_SECONDS))
        later = 100 + ERASE_AFTER_SECONDS
        history.poll(seen(later, FULL_ENDED, users=PEOPLE))
        history.poll(seen(later + 30, FULL_ENDED, users=PEOPLE))
        assert history.types[-4:] == [
            "space.corrected",
            "space.started",
            "space.speakers_added",
            "space.ended",
        ]
        assert history.state.space.title == FULL.title
        assert erased_at(history.state) == later + 30 + FORGOTTEN_SECONDS
        history.take(erasure(later + 30 + FORGOTTEN_SECONDS))
        assert not any(word in left_of(history.state) for word in CONTENT)

    def test_a_live_space_followed_again_is_erased_again(self) -> None:
        history = History(seen(0, FULL, users=PEOPLE), erasure(30, watched=False))
        history.poll(seen(60, FULL, users=PEOPLE))
        history.poll(seen(4300, FULL_ENDED))
        history.take(erasure(4300 + FORGOTTEN_SECONDS))
        assert not any(word in left_of(history.state) for word in CONTENT)

    def test_a_retracted_cancellation_restores_plan_and_reminder(self) -> None:
        plan = 100_000
        waiting = variant(PLANNED, scheduled_start=at(plan))
        history = History(seen(0, waiting), not_found(10), not_found(40), erasure(10 + ERASE_AFTER_SECONDS))
        later = 100 + ERASE_AFTER_SECONDS
        history.poll(seen(later, space("scheduled")))
        history.poll(seen(later + 30, space("scheduled")))
        assert history.phase is Phase.SCHEDULED
        assert types(history.take(reminder(plan - 900))) == [EventType.REMINDER]


def endpoint(**fields: object) -> Endpoint:
    plain = Endpoint(id=EndpointId("ep_1"), url="https://example.com", created_at=0.0, updated_at=0.0)
    return replace(plain, **fields)  # type: ignore[arg-type]  # names and values are those of the fields


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, True),
        ({"payload": PayloadForm.THIN}, True),
        ({"filters": Filters(creator_ids=("2244994945",))}, True),
        ({"filters": Filters(creator_ids=("6253282",))}, False),
        ({"filters": Filters(space_ids=(SPACE_ID,))}, True),
        ({"filters": Filters(watch_ids=("wch_0000000000000001",))}, True),
        ({"event_types": ("space.ended",)}, False),
    ],
)
def test_a_redaction_is_routed_like_the_events_it_redacts(fields: dict[str, object], wanted: bool) -> None:
    history = History(seen(0, FULL), not_found(30), not_found(60))
    (event,) = history.take(erasure(30 + ERASE_AFTER_SECONDS))
    assert is_wanted(endpoint(**fields), event.type, event.routing) is wanted


@pytest.mark.parametrize("kind", TimerKind)
@pytest.mark.parametrize("watched", [True, False])
def test_a_timer_of_a_space_in_any_phase_may_fire_at_any_time(kind: TimerKind, watched: bool) -> None:
    for polls in ((seen(0, PLANNED),), (seen(0, FULL),), ENDED_BY_SILENCE, CANCELED_BY_SILENCE):
        for seconds in (-(10**6), 0, 600, 10**5, 10**7):
            ringing = replace(reminder(seconds), kind=kind, watched=watched)
            for event in History(*polls, ringing, ringing, restart=True).events:
                described_body_of(event)


@given(st.permutations(sorted(FIELD_KINDS)), st.integers(0, len(FIELD_KINDS)))
def test_only_ids_times_and_the_state_of_a_space_are_kept(names: list[str], number: int) -> None:
    kept = {name: value for name, value in FULL_ENDED.known().items() if name in names[:number]}
    bare = Space(id=SPACE_ID).with_values(kept).without_content()
    times = {name for name, kind in FIELD_KINDS.items() if kind is FieldKind.TIME}
    assert bare.known() == {
        name: value for name, value in kept.items() if name in times | {"state", "creator_id"}
    }
