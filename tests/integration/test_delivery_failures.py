from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest

from notifier.core.delivery.outcome import ErrorClass, OutcomeKind, classify
from tests.support.peers import (
    OK,
    answering,
    client_for,
    peer,
    post,
    read_request,
    request_to,
    reset,
    tls_contexts,
)
from tests.support.processes import free_port
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx-slow: ",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
async def test_a_slowly_dripping_answer_ends_at_the_total_time_out(head: bytes) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(head)
        while True:
            writer.write(b"x" if head[-1:] != b"\n" or b"length" in head else head)
            await asyncio.sleep(0.01)

    async with peer(drip) as url, asyncio.timeout(5):
        answer = await post(url, timeout_seconds=0.2)
    if b"length" in head:  # the status had arrived
        assert (answer.status, answer.error) == (200, None)
        assert classify(answer, now=0).kind is OutcomeKind.DELIVERED
    else:
        assert (answer.status, answer.error) == (None, ErrorClass.TIMEOUT)
        assert classify(answer, now=0).kind is OutcomeKind.RETRY


async def test_a_receiver_that_never_answers_ends_at_the_time_out() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        await writer.drain()

    async with peer(mute) as url:
        answer = await post(url, timeout_seconds=0.2)
    assert (answer.status, answer.error) == (None, ErrorClass.TIMEOUT)


async def test_the_status_and_retry_after_of_a_broken_answer_are_kept() -> None:
    async with peer(
        answering(b"HTTP/1.1 503 Busy\r\nretry-after: 9\r\ncontent-length: 100\r\n\r\nabc")
    ) as url:
        answer = await post(url)
    assert (answer.status, answer.error, answer.retry_after) == (503, None, "9")
    assert answer.body == b"abc"
    outcome = classify(answer, now=0)
    assert (outcome.kind, outcome.retry_after_seconds) == (OutcomeKind.RETRY, 9)
    assert "closed in the middle of the body (503)" in outcome.reason


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"", ErrorClass.CONNECTION_RESET),
        (b"HTTP/1.1 200 OK\r\ncontent-le", ErrorClass.CONNECTION_RESET),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", ErrorClass.PROTOCOL),
        (b"\x00\xff\xfe\r\n\r\n", ErrorClass.PROTOCOL),
        (b"HTTP/1.1 abc OK\r\n\r\n", ErrorClass.PROTOCOL),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000, ErrorClass.TOO_LARGE_HEADERS),
        (b"HTTP/1.1 200 OK\r\na: " + b"x" * 10_000_000, ErrorClass.TOO_LARGE_HEADERS),
        (b"HTTP/1.1 200 " + b"x" * 10_000_000, ErrorClass.TOO_LARGE_HEADERS),
    ],
    ids=lambda value: value if isinstance(value, str) else value[:24],
)
async def test_an_invalid_answer_has_its_error_class(raw: bytes, error: ErrorClass) -> None:
    async with peer(answering(raw)) as url:
        answer = await post(url)
    assert answer.error is error
    assert len(answer.detail) <= 300
    assert classify(answer, now=0).kind is OutcomeKind.RETRY


@pytest.mark.parametrize("is_proxied", [False, True], ids=["direct", "through a proxy"])
@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        (b"Retry-After: 120.5\r\n", 121),
        (b"Retry-After: 0.5\r\n", 1),
        (b"Retry-After: 5\r\nRetry-After: 120\r\nretry-after: 7\r\n", 120),
        (b"Retry-After: 5\r\nRetry-After: Thu, 01 Jan 1970 00:16:40 GMT\r\n", 1000),
        (b"Retry-After: soon\r\nRetry-After : 30\r\n", 30),
        (b"Retry-After: Wed, 31 Dec 1969 23:00:00 GMT\r\n", 0),
        (b"Retry-After: -5\r\n", None),
        (b"Retry-After: 99999999999999999999\r\n", 86_400),
    ],
)
async def test_the_longest_retry_after_counts(
    lines: bytes, seconds: float | None, *, is_proxied: bool
) -> None:
    async with peer(answering(b"HTTP/1.1 429 No\r\n" + lines + b"content-length: 100\r\n\r\ncut")) as url:
        answer = await (post("http://receiver.example/", proxy=url) if is_proxied else post(url))
    assert (answer.status, answer.error) == (429, None)
    assert classify(answer, now=0).retry_after_seconds == seconds


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
async def test_a_proxy_that_cannot_be_reached_in_time_is_our_fault(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr("notifier.delivery.dial.connect_guarded", never)
    answer = await post("https://receiver.example/", proxy=f"{scheme}://127.0.0.1:3128", timeout_seconds=0.3)
    assert answer.error is ErrorClass.PROXY
    assert not classify(answer, now=0).counted


async def test_a_reset_is_classified_as_a_reset() -> None:
    async def resetting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        reset(writer)

    async with peer(resetting) as url:
        answer = await post(url)
    assert (answer.status, answer.error) == (None, ErrorClass.CONNECTION_RESET)


async def test_a_closed_port_is_a_refused_connection() -> None:
    answer = await post(f"http://127.0.0.1:{free_port()}/")
    assert (answer.status, answer.error) == (None, ErrorClass.CONNECTION_REFUSED)
    assert answer.detail


@pytest.mark.parametrize("order", [1, -1])
async def test_a_name_with_a_public_address_as_well_is_not_blocked(
    order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two_addresses(_host: str, port: int, **_: Any) -> Any:
        found = ["10.0.0.1", "127.0.0.1"][::order]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", two_addresses)
    answer = await post(f"http://receiver.example:{free_port()}/")
    assert answer.error is ErrorClass.CONNECTION_REFUSED
    assert classify(answer, now=0).kind is OutcomeKind.RETRY


async def test_tls_on_a_plain_port_is_a_tls_failure() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    async with peer(plain) as url:
        answer = await post(url.replace("http:", "https:"))
    assert answer.error is ErrorClass.TLS


async def test_an_untrusted_certificate_is_a_tls_failure(tmp_path: Path) -> None:
    server, _ = tls_contexts(tmp_path)
    async with peer(answering(OK), ssl=server) as url:
        answer = await post(url)
    assert answer.error is ErrorClass.TLS
    assert "certificate" in answer.detail


async def test_a_trusted_certificate_is_accepted(tmp_path: Path) -> None:
    server, trusting = tls_contexts(tmp_path)
    async with peer(answering(OK), ssl=server) as url:
        answer = await post(url, ssl_context=trusting)
    assert (answer.status, answer.error) == (200, None)


@pytest.mark.parametrize(
    ("host", "error"),
    [
        ("name.invalid", ErrorClass.DNS),
        ("a..b", ErrorClass.INVALID_URL),
        ("a" * 64 + ".example", ErrorClass.INVALID_URL),
        ("127.1", ErrorClass.INVALID_URL),
        ("2130706433", ErrorClass.INVALID_URL),
    ],
)
async def test_an_unresolvable_host_has_its_error_class(
    host: str, error: ErrorClass, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_such_name(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    if error is ErrorClass.DNS:  # tests must not use the network
        monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
    answer = await post(f"http://{host}/")
    assert (answer.status, answer.error) == (None, error)


@pytest.mark.parametrize(
    "url", ["http://", "ftp://127.0.0.1/", "http://127.0.0.1:99999/", "http://[::1/", "no url"]
)
async def test_a_url_that_cannot_be_dialled_is_refused(url: str) -> None:
    answer = await post(url)
    assert answer.error is ErrorClass.INVALID_URL
    assert classify(answer, now=0).kind is OutcomeKind.REFUSED


async def test_a_temporary_failure_of_the_resolver_is_our_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def try_again(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", try_again)
    answer = await post("http://receiver.example/")
    assert answer.error is ErrorClass.RESOLVER
    assert not classify(answer, now=0).counted


async def test_a_resolver_that_hangs_is_our_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    released = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(*_: Any, **__: Any) -> Any:
        asyncio.run_coroutine_threadsafe(released.wait(), loop).result(timeout=10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    answer = await post("http://receiver.example/", resolve_timeout_seconds=0.1)
    released.set()
    assert answer.error is ErrorClass.RESOLVER
    assert "0.1 s" in answer.detail


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
async def test_a_proxy_that_is_down_is_our_fault(scheme: str) -> None:
    answer = await post("https://receiver.example/", proxy=f"{scheme}://127.0.0.1:{free_port()}")
    assert answer.error is ErrorClass.PROXY
    assert not classify(answer, now=0).counted


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, ErrorClass.PROXY),
        (407, ErrorClass.PROXY),
        (500, ErrorClass.PROXY),
        (503, ErrorClass.PROXY),
        (502, ErrorClass.UNREACHABLE),
        (504, ErrorClass.UNREACHABLE),
    ],
)
async def test_a_refused_tunnel_is_blamed_on_the_proxy_or_the_receiver(
    status: int, error: ErrorClass
) -> None:
    async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d No\r\ncontent-length: 0\r\n\r\n" % status)
        await writer.drain()

    async with peer(refuses) as proxy_url:
        answer = await post("https://receiver.example/", proxy=proxy_url)
    assert answer.error is error
    assert str(status) in answer.detail


async def test_a_proxy_that_wants_credentials_is_our_fault() -> None:
    async with peer(answering(b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n")) as proxy_url:
        answer = await post("http://receiver.example/", proxy=proxy_url)
    assert answer.error is ErrorClass.PROXY


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"TITLE\r\n\r\n", ErrorClass.PROTOCOL),
        (b"HTTP/1.1 TITLE\r\n\r\n", ErrorClass.PROTOCOL),
        (b"HTTP/1.1 500 OK\r\nTITLE\r\n\r\n", None),
        (b"HTTP/1.1 500 OK\r\nTITLE: \x00TITLE\r\n\r\n", None),
        (b"HTTP/1.1 500 OK\r\ncontent-length: TITLE\r\n\r\n", None),
        (b"HTTP/1.1 200 TITLE" + b"x" * 100_000, ErrorClass.TOO_LARGE_HEADERS),
        (b"HTTP/1.1 200 OK\r\na: TITLE" + b"x" * 100_000, ErrorClass.TOO_LARGE_HEADERS),
        (b"HTTP/1.1 500 OK\r\n" + b"a: TITLE\r\n" * 1000 + b"\r\n", None),
        (b"HTTP/1.1 200 OK\r\n" + b"a: TITLE\r\n" * 10_000, ErrorClass.TOO_LARGE_HEADERS),
        (b"HTTP/1.1 200 OK\r\nx: TITLE", ErrorClass.CONNECTION_RESET),
        (b"HTTP/1.1 500 OK\r\ncontent-length: 99\r\n\r\nTITLE", None),
        (b"HTTP/1.1 500 OK\r\ntransfer-encoding: chunked\r\n\r\nTITLE", None),
        (b"HTTP/1.1 500 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nxTITLE", None),
    ],
    ids=lambda value: value[:60] if isinstance(value, bytes) else str(value),
)
async def test_failures_behind_a_proxy_do_not_quote_the_answer(raw: bytes, error: ErrorClass | None) -> None:
    """An erasure removes only headers and body of an answer, so the reason must not quote them."""
    async with peer(answering(raw)) as proxy_url:
        answer = await post("http://receiver.example/", proxy=proxy_url)
    assert answer.error is error
    assert "TITLE" not in classify(answer, now=0).reason


async def test_running_out_of_sockets_is_our_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more(*_: Any, **__: Any) -> Any:
        raise OSError(24, "Too many open files")

    async with Receiver() as receiver, client_for() as client:
        with monkeypatch.context() as patch:
            patch.setattr("notifier.delivery.guard.socket.socket", no_more)
            answer = await client.send(request_to(receiver.url()))
    assert answer.error is ErrorClass.LOCAL
