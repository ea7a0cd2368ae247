from __future__ import annotations

import asyncio

from notifier.delivery.deadlines import Deadlines
from tests.support.wait import wait_until


class Exchange:
    """Represents a connection; records when it expired, by the loop's clock."""

    def __init__(self) -> None:
        self.expired_at: list[float] = []

    def expire(self) -> None:
        self.expired_at.append(asyncio.get_running_loop().time())


def watched(deadlines: Deadlines, end: float) -> Exchange:
    exchange = Exchange()
    deadlines.watch(exchange, end)
    return exchange


async def test_each_exchange_expires_at_its_own_deadline() -> None:
    loop = asyncio.get_running_loop()
    deadlines, now = Deadlines(loop), loop.time()
    late, early, later = (watched(deadlines, now + after) for after in (0.1, 0.05, 0.15))
    await wait_until(lambda: later.expired_at, message="the last one expires")
    for exchange, after in ((early, 0.05), (late, 0.1), (later, 0.15)):
        assert exchange.expired_at[0] >= now + after - 0.002


async def test_a_removed_exchange_does_not_expire_or_block_others() -> None:
    loop = asyncio.get_running_loop()
    deadlines, now = Deadlines(loop), loop.time()
    done, hanging = watched(deadlines, now + 0.02), watched(deadlines, now + 0.05)
    deadlines.forget(done)
    await wait_until(lambda: hanging.expired_at, message="the other one expires")
    assert done.expired_at == []


async def test_a_past_deadline_expires_at_once() -> None:
    loop = asyncio.get_running_loop()
    exchange = watched(Deadlines(loop), loop.time() - 1)
    await wait_until(lambda: exchange.expired_at, message="it expires")


async def test_a_deadline_added_after_all_others_ended_is_watched() -> None:
    loop = asyncio.get_running_loop()
    deadlines = Deadlines(loop)
    first = watched(deadlines, loop.time() + 0.01)
    await wait_until(lambda: first.expired_at, message="the first one expires")
    deadlines.forget(first)
    second = watched(deadlines, loop.time() + 0.01)
    await wait_until(lambda: second.expired_at, message="the second one expires")
    assert len(first.expired_at) == 1


async def test_nothing_expires_after_the_close() -> None:
    loop = asyncio.get_running_loop()
    deadlines = Deadlines(loop)
    exchange = watched(deadlines, loop.time() + 0.01)
    deadlines.close()
    other = watched(Deadlines(loop), loop.time() + 0.03)
    await wait_until(lambda: other.expired_at, message="a later end is over")
    assert exchange.expired_at == []
