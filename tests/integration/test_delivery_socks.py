"""Through a SOCKS5 proxy: what it is asked, and whose fault it is when nothing comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.core.delivery.outcome import Answer, ErrorClass, OutcomeKind, classify
from tests.support.examples import examples
from tests.support.hostile.certificates import Authority
from tests.support.peers import OK, answering, client_for, peer, post, read_request, request_to
from tests.support.processes import free_port
from tests.support.receiver import Receiver
from tests.support.socks import (
    GONE,
    IPV4_BOUND,
    IPV6_BOUND,
    NAME_BOUND,
    SILENCE,
    Asked,
    Manner,
    Said,
    Step,
    socks_proxy,
)
from tests.support.wait import wait_until

USER = (b"me", b"p@ss:/word")
CREDENTIALS = "me:p%40ss%3A%2Fword@"
GRANTED = b"\x05\x00\x00" + IPV4_BOUND
REQUEST_BYTES = 4 + 1 + len("receiver.example") + 2
MARK = "TITLE"

each_loop = pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])


@each_loop
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_deliveries_arrive_and_the_names_are_looked_up_by_the_proxy(
    tmp_path: Path, scheme: str, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    authority = Authority(tmp_path)
    requests: list[bytes] = []

    async def receiver(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await read_request(reader))
        writer.write(OK)
        await writer.drain()

    async def deliver() -> None:
        async with (
            socks_proxy() as proxy,
            peer(receiver) as plain,
            peer(receiver, ssl=authority.server("receiver.example")) as secured,
            client_for(
                proxy=proxy.url.replace("socks5", scheme), ssl_context=authority.trusting, allowed_networks=()
            ) as client,
        ):
            for url in (plain, secured):
                answer = await client.send(request_to(url.replace("127.0.0.1", "receiver.example") + "/a?b"))
                assert (answer.status, answer.error, answer.body) == (200, None, b"ok"), answer.detail
            ports = [int(url.rpartition(":")[2]) for url in (plain, secured)]
            assert proxy.asked == [Asked("name", "receiver.example", port) for port in ports]
        for request, port in zip(requests, ports, strict=True):
            assert request.startswith(f"POST /a?b HTTP/1.1\r\nhost: receiver.example:{port}\r\n".encode())
            assert request.endswith(request_to(plain).body)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(deliver())


@pytest.mark.parametrize(
    ("host", "form", "asked"),
    [
        ("receiver.example", "name", "receiver.example"),
        ("RECEIVER.example.", "name", "receiver.example."),
        ("bücher.example", "name", "xn--bcher-kva.example"),
        ("my_app.example", "name", "my_app.example"),
        (
            f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 61}",
            "name",
            f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 61}",
        ),
        ("10.1.2.3", "IPv4", "10.1.2.3"),
        ("[2001:DB8::7]", "IPv6", "2001:db8::7"),
        ("[::ffff:10.1.2.3]", "IPv6", "::ffff:a01:203"),
    ],
)
async def test_a_receiver_is_asked_for_in_the_form_of_its_url(host: str, form: str, asked: str) -> None:
    async with Receiver() as receiver, socks_proxy() as proxy:
        port = int(receiver.url().split(":")[2].partition("/")[0])
        answer = await post(f"http://{host}:{port}/", proxy=proxy.url)
        assert (answer.status, answer.error) == (200, None), answer.detail
        assert proxy.asked == [Asked(form, asked, port)]


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".example", ".".join(["abcdefghi"] * 26)])
async def test_a_name_that_cannot_be_asked_for_is_the_url_s_fault(host: str) -> None:
    async with socks_proxy() as proxy:
        answer = await post(f"http://{host}/", proxy=proxy.url)
        assert (answer.status, answer.error) == (None, ErrorClass.INVALID_URL)
        assert proxy.asked == []


async def test_credentials_go_to_a_proxy_that_wants_them() -> None:
    async with Receiver() as receiver, socks_proxy(Manner(user=USER)) as proxy:
        answer = await post(receiver.url(), proxy=proxy.url.replace("//", f"//{CREDENTIALS}"))
        assert (answer.status, answer.error) == (200, None), answer.detail
        assert proxy.credentials == [USER]


async def test_credentials_stay_here_if_a_proxy_does_not_want_them() -> None:
    async with Receiver() as receiver, socks_proxy() as proxy:
        answer = await post(receiver.url(), proxy=proxy.url.replace("//", f"//{CREDENTIALS}"))
        assert (answer.status, answer.error) == (200, None), answer.detail
        assert proxy.credentials == []


@pytest.mark.parametrize(
    ("credentials", "says"),
    [("", "requires credentials"), ("me:hunter2@", "does not accept the credentials")],
)
async def test_a_proxy_that_does_not_let_us_in_is_our_fault(credentials: str, says: str) -> None:
    async with socks_proxy(Manner(user=USER)) as proxy:
        answer = await post("https://receiver.example/", proxy=proxy.url.replace("//", f"//{credentials}"))
        assert proxy.asked == []
    assert answer.error is ErrorClass.PROXY
    assert says in answer.detail
    assert "hunter2" not in answer.detail
    assert not classify(answer, now=0).counted


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("code", "error"),
    [
        (1, ErrorClass.PROXY),
        (2, ErrorClass.PROXY),
        (3, ErrorClass.UNREACHABLE),
        (4, ErrorClass.UNREACHABLE),
        (5, ErrorClass.CONNECTION_REFUSED),
        (6, ErrorClass.UNREACHABLE),
        (7, ErrorClass.PROXY),
        (8, ErrorClass.PROXY),
    ],
)
async def test_a_refused_tunnel_is_the_proxy_s_or_the_receiver_s(
    scheme: str, code: int, error: ErrorClass
) -> None:
    said = {Step.REQUEST: Said(bytes((5, code, 0)) + IPV4_BOUND, stays=True)}
    async with socks_proxy(Manner(said=said)) as proxy:
        answer = await post(f"{scheme}://receiver.example/", proxy=proxy.url)
    assert (answer.status, answer.error) == (None, error)
    assert f"SOCKS5 request with {code}: " in answer.detail
    assert classify(answer, now=0).counted == (error is not ErrorClass.PROXY)


async def test_a_receiver_that_is_down_behind_a_proxy_refuses() -> None:
    async with socks_proxy() as proxy:
        answer = await post(f"http://receiver.example:{free_port()}/", proxy=proxy.url)
    assert answer.error is ErrorClass.CONNECTION_REFUSED


@pytest.mark.parametrize("bound", [IPV4_BOUND, IPV6_BOUND, NAME_BOUND], ids=["IPv4", "IPv6", "name"])
@pytest.mark.parametrize("pause", [0.0, 0.005], ids=["at once", "byte by byte"])
async def test_a_proxy_may_have_any_address_and_be_slow(bound: bytes, pause: float, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    manner = Manner(user=USER, bound=bound, pause=pause)
    async with socks_proxy(manner) as proxy, peer(answering(OK), ssl=authority.server()) as url:
        answer = await post(
            url, proxy=proxy.url.replace("//", f"//{CREDENTIALS}"), ssl_context=authority.trusting
        )
    assert (answer.status, answer.body) == (200, b"ok"), answer.detail


@pytest.mark.parametrize("stays", [False, True], ids=["closes", "stays"])
@pytest.mark.parametrize(
    ("step", "data"),
    [
        (Step.GREETING, b"HTTP/1.1 400 TITLE\r\n\r\n"),
        (Step.GREETING, b"\x04\x00"),
        (Step.GREETING, b"\x05\x01"),
        (Step.GREETING, b"\x05\x03"),
        (Step.GREETING, b"\x05\xff"),
        (Step.GREETING, b"\x05\x02\x01\x01"),
        (Step.CREDENTIALS, b"\x05\x00"),
        (Step.CREDENTIALS, b"\x01\x01"),
        (Step.CREDENTIALS, b"\x01\xff"),
        (Step.CREDENTIALS, b"TITLE"),
        (Step.REQUEST, b"\x04\x00\x00" + IPV4_BOUND),
        (Step.REQUEST, b"\x05\x09\x00" + IPV4_BOUND),
        (Step.REQUEST, b"\x05\xff\x00" + IPV4_BOUND),
        (Step.REQUEST, b"\x05\x00\x01" + IPV4_BOUND),
        (Step.REQUEST, b"\x05\x00\x00\x02" + bytes(6)),
        (Step.REQUEST, b"\x05\x00\x00\x03\x02\xff\xfe\x00\x50"),
        (Step.REQUEST, b"TITLE"),
    ],
    ids=str,
)
async def test_an_answer_against_the_protocol_is_the_proxy_s_fault(
    step: Step, data: bytes, *, stays: bool
) -> None:
    async with socks_proxy(Manner(user=USER, said={step: Said(data, stays=stays)})) as proxy:
        answer = await post("http://receiver.example/", proxy=proxy.url.replace("//", f"//{CREDENTIALS}"))
    assert (answer.status, answer.error) == (None, ErrorClass.PROXY), answer.detail
    assert MARK not in answer.detail
    assert not classify(answer, now=0).counted


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("step", "said", "error"),
    [
        (Step.GREETING, GONE, ErrorClass.PROXY),
        (Step.GREETING, SILENCE, ErrorClass.PROXY),
        (Step.GREETING, Said(b"\x05"), ErrorClass.PROXY),
        (Step.GREETING, Said(b"\x05", stays=True), ErrorClass.PROXY),
        (Step.CREDENTIALS, GONE, ErrorClass.PROXY),
        (Step.CREDENTIALS, SILENCE, ErrorClass.PROXY),
        (Step.CREDENTIALS, Said(b"\x01"), ErrorClass.PROXY),
        (Step.REQUEST, GONE, ErrorClass.CONNECTION_RESET),
        (Step.REQUEST, SILENCE, ErrorClass.TIMEOUT),
        (Step.REQUEST, Said(GRANTED[:2]), ErrorClass.CONNECTION_RESET),
        (Step.REQUEST, Said(GRANTED[:-1]), ErrorClass.CONNECTION_RESET),
        (Step.REQUEST, Said(GRANTED[:-1], stays=True), ErrorClass.TIMEOUT),
        (Step.REQUEST, Said(GRANTED), ErrorClass.CONNECTION_RESET),
        (Step.REQUEST, Said(GRANTED, stays=True), ErrorClass.TIMEOUT),
    ],
    ids=str,
)
async def test_a_handshake_that_ends_early_is_the_receiver_s_once_the_tunnel_is_asked_for(
    scheme: str, step: Step, said: Said, error: ErrorClass
) -> None:
    async with socks_proxy(Manner(user=USER, said={step: said})) as proxy:
        answer = await post(
            f"{scheme}://receiver.example/",
            proxy=proxy.url.replace("//", f"//{CREDENTIALS}"),
            timeout_seconds=0.5,
        )
    assert (answer.status, answer.error) == (None, error), answer.detail
    assert classify(answer, now=0).counted == (error is not ErrorClass.PROXY)


@pytest.mark.parametrize(
    ("pause", "error"), [(0.1, ErrorClass.TIMEOUT), (0.4, ErrorClass.PROXY)], ids=["reply", "greeting"]
)
async def test_a_proxy_that_answers_byte_by_byte_has_the_whole_deadline_and_no_more(
    pause: float, error: ErrorClass
) -> None:
    """The greeting takes two of these pauses and may take two thirds of the second, the reply takes ten."""
    async with Receiver() as receiver, socks_proxy(Manner(pause=pause)) as proxy, asyncio.timeout(10):
        answer = await post(receiver.url(), proxy=proxy.url, timeout_seconds=1.0)
        assert receiver.received() == []
    assert (answer.status, answer.error) == (None, error), answer.detail


async def test_the_reply_may_take_until_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes after two thirds of the time, and later than python-socks would wait by itself."""
    monkeypatch.setattr("python_socks.async_.asyncio.v2._proxy.DEFAULT_TIMEOUT", 0.1)
    async with Receiver() as receiver, socks_proxy(Manner(pause=0.19)) as proxy:
        answer = await post(receiver.url(), proxy=proxy.url, timeout_seconds=3.0)
    assert (answer.status, answer.error) == (200, None), answer.detail
    assert answer.duration_ms > 2000


@each_loop
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_end_that_comes_with_the_last_reply_is_an_end(
    scheme: str, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for length, answer in ((3, b"\x05\x00"), (REQUEST_BYTES, GRANTED)):
            await reader.readexactly(length)
            writer.write(answer)
        writer.write_eof()
        await reader.read()  # a connection that is half open would have us wait for the answer

    async def deliver() -> Answer:
        async with peer(proxy) as url:
            return await post(f"{scheme}://receiver.example/", proxy=url.replace("http", "socks5"))

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        answer = runner.run(deliver())
    assert (answer.status, answer.error) == (None, ErrorClass.CONNECTION_RESET), answer.detail


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("stays", [False, True], ids=["closes", "stays"])
async def test_what_comes_with_the_last_reply_is_no_answer(scheme: str, *, stays: bool) -> None:
    """Taken for an answer, it would have the event count as delivered that was never sent."""
    said = {Step.REQUEST: Said(GRANTED + OK, stays=stays)}
    async with socks_proxy(Manner(said=said)) as proxy:
        answer = await post(f"{scheme}://receiver.example/", proxy=proxy.url)
    assert (answer.status, answer.error) == (None, ErrorClass.PROTOCOL), answer.detail


@each_loop
@given(
    step=st.sampled_from(Step),
    data=st.lists(st.binary(max_size=12) | st.sampled_from([b"\x05\x00", b"\x01\x00", GRANTED[:4], OK])).map(
        b"".join
    ),
    stays=st.booleans(),
)
@settings(max_examples=examples(40))
def test_whatever_a_proxy_says_nothing_is_held_against_the_url(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], step: Step, data: bytes, *, stays: bool
) -> None:
    said = {step: Said(data + MARK.encode(), stays=stays)}

    async def deliver() -> None:
        async with socks_proxy(Manner(user=USER, said=said)) as proxy, asyncio.timeout(10):
            answer = await post(
                "http://receiver.example/",
                proxy=proxy.url.replace("//", f"//{CREDENTIALS}"),
                timeout_seconds=0.2,
            )
        outcome = classify(answer, now=0)
        assert outcome.kind in {OutcomeKind.RETRY, OutcomeKind.OURS}
        assert MARK not in outcome.reason

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(deliver())


@pytest.mark.parametrize("said", [Said(b"\x05\xff", stays=True), SILENCE], ids=["refusal", "silence"])
async def test_a_proxy_is_left_when_nothing_came_of_it(said: Said) -> None:
    async with (
        socks_proxy(Manner(said={Step.GREETING: said})) as proxy,
        client_for(proxy=proxy.url, timeout_seconds=0.3) as client,
    ):
        await client.send(request_to("http://receiver.example/"))
        await wait_until(lambda: proxy.open == 0)
