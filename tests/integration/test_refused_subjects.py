"""A subject that X refuses fails its own watch and does not affect others."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from notifier.core.events.event import Event
from notifier.core.model.observation import Call
from notifier.core.model.watch import Watch, WatchKind, WatchStatus
from notifier.store.events import WatchChange
from tests.support.rig import NOON, Rig, XRequest, open_rig, spaces

pytestmark = pytest.mark.no_cover

LIVE = "{at: 0s, set: {state: live, title: news, started_at: -60s}}"
SCENARIO = (
    "users: [{id: 1, name: One, username: one}, {id: 2, name: Root, username: root}]\nspaces:\n"
    + spaces(["S1"], LIVE)
)
PARAMETERS = {Call.LOOKUP: "ids", Call.CREATORS: "user_ids", Call.SEARCH: "query", Call.USERS: "usernames"}
WHY = "is not valid, says X"

each_kind = pytest.mark.parametrize(
    ("kind", "good", "bad", "call"),
    [
        (WatchKind.SPACE, "S1", "BAD", Call.LOOKUP),
        (WatchKind.CREATOR, "1", "9999999999999999999", Call.CREATORS),
        (WatchKind.SEARCH, "news", "from:(", Call.SEARCH),
        (WatchKind.CREATOR, "@one", "@root", Call.USERS),
    ],
    ids=["space", "creator", "search", "name"],
)


def refuse(rig: Rig, call: Call, bad: str) -> None:
    """Have X refuse every request of a call that names this subject."""
    value = bad.removeprefix("@")
    body: dict[str, Any] = {
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": "https://api.x.com/2/problems/invalid-request",
        "errors": [{"parameters": {PARAMETERS[call]: [value]}, "message": f"[{value}] {WHY}"}],
    }

    async def override(asked: XRequest) -> web.Response | None:
        named = asked.call is call and value in asked.subjects
        return web.json_response(body, status=400) if named else None

    rig.x.override = override


async def watches(rig: Rig) -> dict[str, Watch]:
    page = await rig.runtime.store.watches.page(limit=250, cursor=None)
    return {watch.target: watch for watch in page.items}


def asked_about(rig: Rig, call: Call, subject: str) -> list[float]:
    """Return when X was asked about a subject, in seconds since noon."""
    named = subject.removeprefix("@")
    return [asked.at - NOON for asked in rig.x.of(call) if named in asked.subjects]


@each_kind
async def test_a_first_refusal_is_not_final_and_the_others_are_polled_at_once(
    redis_url: str, kind: WatchKind, good: str, bad: str, call: Call
) -> None:
    async with open_rig(redis_url, SCENARIO) as rig:
        refuse(rig, call, bad)
        await rig.watch(kind, bad, good)
        await rig.poll()
        found = await watches(rig)
        assert found[bad].status is not WatchStatus.FAILED
        assert (found[good].status, found[good].failure_reason) == (WatchStatus.ACTIVE, None)
        await rig.pass_time(2)  # creators are polled once a second, also those that were resolved from a name
        assert await rig.types() == ["space.started"], "and X is not said to have an outage"
        rig.x.restore()
        await rig.pass_time(118)
        assert len(asked_about(rig, call, bad)) == 2, "it was asked about alone, two minutes later"
        assert "watch.failed" not in await rig.types()


@each_kind
async def test_a_second_refusal_minutes_later_fails_the_watch_with_an_event(
    redis_url: str, kind: WatchKind, good: str, bad: str, call: Call
) -> None:
    async with open_rig(redis_url, SCENARIO) as rig:
        refuse(rig, call, bad)
        await rig.watch(kind, bad, good)
        await rig.poll()
        await rig.pass_time(130)
        found = await watches(rig)
        assert found[bad].status is WatchStatus.FAILED
        assert WHY in str(found[bad].failure_reason)
        assert await rig.types() == ["space.started", "watch.failed"]
        page = await rig.runtime.store.events.page(limit=10, cursor=None, event_type="watch.failed")
        details = json.loads(page.items[0].body)["data"]["details"]
        assert details["watch"]["target"] == bad
        assert WHY in details["reason"]
        await rig.pass_time(3600, step=60)
        assert asked_about(rig, call, bad) == [0, 120]


@each_kind
async def test_a_failed_watch_is_retried_daily_and_resumes_when_x_answers(
    redis_url: str, kind: WatchKind, good: str, bad: str, call: Call
) -> None:
    if call is Call.USERS:
        bad = good  # X knows the name once it accepts it again
    async with open_rig(redis_url, SCENARIO) as rig:
        refuse(rig, call, bad)
        await rig.watch(kind, bad)
        await rig.poll()
        await rig.pass_time(130)
        await rig.pass_time(86_400, step=600)
        assert asked_about(rig, call, bad)[:2] == [0, 120]
        assert len(asked_about(rig, call, bad)) == 3
        rig.x.restore()
        await rig.pass_time(87_000, step=600)
        found = await watches(rig)
        assert (found[bad].status, found[bad].failure_reason) == (WatchStatus.ACTIVE, None)
        assert (await rig.counts())["watch.failed"] == 1


async def test_a_hundred_are_polled_again_without_three_that_are_refused_in_turn(
    redis_url: str,
) -> None:
    good, bad = [f"L{number}" for number in range(97)], ["BAD1", "BAD2", "BAD3"]
    async with open_rig(redis_url, "spaces:\n" + spaces(good, LIVE)) as rig:
        await rig.watch(WatchKind.SPACE, *good, *bad)

        async def refuse_the_first(asked: XRequest) -> web.Response | None:
            named = next((each for each in bad if each in asked.subjects), None)
            body = {"errors": [{"parameters": {"ids": [named]}, "message": f"[{named}] {WHY}"}]}
            return web.json_response(body, status=400) if named else None

        rig.x.override = refuse_the_first
        await rig.poll()
        assert [(len(asked.subjects), asked.status) for asked in rig.x.requests] == [
            (100, 400),
            (99, 400),
            (98, 400),
            (97, 200),
        ]
        assert (await rig.counts()) == {"space.started": 97}
        await rig.pass_time(130)
        failed = {name for name, watch in (await watches(rig)).items() if watch.status is WatchStatus.FAILED}
        assert failed == set(bad)


@each_kind
async def test_a_watch_changed_by_its_owner_at_that_moment_still_fails(
    redis_url: str, kind: WatchKind, good: str, bad: str, call: Call
) -> None:
    """A change of the label must not leave a watch active that is never polled."""
    async with open_rig(redis_url, SCENARIO) as rig:
        refuse(rig, call, bad)
        await rig.watch(kind, bad, good)
        store = rig.runtime.store
        commit = store.events.commit
        changed: list[Watch] = []

        async def commit_too_late(event: Event, *, change: WatchChange | None = None) -> bool:
            if change is not None and change.before.target == bad and not changed:
                changed.append(change.before)
                before = change.before
                await store.watches.save(replace(before, label="mine"), replacing=before, now=rig.clock.now)
            return await commit(event, change=change)

        store.events.commit = commit_too_late  # type: ignore[method-assign]  # forces a race
        await rig.pass_time(130, step=5)
        found = await watches(rig)
        assert changed
        assert found[bad].status is WatchStatus.FAILED
        assert (found[bad].label, found[good].status) == ("mine", WatchStatus.ACTIVE)


@each_kind
async def test_a_watch_that_is_deleted_at_that_moment_is_gone(
    redis_url: str, kind: WatchKind, good: str, bad: str, call: Call
) -> None:
    async with open_rig(redis_url, SCENARIO) as rig:
        refuse(rig, call, bad)
        await rig.watch(kind, bad, good)
        answer, reached, released = rig.x.override, asyncio.Event(), asyncio.Event()

        async def wait(asked: XRequest) -> web.Response | None:
            reached.set()
            await released.wait()
            assert answer is not None
            return await answer(asked)

        rig.x.override = wait
        polling = asyncio.create_task(rig.poll())
        await reached.wait()
        await rig.runtime.store.watches.delete((await watches(rig))[bad].id, now=rig.clock.now)
        released.set()
        await polling
        assert set(await watches(rig)) == {good}
        await rig.pass_time(2)
        assert await rig.types() == ["space.started"]


@pytest.mark.parametrize("body", [{"title": "Invalid Request"}, {"errors": [{"message": "no"}]}])
async def test_a_400_without_details_is_announced_and_backed_off_from(
    redis_url: str, body: dict[str, Any]
) -> None:
    async with open_rig(redis_url, SCENARIO) as rig:
        await rig.watch(WatchKind.SPACE, "S1")
        rig.x.fail(Call.LOOKUP, 400, body)
        await rig.poll()
        assert await rig.types() == []
        await rig.pass_time(1800, step=10)
        # The question is postponed by the longest interval, since a mistake of our own must not flood X.
        assert [asked.at - rig.x.requests[0].at for asked in rig.x.requests] == [0, 600, 1200, 1800]
        assert await rig.types() == ["source.degraded"]
        health, _ = await rig.runtime.store.health.read()
        assert [str(kind) for kind in health.outages()] == ["refused"]
        assert (await watches(rig))["S1"].status is WatchStatus.ACTIVE
        rig.x.restore()
        await rig.pass_time(600, step=10)
        assert await rig.types() == ["source.degraded", "source.recovered", "space.started"]


@pytest.mark.parametrize("sent", [["GOOD1,BAD,GOOD2"], ["GOOD1", "BAD", "GOOD2"]], ids=["one text", "a list"])
async def test_a_400_that_repeats_the_whole_question_refuses_only_what_its_message_names(
    redis_url: str, sent: list[str]
) -> None:
    """X repeats all sent values under ``parameters``; only the message says which one is meant."""
    message = "The `ids` query parameter value [BAD] does not match ^[a-zA-Z0-9]{1,13}$"
    body = {"title": "Invalid Request", "errors": [{"parameters": {"ids": sent}, "message": message}]}
    async with open_rig(redis_url, "spaces:\n" + spaces(["GOOD1", "GOOD2"], LIVE)) as rig:

        async def override(asked: XRequest) -> web.Response | None:
            return web.json_response(body, status=400) if "BAD" in asked.subjects else None

        rig.x.override = override
        await rig.watch(WatchKind.SPACE, "GOOD1", "BAD", "GOOD2")
        await rig.pass_time(130)
        failed = {name for name, watch in (await watches(rig)).items() if watch.status is WatchStatus.FAILED}
        assert failed == {"BAD"}
        assert await rig.types() == ["space.started"] * 2 + ["watch.failed"]
