"""A faulty X and a worker that polls it, for the state machine over bad days."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Any, Final, TypeAlias

from aiohttp import web
from pydantic import SecretStr

from notifier.core.model.instants import rfc3339
from notifier.core.model.observation import Call
from notifier.core.polling.spending import DAY_SECONDS
from notifier.runtime import open_runtime
from notifier.source.client import PATHS
from notifier.store import LoggedEvent
from tests.support.api_runtime import Clock, wakeups_of
from tests.support.billing_x import SPACE, USER
from tests.support.rig import Rig, RigWorker, XRequest, open_rig
from workers.clients import x_client
from workers.failures import adopt_standings

Record: TypeAlias = dict[str, Any]
Body: TypeAlias = tuple[int, Any]
"""A status and a body, written as JSON unless it is a string."""

WATCHED: Final = tuple(str(number) for number in range(1, 13))
"""Watched creators."""

UNWATCHED: Final = tuple(str(number) for number in range(21, 25))
"""Creators whose Spaces are only watched by id or found by a search."""

BY_ID: Final = tuple(f"ById{creator}" for creator in UNWATCHED[:3])
"""Spaces watched by id."""

STEADY: Final = BY_ID[:2]
"""Those that stay live, and for which X always answers."""

SEARCHES: Final[Mapping[str, tuple[str, ...]]] = {
    "talks": (*WATCHED[:4], UNWATCHED[3]),
    "music": WATCHED[3:7],
}
"""The watched searches, and the creators whose Spaces each finds."""

LONGEST_TICK_SECONDS: Final = 10.0
SHORTEST_TICK_SECONDS: Final = 0.25
"""The loop sleeps until something is due, within these bounds."""

CADENCE_SECONDS: Final[Mapping[Call, float]] = {Call.CREATORS: 60, Call.SEARCH: 60, Call.LOOKUP: 30}
SETTLING_SECONDS: Final = 60.0
"""How long it may take to identify a fault."""

MAX_AT_ONCE: Final = 40
"""How many requests of one call may be sent in a burst, in addition to one per second."""


def _refusal(asked: XRequest, *, names: bool) -> Body:
    problem: Record = {"message": "something is not right"}
    if names:
        problem["parameters"] = {PATHS[asked.call][1]: [",".join(asked.subjects)]}
    return 400, {"title": "Invalid Request", "errors": [problem]}


INNER_ERROR: Final[Body] = 200, {"errors": [{"code": 130, "message": "Over capacity"}]}
UNAVAILABLE: Final[Body] = 503, {"title": "Service Unavailable"}

SUBJECT_FAULTS: Final[Mapping[str, Callable[[XRequest], Body]]] = {
    "503": lambda _: UNAVAILABLE,
    "403": lambda _: (403, {"title": "Forbidden", "type": "about:blank"}),
    "400 without names": lambda asked: _refusal(asked, names=False),
    "400 that names all": lambda asked: _refusal(asked, names=True),
    "inner error": lambda _: INNER_ERROR,
    "cut body": lambda _: (200, '{"data": [{"id": "'),
}
"""X's answer to every request that contains a failing subject."""

OUTAGES: Final[Mapping[str, Body]] = {
    "503": UNAVAILABLE,
    "inner error": INNER_ERROR,
    "429": (429, {"title": "Too Many Requests"}),
}
"""X's answer to every request of a call; the 429 has requests left."""

REFUSABLE: Final = (
    *(("space.fields", name) for name in ("title", "updated_at", "started_at")),
    *(("expansions", name) for name in ("creator_id", "host_ids", "speaker_ids")),
    ("user.fields", "username"),
    ("state", "all"),
)
"""Values that X may refuse, with their parameters."""


@dataclass
class Broadcast:
    """A Space with its whole history. Times are epoch seconds.

    Attributes:
        titles: Each title and when it was set.
        speakers: Each speaker and when they joined.
    """

    id: str
    creator: str
    started_at: float
    titles: list[tuple[float, str]]
    speakers: list[tuple[float, str]] = field(default_factory=list)
    ended_at: float | None = None

    @property
    def is_live(self) -> bool:
        return self.ended_at is None

    @property
    def price(self) -> int:
        """The price of the Space and everyone in it, in thousandths of a dollar."""
        return SPACE + USER * (1 + len(self.speakers))

    def record(self, at: float) -> Record | None:
        """Return the Space as of a given time; None before its start."""
        if at < self.started_at:
            return None
        changed_at, title = [each for each in self.titles if each[0] <= at][-1]
        began = rfc3339(self.started_at)
        record: Record = {
            "id": self.id,
            "state": "live",
            "title": title,
            "creator_id": self.creator,
            "host_ids": [self.creator],
            "speaker_ids": [person for since, person in self.speakers if since <= at],
            "created_at": began,
            "started_at": began,
            "updated_at": rfc3339(changed_at),
        }
        if self.ended_at is not None and self.ended_at <= at:
            record |= {"state": "ended", "ended_at": rfc3339(self.ended_at)}
        return record


@dataclass
class FaultyX:
    """X with its faults.

    Attributes:
        subject_faults: The failure of all requests that contain a subject, by call and subject.
        refused: The parameter values that X refuses.
        outages: The failure of all requests of a call.
        lag: Every n-th answer comes from a replica, which is this many seconds behind.
        lost: The Spaces that lookups do not find.
        answered: When X last answered for each subject of a call.
        billed: The resources read on each day.
    """

    clock: Clock
    spaces: dict[str, Broadcast] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)
    subject_faults: dict[tuple[Call, str], str] = field(default_factory=dict)
    refused: set[tuple[str, str]] = field(default_factory=set)
    outages: dict[Call, str] = field(default_factory=dict)
    lag: tuple[int, float] | None = None
    lost: set[str] = field(default_factory=set)
    answered: dict[tuple[Call, str], float] = field(default_factory=dict)
    billed: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    _answers: int = 0

    # Changes at X

    def start(self, creator: str, space_id: str = "", *, ago: float = 0.0) -> Broadcast:
        """Start a Space, now or ``ago`` seconds earlier."""
        at = self.clock() - ago
        started = Broadcast(space_id or f"S{creator}x{len(self.spaces)}", creator, at, [(at, "title 0")])
        self.spaces[started.id] = started
        return started

    def retitle(self, space: Broadcast) -> None:
        """Set a title that the Space has never had."""
        space.titles.append((self.clock(), f"title {len(space.titles)}"))

    def add_speaker(self, space: Broadcast) -> None:
        """Add a speaker who has not spoken anywhere yet."""
        number = sum(len(each.speakers) for each in self.spaces.values())
        space.speakers.append((self.clock(), str(70_000 + number)))

    def live_of(self, creators: Iterable[str]) -> list[Broadcast]:
        """Return the live Spaces of these creators."""
        return [each for each in self.spaces.values() if each.is_live and each.creator in creators]

    def cost(self, day: int) -> int:
        """Return the bill of a day, in thousandths of a dollar."""
        kinds = Counter(resource[0] for resource in self.billed[day])
        return SPACE * kinds["s"] + USER * kinds["u"]

    # Answers

    async def override(self, asked: XRequest) -> web.Response:
        """Return the answer to a request instead of the simulator."""
        status, body = self._broken(asked) or (200, self._answer(asked))
        headers = {"Date": formatdate(self.clock(), usegmt=True)}
        if status == OUTAGES["429"][0]:
            reset = str(int(self.clock()) + 900)
            left = {"limit": "300", "remaining": "290", "reset": reset}
            headers |= {f"x-rate-limit-{name}": value for name, value in left.items()}
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(text=text, status=status, headers=headers, content_type="application/json")

    def _broken(self, asked: XRequest) -> Body | None:
        """Return the failure that applies to a request, if any."""
        if asked.call in self.outages:
            return OUTAGES[self.outages[asked.call]]
        for (call, subject), fault in self.subject_faults.items():
            if call is asked.call and subject in asked.subjects:
                return SUBJECT_FAULTS[fault](asked)
        refused: dict[str, list[str]] = defaultdict(list)
        for name, value in sorted(self.refused):
            if value in asked.query.get(name, "").split(","):
                refused[name].append(value)
        if not refused:
            return None
        errors = [{"parameters": {name: values}, "message": "no"} for name, values in refused.items()]
        return 400, {"title": "Invalid Request", "errors": errors}

    def _answer(self, asked: XRequest) -> Record:
        self._answers += 1
        self.answered |= dict.fromkeys(((asked.call, subject) for subject in asked.subjects), asked.at)
        if asked.call is Call.USERS:
            return self._answer_for_names(asked)
        at = asked.at
        if self.lag is not None and self._answers % self.lag[0] == 0:
            at -= self.lag[1]
        found = self._found(asked, at)
        shown = [_shown(record, asked) for record in found]
        people = {person for record in shown for person in _people(record)}
        self._bill(asked.at, [record["id"] for record in shown], people)
        body: Record = {"data": shown, "includes": {"users": [_user(person) for person in sorted(people)]}}
        if asked.call is not Call.LOOKUP:
            return body | {"meta": {"result_count": len(shown)}}
        ids = {record["id"] for record in shown}
        return body | {"errors": [_not_found("space", each) for each in asked.subjects if each not in ids]}

    def _found(self, asked: XRequest, at: float) -> list[Record]:
        records = [record for each in self.spaces.values() if (record := each.record(at)) is not None]
        if asked.call is Call.LOOKUP:
            return [each for each in records if each["id"] in asked.subjects and each["id"] not in self.lost]
        creators = asked.subjects if asked.call is Call.CREATORS else SEARCHES[asked.subjects[0]]
        live = [each for each in records if each["creator_id"] in creators and each["state"] == "live"]
        return live[: int(asked.query.get("max_results", 100))]

    def _answer_for_names(self, asked: XRequest) -> Record:
        known = {name: self.users[name] for name in asked.subjects if name in self.users}
        self._bill(asked.at, (), known.values())
        return {
            "data": [{"id": person, "name": name, "username": name} for name, person in known.items()],
            "errors": [_not_found("user", name) for name in asked.subjects if name not in known],
        }

    def _bill(self, at: float, spaces: Iterable[str], people: Iterable[str]) -> None:
        day = self.billed[int(at // DAY_SECONDS)]
        day |= {f"s:{space}" for space in spaces} | {f"u:{person}" for person in people}


def _shown(record: Record, asked: XRequest) -> Record:
    """Return a record with only the requested fields."""
    wanted = {"id", "state"}
    for parameter in ("space.fields", "expansions"):
        wanted.update(asked.query.get(parameter, "").split(","))
    return {name: value for name, value in record.items() if name in wanted and value != []}


def _people(record: Record) -> set[str]:
    creator = record.get("creator_id")
    return {*record.get("host_ids", ()), *record.get("speaker_ids", ()), *([creator] if creator else ())}


def _user(person: str) -> Record:
    return {"id": person, "name": f"Name {person}", "username": f"user{person}"}


def _not_found(resource: str, value: str) -> Record:
    return {
        "resource_type": resource,
        "resource_id": value,
        "value": value,
        "title": "Not Found Error",
        "type": "https://api.x.com/2/problems/resource-not-found",
    }


class Loop:
    """A worker that polls X with the jobs of a real one, and can be restarted."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stack = AsyncExitStack()
        self.serial = "0"

    async def open(self, *, at: float, budget: float | None) -> FaultyX:
        """Start the worker; return the X that it polls."""
        self.rig: Rig = await self._stack.enter_async_context(
            open_rig(self._url, "spaces: []", at=at, daily_budget_usd=budget)
        )
        x = FaultyX(self.rig.clock)
        self.rig.x.override = x.override
        return x

    async def close(self) -> None:
        """Stop everything."""
        await self._stack.aclose()

    async def restart(self, **changes: Any) -> None:
        """Replace the worker by one with other settings."""
        settings = self.rig.runtime.settings.model_copy(update=changes)
        runtime = await self._stack.enter_async_context(open_runtime(settings, clock=self.rig.clock))
        runtime = replace(runtime, wakeup=self.rig.runtime.wakeup)
        x = x_client(runtime)
        assert x is not None
        await self._stack.enter_async_context(x)
        worker = RigWorker(f"with {x.origin}", runtime, x, self.rig.workers[0].client)
        self.rig.runtime, self.rig.workers = runtime, [worker]
        await adopt_standings(worker)

    async def restart_with_token(self, token: str) -> None:
        """Replace the worker by one with another token for X."""
        await self.restart(x_bearer_token=SecretStr(token))

    async def run(
        self, seconds: float, after_each: Callable[[], None], *, shortest: float = SHORTEST_TICK_SECONDS
    ) -> None:
        """Advance the clock, and run the jobs whenever something is due."""
        clock, jobs = self.rig.clock, wakeups_of(self.rig.runtime).jobs
        until = clock.now + seconds
        while True:
            jobs.clear()
            self.rig.workers[0].waits.clear()
            await self.rig.sweep()
            await self.rig.poll()
            if "timers" in jobs:
                await self.rig.run_timers()
            after_each()
            if clock.now >= until:
                return
            sleep = min([*self.rig.workers[0].waits, LONGEST_TICK_SECONDS])
            clock.now = min(clock.now + max(sleep, shortest), until)

    async def new_events(self) -> list[LoggedEvent]:
        """Return the events since the last call, oldest first."""
        page = await self.rig.runtime.store.events.after(after=self.serial, limit=1000)
        assert page.next_cursor is not None
        self.serial = page.next_cursor
        return list(page.items)
