"""Random histories of one Space, for property-based tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

from hypothesis import strategies as st

from notifier.core.model.observation import Evidence
from notifier.core.model.space import FIELD_KINDS, FieldKind, Space
from notifier.core.spaces.merging import Patience
from tests.support.space_builders import (
    TimerFiring,
    absent,
    at,
    erasure,
    failed_call,
    inaccessible,
    not_found,
    reminder,
    seen,
    space,
    user,
)

STATES = ["scheduled", "scheduled", "live", " LIVE", "ended", "canceled", "Cancelled", "paused", None]
TIMES = [at(0), at(60), "2021-07-14T10:01:00.000+02:00", at(3600), at(50_000), "soon"]
PAUSES = [1, 10, 31, 600, 2000, 50_000]
VALUES: dict[FieldKind, Sequence[Any]] = {
    FieldKind.TEXT: ["A", "B", "C"],
    FieldKind.TIME: TIMES,
    FieldKind.FLAG: [False, True],
    FieldKind.COUNT: range(1001),
    FieldKind.IDS: [people for size in range(5) for people in permutations("1234", size)],
}


def value_or_unknown(kind: FieldKind) -> st.SearchStrategy[Any]:
    """Return values of a field, about a third of them unknown; one draw for each, since draws take long."""
    values = VALUES[kind]
    return st.sampled_from([*[None] * (len(values) // 2), *values])


spaces = st.fixed_dictionaries(
    {"state": st.sampled_from(STATES)}
    | {name: value_or_unknown(kind) for name, kind in FIELD_KINDS.items() if name != "state"}
).map(lambda values: space(**values))

users = st.lists(st.sampled_from(["1", "2", "3", "4"]).map(user), max_size=3)
patiences = st.builds(
    Patience,
    st.integers(1, 3),
    st.sampled_from([0.0, 30.0]),
    st.sampled_from([900.0, 60.0, 0.0]),
    st.sampled_from([600.0, 0.0]),
)

Step = Evidence | TimerFiring


NOT_SHOWN = {"not found": (0,), "lost": (0, 31), "inaccessible": (0, 7200)}
"""Polls that do not show the Space, each with its delay after the first one."""


@st.composite
def steps(
    draw: st.DrawFn, *, min_size: int = 0, silence: bool = True, with_timers: bool = True
) -> list[Step]:
    """Return polls over time, some answered late, out of order or not at all, with timers in between."""
    seconds = 0
    found: list[Step] = []
    kinds = ["seen", "seen", "seen", "twice", "back and forth", "not found", "lost", "inaccessible"]
    kinds += ["silence"] * silence
    kinds += ["planned", "timer", "erased"] * with_timers
    for _ in range(draw(st.integers(min_size, 12))):
        seconds += draw(st.sampled_from(PAUSES))
        now = seconds + draw(st.sampled_from([0, 0, 0, 40]))
        kind = draw(st.sampled_from(kinds))
        if kind == "seen":
            found.append(seen(now, draw(spaces), took=draw(st.sampled_from([1, 1, 45])), users=draw(users)))
        elif kind == "twice":
            found += twice(now, draw(spaces))
            seconds += 31
        elif kind == "back and forth":
            found += back_and_forth(now, draw(spaces), draw(spaces))
            seconds += 93
        elif kind in NOT_SHOWN:
            apart = NOT_SHOWN[kind]
            found += [(inaccessible if kind == "inaccessible" else not_found)(now + each) for each in apart]
            seconds += apart[-1]
        elif kind == "silence":
            found.append(draw(st.sampled_from([absent, failed_call]))(now))
        elif kind == "planned":
            waiting = replace(draw(spaces), state="scheduled", scheduled_start=at(now + 1000))
            seconds += draw(st.sampled_from([99, 100, 500, 941, 1001]))
            found += [seen(now, waiting), reminder(seconds)]
        elif kind == "erased":
            seconds += 50_000
            found += [not_found(now), not_found(now + 31), erasure(seconds)]
            found += twice(seconds + 1, draw(spaces))
        else:
            found.append(draw(st.sampled_from([reminder, erasure, unwatched_erasure]))(now))
    return found


def twice(seconds: float, found: Space) -> list[Step]:
    """Return two polls that confirm each other."""
    return [seen(seconds, found), seen(seconds + 31, found)]


def back_and_forth(seconds: float, one: Space, other: Space) -> list[Step]:
    """Return four polls, answered in turn by two replicas of X that disagree."""
    return [seen(seconds + 31 * turn, other if turn % 2 else one) for turn in range(4)]


def unwatched_erasure(seconds: float) -> TimerFiring:
    """Return the erasure timer of a Space that is no longer watched."""
    return erasure(seconds, watched=False)
