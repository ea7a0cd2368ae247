"""What goes through a proxy arrives as what goes straight."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import pytest

from notifier.core.outcome import ErrorClass
from tests.support.peers import OK, free_port, peer, post, read_request, tls_contexts

PATHS: Final = (
    "/hook?sp=%2Ftriggers%2Fmanual&sig=a%2Bb%2f%3D",
    "/a/../b/./c//d",
    "/%7Euser/%41?x=%7E&y=a+b%20c",
    "/a;p=1,2/(x)!$'*?q[]=1&r=@:?/",
    "/100%?x=%zz",
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
