"""Who is to blame for a failed lookup, and how a bad name affects the others."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from notifier.core.delivery.outcome import ErrorClass, classify
from tests.support.peers import client_for, post, request_to
from tests.support.receiver import Receiver
from tests.support.wait import wait_until

DEAD = "hooks.dead.example"
GOOD = "receiver.example"


class Resolver:
    """Replaces ``getaddrinfo``: each name behaves as a test says, other names do not exist."""

    def __init__(self) -> None:
        self.names: dict[str, Callable[[], object]] = {}
        self.asked: Counter[str] = Counter()
        self.released = threading.Event()

    def __call__(self, host: str, port: int, **_: Any) -> Any:
        self.asked[host] += 1
        self.names.get(host, unknown)()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    def hang(self) -> None:
        """Block until the test is over, then return nothing."""
        self.released.wait(20)
        broken()


def known() -> None:
    """Return an address."""


def unknown() -> None:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def broken() -> None:
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    """The system's resolver."""
    made = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    yield made
    made.released.set()


@pytest.mark.parametrize("neighbour", [known, unknown])
async def test_a_failing_name_is_the_receivers_fault_if_our_resolver_works(
    resolver: Resolver, neighbour: Callable[[], object]
) -> None:
    resolver.names = {DEAD: broken, "nic.example": neighbour}
    answer = await post(f"https://{DEAD}/")
    assert answer.error is ErrorClass.DNS
    outcome = classify(answer, now=0)
    assert outcome.counted
    assert outcome.reason == (
        "the receiver's name cannot be resolved: its name servers do not answer "
        "(Temporary failure in name resolution)"
    )


async def test_a_hanging_name_server_is_the_receivers_fault(resolver: Resolver) -> None:
    resolver.names = {DEAD: resolver.hang}
    answer = await post(f"https://{DEAD}/", resolve_timeout_seconds=0.1)
    assert answer.error is ErrorClass.DNS
    assert "within 0.1 s" in answer.detail


@pytest.mark.parametrize("host", [DEAD, "a-single-label"])
async def test_a_resolver_without_any_answer_is_our_fault(resolver: Resolver, host: str) -> None:
    resolver.names = {host: broken, "nic.example": broken}
    answer = await post(f"https://{host}/")
    assert answer.error is ErrorClass.RESOLVER
    assert not classify(answer, now=0).counted


async def test_a_short_request_time_out_leaves_time_to_find_whose_fault_it_is(resolver: Resolver) -> None:
    resolver.names = {DEAD: resolver.hang, "nic.example": resolver.hang}
    answer = await post(f"https://{DEAD}/", timeout_seconds=0.9)
    assert answer.error is ErrorClass.RESOLVER


async def test_a_hanging_name_uses_one_thread_for_all_waiting_deliveries(
    resolver: Resolver,
) -> None:
    resolver.names = {DEAD: resolver.hang, GOOD: known}
    async with Receiver() as receiver, client_for() as client:
        waiting = [
            asyncio.ensure_future(client.send(request_to(f"http://{DEAD}:{receiver.port}/")))
            for _ in range(64)
        ]
        await wait_until(lambda: resolver.asked[DEAD] > 0)
        answer = await client.send(request_to(f"http://{GOOD}:{receiver.port}/"))
        assert (answer.status, resolver.asked[DEAD]) == (200, 1)
        resolver.released.set()
        answers = await asyncio.gather(*waiting)
    assert {answer.error for answer in answers} == {ErrorClass.DNS}


async def test_a_cancelled_waiter_leaves_the_lookup_running_for_the_others(resolver: Resolver) -> None:
    go_on = threading.Event()
    resolver.names = {GOOD: lambda: bool(go_on.wait(20))}
    async with Receiver() as receiver, client_for() as client:
        request = request_to(f"http://{GOOD}:{receiver.port}/")
        first, second = (asyncio.ensure_future(client.send(request)) for _ in range(2))
        await wait_until(lambda: resolver.asked[GOOD] == 1)
        first.cancel()
        await asyncio.wait([first])
        go_on.set()
        answer = await second
    assert (first.cancelled(), answer.status, resolver.asked[GOOD]) == (True, 200, 1)


async def test_lookups_are_not_cached(resolver: Resolver) -> None:
    resolver.names = {DEAD: unknown}
    async with client_for() as client:
        errors = [(await client.send(request_to(f"https://{DEAD}/"))).error for _ in range(2)]
    assert (errors, resolver.asked[DEAD]) == ([ErrorClass.DNS] * 2, 2)
