"""The client for X's API: it turns a question into an observation, whatever happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp

from notifier.core.model.answers import read_answer
from notifier.core.model.observation import MAX_RESULTS, Call, Failure, Observation, People, Question, failed
from notifier.core.model.poll import Urgency
from notifier.core.model.problems import FailureKind
from notifier.core.model.retry_after import parse_http_date
from notifier.core.model.x_clock import XClock
from notifier.core.polling.buckets import WINDOW_SECONDS
from notifier.source.answers import read_failure, read_json, refused_values, with_waits
from notifier.source.budget import Budget
from notifier.source.failures import (
    CONNECT_SECONDS,
    FAILURES,
    MAX_BODY_BYTES,
    TIMEOUT_SECONDS,
    TOO_LARGE,
    describe,
    no_answer,
)
from notifier.source.limits import read_windows, used_up_until
from notifier.source.origin import origin_of
from notifier.source.refusals import LearnedRefusals, RefusalRecord

BATCH: Final = 100
"""How many ids one request may carry (X's OpenAPI document)."""

TIMEOUT: Final = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS, sock_connect=CONNECT_SECONDS)

SPACE_FIELDS: Final = (
    "id", "state", "created_at", "ended_at", "is_ticketed", "lang", "participant_count", "scheduled_start",
    "started_at", "subscriber_count", "title", "updated_at",
)  # fmt: skip
EXPANSIONS: Final = ("creator_id", "host_ids", "invited_user_ids", "speaker_ids", "topic_ids")
"""The id lists come with their expansions in both contracts, and as fields only in the older one (2.166)."""

PEOPLE_EXPANDED: Final[Mapping[People, frozenset[str]]] = {
    People.NOBODY: frozenset(),
    People.CREATOR: frozenset({"creator_id"}),
    People.ON_STAGE: frozenset({"creator_id", "host_ids", "speaker_ids"}),
    People.WITH_GUESTS: frozenset({"creator_id", "host_ids", "speaker_ids", "invited_user_ids"}),
}
"""The expansions that include people, by what a question requests."""

USER_FIELDS: Final = ("id", "name", "username")

PATHS: Final[Mapping[Call, tuple[str, str]]] = {
    Call.LOOKUP: ("/2/spaces", "ids"),
    Call.CREATORS: ("/2/spaces/by/creator_ids", "user_ids"),
    Call.SEARCH: ("/2/spaces/search", "query"),
    Call.USERS: ("/2/users/by", "usernames"),
}

SPACE_OPTIONS: Final = ("space.fields", "expansions", "user.fields")

OPTIONAL: Final[Mapping[Call, tuple[str, ...]]] = {
    Call.LOOKUP: SPACE_OPTIONS,
    Call.CREATORS: SPACE_OPTIONS,
    Call.SEARCH: (*SPACE_OPTIONS, "state", "max_results"),
    Call.USERS: ("user.fields",),
}
"""The optional parameters of each call. One whose values X all refuses is left out: X's default is then what
we ask for, or less."""

ASKED: Final[Mapping[str, tuple[str, ...]]] = {
    "space.fields": SPACE_FIELDS,
    "expansions": EXPANSIONS,
    "user.fields": USER_FIELDS,
    "state": ("all",),
    "max_results": (str(MAX_RESULTS),),
}
"""The values of each of them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of X's, of any kind."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class XClient:
    """Asks X's API within the budget that all workers share.

    Args:
        base_url: Without a trailing slash.
        bearer_token: Sent unchanged, never shown.
        budget: Where requests are taken from.
        refusals: The record of what X does not accept.
        proxy: The URL of a proxy for requests to X; it may contain a user and a password.
        clock: Epoch seconds.
    """

    def __init__(
        self,
        base_url: str,
        bearer_token: str,
        budget: Budget,
        refusals: RefusalRecord,
        *,
        proxy: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._base_url = base_url
        self._headers = {"Authorization": f"Bearer {bearer_token}"}
        self._origin = origin_of(base_url, bearer_token)
        self._budget = budget
        self._refusals = LearnedRefusals(refusals)
        self._proxy = proxy
        self._clock = clock
        self._x_clock = XClock()
        self._session: aiohttp.ClientSession | None = None

    @property
    def origin(self) -> str:
        """A fingerprint of X's URL and the token, under which what X says about them is kept."""
        return self._origin

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers,
            timeout=TIMEOUT,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=self._proxy,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, question: Question, *, urgency: Urgency = Urgency.PATIENT) -> Observation:
        """Ask one question about up to :data:`BATCH` subjects (one for a search) and return the observation.

        Never raises for anything that X does: every failure is a failed observation. A value that X does not
        accept is left out and the question is asked again, as a request of its own.
        """
        while True:
            began_at = self._clock()
            refusals = await self._refusals.at(began_at)
            wait = await self._budget.take(question.call, urgency, now=began_at)
            if wait > 0:
                failure = Failure(FailureKind.HELD_BACK, "the budget is used up", began_at + wait)
                return failed(question, failure, began_at, began_at)
            asked = refusals.without(question.call, _optional(question), now=began_at)
            answer = await self._get(question, asked)
            observation = await self._read(question, asked, answer, began_at)
            if observation is not None:
                return observation

    async def _get(self, question: Question, asked: Mapping[str, tuple[str, ...]]) -> Answer | Failure:
        """Send the request and return the answer, or a failure if there was none."""
        if self._session is None:
            raise RuntimeError("XClient is used outside its context")
        path, parameter = PATHS[question.call]
        query = {parameter: ",".join(question.subjects)}
        query |= {name: ",".join(values) for name, values in asked.items()}
        try:
            async with self._session.get(
                self._base_url + path, params=query, allow_redirects=False
            ) as answer:
                body = await _read_bounded(answer)
                if body is None:
                    return no_answer(TOO_LARGE, suspects_subjects=True)
                return Answer(answer.status, answer.headers, body)
        except FAILURES as error:
            return describe(error, proxy=_host_and_port(self._proxy))

    async def _read(
        self,
        question: Question,
        asked: Mapping[str, tuple[str, ...]],
        answer: Answer | Failure,
        began_at: float,
    ) -> Observation | None:
        """Return the observation of a request; None if it has to be asked again without some values."""
        answered_at = self._clock()
        if isinstance(answer, Failure):
            await self._budget.note_nothing(question.call, now=answered_at)
            return failed(question, answer, began_at, answered_at)
        date = parse_http_date(answer.headers.get("Date", ""))
        self._x_clock = self._x_clock.corrected_by(date, began_at=began_at, answered_at=answered_at)
        observation, failure = self._judge(question, answer, began_at, answered_at)
        await self._note_windows(question.call, answer, failure, answered_at)
        if failure is None:
            await self._refusals.accept(question.call, asked)
            return observation
        if failure.kind is FailureKind.REFUSED:
            refused = refused_values(answer.body)
            subjects = _refused_subjects(question, refused)
            if await self._leave_out(question.call, asked, refused, answered_at) and not subjects:
                return None
            failure = replace(failure, refused=subjects, suspects_subjects=not subjects)
        return failed(question, failure, began_at, answered_at)

    def _judge(
        self, question: Question, answer: Answer, began_at: float, answered_at: float
    ) -> tuple[Observation | None, Failure | None]:
        """Return the observation of an answer, or the failure; a 200 may be either."""
        status, headers, clock = answer.status, answer.headers, self._x_clock
        if status != HTTPStatus.OK:
            return None, read_failure(status, headers, answer.body, clock=clock, now=answered_at)
        observation = read_answer(question, read_json(answer.body), began_at, answered_at)
        if observation.failure is None:
            return observation, None
        return None, with_waits(observation.failure, status, headers, clock=clock, now=answered_at)

    async def _leave_out(
        self,
        call: Call,
        asked: Mapping[str, tuple[str, ...]],
        refused: Mapping[str, set[str]],
        now: float,
    ) -> bool:
        """Leave out what X does not accept; return whether this question contained any of it.

        Another question may have had the same value refused in the meantime.
        """
        unknown = {name: _unknown(values, refused.get(name)) for name, values in asked.items()}
        if not any(unknown.values()):
            return False
        await self._refusals.refuse(call, unknown, now=now)
        return True

    async def _note_windows(self, call: Call, answer: Answer, failure: Failure | None, now: float) -> None:
        """Pass on what an answer says about its windows, by our clock.

        When the monthly cap is reached, the headers describe another window. A window of 24 hours closes the
        call only when X refuses it for that reason; before that, the reason for the pause would be hidden.
        """
        kind = failure.kind if failure else None
        windows = read_windows(answer.headers)
        quarter = next((each for each in windows if each.length == WINDOW_SECONDS), None)
        if quarter is None or kind is FailureKind.USAGE_CAPPED:
            await self._budget.note_nothing(call, now=now)
        else:
            reset = self._x_clock.ours(quarter.reset, now=now, length=quarter.length)
            await self._budget.note(
                call, limit=quarter.limit, remaining=quarter.remaining, reset=reset, now=now
            )
        days = [each for each in windows if each.length > WINDOW_SECONDS]
        until = used_up_until(days, self._x_clock, now=now)
        if kind is FailureKind.RATE_LIMITED and until is not None:
            await self._budget.close(call, until=until, now=now)


def _optional(question: Question) -> dict[str, tuple[str, ...]]:
    """Return the optional parameters of a question."""
    asked = {name: ASKED[name] for name in OPTIONAL[question.call]}
    if "expansions" in asked:
        wanted = PEOPLE_EXPANDED[question.people] | {"topic_ids"}
        asked["expansions"] = tuple(each for each in EXPANSIONS if each in wanted)
    if "max_results" in asked:
        asked["max_results"] = (str(question.max_results),)
    return asked


def _host_and_port(proxy: str | None) -> tuple[str | None, int | None] | None:
    if proxy is None:
        return None
    parts = urlsplit(proxy)
    return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _unknown(asked: tuple[str, ...], refused: set[str] | None) -> set[str]:
    """Return which of a parameter's values X refused; naming the parameter is enough if it has one value."""
    if refused is None:
        return set()
    return set(asked) if len(asked) == 1 and not refused else refused & set(asked)


def _refused_subjects(question: Question, refused: Mapping[str, set[str]]) -> tuple[str, ...]:
    """Return the subjects that X does not accept; a search has one, however many commas it contains.

    A refusal that names all of several subjects only repeats the question.
    """
    _, parameter = PATHS[question.call]
    values = refused.get(parameter, set())
    if question.call is Call.SEARCH:
        return question.subjects if parameter in refused else ()
    named = tuple(subject for subject in question.subjects if subject in values)
    return () if len(named) == len(question.subjects) > 1 else named


async def _read_bounded(answer: aiohttp.ClientResponse) -> bytes | None:
    """Return a whole body, None if it is larger than any answer of X's can be."""
    raw = bytearray()
    async for chunk in answer.content.iter_any():
        raw += chunk
        if len(raw) > MAX_BODY_BYTES:
            return None
    return bytes(raw)
