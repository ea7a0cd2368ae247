"""Each kind of leak that the fixtures check for is detected."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import redis

from notifier.store import schema
from tests.support import leaks
from tests.support.leaks import clients_left, stray_keys, tasks_left

pytestmark = pytest.mark.server


@pytest.fixture
def client(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    monkeypatch.setattr(leaks, "CLOSING_SECONDS", 0.05)  # These leaks do not go away.
    with redis.Redis.from_url(redis_url, decode_responses=True) as opened:
        yield opened


@pytest.mark.breaks_keys("each of these is one that the fixture would find")
@pytest.mark.parametrize(
    "key",
    [
        schema.EVENT("evt_1"),
        schema.SPACE_EVENTS("A"),  # starts like a Space's record, which is permanent
        schema.SPACE_MENTIONS("A"),
        schema.RECIPIENTS(0, "evt_1"),
        schema.DELIVERY(0, "dlv_1"),
        schema.PARTITION_WAKEUP(0),
        "sn:no-such-form",
        "arq:job:1",
        "somebody else's",
        schema.WATCHES(),  # another type
    ],
)
def test_an_unknown_key_is_found(redis_url: str, client: redis.Redis, key: str) -> None:
    assert stray_keys(redis_url) == []
    if key == schema.PARTITION_WAKEUP(0):
        client.set(key, 1)
    elif key in (schema.SPACE_MENTIONS("A"), schema.RECIPIENTS(0, "evt_1")):
        client.sadd(key, "a")
    elif key == schema.SPACE_EVENTS("A"):
        client.zadd(key, {"evt_1": 1})
    else:
        client.hset(key, "a", "b")
    (found,) = stray_keys(redis_url)
    assert key in found


@pytest.mark.breaks_keys("a permanent key that expires is one that the fixture would find")
def test_a_permanent_key_that_expires_is_found(redis_url: str, client: redis.Redis) -> None:
    client.set(schema.WATCH("wch_1"), "{}", ex=60)
    (found,) = stray_keys(redis_url)
    assert "expires, and must stay" in found


def test_a_connection_that_was_not_closed_is_found(redis_url: str, client: redis.Redis) -> None:
    (_fixture,) = clients_left(client)
    forgotten = redis.Redis.from_url(redis_url, client_name="forgotten")
    forgotten.ping()
    assert "forgotten" in [each["name"] for each in clients_left(client)]
    forgotten.close()


async def test_a_running_task_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "CLOSING_SECONDS", 0.05)
    assert await tasks_left() == []
    forgotten = asyncio.create_task(asyncio.Event().wait(), name="forgotten")
    (found,) = await tasks_left()
    assert "forgotten" in found
    forgotten.cancel()
    assert await tasks_left() == []
