"""Whatever a receiver sends and whenever a post ends, there is an answer and nothing is left behind."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.delivery.client import DeliveryClientSettings, route_of
from notifier.delivery.pool import Pool
from notifier.delivery.resolver import ThreadResolver
from notifier.delivery.sender import Sender
from tests.support.examples import examples
from tests.support.hostile import HOSTILE_RECEIVERS, Behaviour, Conn, serve
from tests.support.hostile.certificates import Authority
from tests.support.peers import LOOPBACK, OK, request_to
from tests.support.proxies import Proxy
from tests.support.relay import relay
from tests.support.socks import socks_proxy
from tests.support.wait import wait_until

pytestmark = pytest.mark.no_cover

PATIENCE = 10.0

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]

LONGEST: dict[Proxy | None, float] = {None: 0.01, relay: 0.1, socks_proxy: 0.1}
"""Seconds in which twenty posts are in every state from the dial to the answer; most of it is TLS."""

ROUNDS = 20
"""Of twenty posts each, so four hundred moments for each way and loop."""

each_way = pytest.mark.parametrize("through", LONGEST, ids=["direct", "tunnel", "SOCKS5"])

pieces = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            OK,
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 101 Switching\r\n\r\n",
            b"content-length: 3\r\n",
            b"transfer-encoding: chunked\r\n",
            b"connection: close\r\n",
            b"retry-after: 1\r\n",
            b"\r\n",
            b"3\r\nabc\r\n",
            b"0\r\n\r\n",
            b"x" * 5000,
        ]
    ),
)


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    """The event loop of the other tests, and that of the workers."""
    with asyncio.Runner(loop_factory=request.param) as made:
        yield made


@asynccontextmanager
async def sender(*, limit: int = 8, **settings: Any) -> AsyncIterator[tuple[Sender, Pool]]:
    """Open a sender and its pool; check at the end that the pool is empty."""
    pool = Pool(limit=limit, limit_per_host=0, keepalive_seconds=30.0)
    resolver = ThreadResolver(timeout_seconds=5.0)
    route = route_of(DeliveryClientSettings(allowed_networks=LOOPBACK, **settings), resolver)
    made = Sender(pool, route, resolver)
    yield made, pool
    assert pool.lease_count == 0
    await wait_until(lambda: pool.open_count == pool.idle_count)
    await made.close()
    assert (pool.open_count, pool.idle_count) == (0, 0)


def saying(parts: list[bytes], *, stays: bool) -> Behaviour:
    """Answer each request with the parts, and stay or disconnect."""

    async def behave(conn: Conn) -> None:
        while True:
            await conn.request()
            for part in parts:
                await conn.send(part)
                await asyncio.sleep(0)
            if not stays:
                return

    return behave


@pytest.mark.parametrize("loop_factory", LOOPS, ids=["asyncio", "uvloop"])
@given(parts=st.lists(pieces, max_size=8), stays=st.booleans())
@settings(max_examples=examples(30))
def test_any_bytes_get_an_answer_in_time(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], parts: list[bytes], *, stays: bool
) -> None:
    async def deliver_to() -> None:
        async with serve(saying(parts, stays=stays)) as counts, sender() as (direct, _):
            loop = asyncio.get_running_loop()
            for _ in range(2):
                async with asyncio.timeout(PATIENCE):
                    reply = await direct.send(
                        request_to(counts.url), deadline=loop.time() + 0.05, fresh=False
                    )
                assert reply.status is not None or reply.error is not None
                assert len(reply.body) <= 4096

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(deliver_to())


@asynccontextmanager
async def open_receiver(
    through: Proxy | None, directory: Path, *, limit: int
) -> AsyncIterator[tuple[str, Sender]]:
    """Open a healthy receiver, directly or through a tunnel; yield its URL and a sender that reaches it."""
    authority = Authority(directory)
    server: dict[str, Any] = {"ssl": authority.server()} if through else {}
    async with (
        serve(saying([OK], stays=True), **server) as counts,
        through() if through else nullcontext() as proxy,
    ):
        address = proxy.url if proxy else None
        async with sender(limit=limit, proxy=address, ssl_context=authority.trusting) as (made, _):
            yield counts.url, made
        await wait_until(lambda: counts.open == 0, message=lambda: f"{counts.open} are open")


@each_way
def test_a_post_may_time_out_at_any_moment(
    runner: asyncio.Runner, through: Proxy | None, tmp_path: Path
) -> None:
    """That includes the moment between opening a connection and returning it."""
    seed = random.Random(1)  # noqa: S311 - picks moments, guards nothing

    async def deliver_to() -> None:
        async with open_receiver(through, tmp_path, limit=40) as (url, made):
            loop = asyncio.get_running_loop()
            for _ in range(ROUNDS):
                async with asyncio.timeout(PATIENCE):
                    await asyncio.gather(
                        *(
                            made.send(
                                request_to(url),
                                deadline=loop.time() + seed.uniform(0, LONGEST[through]),
                                fresh=True,
                            )
                            for _ in range(20)
                        )
                    )

    runner.run(deliver_to())


@each_way
def test_a_post_may_be_cancelled_at_any_moment(
    runner: asyncio.Runner, through: Proxy | None, tmp_path: Path
) -> None:
    seed = random.Random(2)  # noqa: S311 - picks moments, guards nothing

    async def deliver_to() -> None:
        async with open_receiver(through, tmp_path, limit=8) as (url, made):
            loop = asyncio.get_running_loop()
            for _ in range(ROUNDS):
                posts = [
                    loop.create_task(
                        made.send(request_to(url), deadline=loop.time() + PATIENCE, fresh=seed.random() < 0.5)
                    )
                    for _ in range(20)
                ]
                for post in posts:
                    loop.call_later(seed.uniform(0, LONGEST[through]), post.cancel)
                async with asyncio.timeout(PATIENCE):
                    await asyncio.gather(*posts, return_exceptions=True)

    runner.run(deliver_to())


def test_all_hostile_receivers_at_once_leave_nothing_behind(runner: asyncio.Runner) -> None:
    async def deliver_to() -> None:
        async with asyncio.TaskGroup() as group, sender(limit=200) as (direct, _):

            async def conn(behave: Behaviour) -> None:
                async with serve(behave) as counts:
                    deadline = asyncio.get_running_loop().time() + 2.0
                    reply = await direct.send(request_to(counts.url), deadline=deadline, fresh=False)
                    assert reply.status is not None or reply.error is not None

            connections = [group.create_task(conn(receiver.behave)) for receiver in HOSTILE_RECEIVERS]
            async with asyncio.timeout(PATIENCE):
                await asyncio.wait(connections)

    runner.run(deliver_to())
