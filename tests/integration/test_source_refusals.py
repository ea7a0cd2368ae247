"""Refused values are left out per call, by all workers, for an hour; then they are retried."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from notifier.core.model.instants import rfc3339
from notifier.core.model.observation import Call, Question
from notifier.core.model.watch import WatchKind
from notifier.core.polling.refusals import REFUSED_FOR_SECONDS, Refusals
from notifier.source.refusals import READ_AGAIN_SECONDS
from notifier.store import schema
from tests.support.admin_api import KEY, Serve
from tests.support.rig import Rig, XRequest, open_rig, spaces

SCENARIO = "spaces:\n" + spaces(["S1"], "{at: 0s, set: {state: live, title: news, started_at: -60s}}")
LOOKUP = Question(Call.LOOKUP, ("S1",))
SEARCH = Question(Call.SEARCH, ("news",))
STEP = READ_AGAIN_SECONDS


class Mood:
    """Refuses some values of a parameter while it is active."""

    def __init__(self, parameter: str, *values: str) -> None:
        self.parameter = parameter
        self.values = set(values)

    async def __call__(self, asked: XRequest) -> web.Response | None:
        sent = asked.query.get(self.parameter, "").split(",")
        refused = sorted(self.values & set(sent))
        if not refused:
            return None
        message = f"The `{self.parameter}` query parameter value [{refused[0]}] is not one of [id]"
        error = {"parameters": {self.parameter: refused}, "message": message}
        return web.json_response({"title": "Invalid Request", "errors": [error]}, status=400)


def in_a_mood(rig: Rig, parameter: str, *values: str) -> Mood:
    rig.x.override = mood = Mood(parameter, *values)
    return mood


async def ask(rig: Rig, question: Question = LOOKUP, *, worker: int = 0) -> list[int]:
    """Ask and return the statuses of the requests; the final answer succeeds."""
    x, before = rig.workers[worker].x, len(rig.x.requests)
    assert x is not None
    assert (await x.ask(question)).failure is None
    return [asked.status for asked in rig.x.requests[before:]]


REFUSED = [
    ("expansions", ("creator_id", "host_ids", "speaker_ids")),
    ("space.fields", ("title",)),
    ("user.fields", ("name", "username")),
]


@pytest.mark.parametrize(("parameter", "values"), REFUSED)
async def test_a_refused_value_is_requested_again_after_an_hour(
    redis_url: str, parameter: str, values: tuple[str, ...]
) -> None:
    async with open_rig(redis_url, SCENARIO) as rig:
        mood = in_a_mood(rig, parameter, *values)
        assert await ask(rig) == [400, 200]
        mood.values = set()  # a temporary mistake of X
        rig.clock.now += REFUSED_FOR_SECONDS - 1
        assert await ask(rig) == [200]
        assert not set(values) & set(rig.x.requests[-1].query.get(parameter, "").split(","))
        rig.clock.now += 1
        assert await ask(rig) == [200]
        assert set(values) <= set(rig.x.requests[-1].query[parameter].split(","))
        assert await rig.runtime.store.refusals.read() == Refusals()


async def test_one_400_an_hour_renews_a_refusal(redis_url: str) -> None:
    async with open_rig(redis_url, SCENARIO) as rig:
        in_a_mood(rig, "space.fields", "title")
        for _ in range(5 * 60):
            await ask(rig)
            rig.clock.now += 60
        assert [asked.status for asked in rig.x.requests].count(400) == 5


async def test_a_call_that_accepts_the_value_keeps_it(redis_url: str) -> None:
    async with open_rig(redis_url, SCENARIO) as rig:
        mood = in_a_mood(rig, "space.fields", "title")
        await ask(rig)
        mood.values = set()
        assert await ask(rig, SEARCH) == [200]
        assert "title" in rig.x.requests[-1].query["space.fields"]
        await ask(rig)
        assert "title" not in rig.x.requests[-1].query["space.fields"]


async def test_refusals_are_shared_between_workers(redis_url: str) -> None:
    async with open_rig(redis_url, SCENARIO, workers=2) as rig:
        await ask(rig, worker=1)
        mood = in_a_mood(rig, "space.fields", "title")
        assert await ask(rig) == [400, 200]
        rig.clock.now += STEP
        assert await ask(rig, worker=1) == [200]
        mood.values = set()
        rig.clock.now += REFUSED_FOR_SECONDS
        assert await ask(rig, worker=1) == [200]
        rig.clock.now += STEP
        assert await ask(rig) == [200]
        assert all("title" in asked.query["space.fields"] for asked in rig.x.requests[-2:])


async def test_without_refusals_a_question_needs_no_extra_round_trip(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_rig(redis_url, SCENARIO) as rig:
        record, reads = rig.runtime.store.refusals, 0
        read = record.read

        async def counted() -> Refusals:
            nonlocal reads
            reads += 1
            return await read()

        monkeypatch.setattr(record, "read", counted)
        for _ in range(29):
            await ask(rig)
            rig.clock.now += 1
        assert reads == 1


async def test_a_refusal_is_logged_once_at_its_start_and_once_at_its_end(redis_url: str) -> None:
    async with open_rig(redis_url, SCENARIO, workers=2) as rig:
        with capture_logs() as logs:
            mood = in_a_mood(rig, "space.fields", "title")
            for _ in range(150):
                await ask(rig)
                await ask(rig, worker=1)
                rig.clock.now += 60
            mood.values = set()
            rig.clock.now += REFUSED_FOR_SECONDS
            for _ in range(3):
                await ask(rig)
                await ask(rig, worker=1)
                rig.clock.now += 60
    assert [(each["event"], each["call"], each["parameter"], each["value"]) for each in logs] == [
        ("source.value_refused", "lookup", "space.fields", "title"),
        ("source.value_accepted", "lookup", "space.fields", "title"),
    ]


async def test_the_source_shows_refused_values_while_they_last(redis_url: str, serve: Serve) -> None:
    async def shown() -> Any:
        document = await (await client.get("/v1/source", headers=KEY)).json()
        return document["status"], document["refused"]

    async with open_rig(redis_url, SCENARIO) as rig:
        client = await serve(rig.runtime)
        mood = in_a_mood(rig, "space.fields", "title", "lang")
        await rig.watch(WatchKind.SPACE, "S1")
        await rig.poll()
        until = rfc3339(rig.clock.now + REFUSED_FOR_SECONDS)
        refused = {"call": "lookup", "parameter": "space.fields", "values": ["lang", "title"], "until": until}
        assert await shown() == ("ok", [refused])
        mood.values = set()
        rig.clock.now += REFUSED_FOR_SECONDS
        await rig.poll()
        assert await shown() == ("ok", [])


async def test_the_record_expires_but_outlasts_the_hour(redis_url: str) -> None:
    async with open_rig(redis_url, SCENARIO) as rig:
        in_a_mood(rig, "space.fields", "title")
        await ask(rig)
        redis = rig.runtime.store.database.redis
        assert REFUSED_FOR_SECONDS < await redis.ttl(schema.REFUSALS()) <= 2 * REFUSED_FOR_SECONDS
        assert json.loads(await redis.get(schema.REFUSALS()))


async def test_a_record_that_was_changed_since_it_was_read_is_not_replaced(redis_url: str) -> None:
    async with open_rig(redis_url, SCENARIO) as rig:
        record = rig.runtime.store.refusals
        one = Refusals().refuse(Call.LOOKUP, {"expansions": {"topic_ids"}}, now=rig.clock.now)
        other = Refusals().refuse(Call.SEARCH, {"state": {"all"}}, now=rig.clock.now)
        assert await record.replace(Refusals(), one)
        assert not await record.replace(Refusals(), other)
        assert await record.read() == one
        assert await record.replace(one, Refusals())
        assert await record.replace(Refusals(), other)
