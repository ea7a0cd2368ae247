"""Each animal of the zoo is met, while an innocent receiver is served."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Iterator

import pytest
import uvloop

from notifier.core.outcome import Answer, OutcomeKind, classify
from notifier.delivery.client import DeliveryClient
from tests.support.peers import client_for, request_to
from tests.support.receiver import Receiver
from tests.support.wait import wait_until
from tests.support.zoo import FLOODING, ZOO, Animal, Cage, cage

TIMEOUT = 1.0
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


async def meet(client: DeliveryClient, animal: Animal, kept: Cage) -> Answer:
    """Post to an animal and, meanwhile, to somebody innocent."""
    async with Receiver() as innocent:
        async with asyncio.timeout(TIMEOUT + SLACK):
            answer, *others = await asyncio.gather(
                client.post(request_to(f"{kept.url}/hook")),
                *(client.post(request_to(innocent.url())) for _ in range(3)),
            )
        assert [other.status for other in others] == [200] * 3
    assert (answer.status, answer.error) == (animal.status, animal.error), answer.detail
    assert answer.duration_ms < (TIMEOUT + SLACK) * 1000
    assert not animal.takes_time or answer.duration_ms >= TIMEOUT * 900
    return answer


@pytest.mark.parametrize("animal", ZOO, ids=str)
def test_an_animal_gets_what_it_deserves(animal: Animal, runner: asyncio.Runner) -> None:
    for answer in runner.run(meetings_with(animal)):
        assert len(answer.body) <= 4096
        assert answer.detail.isprintable()
        assert len(answer.detail) <= 300
        assert all(value.isprintable() and len(value) <= 256 for value in answer.headers.values())
        assert answer.retry_after is None
        is_good = answer.error is None and answer.status in {200, 204}
        expected = OutcomeKind.DELIVERED if is_good else OutcomeKind.RETRY
        assert classify(answer, now=0).kind is expected


async def meetings_with(animal: Animal) -> list[Answer]:
    """Meet it twice, or once where that takes its time."""
    times = 1 if animal.takes_time else 2
    timeout_seconds = TIMEOUT if animal.takes_time else TIMEOUT + SLACK
    async with cage(animal.behave) as kept, client_for(timeout_seconds=timeout_seconds) as client:
        answers = [await meet(client, animal, kept) for _ in range(times)]
        # Before the client closes: it must not have kept what it can never use.
        await wait_until(lambda: kept.open == int(animal.keeps), message=lambda: f"{kept.open} are open")
        assert kept.connections == (1 if animal.keeps else times)
    return answers


@pytest.mark.parametrize("animal", FLOODING, ids=str)
def test_a_flood_is_dammed(animal: Animal, runner: asyncio.Runner) -> None:
    peak_bytes, bytes_out = runner.run(measure(animal))
    assert peak_bytes <= MAX_PEAK_BYTES
    assert bytes_out <= MAX_BYTES_OUT


async def measure(animal: Animal) -> tuple[int, int]:
    async with cage(animal.behave) as kept, client_for() as client:
        request = request_to(f"{kept.url}/hook")
        await client.post(request)  # what is made once is not counted
        kept.bytes_out = 0
        tracemalloc.start()
        try:
            await client.post(request)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    return peak, kept.bytes_out
