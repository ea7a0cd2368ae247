"""Every hostile receiver, over every route, while a healthy receiver is served."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from notifier.core.delivery.outcome import Answer, ErrorClass, OutcomeKind, classify
from notifier.core.delivery.request import DeliveryRequest
from notifier.delivery.client import DeliveryClient
from tests.support.hostile import FLOODING, HOSTILE_RECEIVERS, MALFORMED, HostileReceiver, serve
from tests.support.hostile.certificates import Authority
from tests.support.peers import client_for, request_to
from tests.support.proxies import Proxy, each_proxy
from tests.support.receiver import Receiver
from tests.support.socks import socks_proxy
from tests.support.wait import wait_until

pytestmark = pytest.mark.no_cover

TIMEOUT = 0.5
"""For receivers that only the time-out can end; the others have more."""

SLACK = 5.0
"""For a busy machine; an unbounded attempt takes far longer."""

MAX_PEAK_BYTES = 3_000_000
"""Of both sides together, mostly the read buffers of the loop and of the receiver."""

MAX_BYTES_OUT = 20_000_000
"""Of a flood in one attempt: at most the buffers of two sockets."""


@pytest.fixture(autouse=True)
def short_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the wait for the rest of an answer without a clear end; no result here depends on it."""
    monkeypatch.setattr("notifier.delivery.wire.DOUBT_SECONDS", 0.25)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    """The event loop of the other tests, and that of the workers."""
    with asyncio.Runner(loop_factory=request.param) as made:
        yield made


async def deliver_to(client: DeliveryClient, request: DeliveryRequest, receiver: HostileReceiver) -> Answer:
    """Post to a hostile receiver and, at the same time, to a healthy one."""
    async with Receiver() as healthy, client_for() as direct:
        async with asyncio.timeout(TIMEOUT + SLACK):
            answer, *others = await asyncio.gather(
                client.send(request), *(direct.send(request_to(healthy.url())) for _ in range(3))
            )
        assert [other.status for other in others] == [200] * 3
    assert answer.duration_ms < (TIMEOUT + SLACK) * 1000
    assert not receiver.times_out or answer.duration_ms >= TIMEOUT * 900
    return answer


def check(answer: Answer, receiver: HostileReceiver) -> None:
    """Check that an answer has the expected result and can be recorded."""
    assert (answer.status, answer.error) == (receiver.status, receiver.error), answer.detail
    assert len(answer.body) <= 4096
    assert answer.detail.isprintable() or not answer.detail
    assert len(answer.detail) <= 300
    assert all(value.isprintable() and len(value) <= 256 for value in answer.headers.values())
    assert answer.retry_after is None
    expected = {2: OutcomeKind.DELIVERED}.get((receiver.status or 0) // 100, OutcomeKind.RETRY)
    assert classify(answer, now=0).kind is (OutcomeKind.GONE if receiver.status == 410 else expected)


def timeout_for(receiver: HostileReceiver) -> float:
    return TIMEOUT if receiver.times_out else TIMEOUT + SLACK


@pytest.mark.parametrize("receiver", HOSTILE_RECEIVERS, ids=str)
def test_every_hostile_receiver_has_its_expected_result(
    receiver: HostileReceiver, runner: asyncio.Runner
) -> None:
    for answer in runner.run(deliveries_to(receiver)):
        check(answer, receiver)


async def deliveries_to(receiver: HostileReceiver, *, is_proxy: bool = False) -> list[Answer]:
    """Post twice, or once if it times out; as a proxy, the receiver answers for another host."""
    times = 1 if receiver.times_out else 2
    async with (
        serve(receiver.behave) as counts,
        client_for(timeout_seconds=timeout_for(receiver), proxy=counts.url if is_proxy else None) as client,
    ):
        request = request_to("http://receiver.example/hook" if is_proxy else f"{counts.url}/hook")
        answers = [await deliver_to(client, request, receiver) for _ in range(times)]
        # Before the client closes, it must not have kept an unusable connection.
        await wait_until(
            lambda: counts.open == int(receiver.keeps_connection), message=lambda: f"{counts.open} are open"
        )
        assert counts.connections == (1 if receiver.keeps_connection else times)
    return answers


@pytest.mark.parametrize("receiver", HOSTILE_RECEIVERS, ids=str)
def test_every_hostile_receiver_has_the_same_result_through_a_proxy(receiver: HostileReceiver) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for answer in runner.run(deliveries_to(receiver, is_proxy=True)):
            if receiver.status == 407:  # from a proxy, this status is about the proxy
                assert answer.error is ErrorClass.PROXY
            else:
                check(answer, receiver)


@pytest.mark.parametrize("receiver", HOSTILE_RECEIVERS, ids=str)
def test_every_hostile_receiver_has_the_same_result_through_a_socks_tunnel(receiver: HostileReceiver) -> None:
    async def deliveries() -> list[Answer]:
        async with (
            serve(receiver.behave) as counts,
            socks_proxy() as proxy,
            client_for(timeout_seconds=timeout_for(receiver), proxy=proxy.url) as client,
        ):
            request = request_to(f"http://receiver.example:{counts.url.rpartition(':')[2]}/hook")
            answers = [
                await deliver_to(client, request, receiver) for _ in range(1 if receiver.times_out else 2)
            ]
            await wait_until(
                lambda: counts.open == int(receiver.keeps_connection),
                message=lambda: f"{counts.open} are open",
            )
            assert proxy.connections == counts.connections
        return answers

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for answer in runner.run(deliveries()):
            check(answer, receiver)


@each_proxy
@pytest.mark.parametrize("receiver", MALFORMED, ids=str)
def test_malformed_answers_have_the_same_result_through_a_tunnel(
    receiver: HostileReceiver, through: Proxy, runner: asyncio.Runner, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)

    async def deliveries() -> list[Answer]:
        async with (
            serve(receiver.behave, ssl=authority.server("receiver.example")) as counts,
            through() as proxy,
            client_for(
                timeout_seconds=timeout_for(receiver), proxy=proxy.url, ssl_context=authority.trusting
            ) as client,
        ):
            request = request_to(f"https://receiver.example:{counts.url.rpartition(':')[2]}/hook")
            answers = [
                await deliver_to(client, request, receiver) for _ in range(1 if receiver.times_out else 2)
            ]
            await wait_until(
                lambda: counts.open == int(receiver.keeps_connection),
                message=lambda: f"{counts.open} are open",
            )
            assert proxy.connections == counts.connections
        return answers

    for answer in runner.run(deliveries()):
        check(answer, receiver)


@pytest.mark.parametrize("receiver", FLOODING, ids=str)
def test_a_flood_is_read_within_bounds(receiver: HostileReceiver, runner: asyncio.Runner) -> None:
    peak_bytes, bytes_out = runner.run(measure(receiver))
    assert peak_bytes <= MAX_PEAK_BYTES
    assert bytes_out <= MAX_BYTES_OUT


async def measure(receiver: HostileReceiver) -> tuple[int, int]:
    async with serve(receiver.behave) as counts, client_for() as client:
        request = request_to(f"{counts.url}/hook")
        await client.send(request)  # one-time allocations are not counted
        counts.bytes_out = 0
        tracemalloc.start()
        try:
            await client.send(request)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    return peak, counts.bytes_out
