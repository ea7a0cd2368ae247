"""What a question may cost at worst, and how much of it the money of a day reaches for.

Nobody knows before the answer how many Spaces a creator has announced, or who has come on stage. So a
question is asked only where what is left pays for all that it may show: as wished, or without people, or
about fewer subjects, or not at all. News of Spaces outranks people: they are asked for only up to nine tenths
of the budget, and a question is divided for their sake only where the news of all its subjects is affordable.

Money is counted in thousandths of a US dollar here, because it is compared with a limit.
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
"""How many there are in a dollar."""

SPACE_MILLS: Final = round(SPACE_READ_USD * MILLS)
USER_MILLS: Final = round(USER_READ_USD * MILLS)

PEOPLE_SHARE: Final = 0.9
"""The share of the budget up to which people are asked for; the rest is for the news of Spaces."""

NEW_SPACES: Final = 10
"""How many Spaces a creator may have announced since the last poll: X lets them plan ten at a time."""

NEWCOMERS: Final = 13
"""How many people may have come between two polls: a host, two co-hosts and ten speakers fill a stage."""

STRANGERS: Final = 200
"""How many people a Space may have whose people were not asked for today: all who ever spoke count."""

MOST_PARTS: Final = 4
"""Into how many questions one is divided at most, or nearly, so that people can be asked for once more."""

LEVELS: Final = (People.CREATOR, People.ON_STAGE, People.WITH_GUESTS)


@dataclass(frozen=True, slots=True)
class Paid:
    """What need not be paid for again on a UTC day.

    Attributes:
        with_people: The Spaces whose people were asked for on that day.
    """

    spaces: AbstractSet[str] = frozenset()
    users: AbstractSet[str] = frozenset()
    with_people: AbstractSet[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Prospect:
    """What the answer about one subject may bill.

    Attributes:
        share: The share of the budget up to which the subject is asked about.
        spaces: Known Spaces that are not paid for.
        new_spaces: How many unknown ones there may be besides.
        users: Known people who are not paid for, by whom the question asks for.
        new_users: How many unknown ones there may be besides.
    """

    share: float
    spaces: frozenset[str] = frozenset()
    new_spaces: int = 0
    users: Mapping[People, frozenset[str]] = field(default_factory=dict)
    new_users: Mapping[People, int] = field(default_factory=dict)

    def has_met(self, people: People) -> bool:
        """Return whether the people whom a question asks for were asked for today."""
        return self.new_users.get(people, 0) <= NEWCOMERS


@dataclass(frozen=True, slots=True)
class Choice:
    """What is asked.

    Attributes:
        count: About how many of the subjects.
        people: Whose profiles are asked for.
        mills: The money to be held for it, in thousandths of a dollar; 0: the answer is paid for already.
        limit: What may be spent and held on the day, this hold included.
        first: Which subject is the first of them.
    """

    count: int
    people: People
    mills: int
    limit: int
    first: int = 0


def of_space(space_id: str, space: Space | None, paid: Paid, urgency: Urgency) -> Prospect:
    """Return what a lookup of one Space may bill; ``space`` is None where nothing is known of it."""
    is_paid = space_id in paid.spaces
    named = _named(space)
    # The answer that the Space was paid for with has brought its creator, if X describes that account at all.
    creator = frozenset() if is_paid else named[People.CREATOR] - paid.users
    new_creator = 0 if is_paid or named[People.CREATOR] else 1
    known = {level: named[level] - paid.users for level in LEVELS[1:]}
    new = {level: _newcomers(space_id, named[level], paid) for level in LEVELS[1:]}
    return Prospect(
        share=READ_SHARE[urgency],
        spaces=frozenset() if is_paid else frozenset({space_id}),
        users={People.CREATOR: creator, **known},
        new_users={People.CREATOR: new_creator, **new},
    )


def of_creator(creator_id: str, spaces: Iterable[Space], paid: Paid) -> Prospect:
    """Return what a question about a creator may bill; ``spaces``: their living Spaces that are known."""
    known = [of_space(space.id, space, paid, Urgency.PATIENT) for space in spaces]
    creator = frozenset({creator_id}) - paid.users
    strangers = dict.fromkeys(LEVELS[1:], NEW_SPACES * STRANGERS)
    return Prospect(
        share=DISCOVERY_SHARE,
        spaces=frozenset().union(*(each.spaces for each in known)),
        new_spaces=NEW_SPACES,
        users={level: creator.union(*(each.users[level] for each in known)) for level in LEVELS},
        new_users={
            level: strangers.get(level, 0) + sum(each.new_users[level] for each in known) for level in LEVELS
        },
    )


def of_result() -> Prospect:
    """Return what one more result of a search may bill."""
    people = {People.CREATOR: 1} | dict.fromkeys(LEVELS[1:], STRANGERS + 1)
    return Prospect(share=DISCOVERY_SHARE, new_spaces=1, new_users=people)


def of_name() -> Prospect:
    """Return what the question for the user of a name bills."""
    return Prospect(share=READ_SHARE[Urgency.PATIENT], new_users=dict.fromkeys(LEVELS, 1))


def without_users(prospect: Prospect) -> Prospect:
    """Return the same where X does not bill the people who come along with a Space."""
    return replace(prospect, users={}, new_users={})


def mills(prospects: Sequence[Prospect], people: People) -> int:
    """Return what one question about all of these may cost, in thousandths of a dollar."""
    spaces = frozenset().union(*(each.spaces for each in prospects))
    users = frozenset().union(*(each.users.get(people, frozenset()) for each in prospects))
    new_spaces = sum(each.new_spaces for each in prospects)
    new_users = sum(each.new_users.get(people, 0) for each in prospects)
    return SPACE_MILLS * (len(spaces) + new_spaces) + USER_MILLS * (len(users) + new_users)


def precedence(prospect: Prospect) -> tuple[bool, float]:
    """Return a key to sort by: what is paid for first, then what may use the largest share of the budget."""
    return mills([prospect], People.CREATOR) > 0, -prospect.share


def choose(
    prospects: Sequence[Prospect],
    wished: People,
    *,
    used: int,
    budget: float,
    due: int | None = None,
    divisible: bool = True,
) -> Choice | None:
    """Choose how much of a question is asked; None: nothing, there is not enough left.

    Args:
        prospects: What each subject may bill, at least one, the first ones to be asked about first.
        wished: Whose profiles would be read.
        used: What is spent and held on the day, in thousandths of a dollar.
        budget: US dollars a day.
        due: How many of them are due, the first ones; the others fill the request. All unless given.
        divisible: Whether subjects that are left out can be asked about in another question.
    """
    if wished.costs_extra:
        whole = _reach(prospects, wished, used, budget)
        if whole is not None and whole.count == len(prospects):
            return whole
        # What the others cost without people is kept aside, so that their news is not the price of people.
        part = _reach(prospects, wished, used + mills(prospects, People.CREATOR), budget)
        if part is None or part.count * MOST_PARTS < len(prospects):
            part = _one_space(prospects[:due], wished, used, budget)
        if divisible and part is not None:
            return part
        wished = People.CREATOR
    return _reach(prospects, wished, used, budget) or _one_at_least(prospects[0], wished, used, budget)


def _reach(prospects: Sequence[Prospect], people: People, used: int, budget: float) -> Choice | None:
    """Choose as many of the first subjects as there is money for."""

    def is_beyond(count: int) -> bool:
        cost = mills(prospects[:count], people)
        return cost > 0 and used + cost > _limit(prospects[:count], people, budget)

    count = bisect_left(range(1, len(prospects) + 1), 1, key=is_beyond)
    if count == 0:
        return None
    limit = _limit(prospects[:count], people, budget)
    return Choice(count, people, mills(prospects[:count], people), limit)


def _one_space(prospects: Sequence[Prospect], people: People, used: int, budget: float) -> Choice | None:
    """Choose a lone Space whose people were not asked for today, whatever their number.

    A day may go above its budget by one Space. All that is left is held, so that it stays the only one.
    """
    everything = _part(budget, 1.0)
    strangers = (at for at, each in enumerate(prospects) if not (each.new_spaces or each.has_met(people)))
    first = next(strangers, None)
    if first is None:
        return None
    one = prospects[first : first + 1]
    if used + mills(prospects, People.CREATOR) >= _limit(one, people, budget):
        return None
    return Choice(1, people, min(mills(one, people), everything - used), everything, first)


def _one_at_least(first: Prospect, people: People, used: int, budget: float) -> Choice | None:
    """Choose a lone creator where the money does not reach for as many new Spaces as they may have.

    One answer that shows a Space too many is all by which a day may go above its budget. Everything that is
    left is held for it, so that it stays the only one.
    """
    everything = _part(budget, 1.0)
    expected = mills([replace(first, new_spaces=0)], people)
    is_lone_creator = first.new_spaces > 1
    if not is_lone_creator or used >= _limit([first], people, budget) or used + expected > everything:
        return None
    return Choice(1, people, min(mills([first], people), everything - used), everything)


def _limit(prospects: Sequence[Prospect], people: People, budget: float) -> int:
    """Return how far the day's use may go for all of these, in thousandths of a dollar."""
    shares = [each.share for each in prospects if mills([each], people) > 0]
    return _part(budget, min([*shares, PEOPLE_SHARE if people.costs_extra else 1.0]))


def _part(budget: float, share: float) -> int:
    """Return a part of a budget in whole thousandths of a dollar, which is all that X bills in."""
    return math.floor(round(budget * MILLS * share, 6))


def _named(space: Space | None) -> Mapping[People, frozenset[str]]:
    """Return the people whom a Space is known to name, by whom a question asks for."""
    if space is None:
        return dict.fromkeys(LEVELS, frozenset())
    creator = {space.creator_id} if space.creator_id else set()
    return {
        People.CREATOR: frozenset(creator),
        People.ON_STAGE: frozenset({*creator, *(space.host_ids or ()), *(space.speaker_ids or ())}),
        People.WITH_GUESTS: frozenset(space.people()),
    }


def _newcomers(space_id: str, named: frozenset[str], paid: Paid) -> int:
    return NEWCOMERS if space_id in paid.with_people else max(STRANGERS - len(named), NEWCOMERS)
