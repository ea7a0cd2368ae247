"""The client for X's API: one question in, one observation out, whatever happens on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self

import aiohttp
import structlog

from notifier.core.observation import Call, Failure, FailureKind, Observation, Question, failed, read_answer
from notifier.source.answers import read_failure, read_json, read_rate_headers, refused_values
from notifier.source.budget import KEPT_BACK, LEAST_SECONDS_APART, Budget

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

USER_FIELDS: Final = ("id", "name", "username")

PATHS: Final[Mapping[Call, tuple[str, str]]] = {
    Call.LOOKUP: ("/2/spaces", "ids"),
    Call.CREATORS: ("/2/spaces/by/creator_ids", "user_ids"),
    Call.SEARCH: ("/2/spaces/search", "query"),
    Call.USERS: ("/2/users/by", "usernames"),
}

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

    async def ask(self, question: Question) -> Observation:
        """Ask one question of up to :data:`BATCH` subjects (one for a search).

        Never raises for anything that X does: every failure is an observation that failed. A value that X
        does not know is dropped, told once, and the question is asked again.
        """
        while True:
            began_at = self._clock()
            apart = LEAST_SECONDS_APART.get(question.call, 0.0)
            wait = await self._budget.take(question.call, now=began_at, kept_back=KEPT_BACK, apart=apart)
            if wait > 0:
                failure = Failure(FailureKind.HELD_BACK, "the budget is used up", began_at + wait)
                return failed(question, failure, began_at, began_at)
            status, headers, raw = await self._get(question)
            answered_at = self._clock()
            await self._note_rate(question.call, headers)
            if status == 200:  # noqa: PLR2004 - OK
                return read_answer(question, read_json(raw), began_at, answered_at)
            if status == 0:
                failure = Failure(FailureKind.UNAVAILABLE, raw.decode())
                return failed(question, failure, began_at, answered_at)
            if status != 400 or not self._drop(refused_values(raw)):  # noqa: PLR2004 - Bad Request
                return failed(question, read_failure(status, headers, raw), began_at, answered_at)

    async def _get(self, question: Question) -> tuple[int, Mapping[str, str], bytes]:
        """Send the request; no answer at all is status 0 with the reason as body."""
        if self._session is None:
            raise RuntimeError("XClient is used outside its context")
        path, parameter = PATHS[question.call]
        query = {parameter: ",".join(question.subjects), **self._fields(question.call)}
        try:
            async with self._session.get(
                self._base_url + path, params=query, allow_redirects=False
            ) as answer:
                return answer.status, answer.headers, await _read_bounded(answer)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return 0, {}, f"no answer from X: {type(error).__name__}".encode()

    def _fields(self, call: Call) -> dict[str, str]:
        if call is Call.USERS:
            return {"user.fields": ",".join(self._asked["user.fields"])}
        wanted = {name: ",".join(values) for name, values in self._asked.items() if values}
        if call is Call.SEARCH:
            wanted |= {"state": "all", "max_results": str(BATCH)}
        return wanted

    def _drop(self, refused: Mapping[str, set[str]]) -> bool:
        """Stop asking for values that X does not know; gives whether there was one to drop."""
        dropped = False
        for name, values in self._asked.items():
            keep = tuple(value for value in values if value not in refused.get(name, ()))
            if keep != values:
                log.warning("source.values_dropped", parameter=name, values=sorted(set(values) - set(keep)))
                self._asked[name] = keep
                dropped = True
        return dropped

    async def _note_rate(self, call: Call, headers: Mapping[str, str]) -> None:
        rate = read_rate_headers(headers)
        if rate is not None:
            await self._budget.note(call, limit=rate.limit, remaining=rate.remaining, reset=rate.reset)


async def _read_bounded(answer: aiohttp.ClientResponse) -> bytes:
    """Read a whole body, or refuse one that is larger than any answer of X's can be."""
    raw = bytearray()
    async for chunk in answer.content.iter_any():
        raw += chunk
        if len(raw) > MAX_BODY_BYTES:
            raise ValueError("the body is too large")
    return bytes(raw)
