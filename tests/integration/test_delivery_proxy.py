"""What goes through a proxy arrives as what goes straight, whatever the proxy speaks."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import uvloop

from notifier.core.delivery.outcome import ErrorClass
from notifier.delivery.resolver import Destination
from tests.support.hostile.certificates import Authority
from tests.support.peers import (
    OK,
    Peer,
    answering,
    client_for,
    peer,
    post,
    read_request,
    request_to,
    tls_contexts,
)
from tests.support.processes import free_port
from tests.support.proxies import Proxy, each_proxy
from tests.support.receiver import Receiver
from tests.support.relay import relay

PATHS: Final = (
    "/hook?sp=%2Ftriggers%2Fmanual&sig=a%2Bb%2f%3D",
    "/a/../b/./c//d",
    "/%7Euser/%41?x=%7E&y=a+b%20c",
    "/a;p=1,2/(x)!$'*?q[]=1&r=@:?/",
    "/100%?x=%zz",
    "/a?",
    "//a/.?b=?&;",
)


@pytest.mark.parametrize("path", PATHS)
async def test_a_proxy_is_given_the_path_and_the_query_as_they_were_written(path: str) -> None:
    heads: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_request(reader))
        writer.write(OK)
        await writer.drain()

    async with peer(proxy) as proxy_url:
        answer = await post(f"http://A.example:8080{path}#mine", proxy=proxy_url)
    assert answer.status == 200
    first, host, *_ = heads[0].decode("ascii").splitlines()
    assert first == f"POST http://a.example:8080{path} HTTP/1.1"
    assert host.lower() == "host: a.example:8080"


@each_proxy
@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE", "PROPFIND"])
async def test_any_method_goes_out_on_either_way(method: str, through: Proxy) -> None:
    async with Receiver() as receiver, through() as proxy:
        for settings in ({}, {"proxy": proxy.url}):
            async with client_for(**settings) as client:
                request = request_to(receiver.url("/hook"))._replace(method=method)
                answers = [await client.send(request) for _ in range(2)]
            assert [answer.status for answer in answers] == [200, 200]
        assert [each.method for each in receiver.received("/hook")] == [method] * 4


@pytest.mark.parametrize("path", PATHS)
async def test_a_tunnel_carries_the_path_and_the_query_as_they_were_written(
    path: str, tmp_path: Path
) -> None:
    server_tls, client_tls = tls_contexts(tmp_path)
    lines: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append((await reader.readuntil(b"\r\n\r\n")).splitlines()[0])
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await writer.start_tls(server_tls)
        lines.append((await read_request(reader)).splitlines()[0])
        writer.write(OK)
        await writer.drain()

    async with peer(proxy) as proxy_url:
        answer = await post(f"https://127.0.0.1:8443{path}", proxy=proxy_url, ssl_context=client_tls)
    assert (answer.status, answer.error) == (200, None)
    assert lines == [b"CONNECT 127.0.0.1:8443 HTTP/1.1", f"POST {path} HTTP/1.1".encode()]


async def test_credentials_go_to_the_proxy_and_not_to_the_receiver(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    heads: list[bytes] = []

    async def receiver(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_request(reader))
        writer.write(OK)
        await writer.drain()

    basic = b"proxy-authorization: Basic " + base64.b64encode("me:p@ss:\xe9".encode("latin-1"))
    async with relay() as proxy, peer(receiver) as url, peer(receiver, ssl=authority.server()) as tls_url:
        address = proxy.url.replace("//", "//me:p%40ss:%C3%A9@")
        for target in (url, tls_url):
            answer = await post(target, proxy=address, ssl_context=authority.trusting)
            assert (answer.status, answer.error) == (200, None), answer.detail
    assert all(basic in head.split(b"\r\n") for head in proxy.heads)
    assert b"proxy-authorization" not in heads[1].lower()


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_proxy_may_speak_tls_itself(
    tmp_path: Path, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    authority = Authority(tmp_path)

    async def through() -> None:
        async with (
            relay(ssl=authority.server()) as proxy,
            peer(answering(OK)) as url,
            peer(answering(OK), ssl=authority.server()) as tls_url,
        ):
            for target in (url, tls_url):
                answer = await post(target, proxy=proxy.url, ssl_context=authority.trusting)
                assert (answer.status, answer.error, answer.body) == (200, None, b"ok"), answer.detail
        assert [head.split(b" ")[0] for head in proxy.heads] == [b"POST", b"CONNECT"]

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(through())


async def test_a_proxy_whose_certificate_proves_nothing_is_our_fault(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with relay(ssl=authority.server("other.example")) as proxy:
        answer = await post("https://receiver.example/", proxy=proxy.url, ssl_context=authority.trusting)
    assert answer.error is ErrorClass.PROXY
    assert proxy.heads == []


@each_proxy
async def test_a_bad_certificate_at_the_end_of_a_tunnel_is_the_receiver_s(
    tmp_path: Path, through: Proxy
) -> None:
    authority = Authority(tmp_path)
    async with through() as proxy, peer(answering(OK), ssl=authority.server("other.example")) as url:
        answer = await post(url, proxy=proxy.url, ssl_context=authority.trusting)
    assert answer.error is ErrorClass.TLS


@each_proxy
async def test_tunnels_are_kept_and_used_again(tmp_path: Path, through: Proxy) -> None:
    authority = Authority(tmp_path)

    async def receiver(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_request(reader):
            writer.write(OK)
            await writer.drain()

    async with through() as proxy, peer(receiver, ssl=authority.server()) as url:
        async with client_for(proxy=proxy.url, ssl_context=authority.trusting) as client:
            answers = [await client.send(request_to(url)) for _ in range(3)]
        assert [answer.status for answer in answers] == [200] * 3
        assert proxy.connections == 1


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"", ErrorClass.CONNECTION_RESET),
        (b"SSH-2.0-OpenSSH\r\n", ErrorClass.PROXY),
        (b"HTTP/1.1 200 OK\r\n\r\nand more", ErrorClass.PROXY),
        (b"HTTP/1.1 200 OK\r\nX-Foo : a\r\n\r\n", ErrorClass.CONNECTION_RESET),
        (None, ErrorClass.TIMEOUT),
    ],
    ids=["nothing", "another protocol", "too much", "ugly headers", "silence"],
)
async def test_a_tunnel_that_comes_to_nothing_has_its_class(said: bytes | None, error: ErrorClass) -> None:
    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if said is None:
            await reader.read()
        writer.write(said or b"")
        await writer.drain()

    async with peer(proxy) as proxy_url:
        answer = await post("https://receiver.example/", proxy=proxy_url, timeout_seconds=0.5)
    assert (answer.status, answer.error) == (None, error), answer.detail


async def test_what_cannot_stand_in_a_request_is_escaped() -> None:
    heads: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_request(reader))
        writer.write(OK)
        await writer.drain()

    async with peer(proxy) as proxy_url:
        await post("http://bücher.example/ä b", proxy=proxy_url)
    assert heads[0].startswith(b"POST http://xn--bcher-kva.example/%C3%A4%20b HTTP/1.1\r\n")


@pytest.mark.parametrize("scheme", ["http", "socks5"])
@pytest.mark.parametrize("url", ["http://user:hunter2@a.example/", "http://127.1/", "ftp://a.example/"])
async def test_a_url_that_is_refused_on_the_direct_way_is_refused_here(url: str, scheme: str) -> None:
    answer = await post(url, proxy=f"{scheme}://127.0.0.1:{free_port()}")
    assert answer.error is ErrorClass.INVALID_URL
    assert "hunter2" not in answer.detail


@each_proxy
async def test_a_path_arrives_at_the_end_of_a_tunnel_as_it_was_written(
    tmp_path: Path, through: Proxy
) -> None:
    authority = Authority(tmp_path)
    lines: list[bytes] = []

    async def receiver(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in PATHS:
            lines.append((await read_request(reader)).splitlines()[0])
            writer.write(OK)
            await writer.drain()

    async with (
        through() as proxy,
        peer(receiver, ssl=authority.server()) as url,
        client_for(proxy=proxy.url, ssl_context=authority.trusting) as client,
    ):
        for path in PATHS:
            await client.send(request_to(url + path))
    assert lines == [f"POST {path} HTTP/1.1".encode() for path in PATHS]


@each_proxy
async def test_a_name_may_end_with_a_dot_that_its_certificate_lacks(tmp_path: Path, through: Proxy) -> None:
    authority = Authority(tmp_path)
    async with through() as proxy, peer(answering(OK), ssl=authority.server("receiver.example")) as url:
        answer = await post(
            url.replace("127.0.0.1", "receiver.example."), proxy=proxy.url, ssl_context=authority.trusting
        )
    assert (answer.status, answer.error) == (200, None), answer.detail


@each_proxy
@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "TLS"])
async def test_each_receiver_has_connections_of_its_own(
    tmp_path: Path, through: Proxy, *, is_tls: bool
) -> None:
    """They lead to the same proxy, but to one receiver each."""
    authority = Authority(tmp_path)
    server = {"ssl": authority.server()} if is_tls else {}

    def named(body: bytes) -> Peer:
        async def receiver(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await read_request(reader):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n" + body)
                await writer.drain()

        return receiver

    async with through() as proxy, peer(named(b"a"), **server) as a, peer(named(b"b"), **server) as b:
        async with client_for(proxy=proxy.url, ssl_context=authority.trusting) as client:
            answers = [await client.send(request_to(url)) for url in (a, b) * 2]
        assert [answer.body for answer in answers] == [b"a", b"b"] * 2
        assert proxy.connections == 2


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1", ("127.0.0.1", 80)),
        ("http://[::1]:3128", ("::1", 3128)),
        ("socks5://127.0.0.1", ("127.0.0.1", 1080)),
        ("socks5h://127.0.0.1", ("127.0.0.1", 1080)),
        ("socks5h://me:pw@[::1]:9050", ("::1", 9050)),
    ],
)
async def test_a_proxy_has_the_usual_port_unless_its_url_names_one(
    monkeypatch: pytest.MonkeyPatch, url: str, address: tuple[str, int]
) -> None:
    dialled = []

    async def refuse(_: object, destination: Destination, *__: object, **___: object) -> None:
        dialled.append((destination.address, destination.port))
        raise ConnectionRefusedError

    monkeypatch.setattr("notifier.delivery.dial.connect_guarded", refuse)
    answer = await post("https://receiver.example/", proxy=url)
    assert answer.error is ErrorClass.PROXY
    assert dialled == [address]
