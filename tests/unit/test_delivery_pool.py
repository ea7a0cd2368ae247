"""The pool with fake connections that only have a state."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from notifier.delivery.message import Origin
from notifier.delivery.pool import Pool
from notifier.delivery.wire import Connection
from tests.support.wait import wait_until

A = Origin(tls=False, host="a.example", port=80)
B = Origin(tls=False, host="b.example", port=80)


class Line:
    """A connection as the pool sees it."""

    def __init__(self, pool: Pool, origin: Origin) -> None:
        self.origin = origin
        self.idle_since = 0.0
        self.usable = True
        self._pool = pool
        pool.opened(self.seen)

    @property
    def seen(self) -> Connection:
        return cast("Connection", self)

    def abort(self) -> None:
        if self.usable:
            self.usable = False
            asyncio.get_running_loop().call_soon(self._pool.lost, self.seen)


def pool_of(*, limit: int = 4, per_host: int = 0, keepalive: float = 60.0) -> Pool:
    return Pool(limit=limit, limit_per_host=per_host, keepalive_seconds=keepalive)


async def test_the_most_recent_connection_is_used_first() -> None:
    pool = pool_of()
    first, second = Line(pool, A), Line(pool, A)
    pool.keep(first.seen)
    pool.keep(second.seen)
    assert pool.take(B) is None
    assert [pool.take(A), pool.take(A), pool.take(A)] == [second.seen, first.seen, None]
    await pool.close()


async def test_a_closed_connection_is_neither_kept_nor_reused() -> None:
    pool = pool_of()
    good, closing, closed = Line(pool, A), Line(pool, A), Line(pool, A)
    closed.abort()
    pool.keep(closed.seen)
    pool.keep(good.seen)
    pool.keep(closing.seen)
    closing.usable = False
    assert pool.take(A) is good.seen
    assert pool.take(A) is None
    closing.usable = True
    await pool.close()
    assert pool.open_count == 0


async def test_waiters_are_served_in_order() -> None:
    pool = pool_of(limit=1)
    assert pool.try_lease(A)
    order: list[str] = []

    async def wait_for_turn(name: str, origin: Origin) -> None:
        await pool.lease(origin)
        order.append(name)
        pool.release(origin)

    async with asyncio.TaskGroup() as group:
        for name, origin in (("first", A), ("second", B), ("third", A)):
            group.create_task(wait_for_turn(name, origin))
            await asyncio.sleep(0)
        pool.release(A)
    assert order == ["first", "second", "third"]
    assert pool.lease_count == 0


async def test_a_new_waiter_does_not_overtake() -> None:
    pool = pool_of(limit=1)
    assert pool.try_lease(A)
    waiting = asyncio.ensure_future(pool.lease(A))
    await asyncio.sleep(0)
    pool.release(A)
    assert not pool.try_lease(A)
    await waiting
    assert pool.lease_count == 1


async def test_a_host_at_its_limit_does_not_block_others() -> None:
    pool = pool_of(limit=2, per_host=1)
    assert pool.try_lease(A)
    assert not pool.try_lease(A)
    again, other = asyncio.ensure_future(pool.lease(A)), asyncio.ensure_future(pool.lease(B))
    await asyncio.wait_for(other, 5)
    assert not again.done()
    pool.release(B)
    await asyncio.sleep(0)
    assert not again.done()
    pool.release(A)
    await asyncio.wait_for(again, 5)
    assert pool.lease_count == 1


async def test_blocked_waiters_keep_their_place() -> None:
    pool = pool_of(limit=2, per_host=1)
    assert pool.try_lease(A)
    assert pool.try_lease(B)
    order: list[str] = []

    async def wait_for_turn(name: str, origin: Origin) -> None:
        await pool.lease(origin)
        order.append(name)

    tasks = []
    for name, origin in (("first", A), ("second", A), ("other", B), ("third", A)):
        tasks.append(asyncio.ensure_future(wait_for_turn(name, origin)))
        await asyncio.sleep(0)
    for origin in (B, A, A, A):
        pool.release(origin)
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert order == ["other", "first", "second", "third"]


async def test_ten_thousand_hosts_leave_no_state_behind() -> None:
    pool = pool_of(limit=8, per_host=2, keepalive=0.0)
    for number in range(10_000):
        origin = Origin(tls=False, host=f"{number}.example", port=80)
        assert pool.try_lease(origin)
        pool.make_room()
        pool.keep(Line(pool, origin).seen)
        pool.release(origin)
        await asyncio.sleep(0)
    await wait_until(lambda: pool.open_count == 0)
    left = {name: value for name, value in vars(pool).items() if hasattr(value, "__len__") and len(value)}
    assert left == {}


@pytest.mark.parametrize("given_already", [False, True])
async def test_a_cancelled_waiter_holds_no_lease(*, given_already: bool) -> None:
    pool = pool_of(limit=1)
    assert pool.try_lease(A)
    gives_up, next_one = asyncio.ensure_future(pool.lease(A)), asyncio.ensure_future(pool.lease(B))
    await asyncio.sleep(0)
    if given_already:
        pool.release(A)
        gives_up.cancel()
    else:
        gives_up.cancel()
        await asyncio.sleep(0)
        pool.release(A)
    await asyncio.wait_for(next_one, 5)
    assert gives_up.cancelled()
    assert pool.lease_count == 1


async def test_the_oldest_idle_connection_makes_room() -> None:
    pool = pool_of(limit=2)
    old, young = Line(pool, A), Line(pool, B)
    pool.keep(old.seen)
    pool.keep(young.seen)
    assert pool.try_lease(Origin(tls=True, host="c.example", port=443))
    pool.make_room()
    assert (old.usable, young.usable) == (False, True)
    pool.make_room()
    assert young.usable
    await pool.close()


async def test_idle_connections_are_closed_after_the_keepalive_time() -> None:
    pool = pool_of(limit=100, keepalive=0.05)
    lines = [Line(pool, Origin(tls=False, host=f"{number}.example", port=80)) for number in range(50)]
    for line in lines[:25]:
        pool.keep(line.seen)
    await asyncio.sleep(0)
    for line in lines[25:]:
        pool.keep(line.seen)
    await wait_until(lambda: pool.open_count == 0)
    assert pool.idle_count == 0
    late = Line(pool, A)
    pool.keep(late.seen)
    await wait_until(lambda: not late.usable)
    await pool.close()


async def test_a_lost_connection_is_removed() -> None:
    pool = pool_of()
    line = Line(pool, A)
    pool.keep(line.seen)
    line.abort()
    await wait_until(lambda: pool.open_count == 0)
    assert pool.idle_count == 0
    assert pool.take(A) is None
    await pool.close()


async def test_closing_waits_for_every_connection() -> None:
    pool = pool_of()
    idle, in_use = Line(pool, A), Line(pool, B)
    pool.keep(idle.seen)
    await pool.close()
    assert not in_use.usable
    assert pool.open_count == 0
