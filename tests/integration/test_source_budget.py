"""The client for X's API within its shared budget: what it requests, reads and records."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from notifier.core.model.observation import Call, Observation, People, Question
from notifier.core.model.poll import Urgency
from notifier.core.model.problems import FailureKind
from notifier.core.polling.spending import Bill, next_day
from notifier.core.polling.worst_case import Paid
from notifier.source import XClient
from notifier.source.client import EXPANSIONS
from notifier.store import Database, connect, schema
from notifier.store.budget import CONTENDED_SECONDS, SharedBudget
from notifier.store.scripts import Script
from notifier.store.spending import Holding, Spending
from tests.support.local_refusals import LocalRefusals

pytestmark = pytest.mark.server

NOW = 1_700_000_000.0  # 2023-11-14T22:13:20Z
NOON = NOW - 10 * 3600 - 800
URGENT, PATIENT = Urgency
LOOKUP = Question(Call.LOOKUP, ("A", "B"))
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def database(redis_url: str) -> AsyncIterator[Database]:
    database = Database(connect(redis_url))
    yield database
    await database.close()


@pytest.fixture
def budget(database: Database) -> SharedBudget:
    return SharedBudget(database)


@asynccontextmanager
async def asking(budget: SharedBudget, handler: Handler) -> AsyncIterator[XClient]:
    """Return a client for an X that answers with the handler, each time a second later."""
    app = web.Application()
    for path in ("/2/spaces", "/2/spaces/by/creator_ids", "/2/spaces/search", "/2/users/by"):
        app.router.add_get(path, handler)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        async with XClient(url, "token", budget, LocalRefusals(), clock=count(NOW, 1.0).__next__) as x:
            yield x


def answering(status: int, body: bytes | str | object, **headers: str) -> Handler:
    raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else to_json(body)

    async def answer(_: web.Request) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=raw, headers=named)

    return answer


def to_json(body: object) -> bytes:
    return json.dumps(body).encode()


def window(remaining: int, *, limit: int = 300, reset: float = NOW + 600) -> dict[str, str]:
    return {
        "x_rate_limit_limit": str(limit),
        "x_rate_limit_remaining": str(remaining),
        "x_rate_limit_reset": str(int(reset)),
    }


class RefusingX:
    """Refuses some values of each parameter, in the form of one of X's two contracts."""

    def __init__(self, contract: str, unknown: Mapping[str, str] | None = None) -> None:
        self.contract = contract
        self.unknown = {name: values.split(",") for name, values in (unknown or {}).items()}
        self.asked: list[dict[str, str]] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.query))
        for name, unknown in self.unknown.items():
            refused = [value for value in request.query.get(name, "").split(",") if value in unknown]
            if refused:
                return web.json_response(self.problem(name, refused), status=400)
        return web.json_response({"data": [{"id": "A", "state": "live"}]})

    def problem(self, name: str, refused: list[str]) -> dict[str, Any]:
        message = f"The `{name}` query parameter value [{refused[0]}] is not one of [id,state]"
        if self.contract == "2.167":
            kind = "https://api.x.com/2/problems/invalid-request"
            named = {"parameter": name, "value": refused[0]}
            return {"type": kind, "title": "Invalid Request", "detail": message, **named}
        errors = [{"parameters": {name: refused}, "message": message}]
        kind = "https://api.twitter.com/2/problems/invalid-request"
        return {"type": kind, "title": "Invalid Request", "detail": "One or more.", "errors": errors}


each_contract = pytest.mark.parametrize("contract", ["2.166", "2.167"])


class TestBudget:
    async def test_requests_are_taken_by_all_workers_from_one_record(
        self, database: Database, budget: SharedBudget
    ) -> None:
        other = SharedBudget(database)
        await budget.note(Call.LOOKUP, limit=300, remaining=300, reset=NOW + 900, now=NOW)
        waits = await asyncio.gather(
            *(each.take(Call.LOOKUP, URGENT, now=NOW) for each in [budget, other] * 5)
        )
        assert waits == [0.0] * 10
        assert await other.remaining(now=NOW) == {Call.LOOKUP: 290}

    async def test_asking_for_the_wait_takes_no_request(self, budget: SharedBudget) -> None:
        await budget.note(Call.LOOKUP, limit=300, remaining=30, reset=NOW + 90, now=NOW)
        assert await budget.wait(Call.LOOKUP, URGENT, now=NOW) == 90
        assert await budget.take(Call.LOOKUP, URGENT, now=NOW) == 90
        assert await budget.wait(Call.LOOKUP, URGENT, now=NOW + 90) == 0
        assert await budget.remaining(now=NOW) == {Call.LOOKUP: 30}

    async def test_what_others_have_changed_meanwhile_counts(
        self, database: Database, budget: SharedBudget
    ) -> None:
        other = SharedBudget(database)
        await budget.note(Call.LOOKUP, limit=300, remaining=40, reset=NOW + 600, now=NOW)
        while await other.take(Call.LOOKUP, URGENT, now=NOW) == 0:
            pass
        assert await budget.take(Call.LOOKUP, URGENT, now=NOW) > 0
        await other.note(Call.LOOKUP, limit=300, remaining=200, reset=NOW + 900, now=NOW)
        assert await budget.take(Call.LOOKUP, URGENT, now=NOW) == 0

    async def test_a_record_that_is_gone_is_begun_again(
        self, database: Database, budget: SharedBudget
    ) -> None:
        await budget.note(Call.LOOKUP, limit=300, remaining=0, reset=NOW + 600, now=NOW)
        await database.redis.delete(schema.BUCKETS())
        assert await budget.take(Call.LOOKUP, URGENT, now=NOW) == 0

    async def test_creators_are_asked_about_once_a_second(self, budget: SharedBudget) -> None:
        assert await budget.take(Call.CREATORS, PATIENT, now=NOW) == 0
        assert await budget.take(Call.CREATORS, PATIENT, now=NOW + 0.4) == pytest.approx(0.6)
        assert await budget.take(Call.CREATORS, PATIENT, now=NOW + 1) == 0

    async def test_a_shared_bucket_is_described_as_one(self, budget: SharedBudget) -> None:
        counts = ((Call.LOOKUP, 299), (Call.CREATORS, 298), (Call.LOOKUP, 297))
        for call, remaining in counts:
            await budget.take(call, URGENT, now=NOW)
            await budget.note(call, limit=300, remaining=remaining, reset=NOW + 900, now=NOW)
        described = await budget.describe(now=NOW)
        assert described.shared == (frozenset({Call.LOOKUP, Call.CREATORS}),)
        assert {call: bucket.remaining for call, bucket in described.by_call.items()} == {
            Call.LOOKUP: 297,
            Call.CREATORS: 297,
        }
        assert (await budget.describe(now=NOW + 900)).by_call == {}

    async def test_an_unused_record_expires(self, database: Database, budget: SharedBudget) -> None:
        await budget.take(Call.LOOKUP, URGENT, now=NOW)
        assert 0 < await database.redis.ttl(schema.BUCKETS()) <= 3600

    async def test_a_contended_record_is_never_overwritten(
        self, database: Database, budget: SharedBudget, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = database.run

        async def be_quicker(script: Script[Any], **given: Any) -> Any:
            await database.redis.append(schema.BUCKETS(), " ")
            return await run(script, **given)

        await budget.note(Call.LOOKUP, limit=300, remaining=200, reset=NOW + 900, now=NOW)
        monkeypatch.setattr(database, "run", be_quicker)
        assert await budget.take(Call.LOOKUP, URGENT, now=NOW) == CONTENDED_SECONDS
        await budget.note(Call.LOOKUP, limit=300, remaining=100, reset=NOW + 900, now=NOW)
        assert await budget.remaining(now=NOW) == {Call.LOOKUP: 200}


class TestAsking:
    async def test_the_rate_limit_headers_are_recorded_whatever_the_answer(
        self, budget: SharedBudget
    ) -> None:
        for number, status in enumerate((200, 401, 503, 400, 404)):
            async with asking(budget, answering(status, {}, **window(200 - number))) as x:
                await x.ask(LOOKUP)
            assert await budget.remaining(now=NOW) == {Call.LOOKUP: 200 - number}

    async def test_the_headers_of_a_monthly_cap_describe_no_bucket(self, budget: SharedBudget) -> None:
        problem = {"type": "https://api.twitter.com/2/problems/usage-capped", "title": "UsageCapExceeded"}
        async with asking(budget, answering(429, problem, **window(39_999, limit=40_000))) as x:
            observation = await x.ask(LOOKUP)
        assert kind_of(observation) is FailureKind.USAGE_CAPPED
        assert await budget.remaining(now=NOW) == {}

    async def test_an_answer_without_rate_limit_headers_ends_its_request(self, budget: SharedBudget) -> None:
        async with asking(budget, answering(200, {"data": []})) as x:
            await x.ask(LOOKUP)
        assert (await budget.describe(now=NOW)).of(Call.LOOKUP).unanswered == 0

    async def test_nothing_is_requested_beyond_the_budget(self, budget: SharedBudget) -> None:
        x_of = RefusingX("2.167")
        await budget.note(Call.LOOKUP, limit=300, remaining=30, reset=NOW + 90, now=NOW)
        async with asking(budget, x_of.answer) as x:
            observation = await x.ask(LOOKUP, urgency=URGENT)
        assert observation.failure is not None
        assert observation.failure.kind is FailureKind.HELD_BACK
        assert observation.failure.retry_at == NOW + 90
        assert x_of.asked == []

    async def test_an_urgent_request_is_sent_where_a_patient_one_is_held_back(
        self, budget: SharedBudget
    ) -> None:
        await budget.note(Call.LOOKUP, limit=300, remaining=200, reset=NOW + 900, now=NOW)
        await budget.take(Call.LOOKUP, PATIENT, now=NOW)
        async with asking(budget, RefusingX("2.167").answer) as x:
            assert kind_of(await x.ask(LOOKUP)) is FailureKind.HELD_BACK
            assert kind_of(await x.ask(LOOKUP, urgency=URGENT)) is None

    async def test_a_question_requests_exactly_the_people_that_it_names(self, budget: SharedBudget) -> None:
        x_of = RefusingX("2.167")
        async with asking(budget, x_of.answer) as x:
            for people in People:
                await x.ask(Question(Call.LOOKUP, ("A",), people=people))
        assert [asked["expansions"] for asked in x_of.asked] == [
            "topic_ids",
            "creator_id,topic_ids",
            "creator_id,host_ids,speaker_ids,topic_ids",
            ",".join(EXPANSIONS),
        ]

    async def test_a_search_states_its_maximum_number_of_results(self, budget: SharedBudget) -> None:
        x_of = RefusingX("2.167")
        async with asking(budget, x_of.answer) as x:
            await x.ask(Question(Call.SEARCH, ("news",), max_results=7))
            await x.ask(Question(Call.SEARCH, ("news",)))
            await x.ask(Question(Call.LOOKUP, ("A",)))
        assert [asked.get("max_results") for asked in x_of.asked] == ["7", "100", None]

    async def test_a_number_of_results_that_x_refuses_is_left_out(self, budget: SharedBudget) -> None:
        x_of = RefusingX("2.167", {"max_results": "7"})
        async with asking(budget, x_of.answer) as x:
            observation = await x.ask(Question(Call.SEARCH, ("news",), max_results=7))
        assert observation.failure is None
        assert [asked.get("max_results") for asked in x_of.asked] == ["7", None]


class TestRefusedValues:
    @each_contract
    @pytest.mark.parametrize(
        "case",
        [
            (Call.LOOKUP, "expansions", "topic_ids", "creator_id,host_ids,invited_user_ids,speaker_ids"),
            (Call.CREATORS, "user.fields", "name", "id,username"),
            (Call.USERS, "user.fields", "username", "id,name"),
            (Call.SEARCH, "state", "all", None),
            (Call.SEARCH, "max_results", "100", None),
        ],
        ids=["expansion", "user-field", "user-field-of-users", "state", "max-results"],
    )
    async def test_a_refused_value_is_dropped_and_the_question_asked_again(
        self, budget: SharedBudget, contract: str, case: tuple[Call, str, str, str | None]
    ) -> None:
        call, name, unknown, left = case
        x_of = RefusingX(contract, {name: unknown})
        async with asking(budget, x_of.answer) as x:
            observation = await x.ask(Question(call, ("1",)))
        assert kind_of(observation) is None
        assert unknown in x_of.asked[0][name].split(",")
        assert [asked.get(name) for asked in x_of.asked[1:]] == [left]

    @each_contract
    async def test_every_refused_value_costs_one_question_and_only_once(
        self, budget: SharedBudget, contract: str
    ) -> None:
        x_of = RefusingX(contract, {"space.fields": "title,lang", "expansions": "host_ids"})
        async with asking(budget, x_of.answer) as x:
            assert kind_of(await x.ask(LOOKUP)) is None
            questions = len(x_of.asked)
            assert kind_of(await x.ask(LOOKUP)) is None
        assert questions == (4 if contract == "2.167" else 3)
        assert len(x_of.asked) == questions + 1
        assert {"title", "lang"}.isdisjoint(x_of.asked[-1]["space.fields"].split(","))

    async def test_concurrent_questions_all_continue_without_the_value(self, budget: SharedBudget) -> None:
        x_of = RefusingX("2.167", {"expansions": "topic_ids"})
        async with asking(budget, x_of.answer) as x:
            observations = await asyncio.gather(*(x.ask(LOOKUP) for _ in range(5)))
        assert [kind_of(each) for each in observations] == [None] * 5

    async def test_of_a_comma_separated_list_only_the_refused_values_are_dropped(
        self, budget: SharedBudget
    ) -> None:
        asked: list[str] = []

        async def answer(request: web.Request) -> web.Response:
            asked.append(request.query["space.fields"])
            if "title" not in asked[-1]:
                return web.json_response({"data": []})
            allowed = asked[-1].replace("title,", "")
            message = f"The `space.fields` query parameter value [title] is not one of [{allowed}]"
            errors = [{"parameters": {"space.fields": [asked[-1]]}, "message": message}]
            return web.json_response({"errors": errors}, status=400)

        async with asking(budget, answer) as x:
            await x.ask(LOOKUP)
        assert asked[1:] == [asked[0].replace("title,", "")]

    async def test_a_parameter_that_x_does_not_know_is_left_out(self, budget: SharedBudget) -> None:
        asked: list[dict[str, str]] = []

        async def answer(request: web.Request) -> web.Response:
            asked.append(dict(request.query))
            if "user.fields" not in asked[-1]:
                return web.json_response({"data": []})
            message = "The query parameter [user.fields] is not one of [expansions,ids,space.fields]"
            errors = [{"parameters": {"user.fields": [asked[-1]["user.fields"]]}, "message": message}]
            return web.json_response({"errors": errors}, status=400)

        async with asking(budget, answer) as x:
            assert kind_of(await x.ask(LOOKUP)) is None
        assert len(asked) == 2

    async def test_asking_again_takes_another_request(self, budget: SharedBudget) -> None:
        await budget.note(Call.LOOKUP, limit=300, remaining=32, reset=NOW + 5, now=NOW)
        x_of = RefusingX("2.167", {"expansions": "topic_ids"})
        async with asking(budget, x_of.answer) as x:
            observation = await x.ask(LOOKUP, urgency=URGENT)
        assert kind_of(observation) is FailureKind.HELD_BACK
        assert len(x_of.asked) == 1

    @each_contract
    @pytest.mark.parametrize(
        "case",
        [
            (LOOKUP, "ids", ["B"], ("B",)),
            (LOOKUP, "ids", ["A,B"], ()),  # repeats the whole question, so it names no single subject
            (LOOKUP, "ids", ["C"], ()),
            (Question(Call.CREATORS, ("1", "x")), "user_ids", ["x"], ("x",)),
            (Question(Call.USERS, ("a b",)), "usernames", ["a b"], ("a b",)),
            (Question(Call.SEARCH, ("a, b",)), "query", ["a, b"], ("a, b",)),
        ],
    )
    async def test_a_refused_subject_is_named_and_not_asked_for_again(
        self,
        budget: SharedBudget,
        contract: str,
        case: tuple[Question, str, list[str], tuple[str, ...]],
    ) -> None:
        question, name, refused, expected = case
        asked = 0

        async def answer(_: web.Request) -> web.Response:
            nonlocal asked
            asked += 1
            return web.json_response(RefusingX(contract).problem(name, refused), status=400)

        async with asking(budget, answer) as x:
            observation = await x.ask(question)
        assert observation.failure is not None
        assert observation.failure.kind is FailureKind.REFUSED
        assert observation.failure.refused == expected
        assert refused[0] in observation.failure.detail
        assert asked == 1

    async def test_a_value_refused_together_with_a_subject_is_dropped_next_time(
        self, budget: SharedBudget
    ) -> None:
        asked: list[str] = []

        async def answer(request: web.Request) -> web.Response:
            asked.append(request.query["expansions"])
            errors = [{"parameters": {"ids": ["A"], "expansions": ["topic_ids"]}, "message": "no"}]
            return web.json_response({"errors": errors}, status=400)

        async with asking(budget, answer) as x:
            for number in (1, 2):
                assert kind_of(await x.ask(LOOKUP)) is FailureKind.REFUSED
                assert len(asked) == number
        assert ["topic_ids" in each for each in asked] == [True, False]

    async def test_refusing_a_value_that_was_not_requested_changes_nothing(
        self, budget: SharedBudget
    ) -> None:
        problem = RefusingX("2.167").problem("space.fields", ["created_athost_ids"])
        async with asking(budget, answering(400, problem)) as x:
            assert kind_of(await x.ask(LOOKUP)) is FailureKind.REFUSED


class TestFailures:
    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (401, '{"title": "Unauthorized", "type": "about:blank"}', FailureKind.UNAUTHORIZED),
            (403, "", FailureKind.UNAUTHORIZED),
            (403, '{"type": "https://api.x.com/2/problems/client-forbidden"}', FailureKind.UNAUTHORIZED),
            (402, '{"title": "CreditsDepleted"}', FailureKind.CREDITS_DEPLETED),
            (402, "<html>", FailureKind.UNAVAILABLE),
            (429, '{"type": "about:blank", "title": "Too Many Requests"}', FailureKind.RATE_LIMITED),
            (429, '{"errors": [{"code": 88, "message": "Rate limit exceeded"}]}', FailureKind.RATE_LIMITED),
            (429, "<html>slow down</html>", FailureKind.UNAVAILABLE),
            (429, '{"type": "https://api.twitter.com/2/problems/usage-capped"}', FailureKind.USAGE_CAPPED),
            (429, '{"type": "https://api.x.com/2/problems/usage-capped/"}', FailureKind.USAGE_CAPPED),
            (429, '{"errors": [{"type": "https://a/usage-capped"}]}', FailureKind.USAGE_CAPPED),
            (400, '{"title": "Invalid Request"}', FailureKind.REFUSED),
            (400, '{"errors": [{"parameters": {"expansions": 7, "ids": [7]}}]}', FailureKind.REFUSED),
            (400, '{"errors": 7, "parameter": ["ids"], "value": {}}', FailureKind.REFUSED),
            (400, "<html>bad</html>", FailureKind.UNAVAILABLE),
            (404, "", FailureKind.UNAVAILABLE),
            (500, '{"type": "https://api.x.com/2/problems/internal-error"}', FailureKind.UNAVAILABLE),
            (503, "<html>over capacity</html>", FailureKind.UNAVAILABLE),
            (204, "", FailureKind.UNAVAILABLE),
            (302, "", FailureKind.UNAVAILABLE),
            (200, "<html>fine</html>", FailureKind.UNAVAILABLE),
            (200, "[" * 100_000, FailureKind.UNAVAILABLE),
            (400, '{"a":' * 100_000, FailureKind.UNAVAILABLE),
            (200, '{"data": ' + "9" * 10_000 + "}", FailureKind.UNAVAILABLE),
            (200, '{"data": 7}', FailureKind.UNAVAILABLE),
            (200, '{"data": [{"id": "A", "sta', FailureKind.UNAVAILABLE),
            (200, b'{"data": [{"id": "\xff"}]}', FailureKind.UNAVAILABLE),
            (200, "", FailureKind.UNAVAILABLE),
        ],
    )
    async def test_every_invalid_answer_is_a_failed_call(
        self, budget: SharedBudget, status: int, body: bytes | str, kind: FailureKind
    ) -> None:
        async with asking(budget, answering(status, body)) as x:
            observation = await x.ask(LOOKUP)
        assert kind_of(observation) is kind
        assert observation.snapshots == {}

    @pytest.mark.parametrize(
        "raw",
        [
            gzip.compress(to_json({"data": [{"id": "A"}] * 5000}))[:40],
            gzip.compress(to_json({"data": [{"id": "A"}] * 5000}))[:-8],
            b"\x1f\x8b not gzip at all",
            zlib.compress(b"{}")[:3],
            gzip.compress(b" " * (9 * 2**20)),
        ],
        ids=["half", "without-its-end", "garbage", "another-format", "too-large"],
    )
    async def test_a_compressed_body_that_cannot_be_decompressed_is_a_failed_call(
        self, budget: SharedBudget, raw: bytes
    ) -> None:
        handler = answering(200, raw, Content_Encoding="gzip", **window(200))
        async with asking(budget, handler) as x:
            observation = await x.ask(LOOKUP)
        # The last bytes of a compressed body may be only its checksum, with the content complete.
        assert kind_of(observation) in {None, FailureKind.UNAVAILABLE}
        assert (kind_of(observation) is None) == bool(observation.snapshots)
        assert (await budget.describe(now=NOW)).of(Call.LOOKUP).unanswered == 0

    @pytest.mark.parametrize(
        ("remaining", "kind", "retry_at"),
        [(0, FailureKind.RATE_LIMITED, NOW + 600), (120, FailureKind.TOO_FAST, None)],
        ids=["window", "another-limit"],
    )
    async def test_a_rate_limit_ends_at_the_reset_of_the_used_up_window(
        self, budget: SharedBudget, remaining: int, kind: FailureKind, retry_at: float | None
    ) -> None:
        async with asking(budget, answering(429, {"type": "about:blank"}, **window(remaining))) as x:
            observation = await x.ask(LOOKUP)
        assert observation.failure is not None
        assert observation.failure.kind is kind
        assert observation.failure.retry_at == retry_at

    async def test_a_connection_that_breaks_is_a_failed_call(self, budget: SharedBudget) -> None:
        async def break_off(request: web.Request) -> web.StreamResponse:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()

        async with asking(budget, break_off) as x:
            assert kind_of(await x.ask(LOOKUP)) is FailureKind.UNAVAILABLE
        assert (await budget.describe(now=NOW)).of(Call.LOOKUP).unanswered == 0


class TestSpending:
    """The store's record of billed resources."""

    async def test_each_resource_costs_once_a_day(self, database: Database) -> None:
        spending = Spending(database)
        assert await spending.bill(["A", "B"], ["1"], now=NOON) == Bill(2, 1)
        assert await spending.bill(["B", "a", "1"], ["1", "2"], now=NOON + 3600) == Bill(2, 1)
        assert await spending.bill([], [], now=NOON) == Bill(0, 0)
        ledger = await spending.ledger(now=NOON + 3600)
        assert (ledger.space_reads, ledger.user_reads) == (4, 2)
        assert ledger.spent == pytest.approx(0.04)
        assert {hour: usd for hour, usd in enumerate(ledger.hourly) if usd} == {12: 0.02, 13: 0.02}

    async def test_at_midnight_everything_costs_again(self, database: Database) -> None:
        spending, midnight = Spending(database), next_day(NOON)
        await spending.bill(["A"], ["1"], now=midnight - 0.001)
        assert await spending.paid(["A", "B"], ["1"], now=midnight - 31) == Paid({"A"}, {"1"})
        assert await spending.paid(["A", "B"], ["1"], now=midnight - 30) == Paid(), "the answer may be late"
        assert await spending.paid(["A", "B"], ["1"], now=midnight) == Paid()
        assert await spending.bill(["A"], ["1"], now=midnight) == Bill(1, 1)
        ledger = await spending.ledger(now=midnight)
        assert ledger.spent == pytest.approx(0.015)
        assert [ledger.yesterday[23], ledger.hourly[0]] == [pytest.approx(0.015)] * 2

    async def test_a_user_is_no_space(self, database: Database) -> None:
        spending = Spending(database)
        await spending.bill([], ["1"], now=NOON)
        assert await spending.paid(["1"], [], now=NOON) == Paid()
        assert await spending.paid([], ["1"], now=NOON) == Paid(users={"1"})
        assert await spending.paid([], [], now=NOON) == Paid()

    async def test_a_space_billed_with_its_people_costs_no_more(self, database: Database) -> None:
        spending = Spending(database)
        assert await spending.bill(["A"], ["1"], now=NOON, with_people=True) == Bill(1, 1)
        assert await spending.bill(["B"], ["1"], now=NOON) == Bill(1, 0)
        assert await spending.paid(["A", "B"], ["1"], now=NOON) == Paid({"A", "B"}, {"1"}, {"A"})
        assert (await spending.ledger(now=NOON)).spent == pytest.approx(0.02)

    async def test_a_hold_is_unavailable_to_others_until_it_is_billed(self, database: Database) -> None:
        spending = Spending(database)
        await spending.bill(["A", "B"], [], now=NOON)
        first = await spending.hold(60, limit=100, now=NOON)
        assert (first.spent, first.held) == (10, 0)
        assert first.id is not None
        assert await spending.hold(31, limit=100, now=NOON) == Holding(None, 10, 60)
        second = await spending.hold(30, limit=100, now=NOON)
        assert second.id is not None
        assert (await spending.ledger(now=NOON)).held == pytest.approx(0.09)
        await spending.bill(["C"], [], now=NOON, hold=first.id)
        assert await spending.hold(56, limit=100, now=NOON) == Holding(None, 15, 30)
        await spending.bill([], [], now=NOON, hold=second.id)
        assert (await spending.ledger(now=NOON)).held == 0
        assert (await spending.hold(85, limit=100, now=NOON)).id is not None

    async def test_the_hold_of_a_dead_worker_expires(self, database: Database) -> None:
        spending = Spending(database)
        assert (await spending.hold(100, limit=100, now=NOON)).id is not None
        assert await spending.hold(1, limit=100, now=NOON + 29.9) == Holding(None, 0, 100)
        assert (await spending.ledger(now=NOON + 30)).held == 0
        assert (await spending.hold(100, limit=100, now=NOON + 30)).id is not None

    async def test_a_hold_before_midnight_counts_after_it_too(self, database: Database) -> None:
        spending, midnight = Spending(database), next_day(NOON)
        await spending.bill(["A"], [], now=midnight - 2)
        held = await spending.hold(95, limit=100, now=midnight - 1)
        assert held.id is not None
        assert await spending.hold(6, limit=100, now=midnight) == Holding(None, 0, 95)
        await spending.bill(["A"], [], now=midnight + 1, hold=held.id)
        assert (await spending.hold(95, limit=100, now=midnight + 1)).id is not None

    async def test_concurrent_holds_never_exceed_the_budget(self, database: Database) -> None:
        holdings = await asyncio.gather(
            *(Spending(database).hold(30, limit=100, now=NOON) for _ in range(20))
        )
        assert len([each for each in holdings if each.id is not None]) == 3

    async def test_workers_that_see_the_same_resource_pay_once(self, database: Database) -> None:
        spaces = [f"S{number}" for number in range(100)]
        bills = await asyncio.gather(*(Spending(database).bill(spaces, ["1"], now=NOW) for _ in range(8)))
        assert sum(bill.space_reads for bill in bills) == 100
        assert sum(bill.user_reads for bill in bills) == 1

    async def test_a_day_is_forgotten_after_the_next(self, database: Database) -> None:
        await Spending(database).bill(["A"], [], now=NOON)
        for key in (schema.BILLED("2023-11-14"), schema.SPENT("2023-11-14")):
            assert 2 * 86_400 < await database.redis.ttl(key) <= 3 * 86_400


def kind_of(observation: Observation) -> FailureKind | None:
    return observation.failure.kind if observation.failure else None
