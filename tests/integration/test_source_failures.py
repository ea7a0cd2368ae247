"""Error messages for failed requests to X, over real connections that fail in every way."""

from __future__ import annotations

import asyncio
import gzip
import re
from pathlib import Path

import aiohttp
import pytest

from notifier.core.model.observation import Call, Failure, Question
from notifier.core.model.poll import Urgency
from notifier.core.model.problems import FailureKind
from notifier.source import XClient
from notifier.source import client as client_module
from tests.support.local_refusals import LocalRefusals
from tests.support.peers import peer, tls_contexts
from tests.support.processes import free_port

LOOKUP = Question(Call.LOOKUP, ("A",))
SECRET = "hush-4711"
CLASS_NAME = re.compile(r"\b\w*(?:Error|Exception|Timeout)\b")


class OpenBudget:
    """Allows every request."""

    async def take(self, call: Call, urgency: Urgency, *, now: float) -> float:  # noqa: ARG002 - its form
        return 0.0

    async def note(self, call: Call, *, limit: int, remaining: int, reset: float, now: float) -> None: ...

    async def close(self, call: Call, *, until: float, now: float) -> None: ...

    async def note_nothing(self, call: Call, *, now: float) -> None: ...


async def failure_of(url: str, *, proxy: str | None = None) -> Failure:
    async with XClient(url, SECRET, OpenBudget(), LocalRefusals(), proxy=proxy) as x:
        observation = await x.ask(LOOKUP)
    assert observation.failure is not None
    assert observation.failure.kind is FailureKind.UNAVAILABLE
    assert not CLASS_NAME.search(observation.failure.detail)
    assert SECRET not in observation.failure.detail
    return observation.failure


async def failure_after(*parts: bytes) -> Failure:
    """Return the failure for a server that sends these bytes and closes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
        writer.close()

    async with peer(answer) as url:
        return await failure_of(url)


async def test_a_refused_connection_names_its_address_and_suspects_no_subject() -> None:
    port = free_port()
    found = await failure_of(f"http://127.0.0.1:{port}")
    assert found.detail == f"no answer from X: could not connect to 127.0.0.1:{port}: connection refused"
    assert found.suspects_subjects is False


async def test_an_unresolvable_name_is_reported() -> None:
    found = await failure_of("http://x.invalid:8081")
    assert found.detail.startswith("no answer from X: the address of x.invalid could not be found: ")
    assert found.suspects_subjects is False


async def test_an_untrusted_certificate_is_explained(tmp_path: Path) -> None:
    server_tls, _ = tls_contexts(tmp_path)

    async def never(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None: ...

    async with peer(never, ssl=server_tls) as url:
        found = await failure_of(url.replace("http://", "https://"))
    assert found.detail == (
        "no answer from X: the certificate of 127.0.0.1 is not valid: self-signed certificate"
    )
    assert found.suspects_subjects is False


async def test_a_server_without_tls_is_reported_as_such() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with peer(plain) as url:
        found = await failure_of(url.replace("http://", "https://"))
    assert found.detail.startswith("no answer from X: no secure connection to 127.0.0.1:")
    assert found.suspects_subjects is False


async def test_a_missing_answer_is_reported_with_the_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "TIMEOUT", aiohttp.ClientTimeout(total=0.05))
    hold = asyncio.Event()

    async def silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await hold.wait()

    async with peer(silent) as url:
        found = await failure_of(url)
        hold.set()
    assert found.detail == "no answer from X: timed out after 10 s"
    assert found.suspects_subjects is True


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([], "the connection was closed before an answer came"),
        ([b"HTTP/1.1 200 OK\r\nContent-Le"], "the connection was closed before an answer came"),
        (
            [b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"],
            "the connection was closed before the answer was complete",
        ),
        ([b"SSH-2.0-OpenSSH_9.6\r\n\r\n"], "the answer is not HTTP"),
        (
            [b"HTTP/1.1 200 OK\r\nx: " + b"y" * 20_000 + b"\r\n\r\n"],
            "the headers of the answer are too large",
        ),
        (
            [b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 7\r\n\r\nno gzip"],
            "the body could not be decoded (gzip)",
        ),
        (
            [b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n", *[b" " * 90_000] * 100],
            "the answer is larger than 8 MiB",
        ),
    ],
    ids=["nothing", "half-a-head", "half-a-body", "another-protocol", "headers", "gzip", "size"],
)
async def test_a_broken_answer_is_explained_and_may_be_the_fault_of_a_subject(
    parts: list[bytes], said: str
) -> None:
    found = await failure_after(*parts)
    assert found.detail == f"no answer from X: {said}"
    assert found.suspects_subjects is True


async def test_a_compressed_body_that_is_too_large_is_reported() -> None:
    packed = gzip.compress(b" " * (9 * 2**20))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    assert (await failure_after(head, packed)).detail == "no answer from X: the answer is larger than 8 MiB"


class TestProxy:
    """Requests through a proxy; its faults are not attributed to X."""

    async def test_requests_go_through_the_proxy_with_its_credentials(self) -> None:
        heads: list[str] = []

        async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            body = b'{"data": [{"id": "A", "state": "live"}]}'
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()

        async with (
            peer(proxy) as url,
            XClient(
                "http://x.invalid",
                SECRET,
                OpenBudget(),
                LocalRefusals(),
                proxy=url.replace("://", "://user:p%40ss@"),
            ) as x,
        ):
            observation = await x.ask(LOOKUP)
        assert set(observation.snapshots) == {"A"}
        assert heads[0].startswith("GET http://x.invalid/2/spaces?ids=A&")
        assert "proxy-authorization: basic dxnlcjpwqhnz" in heads[0].lower()  # user:p@ss

    async def test_an_unreachable_proxy_is_named_without_its_password(self) -> None:
        port = free_port()
        for x_url in ("http://x.invalid", "https://x.invalid"):
            found = await failure_of(x_url, proxy=f"http://user:{SECRET}@127.0.0.1:{port}")
            assert found.detail == (
                f"no answer from X: could not connect to the proxy 127.0.0.1:{port}: connection refused"
            )
            assert found.suspects_subjects is False

    async def test_an_unresolvable_proxy_is_blamed(self) -> None:
        found = await failure_of("http://127.0.0.1:9", proxy=f"http://user:{SECRET}@proxy.invalid:3128")
        assert found.detail.startswith(
            "no answer from X: the proxy cannot be used: the address of proxy.invalid could not be found"
        )

    @pytest.mark.parametrize(
        ("status", "said"),
        [
            (407, "the proxy does not accept the credentials (HTTP 407)"),
            (502, "the proxy answered the CONNECT request for X with HTTP 502"),
        ],
    )
    async def test_a_tunnel_that_it_refuses_is_reported_as_such(self, status: int, said: str) -> None:
        async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status)
            await writer.drain()

        async with peer(proxy) as url:
            found = await failure_of("https://x.invalid", proxy=url)
        assert found.detail == f"no answer from X: {said}"
        assert found.suspects_subjects is False

    async def test_missing_proxy_credentials_are_blamed_on_the_proxy(self) -> None:
        async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()

        async with peer(proxy) as url:
            found = await failure_of("http://x.invalid", proxy=url)
        assert found.detail == "the proxy does not accept the credentials (HTTP 407)"
        assert found.suspects_subjects is False

    async def test_the_environment_does_not_set_a_proxy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        port, other = free_port(), free_port()
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{other}")
        assert f"127.0.0.1:{port}" in (await failure_of(f"http://127.0.0.1:{port}")).detail
