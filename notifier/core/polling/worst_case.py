"""What a question may cost at worst, and how much of it the day's budget can pay for.

Before the answer it is unknown how many Spaces a creator has announced, or who has come on stage. So a
question is asked only if the rest of the budget pays for everything that it may return: as wanted, or without
people, or about fewer subjects, or not at all. Changes of Spaces outrank people: people are requested only up
to nine tenths of the budget, and a question is divided for their sake only if all its subjects are affordable
without people.

Money is counted in mills, thousandths of a US dollar, because it is compared with a limit.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final

from notifier.core.model.observation import People
from notifier.core.model.poll import Urgency
from notifier.core.model.space import Space
from notifier.core.polling.spending import DISCOVERY_SHARE, READ_SHARE, SPACE_READ_USD, USER_READ_USD

MILLS: Final = 1000
"""Mills in a US dollar."""

SPACE_MILLS: Final = round(SPACE_READ_USD * MILLS)
USER_MILLS: Final = round(USER_READ_USD * MILLS)

PEOPLE_SHARE: Final = 0.9
"""The share of the budget up to which people are requested; the rest is for changes of Spaces."""

NEW_SPACES: Final = 10
"""How many Spaces a creator may have announced since the last poll: X allows ten planned at a time."""

NEWCOMERS: Final = 13
"""How many people may have joined between two polls: one host, two co-hosts and ten speakers."""

UNKNOWN_PEOPLE: Final = 200
"""How many people a Space may have if they were not requested today: everyone who ever spoke."""

MAX_PARTS: Final = 4
"""Into about how many questions one is divided at most, so that people can still be requested."""

LEVELS: Final = (People.CREATOR, People.ON_STAGE, People.WITH_GUESTS)


@dataclass(frozen=True, slots=True)
class Paid:
    """What is already paid for on a UTC day.

    Attributes:
        with_people: The Spaces whose people were requested on that day.
    """

    spaces: AbstractSet[str] = frozenset()
    users: AbstractSet[str] = frozenset()
    with_people: AbstractSet[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What the answer about one subject may bill.

    Attributes:
        share: The share of the budget up to which the subject is asked about.
        spaces: Known Spaces that are not paid for.
        new_spaces: How many more, unknown Spaces there may be.
        users: Known people who are not paid for, by what the question requests.
        new_users: How many more, unknown people there may be.
    """

    share: float
    spaces: frozenset[str] = frozenset()
    new_spaces: int = 0
    users: Mapping[People, frozenset[str]] = field(default_factory=dict)
    new_users: Mapping[People, int] = field(default_factory=dict)

    def has_seen(self, people: People) -> bool:
        """Return whether the people that a question requests were already requested today."""
        return self.new_users.get(people, 0) <= NEWCOMERS


@dataclass(frozen=True, slots=True)
class Choice:
    """What to ask.

    Attributes:
        count: How many of the subjects.
        people: Whose profiles to request.
        mills: The mills to reserve for it; 0 if the answer is already paid for.
        limit: What may be spent and reserved on the day, including this.
        first: The index of the first of them.
    """

    count: int
    people: People
    mills: int
    limit: int
    first: int = 0


def of_space(space_id: str, space: Space | None, paid: Paid, urgency: Urgency) -> CostEstimate:
    """Return what a lookup of one Space may bill; ``space`` is None if nothing is known about it."""
    is_paid = space_id in paid.spaces
    named = _named(space)
    # The answer that paid for the Space included its creator, if X describes that account at all.
    creator = frozenset() if is_paid else named[People.CREATOR] - paid.users
    new_creator = 0 if is_paid or named[People.CREATOR] else 1
    known = {level: named[level] - paid.users for level in LEVELS[1:]}
    new = {level: _newcomers(space_id, named[level], paid) for level in LEVELS[1:]}
    return CostEstimate(
        share=READ_SHARE[urgency],
        spaces=frozenset() if is_paid else frozenset({space_id}),
        users={People.CREATOR: creator, **known},
        new_users={People.CREATOR: new_creator, **new},
    )


def of_creator(creator_id: str, spaces: Iterable[Space], paid: Paid) -> CostEstimate:
    """Return what a question about a creator may bill; ``spaces`` are the known ones that are not over."""
    known = [of_space(space.id, space, paid, Urgency.PATIENT) for space in spaces]
    creator = frozenset({creator_id}) - paid.users
    unknown_people = dict.fromkeys(LEVELS[1:], NEW_SPACES * UNKNOWN_PEOPLE)
    return CostEstimate(
        share=DISCOVERY_SHARE,
        spaces=frozenset().union(*(each.spaces for each in known)),
        new_spaces=NEW_SPACES,
        users={level: creator.union(*(each.users[level] for each in known)) for level in LEVELS},
        new_users={
            level: unknown_people.get(level, 0) + sum(each.new_users[level] for each in known)
            for level in LEVELS
        },
    )


def of_result() -> CostEstimate:
    """Return what one more result of a search may bill."""
    people = {People.CREATOR: 1} | dict.fromkeys(LEVELS[1:], UNKNOWN_PEOPLE + 1)
    return CostEstimate(share=DISCOVERY_SHARE, new_spaces=1, new_users=people)


def of_name() -> CostEstimate:
    """Return what resolving a user name bills."""
    return CostEstimate(share=READ_SHARE[Urgency.PATIENT], new_users=dict.fromkeys(LEVELS, 1))


def without_users(estimate: CostEstimate) -> CostEstimate:
    """Return the same if X does not bill the people who come with a Space."""
    return replace(estimate, users={}, new_users={})


def mills(estimates: Sequence[CostEstimate], people: People) -> int:
    """Return what one question about all of these may cost, in mills."""
    spaces = frozenset().union(*(each.spaces for each in estimates))
    users = frozenset().union(*(each.users.get(people, frozenset()) for each in estimates))
    new_spaces = sum(each.new_spaces for each in estimates)
    new_users = sum(each.new_users.get(people, 0) for each in estimates)
    return SPACE_MILLS * (len(spaces) + new_spaces) + USER_MILLS * (len(users) + new_users)


def precedence(estimate: CostEstimate) -> tuple[bool, float]:
    """Return a sort key: what is paid for first, then what may use the largest share of the budget."""
    return mills([estimate], People.CREATOR) > 0, -estimate.share


def choose(
    estimates: Sequence[CostEstimate],
    wanted: People,
    *,
    used: int,
    budget: float,
    due: int | None = None,
    divisible: bool = True,
) -> Choice | None:
    """Return how much of a question to ask; None if there is not enough money left.

    Args:
        estimates: What each subject may bill, at least one, in order of priority.
        wanted: Whose profiles would be read.
        used: The mills spent and reserved on the day.
        budget: US dollars a day.
        due: How many of them, the first ones, are due; the others fill the request. All if not given.
        divisible: Whether subjects that are left out can go into another question.
    """
    if wanted.costs_extra:
        whole = _reach(estimates, wanted, used, budget)
        if whole is not None and whole.count == len(estimates):
            return whole
        # What the others cost without people is set aside, so that people are not paid for by their changes.
        part = _reach(estimates, wanted, used + mills(estimates, People.CREATOR), budget)
        if part is None or part.count * MAX_PARTS < len(estimates):
            part = _one_space(estimates[:due], wanted, used, budget)
        if divisible and part is not None:
            return part
        wanted = People.CREATOR
    return _reach(estimates, wanted, used, budget) or _one_at_least(estimates[0], wanted, used, budget)


def _reach(estimates: Sequence[CostEstimate], people: People, used: int, budget: float) -> Choice | None:
    """Return a choice of as many of the first subjects as there is money for."""

    def is_beyond(count: int) -> bool:
        cost = mills(estimates[:count], people)
        return cost > 0 and used + cost > _limit(estimates[:count], people, budget)

    count = bisect_left(range(1, len(estimates) + 1), 1, key=is_beyond)
    if count == 0:
        return None
    limit = _limit(estimates[:count], people, budget)
    return Choice(count, people, mills(estimates[:count], people), limit)


def _one_space(estimates: Sequence[CostEstimate], people: People, used: int, budget: float) -> Choice | None:
    """Return the choice of a single Space whose people were not requested today, whatever their number.

    A day may exceed its budget by one Space. All that is left is reserved, so that it is the only one.
    """
    everything = _part(budget, 1.0)
    unseen = (at for at, each in enumerate(estimates) if not (each.new_spaces or each.has_seen(people)))
    first = next(unseen, None)
    if first is None:
        return None
    one = estimates[first : first + 1]
    if used + mills(estimates, People.CREATOR) >= _limit(one, people, budget):
        return None
    return Choice(1, people, min(mills(one, people), everything - used), everything, first)


def _one_at_least(first: CostEstimate, people: People, used: int, budget: float) -> Choice | None:
    """Return the choice of a single creator if there is no money for as many new Spaces as they may have.

    A day may exceed its budget by one such answer only: all that is left is reserved for it.
    """
    everything = _part(budget, 1.0)
    expected = mills([replace(first, new_spaces=0)], people)
    is_lone_creator = first.new_spaces > 1
    if not is_lone_creator or used >= _limit([first], people, budget) or used + expected > everything:
        return None
    return Choice(1, people, min(mills([first], people), everything - used), everything)


def _limit(estimates: Sequence[CostEstimate], people: People, budget: float) -> int:
    """Return how many mills the day may use for all of these."""
    shares = [each.share for each in estimates if mills([each], people) > 0]
    return _part(budget, min([*shares, PEOPLE_SHARE if people.costs_extra else 1.0]))


def _part(budget: float, share: float) -> int:
    """Return a share of a budget in whole mills, the unit of X's prices."""
    return math.floor(round(budget * MILLS * share, 6))


def _named(space: Space | None) -> Mapping[People, frozenset[str]]:
    """Return the people that a Space is known to name, by what a question requests."""
    if space is None:
        return dict.fromkeys(LEVELS, frozenset())
    creator = {space.creator_id} if space.creator_id else set()
    return {
        People.CREATOR: frozenset(creator),
        People.ON_STAGE: frozenset({*creator, *(space.host_ids or ()), *(space.speaker_ids or ())}),
        People.WITH_GUESTS: frozenset(space.people()),
    }


def _newcomers(space_id: str, named: frozenset[str], paid: Paid) -> int:
    return NEWCOMERS if space_id in paid.with_people else max(UNKNOWN_PEOPLE - len(named), NEWCOMERS)
