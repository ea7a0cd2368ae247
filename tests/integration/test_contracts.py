"""Both contracts of X's API produce the same events, and future changes do no harm."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from aiohttp import web

from notifier.core.events.event import PayloadForm
from notifier.core.model.observation import Call
from notifier.core.model.space import Space
from notifier.core.model.watch import OnFirstSight, WatchKind, WatchStatus
from notifier.simulator import Contract
from tests.support.rig import XRequest, open_rig

pytestmark = pytest.mark.no_cover

both = pytest.mark.parametrize("contract", Contract)

FULL = """
users:
  - {id: 1, name: One, username: one}
  - {id: 2, name: Two, username: two}
  - {id: 3, name: Three, username: three, suspended_at: 1m}
topics: [{id: 848920371311001600, name: Technology, description: All about technology}]
spaces:
  - id: 1zqKVXPQhvZJB
    creator_id: 1
    timeline:
      - at: 0s
        set:
          state: scheduled
          created_at: -1h
          updated_at: -30m
          scheduled_start: +1h
          title: Say hello
          lang: en
          is_ticketed: true
          host_ids: [1, 2]
          invited_user_ids: [3]
          topic_ids: [848920371311001600]
          subscriber_count: 7
      - at: 1h
        set: {state: live, started_at: +1h, speaker_ids: [1, 3], participant_count: 12}
      - at: 2h
        set: {state: ended, ended_at: +2h, participant_count: 120}
      - {at: 3h, gone: true}
  - {id: LOST, creator_id: 2, timeline: [{at: 0s, set: {state: live, title: lost}}, {at: 30m, gone: true}]}
"""


@both
async def test_a_complete_space_is_announced_alike_with_either_contract(
    redis_url: str, contract: Contract
) -> None:
    async with open_rig(redis_url, FULL, contract=contract) as rig:
        await rig.watch(WatchKind.CREATOR, "@one", "@nobody")
        await rig.watch(WatchKind.SPACE, "LOST", "neverwas")
        await rig.pass_time(2.5 * 3600, step=60)
        known = (await rig.runtime.store.spaces.get("1zqKVXPQhvZJB")).known
        assert known is not None
        assert {each.name for each in fields(Space) if known.space.value(each.name) is None} == set()
        page = await rig.runtime.store.watches.page(limit=10, cursor=None)
        assert {watch.target: str(watch.status) for watch in page.items} == {
            "@one": "active",
            "@nobody": "failed",
            "LOST": "active",
            "neverwas": "active",
        }
        await rig.pass_time(26 * 3600, step=3600)  # until every gone Space has been erased
        counts, asked = await rig.counts(), rig.x.requests
    assert counts == {
        "space.scheduled": 1,
        "space.reminder": 1,
        "space.started": 2,
        "space.speakers_added": 1,
        "space.participants_milestone": 1,
        "space.ended": 2,  # one is stated by X, one is inferred because both contracts report it as not found
        "watch.failed": 1,
        "space.redacted": 2,
    }
    assert {each.status for each in asked} == {200}, "neither version refuses anything that is asked"


@both
async def test_problem_types_of_either_host_are_understood(redis_url: str, contract: Contract) -> None:
    scenario = (
        FULL + "faults: [{at: 1m, for: 1m, kind: usage_capped}, {at: 20m, for: 1m, kind: credits_depleted}]"
    )
    async with open_rig(redis_url, scenario, contract=contract) as rig:
        await rig.watch(WatchKind.SPACE, "LOST", on_first_sight=OnFirstSight.BASELINE)
        await rig.pass_time(1700, step=10)
        page = await rig.runtime.store.events.page(limit=10, cursor=None, oldest_first=True)
    announced = [(event.type, json.loads(event.body)["data"]["details"].get("kind")) for event in page.items]
    assert announced == [
        ("watch.baseline", None),
        ("source.degraded", "usage_capped"),
        ("source.recovered", "usage_capped"),
        ("source.degraded", "credits_depleted"),
        ("source.recovered", "credits_depleted"),
    ]


def refusal(contract: Contract, parameter: str, value: str, asked: str, allowed: list[str]) -> dict[str, Any]:
    """Return a 400 about one value of a parameter, in the form of either contract."""
    message = f"The `{parameter}` query parameter value [{value}] is not one of [{','.join(allowed)}]"
    if contract is Contract.LEGACY:
        return {
            "title": "Invalid Request",
            "errors": [{"parameters": {parameter: [asked]}, "message": message}],
        }
    return {
        "title": "Invalid Request",
        "errors": [{"parameter": parameter, "value": value, "message": message}],
    }


@both
@pytest.mark.parametrize(
    ("parameter", "gone"),
    [("space.fields", ["subscriber_count", "is_ticketed"]), ("expansions", ["topic_ids"])],
)
async def test_polling_continues_without_a_field_that_x_drops(
    redis_url: str, contract: Contract, parameter: str, gone: list[str]
) -> None:
    async with open_rig(redis_url, FULL, contract=contract) as rig:

        async def without(asked: XRequest) -> web.Response | None:
            sent = asked.query.get(parameter, "").split(",")
            refused = next((each for each in gone if each in sent), None)
            if refused is None:
                return None
            allowed = [each for each in sent if each not in gone]
            body = refusal(contract, parameter, refused, ",".join(sent), allowed)
            return web.json_response(body, status=400)

        rig.x.override = without
        await rig.watch(WatchKind.SPACE, "1zqKVXPQhvZJB")
        await rig.watch(WatchKind.CREATOR, "1")
        await rig.pass_time(1200, step=10)
        statuses = [asked.status for asked in rig.x.requests]
        refused = [asked.call for asked in rig.x.requests if asked.status == 400]
        # The older contract lists all valid values, so one refusal is enough; the newer one names a value.
        times = 1 if contract is Contract.LEGACY else len(gone)
        assert sorted(refused) == sorted([Call.LOOKUP, Call.CREATORS] * times), "each call learns by itself"
        assert 400 not in statuses[2 * times + 2 :]
        assert await rig.counts() == {"space.scheduled": 1}, "and X is not said to have an outage"
        known = (await rig.runtime.store.spaces.get("1zqKVXPQhvZJB")).known
        assert known is not None
        assert known.space.title == "Say hello"
        assert [known.space.value(each) for each in gone] == [None] * len(gone)
        page = await rig.runtime.store.watches.page(limit=10, cursor=None)
        assert {watch.status for watch in page.items} == {WatchStatus.ACTIVE}


@both
async def test_thin_payloads_request_no_people_in_either_contract(redis_url: str, contract: Contract) -> None:
    async with open_rig(redis_url, FULL, contract=contract) as rig:
        await rig.endpoint("/thin", PayloadForm.THIN)
        await rig.watch(WatchKind.SPACE, "1zqKVXPQhvZJB")
        await rig.poll()
        known = (await rig.runtime.store.spaces.get("1zqKVXPQhvZJB")).known
        assert known is not None
        assert (known.space.host_ids, known.space.invited_user_ids, known.space.speaker_ids) == (None,) * 3
        assert (known.space.creator_id, known.space.topic_ids) == ("1", ("848920371311001600",))
        assert {asked.call for asked in rig.x.requests} == {Call.LOOKUP}
