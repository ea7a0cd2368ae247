from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.core.model.observation import Evidence
from notifier.core.model.poll import Cadence, NextPoll, Urgency
from notifier.core.model.space import Phase
from notifier.core.spaces.known import KnownSpace
from notifier.core.spaces.merging import Patience
from notifier.core.spaces.next_poll import FORGOTTEN_SECONDS, next_poll
from tests.support.space_builders import (
    CANCELED_BY_SILENCE,
    ENDED,
    ENDED_BY_SILENCE,
    LIVE,
    PATIENCE,
    PLANNED,
    START,
    History,
    at,
    not_found,
    reminder,
    seen,
    variant,
)

CADENCE = Cadence()


PLAN = 100_000
"""When the Spaces of these tests are to start."""


def wait(
    known: KnownSpace, seconds: float, cadence: Cadence = CADENCE, patience: Patience = PATIENCE
) -> float | None:
    """Return the seconds from ``seconds`` after the start until the next poll."""
    poll = next_poll(known, now=START + seconds, cadence=cadence, patience=patience)
    return None if poll is None else poll.at - (START + seconds)


def urgency(known: KnownSpace, seconds: float) -> Urgency:
    poll = next_poll(known, now=START + seconds, cadence=CADENCE, patience=PATIENCE)
    assert poll is not None
    return poll.urgency


def planned() -> KnownSpace:
    """Return a Space that is planned to start at ``PLAN``, without a reminder so far."""
    return History(seen(0, variant(PLANNED, scheduled_start=at(PLAN)))).state


@pytest.mark.parametrize(
    ("before_start", "seconds"),
    [
        (86_400, 600),
        (1201, 600),
        (1200, 600),
        (1199, 599),
        (700, 100),
        (605, 5),
        (600, 10),
        (1, 10),
        (0, 10),
        (-580, 10),
        (-1800, 10),
        (-1801, 600),
        (-86_400, 600),
    ],
)
def test_a_scheduled_space_is_polled_closely_near_its_start(before_start: float, seconds: float) -> None:
    reminded = History(seen(PLAN - 800, variant(PLANNED, scheduled_start=at(PLAN)))).state
    assert wait(reminded, PLAN - before_start) == seconds


@pytest.mark.parametrize(
    ("before_start", "seconds", "urgency"),
    [
        (86_400, 600, Urgency.PATIENT),
        (1511, 600, Urgency.PATIENT),
        (1510, 600, Urgency.PATIENT),
        (1509, 599, Urgency.URGENT),
        (1200, 290, Urgency.URGENT),
        (911, 1, Urgency.URGENT),
        (910, 310, Urgency.URGENT),
        (900, 300, Urgency.URGENT),
    ],
)
def test_a_poll_comes_shortly_before_the_reminder(
    before_start: float, seconds: float, urgency: Urgency
) -> None:
    now = START + PLAN - before_start
    poll = next_poll(planned(), now=now, cadence=CADENCE, patience=PATIENCE)
    assert poll == NextPoll(now + seconds, urgency)


def test_an_announced_reminder_needs_no_poll() -> None:
    history = History(seen(0, variant(PLANNED, scheduled_start=at(PLAN))), reminder(PLAN - 900))
    assert history.types == ["space.scheduled", "space.reminder"]
    assert wait(history.state, PLAN - 1200) == 600


@pytest.mark.parametrize(
    ("after_start", "seconds"), [(590, 10), (591, 9), (599.5, 0.5), (600, 10), (601, 10)]
)
def test_a_poll_comes_exactly_when_the_start_is_overdue(after_start: float, seconds: float) -> None:
    assert wait(planned(), PLAN + after_start) == seconds
    assert urgency(planned(), PLAN + after_start) is Urgency.URGENT


def test_an_overdue_moment_long_after_the_start_is_not_missed_between_rare_polls() -> None:
    late = Patience(needed=2, apart=30.0, overdue=3600.0)
    assert wait(planned(), PLAN + 3500, patience=late) == 100
    assert wait(planned(), PLAN + 3600, patience=late) == 600


def test_an_announced_overdue_start_is_not_polled_for_again() -> None:
    late = Patience(needed=2, apart=30.0, overdue=3600.0)
    waiting = variant(PLANNED, scheduled_start=at(0))
    history = History(seen(100, waiting), seen(3700, waiting), patience=late)
    assert history.types == ["space.scheduled", "space.start_overdue"]
    assert wait(history.state, 3500, patience=late) == 600


@pytest.mark.parametrize(
    ("polls", "seconds", "expected"),
    [
        ((seen(700, LIVE),), 700, Urgency.URGENT),
        ((seen(0, variant(PLANNED, scheduled_start=None)),), 0, Urgency.PATIENT),
        ((seen(0, variant(PLANNED, scheduled_start=at(PLAN))),), 0, Urgency.PATIENT),
        ((seen(0, PLANNED),), 100, Urgency.URGENT),
        ((seen(0, variant(PLANNED, scheduled_start=at(PLAN))), not_found(5)), 5, Urgency.URGENT),
        ((seen(700, LIVE), seen(4300, ENDED)), 4300, Urgency.PATIENT),
        ((*ENDED_BY_SILENCE, seen(100, LIVE)), 100, Urgency.URGENT),
    ],
    ids=["live", "no plan", "planned for later", "about to start", "in doubt", "over", "a return in doubt"],
)
def test_a_poll_is_urgent_when_a_change_is_expected(
    polls: tuple[Evidence, ...], seconds: float, expected: Urgency
) -> None:
    assert urgency(History(*polls).state, seconds) is expected


@pytest.mark.parametrize("scheduled_start", [None, "soon"])
def test_a_scheduled_space_without_a_readable_start_is_polled_rarely(scheduled_start: str | None) -> None:
    assert wait(History(seen(0, variant(PLANNED, scheduled_start=scheduled_start))).state, 0) == 600


def test_a_live_space_is_polled_every_half_minute() -> None:
    assert wait(History(seen(700, LIVE)).state, 700) == 30


def test_every_figure_is_a_setting() -> None:
    own = Cadence(near=1, live=2, scheduled=3, near_window=4)
    assert wait(History(seen(700, LIVE)).state, 700, own) == 2
    soon = History(seen(0, variant(PLANNED, scheduled_start=at(100)))).state
    assert wait(soon, 90, own) == 3
    assert wait(soon, 96, own) == 1


def test_the_reminder_lead_and_the_overdue_time_are_settings() -> None:
    own = Patience(needed=2, apart=30.0, reminder=5000.0, overdue=50.0)
    assert wait(planned(), PLAN - 5100, patience=own) == 90
    assert wait(planned(), PLAN + 49, patience=own) == 1
    assert wait(planned(), PLAN + 50, patience=own) == 10


@pytest.mark.parametrize("polls", [(seen(700, LIVE), seen(4300, ENDED)), (seen(4300, ENDED),)])
def test_an_ended_space_is_polled_after_a_minute_and_a_day_and_then_dropped(
    polls: tuple[Evidence, ...],
) -> None:
    known = History(*polls).state
    assert wait(known, 4300) == 60
    assert wait(known, 4360) == 86_340
    assert wait(known, 4300 + 86_400) is None


def test_a_slightly_early_poll_of_an_ended_space_counts() -> None:
    known = History(seen(700, LIVE), seen(4300, ENDED)).state
    assert wait(known, 4300 + 53) == 7
    assert wait(known, 4300 + 54) == 86_400 - 54
    assert wait(known, 4300 + 86_400 - 601) == 601
    assert wait(known, 4300 + 86_400 - 600) is None


def test_a_claim_of_an_end_is_polled_again_as_soon_as_it_can_be_confirmed() -> None:
    known = History(seen(0, PLANNED), not_found(5)).state
    far = replace(known, space=variant(known.space, scheduled_start=at(PLAN)))
    assert wait(far, 5) == 30
    assert wait(far, 20) == 15
    assert wait(far, 34) == 10
    assert wait(far, 600) == 10


@pytest.mark.parametrize("silence", [ENDED_BY_SILENCE, CANCELED_BY_SILENCE])
def test_an_unconfirmed_return_is_polled_soon(silence: tuple[Evidence, ...]) -> None:
    history = History(*silence, seen(100, LIVE))
    assert wait(history.state, 100) == 30


def test_a_doubt_does_not_keep_an_ended_space_forever() -> None:
    history = History(*ENDED_BY_SILENCE, seen(100, LIVE))
    assert set(history.state.doubts) == {"phase"}
    assert wait(history.state, 100) == 30
    assert wait(history.state, 40 + 86_400) is None
    history = History(*ENDED_BY_SILENCE, seen(30 + FORGOTTEN_SECONDS, LIVE))
    assert wait(history.state, 35 + FORGOTTEN_SECONDS) == 25
    assert wait(history.state, 41 + FORGOTTEN_SECONDS) is None


@given(
    st.sampled_from(Phase),
    st.floats(0, 10**6),
    st.floats(-(10**5), 10**5),
    st.sampled_from([(), (not_found(5),)]),
)
def test_the_next_poll_is_never_in_the_past_nor_at_once(
    phase: Phase, seconds: float, start: float, polls: tuple[Evidence, ...]
) -> None:
    history = History(seen(0, variant(PLANNED, scheduled_start=at(start))), *polls)
    poll = next_poll(
        replace(history.state, phase=phase), now=START + seconds, cadence=CADENCE, patience=PATIENCE
    )
    assert poll is None or START + seconds < poll.at <= START + max(seconds + 600, 86_400)
    assert poll is not None or phase.is_over


def test_an_ended_space_is_polled_only_a_few_times_whatever_x_says() -> None:
    history = History(seen(700, LIVE), seen(730, variant(LIVE, host_ids=("1",))), seen(740, ENDED))
    moments = [START + 740.0]
    while (poll := next_poll(history.state, now=moments[-1], cadence=CADENCE, patience=PATIENCE)) is not None:
        moments.append(poll.at)
        history.poll(seen(poll.at - START, variant(ENDED, host_ids=("1",))))
    assert len(moments) == 3
    assert all(earlier < later for earlier, later in pairwise(moments))
