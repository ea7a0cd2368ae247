"""The transition table row by row, and the conditions of a poll."""

from __future__ import annotations

import pytest

from notifier.core.model.observation import Evidence
from notifier.core.model.space import Phase, Space
from tests.support.space_builders import (
    CANCELED_BY_SILENCE,
    ENDED,
    ENDED_BY_SILENCE,
    LIVE,
    PLANNED,
    SPACE_ID,
    START,
    History,
    absent,
    at,
    failed_call,
    not_found,
    seen,
    space,
    types,
)

SCHEDULED, STARTED, ENDED_EVENT = "space.scheduled", "space.started", "space.ended"
CANCELED, CORRECTED = "space.canceled", "space.corrected"

HISTORIES: dict[str, tuple[Evidence, ...]] = {
    "unseen": (),
    "scheduled": (seen(0, space("scheduled")),),
    "live": (seen(0, space("live")),),
    "ended": (seen(0, space("live")), seen(10, space("ended", ended_at=at(9)))),
    "ended, inferred": ENDED_BY_SILENCE,
    "canceled": (seen(0, space("scheduled")), seen(10, space("canceled"))),
    "canceled, inferred": CANCELED_BY_SILENCE,
}

SIGHTS: dict[str, Space | None] = {
    "scheduled": space("scheduled"),
    "live": space("live"),
    "ended": space("ended", started_at=at(-60)),
    "ended, with its time": space("ended", started_at=at(-60), ended_at=at(-1)),
    "never started": space("ended"),
    "never started, with its time": space("ended", ended_at=at(-1)),
    "canceled": space("canceled"),
    "missing": None,
    "without a state": space(title=None, lang=None),
    "in a state that nobody knows": space("paused"),
    "over beside an unknown word": space("paused", started_at=at(-60), ended_at=at(-1)),
}

MOVES: dict[tuple[str, str], tuple[int, Phase, list[str]]] = {
    ("unseen", "scheduled"): (1, Phase.SCHEDULED, [SCHEDULED]),
    ("unseen", "live"): (1, Phase.LIVE, [STARTED]),
    ("unseen", "ended"): (1, Phase.ENDED, []),
    ("unseen", "ended, with its time"): (1, Phase.ENDED, []),
    ("unseen", "never started"): (1, Phase.ENDED, []),
    ("unseen", "never started, with its time"): (1, Phase.ENDED, []),
    ("unseen", "canceled"): (1, Phase.CANCELED, []),
    ("scheduled", "live"): (1, Phase.LIVE, [STARTED]),
    ("scheduled", "ended"): (2, Phase.ENDED, [STARTED, ENDED_EVENT]),
    ("scheduled", "ended, with its time"): (1, Phase.ENDED, [STARTED, ENDED_EVENT]),
    ("scheduled", "never started"): (2, Phase.CANCELED, [CANCELED]),
    ("scheduled", "never started, with its time"): (1, Phase.CANCELED, [CANCELED]),
    ("scheduled", "canceled"): (1, Phase.CANCELED, [CANCELED]),
    ("scheduled", "missing"): (2, Phase.CANCELED, [CANCELED]),
    ("live", "ended"): (2, Phase.ENDED, [ENDED_EVENT]),
    ("live", "ended, with its time"): (1, Phase.ENDED, [ENDED_EVENT]),
    ("live", "never started"): (2, Phase.ENDED, [ENDED_EVENT]),
    ("live", "never started, with its time"): (1, Phase.ENDED, [ENDED_EVENT]),
    ("live", "canceled"): (2, Phase.ENDED, [ENDED_EVENT]),
    ("live", "missing"): (2, Phase.ENDED, [ENDED_EVENT]),
    ("scheduled", "over beside an unknown word"): (2, Phase.ENDED, [STARTED, ENDED_EVENT]),
    ("live", "over beside an unknown word"): (2, Phase.ENDED, [ENDED_EVENT]),
    ("live", "scheduled"): (2, Phase.SCHEDULED, [CORRECTED]),
    ("ended", "live"): (2, Phase.LIVE, [CORRECTED]),
    ("ended", "scheduled"): (2, Phase.SCHEDULED, [CORRECTED, CORRECTED]),
    ("canceled", "scheduled"): (2, Phase.SCHEDULED, [CORRECTED]),
    ("canceled", "live"): (2, Phase.LIVE, [CORRECTED, STARTED]),
    ("ended, inferred", "live"): (2, Phase.LIVE, [CORRECTED]),
    ("ended, inferred", "scheduled"): (2, Phase.SCHEDULED, [CORRECTED, CORRECTED]),
    ("canceled, inferred", "over beside an unknown word"): (
        2,
        Phase.ENDED,
        [CORRECTED, STARTED, ENDED_EVENT],
    ),
    ("canceled, inferred", "scheduled"): (2, Phase.SCHEDULED, [CORRECTED]),
    ("canceled, inferred", "live"): (2, Phase.LIVE, [CORRECTED, STARTED]),
    ("canceled, inferred", "ended"): (2, Phase.ENDED, [CORRECTED, STARTED, ENDED_EVENT]),
    ("canceled, inferred", "ended, with its time"): (2, Phase.ENDED, [CORRECTED, STARTED, ENDED_EVENT]),
}
"""The number of polls, the resulting phase, and the events on the way."""

STANDSTILLS = [(start, sight) for start in HISTORIES for sight in SIGHTS if (start, sight) not in MOVES]


def the_poll(sight: str, seconds: float) -> Evidence:
    found = SIGHTS[sight]
    return not_found(seconds) if found is None else seen(seconds, found)


@pytest.mark.parametrize("restart", [False, True], ids=["in one run", "restarted between polls"])
@pytest.mark.parametrize(("start", "sight"), MOVES)
def test_a_row_of_the_table(start: str, sight: str, restart: bool) -> None:
    polls, phase, events = MOVES[start, sight]
    history = History(*HISTORIES[start], restart=restart)
    before = history.known
    for number in range(1, polls):
        assert history.poll(the_poll(sight, 100 + 31 * number)) == ()
        assert before is not None
        assert history.phase is before.phase
    assert types(history.poll(the_poll(sight, 300))) == events
    assert history.phase is phase
    assert history.state.space.state == phase.value


@pytest.mark.parametrize(("start", "sight"), STANDSTILLS)
def test_a_pair_outside_the_table_changes_nothing(start: str, sight: str) -> None:
    history = History(*HISTORIES[start])
    before = history.known
    for number in range(4):
        assert history.poll(the_poll(sight, 100 + 31 * number)) == ()
        assert (history.known and history.phase) == (before and before.phase)


@pytest.mark.parametrize("word", ["missing", "inaccessible", "never_started", "unclear", "running"])
def test_a_state_that_x_does_not_use_is_unknown_even_if_it_is_a_phase_of_ours(word: str) -> None:
    assert History(seen(0, space(word))).known is None
    history = History(seen(0, PLANNED))
    for seconds in (100, 200, 300):
        assert history.poll(seen(seconds, space(word))) == ()
    assert history.phase is Phase.SCHEDULED


def test_the_other_fields_count_even_with_an_unknown_state() -> None:
    history = History(seen(0, LIVE))
    assert types(history.poll(seen(30, space("paused", title="Renamed")))) == ["space.title_changed"]
    assert history.state.space.state == "live"


def test_a_mass_vanish_ends_no_space_during_or_after_it() -> None:
    history = History(seen(0, LIVE))
    for seconds in range(30, 600, 30):
        assert history.poll(not_found(seconds), mass_vanish=True) == ()
    assert history.state.missing_since == START + 30
    assert history.poll(seen(600, LIVE)) == ()
    assert history.state.missing_since is None


def test_a_not_found_in_a_mass_vanish_is_no_confirmation() -> None:
    history = History(seen(0, LIVE))
    history.poll(not_found(30), mass_vanish=True)
    assert history.poll(not_found(60)) == ()
    assert types(history.poll(not_found(90))) == [ENDED_EVENT]


def test_ended_spaces_do_not_count_in_a_mass_vanish() -> None:
    history = History(seen(0, LIVE), seen(4300, ENDED))
    for seconds in range(4360, 5000, 60):
        history.poll(not_found(seconds), mass_vanish=True)
    assert history.state.gone_since is None


def test_a_space_that_was_never_seen_cannot_go_missing() -> None:
    assert History(not_found(0), absent(30), failed_call(60)).known is None


def test_a_silent_first_poll_makes_a_space_known_without_an_event() -> None:
    history = History(seen(0, LIVE), silent=True)
    assert (history.events, history.state.sequence) == ([], 0)
    (event,) = history.poll(seen(4300, ENDED))
    assert (event.sequence, event.type) == (1, ENDED_EVENT)


def test_events_are_announced_only_to_matching_watches() -> None:
    (event,) = History(seen(0, PLANNED)).events
    assert event.data["watch_ids"] == list(event.routing.watch_ids) == ["wch_0000000000000001"]
    assert event.routing.space_id == SPACE_ID
