"""Each animal of the zoo is met, on every way to it, while an innocent receiver is served."""

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
from tests.support.peers import client_for, request_to
from tests.support.proxies import Proxy, each_proxy
from tests.support.receiver import Receiver
from tests.support.socks import socks_proxy
from tests.support.wait import wait_until
from tests.support.zoo import FLOODING, UGLY, ZOO, Animal, cage
from tests.support.zoo.certificates import Authority

pytestmark = pytest.mark.no_cover

TIMEOUT = 0.5
"""Where only the time-out can end a meeting; the others have more."""

SLACK = 5.0
"""For a busy machine; a meeting that nothing bounds is far beyond it."""

MAX_PEAK_BYTES = 3_000_000
"""Of both sides together: the read buffer of the loop and the animal's own are most of it."""

MAX_BYTES_OUT = 20_000_000
"""Of a flood in one meeting: the buffers of two sockets, as large as systems make them."""


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    """The loop of the other tests, and that of the workers."""
    with asyncio.Runner(loop_factory=request.param) as made:
        yield made


async def meet(client: DeliveryClient, request: DeliveryRequest, animal: Animal) -> Answer:
    """Post to an animal and, meanwhile, to somebody innocent."""
    async with Receiver() as innocent, client_for() as direct:
        async with asyncio.timeout(TIMEOUT + SLACK):
            answer, *others = await asyncio.gather(
                client.send(request), *(direct.send(request_to(innocent.url())) for _ in range(3))
            )
        assert [other.status for other in others] == [200] * 3
    assert answer.duration_ms < (TIMEOUT + SLACK) * 1000
    assert not animal.takes_time or answer.duration_ms >= TIMEOUT * 900
    return answer


def check(answer: Answer, animal: Animal) -> None:
    """See that an answer is what the animal deserves, and that it can be recorded."""
    assert (answer.status, answer.error) == (animal.status, animal.error), answer.detail
    assert len(answer.body) <= 4096
    assert answer.detail.isprintable() or not answer.detail
    assert len(answer.detail) <= 300
    assert all(value.isprintable() and len(value) <= 256 for value in answer.headers.values())
    assert answer.retry_after is None
    expected = {2: OutcomeKind.DELIVERED}.get((animal.status or 0) // 100, OutcomeKind.RETRY)
    assert classify(answer, now=0).kind is (OutcomeKind.GONE if animal.status == 410 else expected)


def timeout_for(animal: Animal) -> float:
    return TIMEOUT if animal.takes_time else TIMEOUT + SLACK


@pytest.mark.parametrize("animal", ZOO, ids=str)
def test_an_animal_gets_what_it_deserves(animal: Animal, runner: asyncio.Runner) -> None:
    for answer in runner.run(meetings_with(animal)):
        check(answer, animal)


async def meetings_with(animal: Animal, *, is_proxy: bool = False) -> list[Answer]:
    """Meet it twice, or once where that takes its time; as a proxy it answers for somebody else."""
    times = 1 if animal.takes_time else 2
    async with (
        cage(animal.behave) as kept,
        client_for(timeout_seconds=timeout_for(animal), proxy=kept.url if is_proxy else None) as client,
    ):
        request = request_to("http://receiver.example/hook" if is_proxy else f"{kept.url}/hook")
        answers = [await meet(client, request, animal) for _ in range(times)]
        # Before the client closes: it must not have kept what it can never use.
        await wait_until(lambda: kept.open == int(animal.keeps), message=lambda: f"{kept.open} are open")
        assert kept.connections == (1 if animal.keeps else times)
    return answers


@pytest.mark.parametrize("animal", ZOO, ids=str)
def test_an_animal_gets_the_same_through_a_proxy(animal: Animal) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for answer in runner.run(meetings_with(animal, is_proxy=True)):
            if animal.status == 407:  # said by a proxy, this is about the proxy
                assert answer.error is ErrorClass.PROXY
            else:
                check(answer, animal)


@pytest.mark.parametrize("animal", ZOO, ids=str)
def test_an_animal_gets_the_same_at_the_end_of_a_tunnel(animal: Animal) -> None:
    async def meetings() -> list[Answer]:
        async with (
            cage(animal.behave) as kept,
            socks_proxy() as proxy,
            client_for(timeout_seconds=timeout_for(animal), proxy=proxy.url) as client,
        ):
            request = request_to(f"http://receiver.example:{kept.url.rpartition(':')[2]}/hook")
            answers = [await meet(client, request, animal) for _ in range(1 if animal.takes_time else 2)]
            await wait_until(lambda: kept.open == int(animal.keeps), message=lambda: f"{kept.open} are open")
            assert proxy.connections == kept.connections
        return answers

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for answer in runner.run(meetings()):
            check(answer, animal)


@each_proxy
@pytest.mark.parametrize("animal", UGLY, ids=str)
def test_an_ugly_animal_gets_the_same_through_a_tunnel(
    animal: Animal, through: Proxy, runner: asyncio.Runner, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)

    async def meetings() -> list[Answer]:
        async with (
            cage(animal.behave, ssl=authority.server("receiver.example")) as kept,
            through() as proxy,
            client_for(
                timeout_seconds=timeout_for(animal), proxy=proxy.url, ssl_context=authority.trusting
            ) as client,
        ):
            request = request_to(f"https://receiver.example:{kept.url.rpartition(':')[2]}/hook")
            answers = [await meet(client, request, animal) for _ in range(1 if animal.takes_time else 2)]
            await wait_until(lambda: kept.open == int(animal.keeps), message=lambda: f"{kept.open} are open")
            assert proxy.connections == kept.connections
        return answers

    for answer in runner.run(meetings()):
        check(answer, animal)


@pytest.mark.parametrize("animal", FLOODING, ids=str)
def test_a_flood_is_dammed(animal: Animal, runner: asyncio.Runner) -> None:
    peak_bytes, bytes_out = runner.run(measure(animal))
    assert peak_bytes <= MAX_PEAK_BYTES
    assert bytes_out <= MAX_BYTES_OUT


async def measure(animal: Animal) -> tuple[int, int]:
    async with cage(animal.behave) as kept, client_for() as client:
        request = request_to(f"{kept.url}/hook")
        await client.send(request)  # what is made once is not counted
        kept.bytes_out = 0
        tracemalloc.start()
        try:
            await client.send(request)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    return peak, kept.bytes_out
