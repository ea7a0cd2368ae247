from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.core.cadence import Cadence, next_look
from notifier.core.known import KnownSpace
from notifier.core.observation import Evidence
from notifier.core.space import Phase
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
    but,
    not_found,
    seen,
)

CADENCE = Cadence()


def wait(known: KnownSpace, seconds: float, cadence: Cadence = CADENCE) -> float | None:
    """Seconds from ``seconds`` after the start until the next look."""
    moment = next_look(known, now=START + seconds, cadence=cadence, patience=PATIENCE)
    return None if moment is None else moment - (START + seconds)


@pytest.mark.parametrize(
    ("before_start", "seconds"),
    [
        (86_400, 600),
        (1201, 600),
        (1200, 600),
        (1199, 599),
        (700, 100),
        (605, 10),
        (600, 10),
        (1, 10),
        (0, 10),
        (-1800, 10),
        (-1801, 600),
        (-86_400, 600),
    ],
)
def test_a_scheduled_space_is_looked_at_closely_near_its_start(before_start: float, seconds: float) -> None:
    known = History(seen(0, but(PLANNED, scheduled_start=at(100_000)))).state
    assert wait(known, 100_000 - before_start) == seconds


@pytest.mark.parametrize("scheduled_start", [None, "soon"])
def test_a_scheduled_space_without_a_readable_start_is_looked_at_rarely(scheduled_start: str | None) -> None:
    assert wait(History(seen(0, but(PLANNED, scheduled_start=scheduled_start))).state, 0) == 600


def test_a_live_space_is_looked_at_every_half_minute() -> None:
    assert wait(History(seen(700, LIVE)).state, 700) == 30


def test_every_figure_is_a_setting() -> None:
    own = Cadence(near=1, live=2, scheduled=3, near_window=4)
    assert wait(History(seen(700, LIVE)).state, 700, own) == 2
    planned = History(seen(0, but(PLANNED, scheduled_start=at(100)))).state
    assert wait(planned, 90, own) == 3
    assert wait(planned, 96, own) == 1


@pytest.mark.parametrize("looks", [(seen(700, LIVE), seen(4300, ENDED)), (seen(4300, ENDED),)])
def test_what_is_over_is_looked_at_after_a_minute_and_a_day_and_then_forgotten(
    looks: tuple[Evidence, ...],
) -> None:
    known = History(*looks).state
    assert wait(known, 4300) == 60
    assert wait(known, 4360) == 86_340
    assert wait(known, 4300 + 86_400) is None


def test_a_claim_of_an_end_is_looked_at_again_as_soon_as_it_can_be_confirmed() -> None:
    known = History(seen(0, PLANNED), not_found(5)).state
    far = replace(known, space=but(known.space, scheduled_start=at(100_000)))
    assert wait(far, 5) == 30
    assert wait(far, 20) == 15
    assert wait(far, 34) == 10
    assert wait(far, 600) == 10


@pytest.mark.parametrize("silence", [ENDED_BY_SILENCE, CANCELED_BY_SILENCE])
def test_a_return_in_doubt_is_looked_at_soon(silence: tuple[Evidence, ...]) -> None:
    history = History(*silence, seen(100, LIVE))
    assert wait(history.state, 100) == 30


def test_a_doubt_does_not_keep_a_space_that_is_over_for_ever() -> None:
    history = History(*ENDED_BY_SILENCE, seen(100, LIVE))
    assert set(history.state.doubts) == {"phase"}
    assert wait(history.state, 40 + 86_400) is None


@given(
    st.sampled_from(Phase),
    st.floats(0, 10**6),
    st.floats(-(10**5), 10**5),
    st.sampled_from([(), (not_found(5),)]),
)
def test_the_next_look_is_never_in_the_past_nor_at_once(
    phase: Phase, seconds: float, start: float, looks: tuple[Evidence, ...]
) -> None:
    history = History(seen(0, but(PLANNED, scheduled_start=at(start))), *looks)
    moment = next_look(
        replace(history.state, phase=phase), now=START + seconds, cadence=CADENCE, patience=PATIENCE
    )
    assert moment is None or moment > START + seconds
    assert moment is not None or phase.is_over


def test_a_space_that_is_over_is_looked_at_a_handful_of_times_whatever_x_says() -> None:
    history = History(seen(700, LIVE), seen(730, but(LIVE, host_ids=("1",))), seen(740, ENDED))
    moments = [740.0]
    while (
        moment := next_look(history.state, now=moments[-1], cadence=CADENCE, patience=PATIENCE)
    ) is not None:
        moments.append(moment)
        history.look(seen(moment - START, but(ENDED, host_ids=("1",))))
    assert len(moments) == 3
    assert all(earlier < later for earlier, later in pairwise(moments))
