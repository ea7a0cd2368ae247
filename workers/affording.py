"""Money for questions: hold what one may cost at worst, or ask less, and settle when X has answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from notifier import metrics
from notifier.core.model.observation import Call, Observation, People, Question
from notifier.core.model.poll import DuePoll, NextPoll
from notifier.core.model.space import Space
from notifier.core.model.watch import WatchKind
from notifier.core.polling.batching import of_one_kind
from notifier.core.polling.spending import billable, next_day
from notifier.core.polling.worst_case import (
    Choice,
    CostEstimate,
    choose,
    of_creator,
    of_name,
    of_result,
    of_space,
    precedence,
    without_users,
)
from notifier.core.spaces.known import KnownSpace
from workers.context import Worker

UNAFFORDABLE_SECONDS: Final = 600.0
"""When a poll that today's money does not reach for is considered again."""

HELD_BY_OTHERS_SECONDS: Final = 1.0
"""The same of one that it would reach for if other questions did not hold so much."""

TRIES: Final = 10
"""How often less is chosen because others held money in between."""


@dataclass(frozen=True, slots=True)
class Affordable:
    """A question that can be asked, the polls that it answers, and the hold for it, if any."""

    question: Question
    due: tuple[DuePoll, ...]
    hold: str | None = None


async def afford(worker: Worker, question: Question, due: Sequence[DuePoll]) -> Affordable | None:
    """Cut a question down to what the day's money reaches for, and hold that money.

    Polls that it does not answer then keep their place on the schedule. None: nothing can be asked, and the
    polls are put off.

    Args:
        worker: Whose store is meant.
        question: What would be asked, with the people that would be read.
        due: The claimed polls, in the order of the question's subjects.
    """
    asked = await _without_over(worker, Affordable(question, tuple(due)))
    budget = worker.runtime.settings.daily_budget_usd
    if budget is None:
        return asked
    question, subjects = asked.question, asked.question.subjects
    estimates = await _prospects(worker, asked)
    if question.call is Call.SEARCH:
        choice, hold = await _hold(worker, asked, estimates, budget)
        if choice is None:
            return None
        smaller = replace(question, people=choice.people, max_results=choice.count)
        return Affordable(smaller, asked.due, hold)
    now = worker.runtime.clock()
    # What only fills a request comes last: a smaller one must still answer a poll that is due.
    parts = sorted(
        zip(asked.due, subjects, estimates, strict=True),
        key=lambda part: (part[0].at > now, precedence(part[2])),
    )
    due_now = sum(poll.at <= now for poll, _, _ in parts)
    choice, hold = await _hold(worker, asked, [estimate for _, _, estimate in parts], budget, due=due_now)
    if choice is None:
        return None
    taken = parts[choice.first : choice.first + choice.count]
    left = [*parts[: choice.first], *parts[choice.first + choice.count :]]
    await _keep_place(worker, question.call, [poll for poll, _, _ in left])
    smaller = replace(question, people=choice.people, subjects=tuple(subject for _, subject, _ in taken))
    return Affordable(smaller, tuple(poll for poll, _, _ in taken), hold)


async def settle(worker: Worker, observation: Observation, hold: str | None) -> None:
    """Note what an answer costs, and release what was held for it; a failed call costs nothing."""
    runtime, question = worker.runtime, observation.question
    spaces, users = billable(observation, expanded_users_billed=runtime.settings.x_expanded_users_billed)
    if not (spaces or users or hold):
        return
    bill = await runtime.store.spending.bill(
        spaces,
        users,
        now=observation.answered_at,
        hold=hold,
        with_people=hold is not None and question.people.costs_extra,
    )
    if bill.usd:
        runtime.tally.count(metrics.X_COST_USD, by=bill.usd)


async def _without_over(worker: Worker, asked: Affordable) -> Affordable:
    """Keep Spaces that are over out of a question about people: it is for one kind or the other."""
    question = asked.question
    if question.call is not Call.LOOKUP or not question.people.costs_extra:
        return asked
    phases = await worker.runtime.store.spaces.phases(question.subjects)
    over = {space_id for space_id, phase in phases.items() if phase.is_over}
    chosen = of_one_kind(asked.due, over)
    if len(chosen) < len(asked.due):
        await _keep_place(worker, question.call, [poll for poll in asked.due if poll not in chosen])
    subjects = tuple(poll.subject for poll in chosen)
    people = People.NOBODY if over.issuperset(subjects) else question.people
    return Affordable(replace(question, subjects=subjects, people=people), tuple(chosen))


async def _prospects(worker: Worker, asked: Affordable) -> list[CostEstimate]:
    """Return what each subject of a question may bill; each result, where it is a search."""
    question = asked.question
    if question.call is Call.USERS:
        return [of_name()] * len(question.subjects)
    if question.call is Call.SEARCH:
        estimates = [of_result()] * question.max_results
    elif question.call is Call.CREATORS:
        estimates = await _of_creators(worker, question.subjects)
    else:
        estimates = await _of_spaces(worker, asked)
    if worker.runtime.settings.x_expanded_users_billed:
        return estimates
    return [without_users(each) for each in estimates]


async def _of_spaces(worker: Worker, asked: Affordable) -> list[CostEstimate]:
    store, now = worker.runtime.store, worker.runtime.clock()
    records = await store.spaces.read_many(asked.question.subjects)
    spaces = _known({space_id: record.known for space_id, record in records.items()})
    paid = await store.spending.paid(asked.question.subjects, _people(spaces), now=now)
    return [
        of_space(space_id, spaces.get(space_id), paid, poll.urgency)
        for space_id, poll in zip(asked.question.subjects, asked.due, strict=True)
    ]


async def _of_creators(worker: Worker, creators: Sequence[str]) -> list[CostEstimate]:
    store, now = worker.runtime.store, worker.runtime.clock()
    watches = await store.watches.by_subjects(WatchKind.CREATOR, creators)
    alive = await store.spaces.alive_of([watch.id for watch in watches.values()])
    records = await store.spaces.read_many(sorted(alive))
    spaces = _known({space_id: record.known for space_id, record in records.items()})
    paid = await store.spending.paid(list(spaces), {*_people(spaces), *creators}, now=now)
    return [
        of_creator(creator, [space for space in spaces.values() if space.creator_id == creator], paid)
        for creator in creators
    ]


def _known(records: Mapping[str, KnownSpace | None]) -> dict[str, Space]:
    return {str(space_id): known.space for space_id, known in records.items() if known is not None}


def _people(spaces: Mapping[str, Space]) -> set[str]:
    return {person for space in spaces.values() for person in space.people()}


async def _hold(
    worker: Worker,
    asked: Affordable,
    estimates: Sequence[CostEstimate],
    budget: float,
    *,
    due: int | None = None,
) -> tuple[Choice | None, str | None]:
    """Choose what is asked and hold the money for it; where nothing can be, put the polls off."""
    spending, now = worker.runtime.store.spending, worker.runtime.clock()
    call = asked.question.call
    requested = People.CREATOR if call is Call.USERS else asked.question.people
    divisible = call is not Call.SEARCH
    option = partial(choose, estimates, requested, budget=budget, due=due, divisible=divisible)
    # The first try hopes that nothing is used; a refusal says how much is.
    spent = held = 0
    for _ in range(TRIES):
        choice = option(used=spent + held)
        if choice is None:
            break
        if choice.mills == 0:
            return choice, None
        holding = await spending.hold(choice.mills, limit=choice.limit, now=now)
        if holding.id is not None:
            return choice, holding.id
        spent, held = holding.spent, holding.held
    is_left = option(used=spent) is not None
    await _put_off(worker, asked, now + (HELD_BY_OTHERS_SECONDS if is_left else UNAFFORDABLE_SECONDS))
    return None, None


async def _keep_place(worker: Worker, call: Call, polls: Sequence[DuePoll]) -> None:
    """Put claimed polls back to the schedule as they were."""
    places = {poll.subject: NextPoll(poll.at, poll.urgency) for poll in polls}
    await worker.runtime.store.polls.schedule(call, places)


async def _put_off(worker: Worker, asked: Affordable, at: float) -> None:
    """Have the polls that are due wait for money, but not beyond the next day, which brings it."""
    now = worker.runtime.clock()
    later = min(at, next_day(now))
    await worker.runtime.store.polls.schedule(
        asked.question.call,
        {poll.subject: NextPoll(later if poll.at <= now else poll.at, poll.urgency) for poll in asked.due},
    )
