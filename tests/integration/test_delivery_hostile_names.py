"""Receivers with misleading names."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import pytest

from notifier.core.delivery.outcome import ErrorClass
from notifier.delivery import dial
from notifier.delivery.guard import connect_guarded
from notifier.delivery.resolver import Destination
from tests.support.hostile import Conn, serve
from tests.support.peers import OK, client_for, post, request_to
from tests.support.processes import free_port
from tests.support.receiver import Receiver
from tests.support.wait import wait_until

HOST = "receiver.example"


class Names:
    """Answers lookups with the lists of addresses that a test has added, one after the other."""

    def __init__(self) -> None:
        self.answers: list[list[str]] = []
        self.asked = 0

    def __call__(self, _host: str, port: int, **_: Any) -> Any:
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in found
        ]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """The name server."""
    made = Names()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    return made


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The dialled addresses."""
    seen: list[str] = []

    async def noting(
        protocol: Any, destination: Destination, allowed: Any, **options: Any
    ) -> asyncio.BaseProtocol:
        seen.append(destination.address)
        made: asyncio.BaseProtocol = await connect_guarded(protocol, destination, allowed, **options)
        return made

    monkeypatch.setattr(dial, "connect_guarded", noting)
    return seen


@contextmanager
def swallowing_port(address: str) -> Iterator[int]:
    """Yield a port that does not respond, because its backlog is full."""
    with socket.socket() as listener:
        listener.bind((address, 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex((address, port))
            yield port
        finally:
            for filler in fillers:
                filler.close()


async def closing(conn: Conn) -> None:
    await conn.request()
    await conn.send(OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))


async def test_a_name_that_changes_to_a_private_address_is_blocked(names: Names) -> None:
    names.answers = [["127.0.0.1"], ["10.0.0.1"], ["::ffff:169.254.169.254"]]
    async with serve(closing) as counts, client_for() as client:
        request = request_to(f"http://{HOST}:{counts.url.rpartition(':')[2]}/")
        answers = [await client.send(request) for _ in range(3)]
    assert [answer.error for answer in answers] == [
        None,
        ErrorClass.BLOCKED_ADDRESS,
        ErrorClass.BLOCKED_ADDRESS,
    ]
    assert counts.connections == 1


async def test_a_kept_connection_needs_no_further_lookup(names: Names) -> None:
    names.answers = [["127.0.0.1"], ["10.0.0.1"]]
    async with Receiver() as receiver, client_for() as client:
        request = request_to(f"http://{HOST}:{receiver.port}/")
        answers = [await client.send(request) for _ in range(3)]
    assert [answer.status for answer in answers] == [200] * 3
    assert names.asked == 1


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "::",
        "::1",
        "fe80::1",
        "fd00:ec2::254",
        "ff02::1",
        "224.0.0.1",
        "255.255.255.255",
    ],
)
async def test_no_name_reaches_a_forbidden_address(address: str, names: Names) -> None:
    names.answers = [[address]]
    answer = await post(f"http://{HOST}/", allowed_networks=())
    assert (answer.status, answer.error) == (None, ErrorClass.BLOCKED_ADDRESS)
    assert "NOTIFIER_ALLOWED_NETWORKS" in answer.detail


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "169.254.169.254",
        "0.0.0.0",
    ],
)
async def test_no_address_literal_reaches_a_forbidden_address(host: str) -> None:
    answer = await post(f"http://{host}:{free_port()}/", allowed_networks=())
    assert (answer.status, answer.error) == (None, ErrorClass.BLOCKED_ADDRESS)


async def test_only_the_allowed_addresses_of_a_name_are_dialled(names: Names) -> None:
    async with Receiver() as receiver:
        names.answers = [["10.0.0.1", "::ffff:10.0.0.1", "127.0.0.1", "192.168.0.1"]]
        answer = await post(f"http://{HOST}:{receiver.port}/")
    assert answer.status == 200


async def test_the_next_address_is_tried_when_one_refuses(names: Names) -> None:
    async with Receiver() as receiver:
        names.answers = [["127.0.0.2", "127.0.0.3", "127.0.0.1"]]
        answer = await post(f"http://{HOST}:{receiver.port}/")
    assert answer.status == 200


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse where Linux is silent")
async def test_an_unresponsive_address_leaves_time_for_the_next(names: Names) -> None:
    with swallowing_port("127.0.0.2") as port:
        names.answers = [["127.0.0.2", "127.0.0.1"]]
        async with serve(closing, port=port) as counts:
            answer = await post(f"http://{HOST}:{port}/", timeout_seconds=2.0)
    assert answer.status == 200
    assert counts.connections == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse where Linux is silent")
async def test_only_unresponsive_addresses_end_at_the_time_out() -> None:
    with swallowing_port("127.0.0.2") as port:
        async with asyncio.timeout(5):
            answer = await post(f"http://127.0.0.2:{port}/", timeout_seconds=0.3)
    assert (answer.status, answer.error) == (None, ErrorClass.TIMEOUT)
    assert "connection" in answer.detail


async def test_a_name_with_a_hundred_addresses_is_not_scanned(names: Names, dialled: list[str]) -> None:
    names.answers = [[f"127.0.1.{number}" for number in range(100)]]
    answer = await post(f"http://{HOST}:{free_port()}/")
    assert answer.error is ErrorClass.CONNECTION_REFUSED
    assert len(dialled) == dial.MAX_ADDRESSES


async def test_address_families_alternate(names: Names, dialled: list[str]) -> None:
    names.answers = [["::1", "::1", "::1", "127.0.0.1", "127.0.0.2"]]
    await post(f"http://{HOST}:{free_port()}/")
    assert dialled == ["::1", "127.0.0.1", "::1", "127.0.0.2", "::1"]


async def test_a_name_without_an_address_is_a_dns_failure(names: Names) -> None:
    names.answers = [[]]
    answer = await post(f"http://{HOST}/")
    assert (answer.status, answer.error) == (None, ErrorClass.DNS)


@pytest.mark.parametrize("user_info", ["user:secret@", "user@", "127.0.0.1@"])
async def test_user_info_is_refused_before_anything_is_dialled(user_info: str, dialled: list[str]) -> None:
    answer = await post(f"http://{user_info}127.0.0.1/")
    assert answer.error is ErrorClass.INVALID_URL
    assert "secret" not in answer.detail
    assert dialled == []


async def test_receivers_behind_a_dead_name_server_do_not_delay_others(names: Names) -> None:
    names.answers = [["127.0.0.1"]]
    loop = asyncio.get_running_loop()
    released = asyncio.Event()

    def hang(host: str, port: int, **options: Any) -> Any:
        if host.startswith("slow"):
            asyncio.run_coroutine_threadsafe(released.wait(), loop).result(timeout=20)
        return names(host, port, **options)

    async with Receiver() as receiver, client_for() as client:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket, "getaddrinfo", hang)
            slow = [
                asyncio.ensure_future(
                    client.send(request_to(f"http://slow{number}.example:{receiver.port}/"))
                )
                for number in range(8)
            ]
            answer = await client.send(request_to(f"http://{HOST}:{receiver.port}/"))
            assert (answer.status, [task.done() for task in slow]) == (200, [False] * 8)
            released.set()
            answers = await asyncio.gather(*slow)
    assert {answer.status for answer in answers} == {200}


async def test_open_connections_stay_within_the_limit() -> None:
    """Idle connections count, too, since each of them is a socket."""

    async def good(conn: Conn) -> None:
        while True:
            await conn.request()
            await conn.send(OK)

    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serve(good)) for _ in range(12)]
        client = await stack.enter_async_context(client_for(max_connections=4))
        for server in servers:
            answer = await client.send(request_to(server.url))
            assert answer.status == 200
        await wait_until(lambda: sum(server.open for server in servers) <= 4)


async def test_waiting_for_a_free_connection_is_our_fault() -> None:
    arrived = asyncio.Event()

    async def mute(conn: Conn) -> None:
        await conn.request()
        arrived.set()
        await conn.hold()

    async with serve(mute) as counts, client_for(max_connections=1, timeout_seconds=0.5) as client:
        first = asyncio.ensure_future(client.send(request_to(counts.url)))
        await asyncio.wait_for(arrived.wait(), 5)
        patient = asyncio.ensure_future(client.send(request_to(counts.url)))
        answers = [await first, await patient]
        await wait_until(lambda: counts.open == 0)
    assert answers[0].error is ErrorClass.TIMEOUT
    assert answers[1].error in {ErrorClass.LOCAL, ErrorClass.TIMEOUT}
