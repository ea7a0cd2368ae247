"""A state machine: with any Spaces, people and concurrent workers, no day exceeds the budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from notifier.core.model.observation import Call, People, Question
from notifier.core.model.poll import Urgency
from notifier.core.model.space import Space
from notifier.core.polling.spending import DAY_SECONDS
from notifier.core.polling.worst_case import (
    Choice,
    CostEstimate,
    Paid,
    choose,
    of_creator,
    of_name,
    of_result,
    of_space,
    precedence,
)
from tests.support.billing_x import SPACE, USER, BillingX

NOON: Final = 20_000 * DAY_SECONDS + DAY_SECONDS / 2
HOLD_SECONDS: Final = 30
CREATORS: Final = tuple(f"c{number}" for number in range(40))
SMALL: Final = (0.003, 0.02, 0.12, 0.5)
LARGE: Final = (1.0, 3.0, 20.0)
MAX_NEW_SPACES: Final = 10
MAX_NEWCOMERS: Final = 13
MAX_STRANGERS: Final = 200
"""How much may happen between two polls; docs/architecture.md says so."""

PEOPLE: Final = st.sampled_from((People.CREATOR, People.ON_STAGE, People.WITH_GUESTS))


@dataclass(frozen=True)
class Asking:
    """A question in flight, with the amount held for it and the expiry of the hold."""

    question: Question
    mills: int
    until: float


class BudgetMachine(RuleBasedStateMachine):
    """The store's holds and bills as plain sums around the real choice.

    At a small budget nobody announces a second Space before the first was seen: what a lone creator may show
    beyond that is covered by the tenth of a budget that discovery leaves, which is too little there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.x, self.now, self.budget = BillingX(), NOON, 1.0
        self.known: dict[str, Space] = {}
        self.asking: list[Asking] = []
        self.with_people: set[str] = set()
        self.names = 0

    @initialize(budget=st.sampled_from((*SMALL, *LARGE)))
    def begin(self, budget: float) -> None:
        self.budget = budget

    @property
    def day(self) -> int:
        return int(self.now // DAY_SECONDS)

    @rule(
        creator=st.sampled_from(CREATORS), count=st.integers(1, MAX_NEW_SPACES), speakers=st.integers(0, 20)
    )
    def announce(self, creator: str, count: int, speakers: int) -> None:
        unseen = sum(each.creator == creator for each in self.x.spaces.values() if each.id not in self.known)
        most = MAX_NEW_SPACES if self.budget in LARGE else 1
        for _ in range(min(count, most - unseen)):
            self.x.open_space(creator, speakers, guests=speakers // 4)

    @rule(creators=st.integers(1, 40), count=st.integers(1, MAX_NEW_SPACES))
    def announce_everywhere(self, creators: int, count: int) -> None:
        for creator in CREATORS[:creators]:
            self.announce(creator, count, 20)

    @precondition(lambda self: self.x.spaces)
    @rule(number=st.integers(0, 500), newcomers=st.integers(1, MAX_NEWCOMERS))
    def come_on_stage(self, number: int, newcomers: int) -> None:
        billed_space = [*self.x.spaces.values()][number % len(self.x.spaces)]
        seen = self.known.get(billed_space.id)
        unseen = {*billed_space.speakers, *billed_space.guests} - {*(seen.people() if seen else ())}
        room = MAX_NEWCOMERS if billed_space.id in self.with_people else MAX_STRANGERS - 1
        billed_space.speakers += self.x.people(max(min(newcomers, room - len(unseen)), 0))

    @precondition(lambda self: self.x.spaces)
    @rule(number=st.integers(0, 500))
    def end(self, number: int) -> None:
        [*self.x.spaces.values()][number % len(self.x.spaces)].is_over = True

    @precondition(lambda self: self.x.spaces)
    @rule(first=st.integers(0, 500), count=st.integers(1, 100), wanted=PEOPLE, urgent=st.integers(0, 100))
    def look_up(self, first: int, count: int, wanted: People, urgent: int) -> None:
        ids = [each.id for each in self.x.spaces.values() if not each.is_over][first:][:count]
        paid = self.paid()
        estimates = {
            each: of_space(each, self.known.get(each), paid, list(Urgency)[number >= urgent])
            for number, each in enumerate(ids)
        }
        self.ask(Call.LOOKUP, estimates, wanted)

    @rule()
    def look_up_what_is_over(self) -> None:
        ids = [each.id for each in self.x.spaces.values() if each.is_over][:100]
        paid = self.paid()
        estimates = {each: of_space(each, self.known.get(each), paid, Urgency.PATIENT) for each in ids}
        self.ask(Call.LOOKUP, estimates, People.NOBODY)

    @rule(count=st.integers(1, len(CREATORS)), wanted=PEOPLE)
    def ask_creators(self, count: int, wanted: People) -> None:
        paid, estimates = self.paid(), {}
        for creator in CREATORS[:count]:
            spaces = [each for each in self.known.values() if each.creator_id == creator]
            estimates[creator] = of_creator(creator, spaces, paid)
        self.ask(Call.CREATORS, estimates, wanted)

    @rule(wanted=PEOPLE)
    def search(self, wanted: People) -> None:
        choice = self.hold([of_result()] * 100, wanted, divisible=False)
        if choice is not None:
            question = Question(Call.SEARCH, ("news",), choice.people, max_results=choice.count)
            self.asking.append(Asking(question, choice.mills, self.now + HOLD_SECONDS))

    @rule(count=st.integers(1, 100))
    def resolve_names(self, count: int) -> None:
        self.names += count
        names = [f"n{each}" for each in range(self.names - count, self.names)]
        self.ask(Call.USERS, {each: of_name() for each in names}, People.CREATOR)

    @precondition(lambda self: self.asking)
    @rule(number=st.integers(0, 10))
    def answer(self, number: int) -> None:
        asked = self.asking.pop(number % len(self.asking))
        for space in self.x.ask(asked.question, self.now):
            before = self.known.get(space.id)
            self.known[space.id] = before.with_values(space.known()) if before else space
            if asked.question.people.costs_extra:
                self.with_people.add(space.id)

    @rule(seconds=st.sampled_from((1, 9, 60)))
    def wait(self, seconds: float) -> None:
        if any(each.until <= self.now + seconds for each in self.asking):
            self.answer_everything()
        self.pass_to(self.now + seconds)

    @rule(before=st.sampled_from((31, 29, 5, 0)))
    def wait_for_midnight(self, before: float) -> None:
        self.answer_everything()
        self.pass_to((self.day + 1) * DAY_SECONDS - before)

    @precondition(lambda self: self.now % DAY_SECONDS > DAY_SECONDS - HOLD_SECONDS)
    @rule()
    def cross_midnight_with_questions_on_their_way(self) -> None:
        self.pass_to((self.day + 1) * DAY_SECONDS)

    @invariant()
    def no_day_costs_more_than_one_space_above_the_budget(self) -> None:
        for day in self.x.billed:
            assert self.x.cost(day) <= self.budget * 1000 + self.x.highest_price()

    @invariant()
    def what_is_spent_and_held_stays_within_the_budget_but_for_that(self) -> None:
        assert self.used() <= self.budget * 1000 + self.x.highest_price()

    def ask(self, call: Call, estimates: dict[str, CostEstimate], wanted: People) -> None:
        parts = sorted(estimates.items(), key=lambda part: precedence(part[1]))
        choice = self.hold([estimate for _, estimate in parts], wanted) if parts else None
        if choice is not None:
            subjects = tuple(subject for subject, _ in parts[choice.first :][: choice.count])
            question = Question(call, subjects, choice.people)
            self.asking.append(Asking(question, choice.mills, self.now + HOLD_SECONDS))

    def hold(self, estimates: list[CostEstimate], wanted: People, *, divisible: bool = True) -> Choice | None:
        return choose(estimates, wanted, used=self.used(), budget=self.budget, divisible=divisible)

    def used(self) -> int:
        return self.x.cost(self.day) + sum(each.mills for each in self.asking if each.until > self.now)

    def paid(self) -> Paid:
        day = int((self.now + HOLD_SECONDS) // DAY_SECONDS)
        billed = self.x.billed[day]
        return Paid(
            spaces={each[2:] for each in billed if each.startswith("s:")},
            users={each[2:] for each in billed if each.startswith("u:")},
            with_people=self.with_people if day == self.day else set(),
        )

    def answer_everything(self) -> None:
        while self.asking:
            self.answer(0)

    def pass_to(self, moment: float) -> None:
        if moment // DAY_SECONDS > self.day:
            self.with_people.clear()
        self.now = moment


BudgetMachine.TestCase.settings = settings(stateful_step_count=30)
TestBudgetMachine = BudgetMachine.TestCase


def test_the_model_uses_the_prices_of_the_product() -> None:
    assert (SPACE, USER) == (5, 10)
