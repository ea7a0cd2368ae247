"""Receivers with bad TLS, on the event loop of the tests and on that of the workers."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import uvloop

from notifier.core.delivery.outcome import Answer, ErrorClass
from tests.support.hostile import Behaviour, Conn, Counts, serve
from tests.support.hostile.certificates import Authority
from tests.support.peers import OK, client_for, request_to
from tests.support.proxies import Proxy
from tests.support.relay import relay
from tests.support.socks import socks_proxy
from tests.support.wait import wait_until

TIMEOUT = 0.5
SLACK = 5.0

each_way = pytest.mark.parametrize(
    "through", [None, relay, socks_proxy], ids=["direct", "through a tunnel", "through SOCKS5"]
)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    """The event loop of the other tests, and that of the workers."""
    with asyncio.Runner(loop_factory=request.param) as made:
        yield made


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The authority of a valid receiver."""
    return Authority(tmp_path)


async def good(conn: Conn) -> None:
    while True:
        await conn.request()
        await conn.send(OK)


async def deliver_to(
    behave: Behaviour, authority: Authority, *, timeout_seconds: float = SLACK, times: int = 2, **server: Any
) -> tuple[list[Answer], Counts]:
    """Post several times, and check that only a reusable connection is kept."""
    async with (
        serve(behave, **server) as counts,
        client_for(timeout_seconds=timeout_seconds, ssl_context=authority.trusting) as client,
    ):
        request = request_to(counts.url.replace("http:", "https:"))
        async with asyncio.timeout((timeout_seconds + SLACK) * times):
            answers = [await client.send(request) for _ in range(times)]
        useful = int(answers[-1].error is None)
        await wait_until(lambda: counts.open <= useful, message=lambda: f"{counts.open} are open")
    return answers, counts


def test_a_healthy_receiver_gets_all_requests_over_one_connection(
    runner: asyncio.Runner, authority: Authority
) -> None:
    answers, counts = runner.run(deliver_to(good, authority, ssl=authority.server()))
    assert [answer.status for answer in answers] == [200, 200]
    assert counts.connections == 1


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"days": (-3, -2)}, "expired"),
        ({"days": (2, 3)}, "not yet valid"),
        ({"name": "127.0.0.2"}, "IP address mismatch"),
        ({"name": "localhost"}, "IP address mismatch"),
        ({"self_signed": True}, "self-signed"),
    ],
    ids=["expired", "not yet valid", "of another address", "of a name", "self-signed"],
)
def test_an_invalid_certificate_is_refused(
    bad: dict[str, Any], says: str, runner: asyncio.Runner, authority: Authority
) -> None:
    answers, counts = runner.run(deliver_to(good, authority, ssl=authority.server(**bad)))
    assert [answer.error for answer in answers] == [ErrorClass.TLS] * 2
    assert all(says in answer.detail for answer in answers)
    assert counts.requests == 0


def test_an_unknown_authority_is_refused(
    runner: asyncio.Runner, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    answers, counts = runner.run(deliver_to(good, authority, ssl=Authority(tmp_path / "other").server()))
    assert [answer.error for answer in answers] == [ErrorClass.TLS] * 2
    assert counts.requests == 0


def test_a_receiver_that_requires_a_client_certificate_is_a_tls_failure(
    runner: asyncio.Runner, authority: Authority
) -> None:
    """In TLS 1.3 the alert comes after the request was sent."""
    answers, _ = runner.run(deliver_to(good, authority, ssl=authority.server(asks_for_certificate=True)))
    assert {answer.error for answer in answers} <= {ErrorClass.TLS, ErrorClass.CONNECTION_RESET}
    assert all(answer.status is None for answer in answers)


async def never_shakes_hands(conn: Conn) -> None:
    """Accepts the handshake and stays silent."""
    await conn.hold()


async def drips_a_record(conn: Conn) -> None:
    """Starts a TLS record and never ends it."""
    await conn.one_byte()
    await conn.send(b"\x16\x03\x03\x3f\xff")
    await conn.drip(b"\x00")


async def shakes_hands_and_says_no_more(conn: Conn) -> None:
    """Completes the handshake and never answers."""
    await conn.hold()


@pytest.mark.parametrize("behave", [never_shakes_hands, drips_a_record])
def test_a_stalled_handshake_ends_at_the_time_out(
    behave: Behaviour, runner: asyncio.Runner, authority: Authority
) -> None:
    [answer], _ = runner.run(deliver_to(behave, authority, timeout_seconds=TIMEOUT, times=1))
    assert (answer.status, answer.error) == (None, ErrorClass.TIMEOUT)
    assert answer.duration_ms < (TIMEOUT + SLACK) * 1000


def test_silence_behind_tls_ends_at_the_time_out(runner: asyncio.Runner, authority: Authority) -> None:
    [answer], _ = runner.run(
        deliver_to(
            shakes_hands_and_says_no_more,
            authority,
            timeout_seconds=TIMEOUT,
            times=1,
            ssl=authority.server(),
        )
    )
    assert (answer.status, answer.error) == (None, ErrorClass.TIMEOUT)


async def hangs_up_on_the_greeting(conn: Conn) -> None:
    """Closes the connection during the handshake."""
    await conn.one_byte()


async def resets_on_the_greeting(conn: Conn) -> None:
    """Resets the connection during the handshake."""
    await conn.one_byte()
    conn.reset()


async def answers_in_plain_http(conn: Conn) -> None:
    """Answers the handshake in plain HTTP."""
    await conn.one_byte()
    await conn.send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
    await conn.hold()


async def answers_noise(conn: Conn) -> None:
    """Answers the handshake with noise."""
    await conn.one_byte()
    await conn.send(bytes(range(256)))
    await conn.hold()


async def refuses_by_an_alert(conn: Conn) -> None:
    """Rejects the handshake with an alert."""
    await conn.one_byte()
    await conn.send(b"\x15\x03\x03\x00\x02\x02\x46")
    await conn.hold()


@pytest.mark.parametrize(
    ("behave", "error"),
    [
        (hangs_up_on_the_greeting, ErrorClass.CONNECTION_RESET),
        (resets_on_the_greeting, ErrorClass.CONNECTION_RESET),
        (answers_in_plain_http, ErrorClass.TLS),
        (answers_noise, ErrorClass.TLS),
        (refuses_by_an_alert, ErrorClass.TLS),
    ],
)
def test_a_broken_handshake_has_its_error_class(
    behave: Behaviour, error: ErrorClass, runner: asyncio.Runner, authority: Authority
) -> None:
    answers, counts = runner.run(deliver_to(behave, authority))
    assert [(answer.status, answer.error) for answer in answers] == [(None, error)] * 2
    assert counts.connections == 2


async def breaks_off_behind_tls(conn: Conn) -> None:
    """Truncates its body without a close_notify."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc")


async def floods_behind_tls(conn: Conn) -> None:
    """Streams without end."""
    await conn.request()
    await conn.send(b"HTTP/1.1 200 OK\r\n\r\n")
    await conn.flood(b"x" * 100_000)


async def answers_twice_behind_tls(conn: Conn) -> None:
    """Sends an answer in advance for the next request."""
    await conn.request()
    await conn.send(OK + OK)
    await conn.hold()


@pytest.mark.parametrize("behave", [breaks_off_behind_tls, floods_behind_tls, answers_twice_behind_tls])
def test_hostile_behaviour_over_tls_has_its_expected_result(
    behave: Behaviour, runner: asyncio.Runner, authority: Authority
) -> None:
    answers, counts = runner.run(deliver_to(behave, authority, ssl=authority.server()))
    assert [(answer.status, answer.error) for answer in answers] == [(200, None)] * 2
    assert counts.connections == 2


def test_plain_http_to_a_tls_port_gets_no_answer(runner: asyncio.Runner, authority: Authority) -> None:
    async def meet_in_plain() -> Answer:
        async with serve(good, ssl=authority.server()) as counts, client_for() as client:
            return await client.send(request_to(counts.url.replace("https:", "http:")))

    answer = runner.run(meet_in_plain())
    assert answer.error in {ErrorClass.PROTOCOL, ErrorClass.CONNECTION_RESET}
    assert answer.status is None


def test_a_bad_certificate_is_tried_once(
    runner: asyncio.Runner, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate belongs to the name, so another address would have the same problem."""

    def twice(_host: str, port: int, **_: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))] * 2

    greetings = 0

    def note(*_: Any) -> None:
        nonlocal greetings
        greetings += 1

    server = authority.server("other.example")
    server.sni_callback = note

    async def deliver_by_name() -> Answer:
        async with serve(good, ssl=server) as counts, client_for(ssl_context=authority.trusting) as client:
            port = counts.url.rpartition(":")[2]
            with monkeypatch.context() as patch:
                patch.setattr(socket, "getaddrinfo", twice)
                return await client.send(request_to(f"https://receiver.example:{port}/"))

    assert runner.run(deliver_by_name()).error is ErrorClass.TLS
    assert greetings == 1


@pytest.fixture
def every_name_is_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolve every name to loopback, so that certificates can have any name."""

    def loopback(_host: str, port: int, **_: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr("notifier.delivery.resolver.socket.getaddrinfo", loopback)


async def deliver_by_name(
    name: str, authority: Authority, server: ssl.SSLContext, through: Proxy | None = None
) -> tuple[Answer, Counts]:
    async with (
        serve(good, ssl=server) as counts,
        through() if through else nullcontext() as proxy,
        client_for(ssl_context=authority.trusting, proxy=proxy.url if proxy else None) as client,
    ):
        answer = await client.send(request_to(f"https://{name}:{counts.url.rpartition(':')[2]}/"))
        await wait_until(lambda: counts.open == int(answer.error is None))
    return answer, counts


@pytest.mark.usefixtures("every_name_is_loopback")
@each_way
@pytest.mark.parametrize(
    ("certified", "name"),
    [
        ("*.example.com", "my_app.example.com"),
        ("*.example.com", "_.EXAMPLE.com"),
        ("*.b_c.example.com", "a.b_c.example.com"),
        ("my_app.example.com", "my_app.example.com"),
        ("*.example.com", "my-app.example.com"),
    ],
)
def test_a_wildcard_matches_a_label_with_an_underscore(
    certified: str, name: str, through: Proxy | None, runner: asyncio.Runner, authority: Authority
) -> None:
    """As in browsers, curl and Go; OpenSSL by itself would refuse it."""
    server = authority.server(certified)
    answer, counts = runner.run(deliver_by_name(name, authority, server, through))
    assert (answer.status, answer.error) == (200, None), answer.detail
    assert counts.requests == 1


@pytest.mark.usefixtures("every_name_is_loopback")
@each_way
@pytest.mark.parametrize(
    ("certified", "name"),
    [
        ("*.example.com", "a_b.c.example.com"),
        ("*.example.com", "a.b_c.example.com"),
        ("*.com", "my_app.com"),
        ("my*.example.com", "my_app.example.com"),
        ("other_app.example.com", "my_app.example.com"),
        ("*.example.org", "my_app.example.com"),
        ("127.0.0.1", "my_app.example.com"),
    ],
)
def test_a_wildcard_matches_nothing_else(
    certified: str, name: str, through: Proxy | None, runner: asyncio.Runner, authority: Authority
) -> None:
    server = authority.server(certified)
    answer, counts = runner.run(deliver_by_name(name, authority, server, through))
    assert (answer.status, answer.error) == (None, ErrorClass.TLS)
    assert "Hostname mismatch" in answer.detail
    assert counts.requests == 0


@pytest.mark.usefixtures("every_name_is_loopback")
@pytest.mark.parametrize("bad", [{"self_signed": True}, {"days": (-3, -2)}], ids=["self-signed", "expired"])
def test_an_underscore_relaxes_no_other_check(
    bad: dict[str, Any], runner: asyncio.Runner, authority: Authority
) -> None:
    server = authority.server("*.example.com", **bad)
    answer, counts = runner.run(deliver_by_name("my_app.example.com", authority, server))
    assert (answer.status, answer.error) == (None, ErrorClass.TLS)
    assert counts.requests == 0


@pytest.mark.parametrize("name", ["receiver.example", "receiver.example.", "b\u00fccher.example"])
def test_the_server_name_is_sent_and_checked(
    name: str, runner: asyncio.Runner, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = name.rstrip(".").encode("idna").decode()
    asked: list[str] = []
    named: list[str] = []

    def loopback(host: str, port: int, **_: Any) -> Any:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    def note(_line: ssl.SSLObject, server_name: str | None, _context: ssl.SSLContext) -> None:
        named.append(server_name or "")

    server = authority.server(plain)
    server.sni_callback = note

    async def deliver_by_name() -> Answer:
        async with serve(good, ssl=server) as counts, client_for(ssl_context=authority.trusting) as client:
            port = counts.url.rpartition(":")[2]
            with monkeypatch.context() as patch:
                patch.setattr(socket, "getaddrinfo", loopback)
                return await client.send(request_to(f"https://{name}:{port}/"))

    answer = runner.run(deliver_by_name())
    assert (answer.status, answer.error) == (200, None), answer.detail
    assert [host.rstrip(".") for host in asked] == [plain]
    assert named == [plain]
