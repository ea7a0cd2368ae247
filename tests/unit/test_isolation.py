"""Finding the subject at fault when X fails, and how long it takes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifier.core.model.answers import read_answer
from notifier.core.model.observation import Call, Failure, Question, Remark, failed
from notifier.core.model.poll import DuePoll, Urgency
from notifier.core.model.problems import FailureKind, SubjectStatus
from notifier.core.polling.batching import fill
from notifier.core.polling.isolation import (
    LONGEST_SECONDS,
    WITNESSES,
    CallContext,
    Verdict,
    after_failure,
    disjoint,
    halve,
    select,
)
from notifier.core.polling.standing import (
    NORMAL,
    REFUSED_SECONDS,
    Pace,
    Standing,
    after_answer,
    after_refusal,
)
from tests.support.examples import examples

PACE: Final = Pace(soon=10, slowed=120, refusals=2, apart=120)
FAILURE: Final = Failure(FailureKind.UNAVAILABLE, "HTTP 503: no", suspects_subjects=True)
ORIGIN: Final = "token"
BEGIN: Final = 1000.0


@dataclass
class FailingCall:
    """A call whose requests fail if they contain a bad subject."""

    subjects: list[str]
    bad: set[str]
    size: int = 100
    retry_after: float | None = None
    now: float = BEGIN
    standings: dict[str, Standing] = field(default_factory=dict)
    answered_at: float = 0.0
    labels: tuple[str, ...] = ()
    due: dict[str, float] = field(default_factory=dict)
    requests: list[tuple[str, ...]] = field(default_factory=list)
    is_down: bool = False
    took: int = 0
    waits: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)

    def run(self, seconds: float) -> None:
        for each in self.subjects:
            self.due.setdefault(each, self.now)
            self.last.setdefault(each, self.now)
        until = self.now + seconds
        while self.now < until:
            self.now += 1
            while chosen := self.choose():
                self.ask([poll.subject for poll in chosen])
                if self.is_down:
                    self.now += 59  # since the call is paused then
                    break

    def choose(self) -> list[DuePoll]:
        polls = sorted(
            (DuePoll(each, at, Urgency.PATIENT) for each, at in self.due.items()), key=lambda poll: poll.at
        )[:100]
        selection = select([], polls, self.standings, now=self.now, origin=ORIGIN)
        for poll, at in selection.put_off.items():
            self.due[poll.subject] = at
        return fill(selection.urgent, selection.patient, now=self.now, soon=self.now, limit=self.size)

    def ask(self, subjects: list[str]) -> None:
        self.requests.append(tuple(subjects))
        if self.bad & set(subjects):
            self.fail(subjects)
            return
        self.labels, self.is_down = (), False
        if self.standings:
            self.answered_at = self.now
        for each in subjects:
            self.standings.pop(each, None)
            self.waits[each] = max(self.waits.get(each, 0), self.now - self.last[each])
            self.last[each] = self.now
            self.due[each] = self.now + 60

    def fail(self, subjects: list[str]) -> None:
        others = [each for each in self.subjects if each not in self.standings and each not in subjects]
        context = CallContext(self.standings, self.answered_at, self.labels, self.is_down, bool(others))
        retry_at = None if self.retry_after is None else self.now + self.retry_after
        failure = replace(FAILURE, retry_at=retry_at)
        verdict = after_failure(subjects, failure, context, now=self.now, pace=PACE, origin=ORIGIN)
        self.standings |= verdict.standings
        for each in subjects:
            self.due[each] = (verdict.ask_at or {}).get(each, self.now + 10)
        if verdict.wants_witness:
            self.due[others[0]] = self.now
        if not verdict.is_subjects:
            is_down = self.is_down or (verdict.is_exhausted and len(self.labels) > 0)
            self.took = self.took if self.is_down else len(self.requests)
            self.is_down = is_down
            self.labels = tuple(dict.fromkeys((*self.labels, verdict.label)))


def numbered(count: int) -> list[str]:
    return [str(number) for number in range(count)]


@settings(max_examples=examples(15))
@given(
    st.integers(2, 100),
    st.sets(st.integers(0, 99), min_size=1, max_size=3),
    st.sampled_from([1, 100]),
    st.sampled_from([None, 300.0]),
)
@example(41, {0}, 100, 300.0)
def test_up_to_three_bad_subjects_are_found_and_others_wait_at_most_two_cadences(
    count: int, positions: set[int], size: int, retry_after: float | None
) -> None:
    bad = {str(position % count) for position in positions}
    if len(bad) == count:
        return
    call = FailingCall(numbered(count), bad, size, retry_after)
    call.run(600)
    assert set(call.standings) == bad
    assert not call.is_down
    assert max(wait for subject, wait in call.waits.items() if subject not in bad) <= 120
    assert all(call.standings[each].not_before > call.now - 1 for each in bad)
    assert all(call.standings[each].reason == FAILURE.detail for each in bad)


@settings(max_examples=examples(8))
@given(st.integers(1, 300), st.sampled_from([None, 300.0]))
@example(300, 300.0)
def test_when_everything_fails_the_call_is_declared_down_after_few_requests(
    count: int, retry_after: float | None
) -> None:
    call = FailingCall(numbered(count), set(numbered(count)), retry_after=retry_after)
    call.run(30)
    assert call.is_down
    assert call.took <= 16
    call.run(3600)
    parts = {standing.group for standing in call.standings.values()}
    assert len(parts) <= 40, "each would cost a request when the outage is over"
    call.bad = set()
    call.run(120)
    assert call.standings == {}


def test_a_failed_question_is_repeated_once_before_any_subject_is_suspected() -> None:
    verdict = after_failure(["a", "b"], FAILURE, CallContext(), now=BEGIN, pace=PACE, origin=ORIGIN)
    assert verdict.ask_at == {"a": BEGIN + 10, "b": BEGIN + 10}
    assert {standing.group for standing in verdict.standings.values()} == {verdict.label}
    assert not verdict.is_exhausted


def test_a_subject_is_at_fault_only_if_another_was_answered_since() -> None:
    standing = Standing(reason="no", since=BEGIN, group="g", failures=1, origin=ORIGIN)

    def judge(answered_at: float) -> Verdict:
        context = CallContext({"a": standing}, answered_at, ("g",))
        return after_failure(["a"], FAILURE, context, now=BEGIN + 10, pace=PACE, origin=ORIGIN)

    assert judge(BEGIN - 1).is_exhausted
    assert not judge(BEGIN - 1).is_subjects
    assert judge(BEGIN + 5).is_subjects
    assert judge(BEGIN + 5).standings["a"].not_before == BEGIN + 10 + PACE.slowed


def test_an_isolated_subject_is_polled_less_and_less_often() -> None:
    standings = {"a": Standing(reason="no", since=BEGIN, group="g", failures=1, origin=ORIGIN)}
    waits, now = [], BEGIN + 10
    for _ in range(8):
        context = CallContext(standings, answered_at=now)
        verdict = after_failure(["a"], FAILURE, context, now=now, pace=PACE, origin=ORIGIN)
        standings = dict(verdict.standings)
        waits.append(standings["a"].not_before - now)
        now = standings["a"].not_before
    assert waits == [120, 240, 480, 960, 1920, *[LONGEST_SECONDS] * 3]
    late = replace(FAILURE, retry_at=now + 9000)
    context = CallContext(standings, answered_at=now)
    verdict = after_failure(["a"], late, context, now=now, pace=PACE, origin=ORIGIN)
    assert verdict.standings["a"].not_before == now + 9000


def test_an_earlier_remark_about_a_subject_is_not_the_reason_of_an_outage() -> None:
    remark = Standing(reason="X says: suspended", since=BEGIN - 9000, origin=ORIGIN)
    context = CallContext({"a": remark}, answered_at=BEGIN - 60)
    verdict = after_failure(["a", "b"], FAILURE, context, now=BEGIN, pace=PACE, origin=ORIGIN)
    assert not verdict.is_subjects
    assert {standing.since for standing in verdict.standings.values()} == {BEGIN}


def test_a_requested_wait_applies_to_the_same_question_and_not_its_parts() -> None:
    busy = replace(FAILURE, retry_at=BEGIN + 300)
    alone = after_failure(["a"], busy, CallContext(has_others=True), now=BEGIN, pace=PACE, origin=ORIGIN)
    assert alone.ask_at == {"a": BEGIN + 300}
    verdict = after_failure(["a", "b"], busy, CallContext(), now=BEGIN, pace=PACE, origin=ORIGIN)
    assert verdict.ask_at == {"a": BEGIN, "b": BEGIN}
    assert len({standing.group for standing in verdict.standings.values()}) == 2


def test_during_an_outage_no_new_subject_is_suspected() -> None:
    context = CallContext({}, 0.0, ("other",), is_down=True, has_others=True)
    verdict = after_failure(["a", "b"], FAILURE, context, now=BEGIN, pace=PACE, origin=ORIGIN)
    assert verdict.standings == {}
    assert verdict.is_exhausted


def test_a_refusal_repeated_minutes_later_is_believed_and_then_retried_daily() -> None:
    standing, believed = NORMAL, False
    for seconds, expected, wait in ((0, False, 120), (60, False, 120), (120, True, REFUSED_SECONDS)):
        standing, believed = after_refusal("a", standing, "no", now=BEGIN + seconds, pace=PACE, origin=ORIGIN)
        assert believed is expected
        assert standing.not_before == BEGIN + seconds + wait
    assert standing.since == BEGIN
    other, _ = after_refusal("b", NORMAL, "no", now=BEGIN, pace=PACE, origin=ORIGIN)
    assert other.group != standing.group, "each is asked about alone"


def test_the_group_that_has_waited_longest_is_asked_and_others_are_postponed() -> None:
    polls = [DuePoll(each, at, Urgency.URGENT) for each, at in (("a", 1), ("b", 2), ("c", 3), ("d", 4))]
    standings = {
        "a": Standing(not_before=50),
        "b": Standing(group="g/0"),
        "d": Standing(group="g/0"),
    }
    selection = select(polls, [], standings, now=10)
    assert selection.put_off == {polls[0]: 50}
    assert [poll.subject for poll in selection.urgent] == ["b", "d"]
    assert [poll.subject for poll in select(polls, [], {}, now=10).urgent] == ["a", "b", "c", "d"]
    assert select([], [], {}, now=10).urgent == []


@given(st.lists(st.text(min_size=1), min_size=2, max_size=100, unique=True))
def test_halving_loses_no_subject(subjects: list[str]) -> None:
    parts = halve(subjects, {}, label="g")
    assert list(parts) == subjects
    sizes = [sum(standing.group == f"g/{half}" for standing in parts.values()) for half in (0, 1)]
    assert sum(sizes) == len(subjects)
    assert abs(sizes[0] - sizes[1]) <= 1


@pytest.mark.parametrize(
    ("labels", "count"),
    [
        ((), 0),
        (("a",), 1),
        (("a", "a/0"), 1),
        (("a", "a/0", "a/1"), 2),
        (("a/0/1", "a/1", "b", "ab"), WITNESSES),
    ],
)
def test_questions_are_disjoint_or_nested(labels: tuple[str, ...], count: int) -> None:
    assert disjoint(labels) == count


class TestAnswers:
    QUESTION: Final = Question(Call.CREATORS, ("1", "2"))

    def test_clear_the_standing_of_answered_subjects(self) -> None:
        answer = read_answer(self.QUESTION, {"meta": {"result_count": 0}}, BEGIN, BEGIN)
        standings = {"1": Standing(reason="no", group="g", failures=2)}
        assert after_answer(("1", "2"), answer, standings, origin=ORIGIN) == {"1": None}

    def test_record_remarks_about_a_subject_with_their_start(self) -> None:
        problem = {"resource_type": "user", "resource_id": "1", "detail": "User has been suspended: [1]."}
        body = {"errors": [problem | {"type": "https://api.x.com/2/problems/resource-not-found"}]}
        answer = read_answer(self.QUESTION, body, BEGIN, BEGIN)
        assert answer.remarks == {"1": Remark(SubjectStatus.SUSPENDED, "User has been suspended: [1].")}
        changes = after_answer(("1", "2"), answer, {}, origin=ORIGIN)
        standing = changes["1"]
        assert standing is not None
        assert "suspended" in standing.reason
        later = read_answer(self.QUESTION, body, BEGIN + 60, BEGIN + 60)
        assert after_answer(("1", "2"), later, {"1": standing}, origin=ORIGIN) == {}

    def test_of_failed_calls_record_no_remarks(self) -> None:
        assert failed(self.QUESTION, FAILURE, BEGIN, BEGIN).remarks == {}

    def test_of_a_full_search_record_that_there_may_be_more(self) -> None:
        question = Question(Call.SEARCH, ("news",))
        for number, is_truncated in ((99, False), (100, True)):
            data = [{"id": f"S{each}", "state": "live"} for each in range(number)]
            answer = read_answer(question, {"data": data}, BEGIN, BEGIN)
            changes = after_answer(("wch_1",), answer, {}, origin=ORIGIN)
            assert ("wch_1" in changes) is is_truncated
