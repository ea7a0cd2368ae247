"""The health of X: its events, and the pauses of calls."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.core.events.event import Event, EventType
from notifier.core.model.instants import rfc3339
from notifier.core.model.observation import Call, Failure
from notifier.core.model.poll import Cadence
from notifier.core.model.problems import FailureKind
from notifier.core.model.reasons import OutageKind
from notifier.core.polling.health import (
    ANNOUNCED_AFTER,
    KINDS,
    LONGEST_BACKOFF_SECONDS,
    CallFailure,
    Health,
    Outage,
    after_answer,
    after_cycle,
    after_failure,
    news,
    read_health,
)
from notifier.core.polling.outages import Response, respond
from tests.support.space_builders import START, at, described_body_of, types

CADENCE = Cadence()
DEGRADED, RECOVERED = EventType.SOURCE_DEGRADED, EventType.SOURCE_RECOVERED
OUR_OWN = (FailureKind.HELD_BACK,)
OF_CALLS = [FailureKind(kind.value) for kind in OutageKind if kind is not OutageKind.MASS_VANISH]


class Source:
    """A source with answers and failures, and the resulting events."""

    def __init__(self, *, restart: bool = False) -> None:
        self.health = Health()
        self.events: list[Event] = []
        self.restart = restart

    def fails(
        self,
        seconds: float,
        kind: FailureKind,
        call: Call = Call.LOOKUP,
        *,
        until: float | None = None,
        is_sure: bool = True,
        label: str = "",
        origin: str = "",
    ) -> list[str]:
        failure, now = Failure(kind, f"why {kind}"), START + seconds
        response = respond(failure, now=now, cadence=CADENCE)
        if until is not None:
            response = Response(START + until, START + until)
        call_failure = CallFailure(call, failure, response, is_sure=is_sure, label=label, origin=origin)
        return self._move(after_failure(self.health, call_failure, now=now, cadence=CADENCE), seconds)

    def answers(self, seconds: float, call: Call = Call.LOOKUP) -> list[str]:
        return self._move(after_answer(self.health, call), seconds)

    def vanishes(self, seconds: float, *, mass_vanish: bool) -> list[str]:
        return self._move(after_cycle(self.health, mass_vanish=mass_vanish, now=START + seconds), seconds)

    def _move(self, after: Health, seconds: float) -> list[str]:
        announced = news(self.health, after, now=START + seconds)
        if self.restart:
            after = read_health(json.loads(json.dumps(after.as_json())))
        self.health = after
        self.events.extend(announced)
        return types(announced)

    def pause(self, seconds: float, call: Call = Call.LOOKUP) -> float:
        """Return how long the call pauses from ``seconds`` on."""
        return max(self.health.paused_until(call) - START - seconds, 0.0)


def kinds_of(events: Sequence[Event]) -> list[str]:
    return [event.data["details"]["kind"] for event in events]


class TestOutages:
    @pytest.mark.parametrize("kind", OF_CALLS)
    def test_is_announced_only_when_it_starts_and_when_it_ends(self, kind: FailureKind) -> None:
        source = Source()
        for seconds in range(0, 600, 10):
            source.fails(seconds, kind)
        source.answers(600)
        source.answers(610)
        assert types(source.events) == [DEGRADED, RECOVERED]
        degraded, recovered = source.events
        assert degraded.data["details"] == {"kind": kind.value, "since": at(0), "detail": f"why {kind}"}
        assert recovered.data["details"] == {"kind": kind.value, "since": at(0), "after_seconds": 600}
        for event in source.events:
            described_body_of(event)

    @pytest.mark.parametrize("kind", [FailureKind.UNAVAILABLE, FailureKind.REFUSED, FailureKind.UNAUTHORIZED])
    def test_of_a_common_kind_is_announced_from_the_second_failure_on(self, kind: FailureKind) -> None:
        assert ANNOUNCED_AFTER[kind] == 2
        source = Source()
        for seconds in (0, 20, 40):
            assert source.fails(seconds, kind) == []
            assert source.answers(seconds + 10) == []
        assert source.fails(60, kind) == []
        assert source.fails(70, kind) == [DEGRADED]
        assert source.events[0].data["details"]["since"] == at(60)

    @pytest.mark.parametrize("kind", [kind for kind in OF_CALLS if kind not in ANNOUNCED_AFTER])
    def test_of_any_other_kind_is_announced_at_once(self, kind: FailureKind) -> None:
        assert Source().fails(0, kind) == [DEGRADED]

    def test_that_changes_its_kind_ends_and_another_starts(
        self,
    ) -> None:
        source = Source()
        source.fails(0, FailureKind.RATE_LIMITED)
        assert source.fails(60, FailureKind.CREDITS_DEPLETED) == [RECOVERED, DEGRADED]
        assert kinds_of(source.events) == ["rate_limited", "rate_limited", "credits_depleted"]

    def test_counts_again_when_it_changes_its_kind(self) -> None:
        source = Source()
        source.fails(0, FailureKind.UNAVAILABLE)
        source.fails(10, FailureKind.RATE_LIMITED)
        assert source.fails(20, FailureKind.UNAVAILABLE) == [RECOVERED]
        assert source.fails(30, FailureKind.UNAVAILABLE) == [DEGRADED]
        assert source.events[-1].data["details"]["since"] == at(20)

    @pytest.mark.parametrize("kind", OUR_OWN)
    def test_of_our_own_making_is_not_announced(self, kind: FailureKind) -> None:
        source = Source()
        for seconds in (0, 10, 20):
            assert source.fails(seconds, kind) == []
        assert source.health == Health()

    def test_429s_with_requests_left_are_announced_from_the_third_on(self) -> None:
        source = Source()
        assert [source.fails(seconds, FailureKind.TOO_FAST) for seconds in (0, 1)] == [[], []]
        assert source.fails(3, FailureKind.TOO_FAST) == [DEGRADED]
        assert kinds_of(source.events) == ["rate_limited"]

    def test_is_not_interrupted_by_requests_held_back(self) -> None:
        source = Source()
        source.fails(0, FailureKind.UNAVAILABLE)
        source.fails(5, FailureKind.HELD_BACK)
        assert source.fails(10, FailureKind.UNAVAILABLE) == [DEGRADED]


class TestSeveralCalls:
    def test_with_the_same_outage_are_one_outage(self) -> None:
        source = Source()
        assert source.fails(0, FailureKind.CREDITS_DEPLETED, Call.LOOKUP) == [DEGRADED]
        assert source.fails(5, FailureKind.CREDITS_DEPLETED, Call.CREATORS) == []
        assert source.answers(10, Call.LOOKUP) == []
        assert source.answers(20, Call.CREATORS) == [RECOVERED]
        degraded, recovered = source.events
        assert recovered.data["details"]["since"] == degraded.data["details"]["since"] == at(0)
        assert recovered.data["details"]["after_seconds"] == 20

    def test_repeat_at_the_end_when_the_outage_started(self) -> None:
        source = Source()
        source.fails(0, FailureKind.UNAVAILABLE, Call.SEARCH)
        source.fails(5, FailureKind.UNAVAILABLE, Call.LOOKUP)
        assert source.fails(6, FailureKind.UNAVAILABLE, Call.LOOKUP) == [DEGRADED]
        assert source.fails(7, FailureKind.UNAVAILABLE, Call.SEARCH) == []
        assert source.fails(8, FailureKind.RATE_LIMITED, Call.LOOKUP) == [DEGRADED]
        assert source.answers(9, Call.SEARCH) == [RECOVERED]
        first, _, recovered = source.events
        assert recovered.data["details"]["since"] == first.data["details"]["since"] == at(5)

    def test_that_alternately_fail_and_answer_are_announced_once(self) -> None:
        source = Source()
        source.fails(0, FailureKind.UNAVAILABLE)
        source.fails(1, FailureKind.UNAVAILABLE)
        for seconds in range(10, 1000, 10):
            source.answers(seconds, Call.CREATORS)
            source.fails(seconds + 5, FailureKind.UNAVAILABLE)
        assert types(source.events) == [DEGRADED]

    def test_that_each_fail_once_are_not_an_outage(self) -> None:
        source = Source()
        for number, call in enumerate(Call):
            assert source.fails(number, FailureKind.UNAVAILABLE, call) == []

    def test_with_different_outages_are_announced_each(self) -> None:
        source = Source()
        source.fails(0, FailureKind.RATE_LIMITED, Call.LOOKUP)
        source.fails(1, FailureKind.CREDITS_DEPLETED, Call.SEARCH)
        assert source.answers(2, Call.SEARCH) == [RECOVERED]
        assert kinds_of(source.events) == ["rate_limited", "credits_depleted", "credits_depleted"]

    def test_are_paused_separately(self) -> None:
        source = Source()
        source.fails(0, FailureKind.RATE_LIMITED, Call.CREATORS, until=900)
        assert [source.pause(0, call) for call in Call] == [
            900 if call is Call.CREATORS else 0 for call in Call
        ]
        source.answers(1, Call.LOOKUP)
        assert source.pause(1, Call.CREATORS) == 899
        source.answers(2, Call.CREATORS)
        assert source.pause(2, Call.CREATORS) == 0


class TestBackingOff:
    def test_grows_from_the_second_failure_on_up_to_a_minute(self) -> None:
        source = Source()
        pauses = []
        for _ in range(7):
            source.fails(0, FailureKind.UNAVAILABLE)
            pauses.append(source.pause(0))
        assert pauses == [0, 10, 20, 40, 60, 60, 60]

    def test_continues_through_an_outage_of_weeks(self) -> None:
        long = Outage(OutageKind.UNAVAILABLE, "why", START, START, failures=100_000, is_announced=True)
        source = Source()
        source.health = Health({Call.LOOKUP: long})
        assert source.fails(0, FailureKind.UNAVAILABLE) == []
        assert source.pause(0) == LONGEST_BACKOFF_SECONDS

    def test_restarts_after_an_answer(self) -> None:
        source = Source()
        for seconds in (0, 10, 20):
            source.fails(seconds, FailureKind.UNAVAILABLE)
        source.answers(30)
        source.fails(40, FailureKind.UNAVAILABLE)
        assert source.pause(40) == 0
        source.fails(50, FailureKind.UNAVAILABLE)
        assert source.pause(50) == 10

    def test_lasts_as_long_as_x_says(self) -> None:
        source = Source()
        for seconds in (0, 10, 20):
            source.fails(seconds, FailureKind.RATE_LIMITED, until=700)
            assert source.pause(seconds) == 700 - seconds

    @pytest.mark.parametrize("kind", OF_CALLS)
    def test_follows_the_response_to_each_kind(self, kind: FailureKind) -> None:
        failure = Failure(kind, "why")
        response = respond(failure, now=START, cadence=CADENCE)
        call_failure, health = CallFailure(Call.LOOKUP, failure, response), Health()
        for _ in range(ANNOUNCED_AFTER.get(kind, 1)):
            health = after_failure(health, call_failure, now=START, cadence=CADENCE)
        backoff = CADENCE.near if kind in (FailureKind.UNAVAILABLE, FailureKind.REFUSED) else 0
        assert health.paused_until(Call.LOOKUP) == (response.pause_until or START + backoff)

    def test_does_not_apply_before_the_second_401(self) -> None:
        source = Source()
        source.fails(0, FailureKind.UNAUTHORIZED)
        assert source.pause(0) == 0
        source.fails(10, FailureKind.UNAUTHORIZED)
        assert source.pause(10) == 300

    def test_does_not_apply_while_a_failing_subject_is_being_identified(self) -> None:
        source = Source()
        for seconds in range(8):
            assert source.fails(seconds, FailureKind.UNAVAILABLE, is_sure=False, label=f"a/{seconds}") == []
            assert source.pause(seconds) == 0
        assert source.fails(8, FailureKind.UNAVAILABLE, label="b") == [DEGRADED]
        assert source.pause(8) == 10, "and it grows from here"
        assert source.health.calls[Call.LOOKUP].labels == (*(f"a/{seconds}" for seconds in range(8)), "b")

    def test_holds_only_for_the_credentials_that_caused_it(self) -> None:
        source = Source()
        source.fails(0, FailureKind.CREDITS_DEPLETED, origin="old")
        assert source.health.paused_until(Call.LOOKUP, origin="old") == START + 300
        assert source.health.paused_until(Call.LOOKUP, origin="new") == 0
        assert source.health.paused_until(Call.LOOKUP) == START + 300

    def test_is_at_least_what_x_asks_for(self) -> None:
        failure = Failure(FailureKind.UNAVAILABLE, "503", retry_at=START + 120)
        call_failure = CallFailure(Call.LOOKUP, failure, Response(START + 10))
        health = after_failure(Health(), call_failure, now=START, cadence=CADENCE)
        assert health.paused_until(Call.LOOKUP) == START + 120
        # While a subject may be at fault, only that question waits: others show what it is.
        unsure = after_failure(Health(), replace(call_failure, is_sure=False), now=START, cadence=CADENCE)
        assert unsure.paused_until(Call.LOOKUP) == START

    def test_does_not_apply_to_a_call_without_an_outage(self) -> None:
        assert Health().paused_until(Call.LOOKUP) == 0.0


class TestAMassVanish:
    def test_is_announced_when_it_begins_and_when_it_is_over(self) -> None:
        source = Source()
        assert source.vanishes(0, mass_vanish=False) == []
        assert source.vanishes(10, mass_vanish=True) == [DEGRADED]
        assert source.vanishes(20, mass_vanish=True) == []
        assert source.vanishes(70, mass_vanish=False) == [RECOVERED]
        assert source.vanishes(80, mass_vanish=False) == []
        degraded, recovered = source.events
        assert degraded.data["details"]["since"] == recovered.data["details"]["since"] == at(10)
        assert kinds_of(source.events) == ["mass_vanish", "mass_vanish"]
        assert recovered.data["details"]["after_seconds"] == 60
        for event in source.events:
            described_body_of(event)

    def test_pauses_no_call(self) -> None:
        source = Source()
        source.vanishes(0, mass_vanish=True)
        assert [source.pause(0, call) for call in Call] == [0] * len(Call)

    def test_goes_on_while_calls_fail_and_answer(self) -> None:
        source = Source()
        source.vanishes(0, mass_vanish=True)
        source.answers(10)
        source.fails(20, FailureKind.UNAVAILABLE)
        assert source.health.vanish_since == START


class TestHidingSpaces:
    def test_is_what_an_outage_of_lookups_does(self) -> None:
        source = Source()
        assert source.health.hides_spaces is False
        source.fails(0, FailureKind.UNAVAILABLE)
        assert source.health.hides_spaces is False
        source.fails(10, FailureKind.UNAVAILABLE)
        assert source.health.hides_spaces is True
        source.answers(20)
        assert source.health.hides_spaces is False

    @pytest.mark.parametrize("call", [call for call in Call if call is not Call.LOOKUP])
    def test_is_not_what_an_outage_of_discovery_does(self, call: Call) -> None:
        source = Source()
        source.fails(0, FailureKind.CREDITS_DEPLETED, call)
        assert source.health.hides_spaces is False

    def test_is_what_a_mass_vanish_does(self) -> None:
        source = Source()
        source.vanishes(0, mass_vanish=True)
        assert source.health.hides_spaces is True


def test_every_failure_but_our_own_is_a_kind_of_outage() -> None:
    assert set(KINDS) == {kind for kind in FailureKind if kind not in OUR_OWN}
    assert set(OutageKind) == {OutageKind.MASS_VANISH, *KINDS.values()}


def test_an_event_id_depends_only_on_the_kind_and_start_of_an_outage() -> None:
    outage = Outage(OutageKind.UNAVAILABLE, "why", START, START, failures=2, is_announced=True)
    ids = []
    for other, now in (
        (outage, START),
        (replace(outage, detail="else", failures=9, until=0.0), START + 60),
    ):
        (event,) = news(Health(), Health({Call.LOOKUP: other}), now=now)
        ids.append(event.id)
    assert ids[0] == ids[1]
    (later,) = news(Health(), Health({Call.LOOKUP: replace(outage, since=START + 1)}), now=START)
    assert later.id != ids[0]


@dataclass(frozen=True)
class Step:
    """One step of a random history: a call, and its failure (None if answered)."""

    call: Call
    kind: FailureKind | None
    pause: float
    until: float | None = None
    mass_vanish: bool | None = None


happenings = st.lists(
    st.builds(
        Step,
        st.sampled_from(Call),
        st.none() | st.sampled_from(FailureKind),
        st.sampled_from([0.001, 1.0, 10.0, 5000.0]),
        st.none() | st.sampled_from([-5.0, 60.0, 900.0]),
        st.none() | st.none() | st.booleans(),
    ),
    max_size=40,
)


def run_story(story: list[Step], *, restart: bool = False) -> Source:
    source = Source(restart=restart)
    seconds = 0.0
    for each in story:
        seconds += each.pause
        if each.mass_vanish is not None:
            source.vanishes(seconds, mass_vanish=each.mass_vanish)
        elif each.kind is None:
            source.answers(seconds, each.call)
        else:
            until = None if each.until is None else seconds + each.until
            source.fails(seconds, each.kind, each.call, until=until)
    return source


@given(happenings)
def test_degraded_and_recovered_alternate_for_each_kind(story: list[Step]) -> None:
    source = run_story(story, restart=True)
    for kind in OutageKind:
        announced = [event for event in source.events if event.data["details"]["kind"] == kind]
        assert types(announced) == [
            (DEGRADED, RECOVERED)[number % 2].value for number in range(len(announced))
        ]
        for degraded, recovered in zip(announced[::2], announced[1::2], strict=False):
            assert recovered.data["details"]["since"] == degraded.data["details"]["since"]
            assert recovered.data["details"]["after_seconds"] >= 0
        assert (kind in source.health.outages()) is (len(announced) % 2 == 1)
    assert len({event.id for event in source.events}) == len(source.events)


@given(happenings)
def test_what_is_announced_fits_its_model(story: list[Step]) -> None:
    for event in run_story(story).events:
        described_body_of(event)
        assert event.data["details"]["since"] <= event.data["observed_at"]


@given(happenings)
def test_the_record_survives_the_store(story: list[Step]) -> None:
    steady, restarted = run_story(story), run_story(story, restart=True)
    assert steady.health == restarted.health
    assert steady.events == restarted.events


@given(happenings)
def test_the_source_is_healthy_when_every_call_is_answered_and_nothing_vanishes(
    story: list[Step],
) -> None:
    source = run_story(story)
    for call in Call:
        source.answers(10**6, call)
    source.vanishes(10**6, mass_vanish=False)
    assert source.health == Health()
    assert types(source.events).count(DEGRADED) == types(source.events).count(RECOVERED)


@given(happenings, st.sampled_from(Call))
def test_no_call_is_paused_forever(story: list[Step], call: Call) -> None:
    source = run_story(story)
    seconds = sum(each.pause for each in story)
    assert source.pause(seconds, call) <= 900.001


def test_the_same_failure_again_only_moves_the_end_of_the_pause() -> None:
    source = Source()
    assert source.fails(0, FailureKind.RATE_LIMITED, until=60) == [DEGRADED]
    assert source.fails(60, FailureKind.RATE_LIMITED, until=120) == []
    assert source.health.calls[Call.LOOKUP].since == START
    assert rfc3339(source.health.paused_until(Call.LOOKUP)) == at(120)
