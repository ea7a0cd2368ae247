"""Rate buckets against a simulated X: granted requests, their pace, and the detection of shared buckets."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from notifier.core.model.observation import Call
from notifier.core.model.poll import Urgency
from notifier.core.polling.buckets import (
    DAY_SECONDS,
    LEAD,
    PATIENT_SHARE,
    RESERVED_SHARE,
    WINDOW_SECONDS,
    Bucket,
    Buckets,
    close,
    learn,
    learn_nothing,
    take,
    wait,
)
from tests.support.examples import examples

LOOKUP, CREATORS, SEARCH, USERS = Call
URGENT, PATIENT = Urgency
CALLS = st.sampled_from(Call)
START = 1_700_000_000.0


@dataclass
class SimulatedX:
    """X's windows, each of which starts with its first request; ``bucket_of`` maps calls to buckets."""

    limit: int
    bucket_of: Callable[[Call], str]
    windows: dict[str, tuple[int, float]] = field(default_factory=dict)

    def answer(self, call: Call, now: float) -> tuple[int, float]:
        """Count a request; return the remaining requests and the reset."""
        used, reset = self.used(call, now), self.reset(call, now)
        self.windows[self.bucket_of(call)] = (used + 1, reset)
        return self.limit - used - 1, reset

    def used(self, call: Call, now: float) -> int:
        used, reset = self.windows.get(self.bucket_of(call), (0, 0.0))
        return used if now < reset else 0

    def reset(self, call: Call, now: float) -> float:
        _, reset = self.windows.get(self.bucket_of(call), (0, 0.0))
        return reset if now < reset else math.ceil(now + WINDOW_SECONDS)


@dataclass
class Client:
    """Sends requests as the product does; answers arrive in order, some of them late."""

    x: SimulatedX
    buckets: Buckets = field(default_factory=Buckets)
    now: float = START
    in_flight: deque[tuple[Call, int, float]] = field(default_factory=deque)

    def ask(self, call: Call, urgency: Urgency = URGENT, *, at_most_late: int = 0) -> None:
        self.buckets = take(self.buckets, call, urgency, now=self.now)
        self.in_flight.append((call, *self.x.answer(call, self.now)))
        self.hear(at_most_late)

    def hear(self, at_most_late: int = 0) -> None:
        while len(self.in_flight) > at_most_late:
            answered, remaining, reset = self.in_flight.popleft()
            self.buckets = learn(
                self.buckets, answered, limit=self.x.limit, remaining=remaining, reset=reset, now=self.now
            )

    def wait(self, call: Call, urgency: Urgency = URGENT) -> float:
        return wait(self.buckets, call, urgency, now=self.now)

    def ask_in_time(self, call: Call, urgency: Urgency = URGENT, *, at_most_late: int = 0) -> None:
        """Wait as long as necessary, receive all answers, then ask."""
        while (seconds := self.wait(call, urgency)) > 0:
            self.hear()
            self.now += seconds + 1e-6
        self.ask(call, urgency, at_most_late=at_most_late)


def one_for_all(_: Call) -> str:
    return "all"


def one_each(call: Call) -> str:
    return call


def described(*calls: Call, limit: int = 300, remaining: int, reset: float = START + 900) -> Buckets:
    reported = dict.fromkeys(calls, remaining)
    return Buckets((Bucket(frozenset(calls), limit, remaining, reset, reported=reported),))


class TestOneBucket:
    def test_an_unknown_bucket_is_open(self) -> None:
        assert wait(Buckets(), LOOKUP, PATIENT, now=START) == 0

    def test_a_bucket_whose_window_is_over_is_open(self) -> None:
        buckets = described(LOOKUP, remaining=0, reset=START)
        assert wait(buckets, LOOKUP, PATIENT, now=START) == 0
        assert wait(buckets, LOOKUP, PATIENT, now=START - 5) == 5

    def test_a_tenth_is_reserved_until_the_window_ends(self) -> None:
        near_the_end = START + 890
        assert wait(described(LOOKUP, remaining=33), LOOKUP, PATIENT, now=near_the_end) == 0
        assert wait(described(LOOKUP, remaining=30), LOOKUP, URGENT, now=near_the_end) == 10
        assert wait(described(LOOKUP, remaining=30), LOOKUP, PATIENT, now=near_the_end) == 10

    def test_no_wait_is_longer_than_a_window(self) -> None:
        buckets = described(LOOKUP, remaining=0, reset=START + 1700)
        assert wait(buckets, LOOKUP, URGENT, now=START) == WINDOW_SECONDS

    def test_creators_are_asked_about_once_a_second(self) -> None:
        buckets = take(Buckets(), CREATORS, PATIENT, now=START)
        assert wait(buckets, CREATORS, PATIENT, now=START + 0.4) == pytest.approx(0.6)
        assert wait(buckets, CREATORS, PATIENT, now=START + 1) == 0
        assert wait(buckets, LOOKUP, PATIENT, now=START + 0.4) == 0

    @pytest.mark.parametrize(
        ("remaining", "reset", "left"),
        [
            (199, 900.0, 199),  # lower, so later
            (210, 900.0, 200),  # higher, so an overtaken answer
            (150, 901.0, 150),  # the same window
            (299, 902.0, 299),  # the next one
            (100, 898.0, 200),  # the one before
            (100, -1.0, 200),  # past
            (100, 1801.0, 200),  # farther away than any window
        ],
    )
    def test_the_headers_of_an_answer_update_the_window(
        self, remaining: int, reset: float, left: int
    ) -> None:
        buckets = described(LOOKUP, remaining=200)
        buckets = learn(buckets, LOOKUP, limit=300, remaining=remaining, reset=START + reset, now=START)
        assert buckets.of(LOOKUP).remaining == left

    def test_a_limit_of_zero_is_ignored(self) -> None:
        assert learn(Buckets(), LOOKUP, limit=0, remaining=0, reset=START + 9, now=START).by_call == {}

    def test_requests_in_flight_are_subtracted_from_the_first_stated_count(self) -> None:
        buckets = Buckets()
        for _ in range(5):
            buckets = take(buckets, LOOKUP, URGENT, now=START)
        buckets = learn(buckets, LOOKUP, limit=300, remaining=299, reset=START + 900, now=START)
        assert buckets.of(LOOKUP).remaining == 295
        for _ in range(4):
            buckets = learn_nothing(buckets, LOOKUP, now=START)
        assert (buckets.of(LOOKUP).remaining, buckets.of(LOOKUP).unanswered) == (295, 0)

    def test_lost_requests_do_not_count_in_the_next_window(self) -> None:
        buckets = described(LOOKUP, remaining=200)
        for _ in range(50):
            buckets = take(buckets, LOOKUP, URGENT, now=START)
        buckets = take(buckets, LOOKUP, URGENT, now=START + 900)
        buckets = learn(buckets, LOOKUP, limit=300, remaining=299, reset=START + 1800, now=START + 900)
        assert buckets.of(LOOKUP).remaining == 299

    def test_a_used_up_24_hour_window_closes_only_its_call(self) -> None:
        buckets = close(Buckets(origin="whose"), LOOKUP, until=START + 30_000, now=START)
        assert [wait(buckets, LOOKUP, urgency, now=START) for urgency in Urgency] == [30_000] * 2
        assert wait(buckets, SEARCH, PATIENT, now=START) == 0
        assert wait(buckets, LOOKUP, PATIENT, now=START + 30_000) == 0
        assert (buckets.at(START + 30_000), buckets.origin) == (Buckets(origin="whose"), "whose")

    def test_no_reset_closes_a_call_for_longer_than_a_day(self) -> None:
        buckets = close(Buckets(), LOOKUP, until=START + 10**9, now=START)
        assert wait(buckets, LOOKUP, URGENT, now=START) == DAY_SECONDS

    @given(st.lists(st.tuples(CALLS, st.sampled_from(Urgency)), max_size=20))
    def test_the_record_survives_json(self, asked: list[tuple[Call, Urgency]]) -> None:
        client = Client(SimulatedX(300, one_for_all))
        for call, urgency in asked:
            client.ask(call, urgency)
        records = TypeAdapter(Buckets)
        assert records.validate_json(records.dump_json(client.buckets)) == client.buckets


class TestPace:
    @settings(max_examples=examples(15))
    @given(st.integers(20, 500), st.integers(0, 8))
    @example(900, 8)
    def test_urgent_overload_spreads_over_the_window_within_its_share(self, limit: int, late: int) -> None:
        client = Client(SimulatedX(limit, one_each))
        times = []
        while client.now < START + 2.5 * WINDOW_SECONDS:
            client.ask_in_time(LOOKUP, at_most_late=late)
            times.append(client.now)
            assert client.x.used(LOOKUP, client.now) <= limit * (1 - RESERVED_SHARE)
        longest = max(after - before for before, after in pairwise(times))
        slowest = WINDOW_SECONDS / (limit * (1 - RESERVED_SHARE - LEAD[URGENT]))
        assert longest <= 2 * slowest + 1
        first_window = sum(at < START + WINDOW_SECONDS for at in times)
        assert first_window >= limit * (1 - RESERVED_SHARE) - 2 - late

    @given(
        st.lists(st.tuples(CALLS, st.floats(0, 30)), min_size=50, max_size=150),
        st.sampled_from([one_each, one_for_all]),
    )
    def test_a_patient_call_waits_no_longer_than_its_share_requires(
        self, asked: list[tuple[Call, float]], bucket_of: Callable[[Call], str]
    ) -> None:
        limit = 100
        client = Client(SimulatedX(limit, bucket_of))
        share = WINDOW_SECONDS / (limit * (1 - RESERVED_SHARE) * PATIENT_SHARE)
        last_at: dict[Call, float] = {}
        for call, pause in asked:
            while client.wait(LOOKUP) == 0:
                client.ask(LOOKUP)
            client.now += pause
            bucket = client.buckets.of(call).at(client.now)
            is_hard = bool(bucket.reset) and limit - bucket.remaining + 1 > limit * (1 - RESERVED_SHARE)
            held = client.wait(call, PATIENT)
            if not is_hard:
                spaced = max(client.buckets.next_at.get(call, 0) - client.now, 0)
                assert held <= max(last_at.get(call, -math.inf) + share - client.now, spaced, 0)
            if held == 0:
                client.ask(call, PATIENT)
                last_at[call] = client.now

    def test_urgent_requests_may_be_half_the_limit_ahead_and_patient_ones_a_tenth(self) -> None:
        for urgency, ahead in ((URGENT, 150), (PATIENT, 30)):
            buckets = described(LOOKUP, remaining=300)
            buckets = take(buckets, LOOKUP, PATIENT, now=START)
            granted = 1
            while wait(buckets, LOOKUP, urgency, now=START) == 0:
                buckets = take(buckets, LOOKUP, urgency, now=START)
                granted += 1
            assert granted == ahead

    def test_a_tenth_of_the_budget_is_a_patient_request_every_27th_of_the_window(self) -> None:
        buckets = take(described(LOOKUP, remaining=100), LOOKUP, PATIENT, now=START)
        assert wait(buckets, LOOKUP, PATIENT, now=START) == pytest.approx(WINDOW_SECONDS / 27)


class TestSharing:
    def test_a_shared_bucket_is_detected_when_a_count_falls_faster_than_its_requests(self) -> None:
        client = Client(SimulatedX(300, one_for_all))
        for call in (LOOKUP, CREATORS, LOOKUP):
            client.ask(call)
        assert client.buckets.shared == (frozenset({LOOKUP, CREATORS}),)
        assert client.buckets.of(CREATORS).remaining == 297

    def test_the_lowest_count_holds_for_all_sharing_calls(self) -> None:
        buckets = described(LOOKUP, CREATORS, remaining=40)
        for call in (LOOKUP, CREATORS) * 5:
            buckets = take(buckets, call, URGENT, now=START + 800)
        assert buckets.of(LOOKUP).remaining == 30
        assert wait(buckets, LOOKUP, URGENT, now=START + 800) == 100

    @given(st.lists(CALLS, min_size=30, max_size=150), st.integers(20, 60), st.integers(0, 8))
    def test_a_detected_shared_bucket_is_never_used_beyond_its_share(
        self, asked: list[Call], limit: int, late: int
    ) -> None:
        client = Client(SimulatedX(limit, one_for_all))
        learned = False
        for call in asked:
            client.ask_in_time(call, at_most_late=late)
            if learned:
                assert client.x.used(call, client.now) <= limit * (1 - RESERVED_SHARE)
                assert client.buckets.shared == (frozenset(Call),)
            learned = client.buckets.shared == (frozenset(Call),)

    @given(st.lists(CALLS, max_size=30), st.integers(0, 4))
    def test_a_shared_bucket_is_detected_within_a_few_answers(self, asked: list[Call], late: int) -> None:
        client = Client(SimulatedX(300, one_for_all))
        for call in (*asked, *Call, *Call, *Call):
            client.ask(call, at_most_late=late)
        assert client.buckets.shared == (frozenset(Call),)

    @given(st.lists(CALLS, max_size=40), st.integers(0, 8))
    def test_separate_buckets_are_never_taken_for_a_shared_one(self, asked: list[Call], late: int) -> None:
        client = Client(SimulatedX(300, one_each))
        for call in asked:
            client.ask(call, at_most_late=late)
            assert client.buckets.shared == ()

    @given(st.lists(CALLS, max_size=40))
    def test_a_wrong_detection_is_undone_within_a_few_answers(self, asked: list[Call]) -> None:
        client = Client(SimulatedX(300, one_each), Buckets((Bucket(frozenset(Call)),)))
        for call in (*asked, *tuple(Call) * 10):
            client.ask(call)
        assert client.buckets.shared == ()
        for call in Call:
            assert client.buckets.of(call).remaining == 300 - client.x.used(call, client.now)

    def test_a_separate_window_proves_a_separate_bucket(self) -> None:
        buckets = described(LOOKUP, CREATORS, remaining=200)
        buckets = learn(buckets, CREATORS, limit=300, remaining=299, reset=START + 1000, now=START + 100)
        assert buckets.shared == ()
        assert (buckets.of(LOOKUP).remaining, buckets.of(CREATORS).remaining) == (200, 299)

    def test_a_different_limit_proves_a_separate_bucket(self) -> None:
        buckets = described(LOOKUP, USERS, remaining=200)
        buckets = learn(buckets, USERS, limit=900, remaining=190, reset=START + 900, now=START)
        assert buckets.shared == ()

    def test_a_new_window_near_the_end_of_the_last_one_proves_nothing(self) -> None:
        buckets = described(LOOKUP, CREATORS, remaining=200)
        buckets = learn(buckets, CREATORS, limit=300, remaining=299, reset=START + 1795, now=START + 895)
        assert buckets.shared == (frozenset({LOOKUP, CREATORS}),)
        assert buckets.of(LOOKUP).remaining == 299

    def test_a_shared_bucket_stays_shared_in_the_next_window(self) -> None:
        client = Client(SimulatedX(300, one_for_all))
        for call in (LOOKUP, CREATORS, LOOKUP):
            client.ask(call)
        client.now += WINDOW_SECONDS + 1
        client.ask(LOOKUP)
        client.ask(LOOKUP)
        assert client.buckets.of(CREATORS).remaining == 298

    def test_other_users_of_the_credentials_do_not_look_like_a_shared_bucket(self) -> None:
        client = Client(SimulatedX(300, one_each))
        client.x.windows[CREATORS] = (20, START + WINDOW_SECONDS)
        for _ in range(40):
            client.ask(CREATORS)
            client.ask(LOOKUP)
            client.x.answer(LOOKUP, client.now)
            client.x.answer(LOOKUP, client.now)
            counts = [client.buckets.of(call).remaining for call in (LOOKUP, CREATORS)]
            assert client.buckets.shared == () or abs(counts[0] - counts[1]) <= 3
        assert client.buckets.of(CREATORS).remaining == 240

    def test_requests_in_flight_on_either_call_are_subtracted_from_a_shared_bucket(self) -> None:
        reset = START + 900
        buckets = Buckets(
            (
                Bucket(frozenset({LOOKUP}), 300, 200, reset, unanswered=1),
                Bucket(frozenset({CREATORS}), 300, 190, reset, unanswered=4),
            )
        )
        buckets = learn(buckets, LOOKUP, limit=300, remaining=192, reset=reset, now=START)
        assert buckets.of(CREATORS).calls == {LOOKUP, CREATORS}
        assert buckets.of(CREATORS).remaining == 188
