"""A model of X that bills what it returns, for the tests of the budget."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from notifier.core.model.ids import SpaceId
from notifier.core.model.observation import Call, People, Question
from notifier.core.model.space import Space
from notifier.core.polling.spending import DAY_SECONDS
from tests.support.rig import XRequest

SPACE: Final = 5
USER: Final = 10
"""Prices in thousandths of a dollar, as X publishes them."""


MARKS: Final = {
    "invited_user_ids": People.WITH_GUESTS,
    "host_ids": People.ON_STAGE,
    "creator_id": People.CREATOR,
}
"""The expansion by which a request asks for each level of people."""


@dataclass
class BilledSpace:
    """A Space as X has it."""

    id: str
    creator: str
    speakers: list[str] = field(default_factory=list)
    guests: list[str] = field(default_factory=list)
    is_over: bool = False

    def shown(self, people: People) -> Space:
        """Return the Space with the people that a question asks for; X leaves empty lists out."""
        return Space(
            id=SpaceId(self.id),
            creator_id=None if people is People.NOBODY else self.creator,
            host_ids=(self.creator,) if people.costs_extra else None,
            speaker_ids=(tuple(self.speakers) or None) if people.costs_extra else None,
            invited_user_ids=(tuple(self.guests) or None) if people is People.WITH_GUESTS else None,
        )

    @property
    def price(self) -> int:
        """The price of the Space and everyone in it."""
        return SPACE + USER * len({self.creator, *self.speakers, *self.guests})


@dataclass
class BillingX:
    """The Spaces, and what was billed on each day."""

    spaces: dict[str, BilledSpace] = field(default_factory=dict)
    billed: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    _people: int = 0

    def open_space(self, creator: str, speakers: int = 0, guests: int = 0) -> BilledSpace:
        """Open a Space."""
        billed_space = BilledSpace(
            f"S{len(self.spaces)}", creator, self.people(speakers), self.people(guests)
        )
        self.spaces[billed_space.id] = billed_space
        return billed_space

    def people(self, count: int) -> list[str]:
        """Return new user ids."""
        self._people += count
        return [str(70_000 + each) for each in range(self._people - count, self._people)]

    def ask(self, question: Question, now: float) -> list[Space]:
        """Return the answer to a question, and bill it."""
        found = [each.shown(question.people) for each in self._found(question)]
        people = {person for space in found for person in space.people()}
        if question.call is Call.USERS:
            people = {f"9{name[1:]}" for name in question.subjects}
        self.billed[int(now // DAY_SECONDS)] |= {f"s:{space.id}" for space in found} | {
            f"u:{person}" for person in people
        }
        return found

    async def override(self, asked: XRequest) -> web.Response:
        """Return the answer to a request instead of the simulator."""
        expanded = asked.query.get("expansions", "")
        people = next((level for mark, level in MARKS.items() if mark in expanded), People.NOBODY)
        results = int(asked.query.get("max_results", 100))
        found = self.ask(Question(asked.call, asked.subjects, people, results), asked.at)
        named = dict.fromkeys(person for space in found for person in space.people())
        data = [space.as_json() | {"state": self._state(space.id), "title": "news"} for space in found]
        users = [{"id": person, "name": f"N{person}", "username": f"u{person}"} for person in named]
        if asked.call is Call.USERS:
            data = [{"id": f"9{name[1:]}", "name": name, "username": name} for name in asked.subjects]
        return web.json_response({"data": data, "includes": {"users": users}})

    def _state(self, space_id: str) -> str:
        return "ended" if self.spaces[space_id].is_over else "live"

    def cost(self, day: int) -> int:
        """Return the bill of a day, in thousandths of a dollar."""
        kinds = Counter(resource[0] for resource in self.billed[day])
        return SPACE * kinds["s"] + USER * kinds["u"]

    def highest_price(self) -> int:
        """Return the price of the most expensive Space."""
        return max((each.price for each in self.spaces.values()), default=SPACE)

    def _found(self, question: Question) -> Iterable[BilledSpace]:
        alive = [each for each in self.spaces.values() if not each.is_over]
        if question.call is Call.LOOKUP:
            return [self.spaces[each] for each in question.subjects if each in self.spaces]
        if question.call is Call.CREATORS:
            return [each for each in alive if each.creator in question.subjects]
        return alive[: question.max_results] if question.call is Call.SEARCH else []
