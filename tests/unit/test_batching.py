"""Which polls share one request."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.core.model.poll import DuePoll, Urgency
from notifier.core.polling.batching import PATIENT_SHARE, fill

NOW = 1000.0


def queue(urgency: Urgency, *moments: float) -> list[DuePoll]:
    """Return polls ordered by time, as the store returns them."""
    return [DuePoll(f"{urgency}{number}", at, urgency) for number, at in enumerate(sorted(moments))]


def urgent(*moments: float) -> list[DuePoll]:
    return queue(Urgency.URGENT, *moments)


def patient(*moments: float) -> list[DuePoll]:
    return queue(Urgency.PATIENT, *moments)


def count(polls: Sequence[DuePoll], urgency: Urgency) -> int:
    return sum(poll.urgency is urgency for poll in polls)


class TestARequest:
    def test_is_empty_while_nothing_is_due(self) -> None:
        assert fill([], [], now=NOW, soon=NOW + 600, limit=100) == []
        assert fill(urgent(NOW + 1), patient(NOW + 0.001), now=NOW, soon=NOW + 600, limit=100) == []

    @pytest.mark.parametrize("limit", [1, 2, 100])
    def test_is_made_for_a_single_poll_that_is_due(self, limit: int) -> None:
        for urgents, patients in ((urgent(NOW), []), ([], patient(NOW))):
            assert fill(urgents, patients, now=NOW, soon=NOW, limit=limit) == [*urgents, *patients]

    def test_is_filled_by_due_time_regardless_of_urgency(self) -> None:
        urgents, patients = urgent(NOW, NOW + 3, NOW + 10.5), patient(NOW + 1, NOW + 2, NOW + 4)
        chosen = fill(urgents, patients, now=NOW, soon=NOW + 10, limit=100)
        assert [poll.at for poll in chosen] == [NOW, NOW + 1, NOW + 2, NOW + 3, NOW + 4]
        assert fill(urgents, patients, now=NOW, soon=NOW + 10, limit=3) == chosen[:3]

    def test_is_not_filled_ahead_of_time_if_disabled(self) -> None:
        assert fill(urgent(NOW, NOW + 1), patient(NOW + 1), now=NOW, soon=NOW, limit=100) == urgent(NOW)

    def test_takes_urgent_polls_first_except_for_a_share(self) -> None:
        chosen = fill(urgent(*[NOW] * 100), patient(*[NOW] * 100), now=NOW, soon=NOW, limit=100)
        assert [poll.urgency for poll in chosen] == [Urgency.URGENT] * 90 + [Urgency.PATIENT] * 10

    def test_reserves_the_share_only_for_due_polls(self) -> None:
        chosen = fill(urgent(*[NOW] * 100), patient(NOW, NOW, NOW + 1), now=NOW, soon=NOW + 60, limit=100)
        assert (count(chosen, Urgency.URGENT), count(chosen, Urgency.PATIENT)) == (98, 2)

    def test_fills_remaining_places_with_patient_polls(self) -> None:
        chosen = fill(urgent(*[NOW] * 30), patient(*[NOW] * 100), now=NOW, soon=NOW, limit=100)
        assert (count(chosen, Urgency.URGENT), count(chosen, Urgency.PATIENT)) == (30, 70)

    def test_prefers_due_polls_to_urgent_ones_that_are_not_due(self) -> None:
        chosen = fill(urgent(*[NOW + 1] * 100), patient(*[NOW] * 100), now=NOW, soon=NOW + 60, limit=100)
        assert count(chosen, Urgency.PATIENT) == 100

    def test_for_a_single_subject_takes_the_longest_waiting_poll(self) -> None:
        for at, urgency in ((NOW - 5, Urgency.PATIENT), (NOW - 7, Urgency.URGENT)):
            (chosen,) = fill(urgent(at), patient(NOW - 6), now=NOW, soon=NOW, limit=1)
            assert chosen.urgency is urgency


offsets = st.lists(st.floats(-900, 900).map(lambda offset: NOW + offset), max_size=120)
limits = st.sampled_from([1, 2, 3, 9, 10, 20, 100])


@given(offsets, offsets, limits, st.floats(0, 600))
def test_the_rules_of_filling_a_request(
    urgent_at: list[float], patient_at: list[float], limit: int, ahead: float
) -> None:
    urgents, patients = urgent(*urgent_at)[:limit], patient(*patient_at)[:limit]
    chosen = fill(urgents, patients, now=NOW, soon=NOW + ahead, limit=limit)
    every = [*urgents, *patients]
    due = [poll for poll in every if poll.at <= NOW]
    taken = [poll for poll in chosen if poll.at <= NOW]
    assert bool(chosen) is bool(due)
    assert len({poll.subject for poll in chosen}) == len(chosen) <= limit
    assert set(chosen) <= set(every)
    assert all(poll.at <= NOW + ahead for poll in chosen)
    # Due polls come first, and no place stays free while a poll could use it.
    assert len(taken) == min(len(due), limit)
    soon = [poll for poll in every if NOW < poll.at <= NOW + ahead]
    assert not due or len(chosen) == min(limit, len(due) + len(soon))
    for urgency, some in ((Urgency.URGENT, urgents), (Urgency.PATIENT, patients)):
        mine = [poll for poll in chosen if poll.urgency is urgency]
        assert mine == some[: len(mine)]
    if limit > 1 and due:
        share = max(1, math.floor(limit * PATIENT_SHARE))
        due_patient, due_urgent = count(due, Urgency.PATIENT), count(due, Urgency.URGENT)
        assert count(taken, Urgency.PATIENT) >= min(share, due_patient)
        assert count(taken, Urgency.URGENT) >= min(limit - share, due_urgent)


@given(
    st.lists(st.sampled_from(Urgency), min_size=1, max_size=25), st.sampled_from([1, 2, 3, 10]), st.booleans()
)
def test_no_poll_starves(kinds: list[Urgency], limit: int, flood_is_urgent: bool) -> None:
    flood = Urgency.URGENT if flood_is_urgent else Urgency.PATIENT
    waiting = {f"first{number}": DuePoll(f"first{number}", NOW, kind) for number, kind in enumerate(kinds)}
    rounds = 0
    while any(name.startswith("first") for name in waiting):
        rounds += 1
        assert rounds <= len(kinds) + 1
        now = NOW + rounds
        for number in range(limit):
            name = f"later{rounds}-{number}"
            waiting[name] = DuePoll(name, now, flood)
        by_time = sorted(waiting.values(), key=lambda poll: poll.at)
        heads = ([poll for poll in by_time if poll.urgency is kind][:limit] for kind in Urgency)
        for poll in fill(*heads, now=now, soon=now, limit=limit):
            del waiting[poll.subject]
