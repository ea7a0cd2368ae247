"""What goes through a proxy arrives as what goes straight."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import uvloop

from notifier.core.delivery.outcome import ErrorClass
from tests.support.hostile.certificates import Authority
from tests.support.peers import (
    OK,
    answering,
    client_for,
    free_port,
    peer,
    post,
    read_request,
    request_to,
    tls_contexts,
)
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


@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE", "PROPFIND"])
async def test_any_method_goes_out_on_either_way(method: str) -> None:
    async with Receiver() as receiver, relay() as proxy:
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


async def test_a_bad_certificate_at_the_end_of_a_tunnel_is_the_receiver_s(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with relay() as proxy, peer(answering(OK), ssl=authority.server("other.example")) as url:
        answer = await post(url, proxy=proxy.url, ssl_context=authority.trusting)
    assert answer.error is ErrorClass.TLS


async def test_tunnels_are_kept_and_used_again(tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    async def receiver(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_request(reader):
            writer.write(OK)
            await writer.drain()

    async with relay() as proxy, peer(receiver, ssl=authority.server()) as url:
        async with client_for(proxy=proxy.url, ssl_context=authority.trusting) as client:
            answers = [await client.send(request_to(url)) for _ in range(3)]
        assert [answer.status for answer in answers] == [200] * 3
        assert len(proxy.heads) == 1


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


@pytest.mark.parametrize("url", ["http://user:hunter2@a.example/", "http://127.1/", "ftp://a.example/"])
async def test_a_url_that_is_refused_on_the_direct_way_is_refused_here(url: str) -> None:
    answer = await post(url, proxy=f"http://127.0.0.1:{free_port()}")
    assert answer.error is ErrorClass.INVALID_URL
    assert "hunter2" not in answer.detail
