"""Events about outages of X, and how X is polled during them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import web

from notifier.core.model.instants import instant
from notifier.core.model.observation import Call
from notifier.core.model.reasons import OutageKind
from notifier.core.model.watch import WatchKind
from notifier.core.polling.health import Health, Outage
from notifier.core.polling.health import news as news_of
from tests.support.rig import Rig, XRequest, open_rig, spaces

pytestmark = pytest.mark.no_cover

LIVE = "{at: 0s, set: {state: live, title: news, started_at: -60s}}"
GONE = "{at: 60s, gone: true}"
ONE_LIVE = "spaces:\n" + spaces(["S1"], LIVE)


def live(count: int) -> list[str]:
    return [f"L{number}" for number in range(count)]


async def news(rig: Rig) -> list[tuple[str, dict[str, Any]]]:
    """Return the types and details of the events about the source."""
    page = await rig.runtime.store.events.page(limit=250, cursor=None, oldest_first=True)
    return [
        (event.type, json.loads(event.body)["data"]["details"])
        for event in page.items
        if event.type.startswith("source.")
    ]


def gaps(rig: Rig, call: Call) -> list[float]:
    return [round(later.at - sooner.at) for sooner, later in pairwise(rig.x.of(call))]


class TestAnOutageOfOneCall:
    async def test_a_forbidden_search_is_announced_once_and_asked_rarely_while_lookups_go_on(
        self, redis_url: str
    ) -> None:
        async with open_rig(redis_url, ONE_LIVE) as rig:
            await rig.watch(WatchKind.SPACE, "S1")
            await rig.watch(WatchKind.SEARCH, "news", "weather")
            rig.x.fail(Call.SEARCH, 403)
            await rig.pass_time(1790, step=10)
            assert gaps(rig, Call.LOOKUP) == [30] * 59
            # Both are asked, since one of them may be at fault; then one is the probe, every five minutes.
            assert gaps(rig, Call.SEARCH) == [0] + [300] * 5
            ((event_type, details),) = await news(rig)
            assert (event_type, details["kind"]) == ("source.degraded", "unauthorized")
            rig.x.restore()
            await rig.pass_time(310, step=5)
            assert [event_type for event_type, _ in await news(rig)] == [
                "source.degraded",
                "source.recovered",
            ]

    async def test_a_reminder_waits_for_lookups_and_not_for_a_search(self, redis_url: str) -> None:
        planned = "{at: 0s, set: {state: scheduled, title: talk, scheduled_start: +1h}}"
        for failing, reminded_at in ((Call.SEARCH, 2700), (Call.LOOKUP, None)):
            async with open_rig(redis_url, "spaces:\n" + spaces(["S1"], planned)) as rig:
                await rig.runtime.store.database.redis.flushdb()
                await rig.watch(WatchKind.SPACE, "S1")
                await rig.watch(WatchKind.SEARCH, "nothing")
                await rig.pass_time(2400, step=60)
                rig.x.fail(failing, 503)
                await rig.pass_time(299, step=10)
                assert "space.reminder" not in await rig.types()
                await rig.pass_time(301, step=10)
                assert ("space.reminder" in await rig.types()) is (reminded_at is not None)
                rig.x.restore()
                await rig.pass_time(120, step=10)
                assert (await rig.types()).count("space.reminder") == 1

    async def test_a_single_503_is_not_announced_and_two_in_a_row_are(self, redis_url: str) -> None:
        async with open_rig(redis_url, ONE_LIVE) as rig:
            await rig.watch(WatchKind.SPACE, "S1")
            await rig.poll()
            for _ in range(3):
                await rig.pass_time(29)
                rig.x.fail(Call.LOOKUP, 503)
                await rig.pass_time(1)
                rig.x.restore()
                await rig.pass_time(10)
            assert [asked.status for asked in rig.x.requests] == [200] + [503, 200] * 3
            assert await news(rig) == []
            rig.x.fail(Call.LOOKUP, 503)
            await rig.pass_time(40)
            ((event_type, details),) = await news(rig)
            assert (event_type, details["kind"]) == ("source.degraded", "unavailable")
            assert instant(details["since"]) == rig.clock.now - 10, "since the first of the two"

    async def test_the_backoff_grows_during_an_outage_up_to_a_minute(self, redis_url: str) -> None:
        everything = live(150)
        async with open_rig(redis_url, "spaces:\n" + spaces(everything, LIVE)) as rig:
            await rig.watch(WatchKind.SPACE, *everything)
            rig.x.fail(Call.LOOKUP, 503)
            await rig.pass_time(320)
            # One of the Spaces may be at fault, so both questions are repeated once and then split. When
            # four without a common Space have failed, the call pauses.
            assert gaps(rig, Call.LOOKUP) == [0, 10, *[0] * 5, 10, 20, 40, 60, 60, 60]
            rig.x.restore()
            await rig.pass_time(61)
            assert (await rig.counts())["space.started"] == 150

    @pytest.mark.parametrize("taken", ["deleted", "paused"])
    async def test_an_outage_of_an_unused_call_ends(self, redis_url: str, taken: str) -> None:
        async with open_rig(redis_url, ONE_LIVE) as rig:
            await rig.watch(WatchKind.SEARCH, "news")
            rig.x.fail(Call.SEARCH, 403)
            await rig.pass_time(15)
            (watch,) = (await rig.runtime.store.watches.page(limit=1, cursor=None)).items
            watches = rig.runtime.store.watches
            if taken == "deleted":
                await watches.delete(watch.id, now=rig.clock.now)
            else:
                await watches.save(replace(watch, paused=True), replacing=watch, now=rig.clock.now)
            await rig.watch(WatchKind.SPACE, "S1")
            await rig.pass_time(5)
            assert [event_type for event_type, _ in await news(rig)] == [
                "source.degraded",
                "source.recovered",
            ]
            # If it were not over, the end of the credentials outage would not be announced.
            rig.x.fail(Call.LOOKUP, 401)
            await rig.pass_time(45)
            assert [details["kind"] for _, details in await news(rig)] == ["unauthorized"] * 3

    async def test_an_outage_does_not_end_while_the_only_poll_is_in_flight(self, redis_url: str) -> None:
        async with open_rig(redis_url, ONE_LIVE) as rig:
            await rig.watch(WatchKind.SPACE, "S1")
            rig.x.fail(Call.LOOKUP, 401)
            await rig.poll()
            reached, released = asyncio.Event(), asyncio.Event()

            async def hold(_asked: XRequest) -> web.Response:
                reached.set()
                await released.wait()
                return web.Response(status=401)

            rig.x.override = hold
            rig.clock.now += 300
            probe = asyncio.create_task(rig.poll())
            await reached.wait()
            await rig.sweep()
            released.set()
            await probe
            assert await rig.types() == ["source.degraded"]


class TestEachKind:
    @pytest.mark.parametrize(
        ("fault", "kind", "longest"),
        [
            ("unavailable", "unavailable", 60),
            ("html", "unavailable", 60),
            ("truncated", "unavailable", 60),
            ("reset", "unavailable", 60),
            ("rate_limited", "rate_limited", 60),
            ("rate_limited, shape: legacy", "rate_limited", 60),
            ("unauthorized", "unauthorized", 300),
            ("credits_depleted", "credits_depleted", 300),
            ("usage_capped", "usage_capped", 900),
            ("vanish_all", "mass_vanish", 60),
        ],
    )
    async def test_is_announced_once_when_it_begins_and_once_when_it_ends_by_two_workers_with_every_call(
        self, redis_url: str, fault: str, kind: str, longest: int
    ) -> None:
        scenario = "users: [{id: 7, name: Seven, username: seven}]\nspaces:\n" + spaces(live(12), LIVE)
        scenario += f"faults: [{{at: 60s, for: 120s, kind: {fault}}}]"
        async with open_rig(redis_url, scenario, workers=2) as rig:
            await rig.watch(WatchKind.SPACE, *live(12))
            await rig.watch(WatchKind.CREATOR, "1", "2")
            await rig.watch(WatchKind.SEARCH, "news")
            start = rig.clock.now
            for passed in range(10, 180 + longest + 120, 10):
                rig.clock.now = start + passed
                if passed == 70:
                    await rig.watch(WatchKind.CREATOR, "@seven")
                await asyncio.gather(rig.poll(0), rig.poll(1))
                await rig.sweep()
            announced = await news(rig)
            seen = await rig.counts()
        (began, degraded), (ended, recovered) = announced
        assert (began, ended) == ("source.degraded", "source.recovered")
        assert degraded["kind"] == recovered["kind"] == kind
        assert degraded["since"] == recovered["since"]
        since = instant(degraded["since"])
        assert since is not None
        assert start + 60 <= since < start + 100
        assert 80 <= recovered["after_seconds"] <= 120 + longest + 30
        assert degraded["detail"]
        assert (seen["space.started"], seen["space.ended"]) == (12, 0)

    async def test_calls_that_fail_at_once_are_all_recorded_and_announced_once(self, redis_url: str) -> None:
        async with open_rig(redis_url, ONE_LIVE) as rig:
            await rig.watch(WatchKind.SPACE, "S1")
            await rig.watch(WatchKind.CREATOR, "1", "@seven")
            await rig.watch(WatchKind.SEARCH, "news", "weather")
            meeting = asyncio.Barrier(len(Call))

            async def fail_together(_asked: XRequest) -> web.Response:
                await meeting.wait()
                return web.json_response({"title": "CreditsDepleted"}, status=402)

            rig.x.override = fail_together
            await rig.poll()
            health, _ = await rig.runtime.store.health.read()
            assert set(health.calls) == set(Call)
            assert await rig.types() == ["source.degraded"]

    async def test_a_record_that_was_changed_since_it_was_read_is_not_replaced(self, redis_url: str) -> None:
        async with open_rig(redis_url, ONE_LIVE) as rig:
            store, now = rig.runtime.store.health, rig.clock.now
            _, unread = await store.read()
            sooner = Health({Call.SEARCH: Outage(OutageKind.UNAUTHORIZED, "no", now, now, is_announced=True)})
            later = Health(
                {Call.LOOKUP: Outage(OutageKind.CREDITS_DEPLETED, "no", now, now, is_announced=True)}
            )
            assert await store.replace(unread, sooner, news_of(Health(), sooner, now=now))
            assert not await store.replace(unread, later, news_of(Health(), later, now=now))
            assert (await store.read())[0] == sooner
            assert [details["kind"] for _, details in await news(rig)] == ["unauthorized"]

    async def test_an_outage_that_changes_its_kind_ends_one_and_starts_another(self, redis_url: str) -> None:
        async with open_rig(redis_url, ONE_LIVE) as rig:
            await rig.watch(WatchKind.SPACE, "S1")
            rig.x.fail(Call.LOOKUP, 503)
            await rig.pass_time(30)
            rig.x.fail(Call.LOOKUP, 401)
            await rig.pass_time(120)
            assert [(event_type, details["kind"]) for event_type, details in await news(rig)] == [
                ("source.degraded", "unavailable"),
                ("source.recovered", "unavailable"),
                ("source.degraded", "unauthorized"),
            ]

    async def test_an_outage_lasts_until_its_last_call_recovers(self, redis_url: str) -> None:
        async with open_rig(redis_url, ONE_LIVE) as rig:
            await rig.watch(WatchKind.SPACE, "S1")
            await rig.watch(WatchKind.SEARCH, "news")
            rig.x.fail(Call.LOOKUP, 503)
            await rig.pass_time(60)
            since = (await news(rig))[0][1]["since"]
            rig.x.fail(Call.SEARCH, 503)  # and lookups are answered again
            await rig.pass_time(30)
            rig.x.fail(Call.SEARCH, 503)
            await rig.pass_time(120)
            before = [event_type for event_type, _ in await news(rig)]
            rig.x.restore()
            await rig.pass_time(70)
            announced = await news(rig)
        assert before.count("source.degraded") == len(announced) - before.count("source.recovered") - 1
        assert announced[-1][0] == "source.recovered"
        assert announced[0][1]["since"] == since


class TestMassVanish:
    async def test_two_requests_that_find_nothing_are_a_mass_vanish_and_end_no_space(
        self, redis_url: str
    ) -> None:
        everything = live(120)
        scenario = "spaces:\n" + spaces(everything, LIVE) + "faults: [{at: 45s, for: 300s, kind: vanish_all}]"
        async with open_rig(redis_url, scenario) as rig:
            await rig.watch(WatchKind.SPACE, *everything)
            await rig.poll()
            await rig.pass_time(340, step=5)
            assert [(event_type, details["kind"]) for event_type, details in await news(rig)] == [
                ("source.degraded", "mass_vanish")
            ]
            # A doubt is polled no more often than a near start, and 120 Spaces are two requests.
            assert len(rig.x.of(Call.LOOKUP)) <= 2 * 340 / 10
            await rig.pass_time(120, step=5)
            assert [event_type for event_type, _ in await news(rig)] == [
                "source.degraded",
                "source.recovered",
            ]
            assert (await rig.announced("space.")) == ["space.started"] * 120

    async def test_six_of_ten_are_a_mass_vanish(self, redis_url: str) -> None:
        scenario = "spaces:\n" + spaces(live(10)[:6], LIVE, GONE) + spaces(live(10)[6:], LIVE)
        async with open_rig(redis_url, scenario) as rig:
            await rig.watch(WatchKind.SPACE, *live(10))
            await rig.poll()
            await rig.pass_time(600, step=5)
            assert (await rig.counts())["space.ended"] == 0
            assert [details["kind"] for _, details in await news(rig)] == ["mass_vanish"]

    async def test_five_of_ten_end_after_the_confirmations(self, redis_url: str) -> None:
        scenario = "spaces:\n" + spaces(live(10)[:5], LIVE, GONE) + spaces(live(10)[5:], LIVE)
        async with open_rig(redis_url, scenario) as rig:
            await rig.watch(WatchKind.SPACE, *live(10))
            await rig.poll()
            await rig.pass_time(89)
            assert (await rig.counts())["space.ended"] == 0, "one poll is no proof"
            await rig.pass_time(31)
            assert (await rig.counts())["space.ended"] == 5
            assert await news(rig) == []

    async def test_an_answer_that_comes_in_between_does_not_end_it(self, redis_url: str) -> None:
        """Lists that answer while lookups find nothing must not make the state alternate."""
        scenario = "spaces:\n" + spaces(live(20), LIVE)
        scenario += "faults: [{at: 45s, for: 300s, kind: vanish_all, calls: [lookup]}]"
        async with open_rig(redis_url, scenario) as rig:
            await rig.watch(WatchKind.SPACE, *live(20))
            await rig.watch(WatchKind.SEARCH, "news")
            await rig.poll()
            await rig.pass_time(700, step=5)
            announced = [(event_type, details["kind"]) for event_type, details in await news(rig)]
            assert announced == [("source.degraded", "mass_vanish"), ("source.recovered", "mass_vanish")]
            assert (await rig.announced("space.")) == ["space.started"] * 20
