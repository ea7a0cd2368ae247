"""The client for X's API: one question in, one observation out, whatever happens on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

import aiohttp
import structlog

from notifier.core.looking import Urgency
from notifier.core.observation import (
    MOST_RESULTS,
    Call,
    Failure,
    Observation,
    People,
    Question,
    failed,
    read_answer,
)
from notifier.core.problems import FailureKind
from notifier.source.answers import (
    is_usage_capped,
    read_failure,
    read_json,
    read_rate_headers,
    refused_values,
)
from notifier.source.budget import Budget

BATCH: Final = 100
"""How many ids one request may carry (X's OpenAPI document)."""

MAX_BODY_BYTES: Final = 8 * 2**20
TIMEOUT: Final = aiohttp.ClientTimeout(total=10.0)

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
"""The expansions that bring people, by whom a question asks for."""

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
"""What each call may be asked beside its subjects. Where X refuses all values of one, it is left out: what
X does by itself then is what we ask for, or less of it."""

log = structlog.get_logger(__name__)


class XClient:
    """Asks X's API within the budget that all workers share.

    Args:
        base_url: Without a slash at the end.
        bearer_token: Sent as it is, never shown.
        budget: Where requests are taken from.
        clock: Epoch seconds.
    """

    def __init__(
        self, base_url: str, bearer_token: str, budget: Budget, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._base_url = base_url
        self._headers = {"Authorization": f"Bearer {bearer_token}"}
        self._budget = budget
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._asked: dict[str, tuple[str, ...]] = {
            "space.fields": SPACE_FIELDS,
            "expansions": EXPANSIONS,
            "user.fields": USER_FIELDS,
            "state": ("all",),
            "max_results": (str(MOST_RESULTS),),
        }

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers, timeout=TIMEOUT, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, question: Question, *, urgency: Urgency = Urgency.PATIENT) -> Observation:
        """Ask one question of up to :data:`BATCH` subjects (one for a search).

        Never raises for anything that X does: every failure is an observation that failed. A value that X
        does not know is dropped, told once, and the question is asked again, as a request like any other.
        """
        while True:
            began_at = self._clock()
            wait = await self._budget.take(question.call, urgency, now=began_at)
            if wait > 0:
                failure = Failure(FailureKind.HELD_BACK, "the budget is used up", began_at + wait)
                return failed(question, failure, began_at, began_at)
            asked = self._optional(question)
            status, headers, raw = await self._get(question, asked)
            answered_at = self._clock()
            await self._note_rate(question.call, status, headers, raw, answered_at)
            if status == 200:  # noqa: PLR2004 - OK
                return read_answer(question, read_json(raw), began_at, answered_at)
            if status == 0:
                failure = Failure(FailureKind.UNAVAILABLE, raw.decode())
                return failed(question, failure, began_at, answered_at)
            if status == 400:  # noqa: PLR2004 - Bad Request
                refused = refused_values(raw)
                subjects = _refused_subjects(question, refused)
                if self._drop(asked, refused) and not subjects:
                    continue
                failure = replace(read_failure(status, headers, raw), refused=subjects)
            else:
                failure = read_failure(status, headers, raw)
            return failed(question, failure, began_at, answered_at)

    async def _get(
        self, question: Question, asked: Mapping[str, tuple[str, ...]]
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send the request; no answer at all is status 0 with the reason as body."""
        if self._session is None:
            raise RuntimeError("XClient is used outside its context")
        path, parameter = PATHS[question.call]
        query = {parameter: ",".join(question.subjects)}
        query |= {name: ",".join(values) for name, values in asked.items()}
        try:
            async with self._session.get(
                self._base_url + path, params=query, allow_redirects=False
            ) as answer:
                return answer.status, answer.headers, await _read_bounded(answer)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return 0, {}, f"no answer from X: {type(error).__name__}".encode()

    def _optional(self, question: Question) -> dict[str, tuple[str, ...]]:
        """Give the optional parameters of a question, without what X has refused before."""
        asked = {name: self._asked[name] for name in OPTIONAL[question.call]}
        if "expansions" in asked:
            wanted = PEOPLE_EXPANDED[question.people] | {"topic_ids"}
            asked["expansions"] = tuple(each for each in asked["expansions"] if each in wanted)
        if asked.get("max_results"):
            asked["max_results"] = (str(question.max_results),)
        return {name: values for name, values in asked.items() if values}

    def _drop(self, asked: Mapping[str, tuple[str, ...]], refused: Mapping[str, set[str]]) -> bool:
        """Stop asking for values that X does not know; gives whether this question had any of them.

        Another question may have had the same one refused meanwhile, and this one goes on without it too.
        """
        unknown = {name: _unknown(values, refused.get(name)) for name, values in asked.items()}
        for name, values in unknown.items():
            keep = tuple(value for value in self._asked[name] if value not in values)
            if name == "max_results" and values:
                keep = ()  # the number is the question's own
            if keep != self._asked[name]:
                log.warning("source.values_dropped", parameter=name, values=sorted(values))
                self._asked[name] = keep
        return any(unknown.values())

    async def _note_rate(
        self, call: Call, status: int, headers: Mapping[str, str], raw: bytes, now: float
    ) -> None:
        """Hand on what an answer says of its bucket; the headers of a used-up month speak of another one."""
        rate = read_rate_headers(headers)
        if rate is None or is_usage_capped(status, raw):
            await self._budget.note_nothing(call, now=now)
        else:
            await self._budget.note(
                call, limit=rate.limit, remaining=rate.remaining, reset=rate.reset, now=now
            )


def _unknown(asked: tuple[str, ...], refused: set[str] | None) -> set[str]:
    """Give what X refused of a parameter's values; naming the parameter is enough where it has only one."""
    if refused is None:
        return set()
    return set(asked) if len(asked) == 1 and not refused else refused & set(asked)


def _refused_subjects(question: Question, refused: Mapping[str, set[str]]) -> tuple[str, ...]:
    """Give the subjects that X does not accept; a search has one, however many commas stand in it.

    A refusal that names all of many says nothing: it repeats the question.
    """
    _, parameter = PATHS[question.call]
    values = refused.get(parameter, set())
    if question.call is Call.SEARCH:
        return question.subjects if parameter in refused else ()
    named = tuple(subject for subject in question.subjects if subject in values)
    return () if len(named) == len(question.subjects) > 1 else named


async def _read_bounded(answer: aiohttp.ClientResponse) -> bytes:
    """Read a whole body, or refuse one that is larger than any answer of X's can be."""
    raw = bytearray()
    async for chunk in answer.content.iter_any():
        raw += chunk
        if len(raw) > MAX_BODY_BYTES:
            raise ValueError("the body is too large")
    return bytes(raw)
