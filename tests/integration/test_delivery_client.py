from __future__ import annotations

import asyncio
import gzip
import socket
from typing import Any

import pytest

from notifier.core.delivery.outcome import ErrorClass, OutcomeKind, classify
from notifier.delivery.resolver import ThreadResolver
from tests.support.peers import OK, SECRET, answering, client_for, peer, post, read_request, request_to, reset
from tests.support.processes import free_port
from tests.support.receiver import Receiver
from tests.support.socks import socks_proxy
from tests.support.wait import wait_until


async def test_a_receiver_gets_exactly_the_built_request_and_verifies_it() -> None:
    async with Receiver() as receiver, client_for() as client:
        receiver.verify("/hook", SECRET)
        receiver.answer(
            "/hook", statuses=[201], headers={"Retry-After": "7", "Set-Cookie": "a=b"}, body=b"thanks"
        )
        built = request_to(receiver.url("/hook"), {"X-Team": "spaces"})
        first = await client.send(built)
        await client.send(built)
        got, again = receiver.received("/hook")
    assert (first.status, first.error, first.body, first.retry_after) == (201, None, b"thanks", "7")
    assert first.headers["content-type"] == "application/octet-stream"
    assert "set-cookie" not in first.headers
    assert first.duration_ms > 0
    assert (got.method, got.body, got.verified) == ("POST", built.body, True)
    assert got.headers.keys() == {*built.headers, "host", "content-length", "accept"}
    assert {name: got.headers[name] for name in built.headers} == dict(built.headers)
    assert "cookie" not in again.headers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    async with Receiver() as receiver:
        receiver.answer("/hook", statuses=[status], headers={"Location": receiver.url("/other")})
        answer = await post(receiver.url("/hook"))
        assert receiver.received("/other") == []
    assert (answer.status, answer.error) == (status, None)
    assert answer.headers["location"].endswith("/other")
    assert classify(answer, now=0).kind is OutcomeKind.RETRY


async def test_recorded_headers_are_short_and_printable() -> None:
    raw = b"HTTP/1.1 200 OK\r\nserver: \xe9\xff\r\nvia: %b\r\ncontent-length: 0\r\n\r\n" % (b"v" * 5000)
    async with peer(answering(raw)) as url:
        answer = await post(url)
    assert answer.headers == {"server": "??", "via": "v" * 256}


async def test_a_compressed_body_stays_compressed_and_is_truncated() -> None:
    bomb = gzip.compress(bytes(8 * 1024 * 1024))
    raw = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n%b" % (len(bomb), bomb)
    async with peer(answering(raw)) as url:
        answer = await post(url)
    assert (answer.status, answer.error) == (200, None)
    assert answer.body == bomb[:4096]


async def test_an_endless_body_is_truncated_and_its_connection_closed() -> None:
    ended = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        finally:
            ended.set()

    async with peer(endless) as url:
        answer = await post(url)
        assert (answer.status, answer.error, answer.body) == (200, None, b"x" * 4096)
        await asyncio.wait_for(ended.wait(), 5)


@pytest.mark.parametrize("size", [0, 1, 4095, 4096])
async def test_a_body_within_the_limit_leaves_the_connection_open(size: int) -> None:
    connections = 0

    async def keep_alive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (size, b"x" * size))

    async with peer(keep_alive) as url, client_for() as client:
        bodies = {(await client.send(request_to(url))).body for _ in range(3)}
    assert bodies == {b"x" * size}
    assert connections == 1


async def test_a_body_beyond_the_limit_is_not_read_and_closes_the_connection() -> None:
    connections = 0

    async def long_winded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 5000)
        await reader.read()

    async with peer(long_winded) as url, client_for() as client:
        answers = [await client.send(request_to(url)) for _ in range(2)]
    assert [len(answer.body) for answer in answers] == [4096, 4096]
    assert [answer.error for answer in answers] == [None, None]
    assert connections == 2


async def test_the_resolver_returns_every_address_of_a_name() -> None:
    resolver = ThreadResolver(timeout_seconds=5)
    found = await resolver.lookup("localhost", 8080)
    await resolver.close()
    assert ("127.0.0.1", 8080) in {(each.address, each.port) for each in found}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0x7f.1", "0.0.0.0"])
async def test_a_forbidden_address_gets_no_packet(host: str) -> None:
    async with Receiver() as receiver:
        answer = await post(f"http://{host}:{receiver.port}/hook", allowed_networks=())
        assert receiver.received() == []
    assert (answer.status, answer.error) == (None, ErrorClass.BLOCKED_ADDRESS)
    outcome = classify(answer, now=0)
    assert (outcome.kind, outcome.counted) == (OutcomeKind.REFUSED, True)
    assert "NOTIFIER_ALLOWED_NETWORKS" in outcome.reason


@pytest.mark.parametrize("host", ["[::ffff:127.0.0.1]", "localhost"])
async def test_an_allowed_address_is_reached_in_any_of_its_forms(host: str) -> None:
    async with Receiver() as receiver:
        answer = await post(f"http://{host}:{receiver.port}/hook")
    assert (answer.status, answer.error) == (200, None)


async def test_a_name_that_changes_to_a_forbidden_address_is_caught_at_the_dial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def rebound(_host: str, port: int, **_: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    answer = await post("http://receiver.example/", allowed_networks=())
    assert answer.error is ErrorClass.BLOCKED_ADDRESS
    assert "10.0.0.0/8" in answer.detail


@pytest.mark.parametrize("order", [1, -1])
async def test_the_allowed_address_of_a_name_is_used_and_the_forbidden_ones_are_not(
    order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two_addresses(_host: str, port: int, **_: Any) -> Any:
        found = ["10.0.0.1", "127.0.0.1"][::order]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    async with Receiver() as receiver:
        monkeypatch.setattr(socket, "getaddrinfo", two_addresses)
        answer = await post(f"http://receiver.example:{receiver.port}/")
    assert (answer.status, answer.error) == (200, None)


async def test_a_stale_connection_is_replaced_once_and_nothing_is_lost() -> None:
    requests: list[bytes] = []

    async def first_good_then_closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await read_request(reader))
        writer.write(OK)
        requests.append(await read_request(reader))  # then the connection closes without an answer

    async with peer(first_good_then_closing) as url, client_for() as client:
        answers = [await client.send(request_to(url)) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert len(requests) == 3


async def test_a_stale_connection_is_replaced_by_a_new_one() -> None:
    """If one kept connection is dead, the others probably are, too."""
    together = asyncio.Event()
    connections = 0

    async def dies_when_used_again(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        if connections == 3:
            together.set()
        await together.wait()
        writer.write(OK)
        await read_request(reader)

    async with peer(dies_when_used_again) as url, client_for() as client:
        await asyncio.gather(*(client.send(request_to(url)) for _ in range(3)))
        answer = await client.send(request_to(url))
    assert (answer.status, answer.error) == (200, None)
    assert connections == 4


async def test_a_stale_connection_that_resets_is_replaced() -> None:
    connections = 0

    async def resets_when_used_again(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(OK)
        await read_request(reader)
        reset(writer)

    async with peer(resets_when_used_again) as url, client_for() as client:
        answers = [await client.send(request_to(url)) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert connections == 2


async def test_a_late_close_of_a_reused_connection_is_not_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notifier.delivery.client.STALE_WINDOW_SECONDS", 0.0)
    connections = 0

    async def closes_when_used_again(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(OK)
        await read_request(reader)

    async with peer(closes_when_used_again) as url, client_for() as client:
        answers = [await client.send(request_to(url)) for _ in range(2)]
    assert [answer.error for answer in answers] == [None, ErrorClass.CONNECTION_RESET]
    assert connections == 1


async def test_a_new_connection_that_closes_is_not_retried() -> None:
    connections = 0

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        await writer.drain()

    async with peer(closing) as url:
        answer = await post(url)
    assert answer.error is ErrorClass.CONNECTION_RESET
    assert connections == 1


async def test_a_replaced_connection_that_fails_too_ends_the_attempt() -> None:
    connections = 0

    async def good_once_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        if connections == 1:
            writer.write(OK)
            await read_request(reader)

    async with peer(good_once_ever) as url, client_for() as client:
        answers = [await client.send(request_to(url)) for _ in range(2)]
    assert [answer.error for answer in answers] == [None, ErrorClass.CONNECTION_RESET]
    assert connections == 2


async def test_a_truncated_answer_on_a_reused_connection_is_not_retried() -> None:
    connections = 0

    async def breaks_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(OK)
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-")
        await writer.drain()

    async with peer(breaks_off) as url, client_for() as client:
        answers = [await client.send(request_to(url)) for _ in range(2)]
    assert [answer.error for answer in answers] == [None, ErrorClass.CONNECTION_RESET]
    assert connections == 1


async def test_a_socks_proxy_is_asked_for_any_address_and_keeps_the_rule_itself() -> None:
    async with socks_proxy() as proxy:
        answer = await post(f"http://10.0.0.1:{free_port()}/hook", proxy=proxy.url, allowed_networks=())
        assert [asked.host for asked in proxy.asked] == ["10.0.0.1"]
    assert answer.error is ErrorClass.CONNECTION_REFUSED  # by this machine, to which it leads


async def test_a_proxy_gets_the_request_and_keeps_the_rule_itself() -> None:
    heads: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_request(reader))
        writer.write(OK)
        await writer.drain()

    async with peer(proxy) as proxy_url:
        answer = await post("http://10.0.0.1/hook", proxy=proxy_url, allowed_networks=())
    assert (answer.status, answer.error) == (200, None)
    assert heads[0].startswith(b"POST http://10.0.0.1/hook HTTP/1.1\r\n")


async def test_cancelling_a_request_frees_the_connection() -> None:
    arrived, ended = asyncio.Event(), asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        arrived.set()
        await reader.read()
        ended.set()
        await writer.drain()

    async with peer(mute) as url, client_for() as client:
        posting = asyncio.ensure_future(client.send(request_to(url)))
        await asyncio.wait_for(arrived.wait(), 5)
        posting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await posting
        await asyncio.wait_for(ended.wait(), 5)


async def test_many_concurrent_posts_share_the_client() -> None:
    async with Receiver() as receiver, client_for(max_connections=8) as client:
        receiver.verify("/hook", SECRET)
        answers = await asyncio.gather(*(client.send(request_to(receiver.url("/hook"))) for _ in range(100)))
        await wait_until(lambda: len(receiver.received("/hook")) == 100)
        assert all(got.verified for got in receiver.received("/hook"))
    assert {answer.status for answer in answers} == {200}


async def test_the_environment_is_not_asked_for_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    async with Receiver() as receiver:
        answer = await post(receiver.url())
    assert answer.status == 200
