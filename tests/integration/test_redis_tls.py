"""``rediss://`` checks the server's certificate and name, also through Sentinels."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from notifier.errors import ConfigError, UnavailableError, UnusableServerError
from notifier.store import Database, connect
from notifier.store.job_queue import job_queue
from notifier.store.retrying import Retrying
from tests.support.hostile.certificates import Authority
from tests.support.processes import RedisServer
from tests.support.stand_ins import closes, forwarding, listening, sentinel_of, speaks_http

pytestmark = pytest.mark.server

OTHER_NAME = "redis.example"


@dataclass
class Secured:
    """Servers behind TLS, each with a certificate for a name; they stop with the test."""

    stack: AsyncExitStack
    authority: Authority
    redis: RedisServer
    ca: Path

    async def proxy(self, name: str = "127.0.0.1") -> int:
        """Run TLS in front of the server; return its port."""
        visitor = forwarding(self.redis.port)
        return await self.stack.enter_async_context(listening(visitor, tls=self.authority.server(name)))

    async def sentinel(self, primary: int, name: str | None = "127.0.0.1") -> int:
        """Run a Sentinel, without TLS if ``name`` is None; return its port."""
        tls = self.authority.server(name) if name else None
        return await self.stack.enter_async_context(listening(sentinel_of("main", primary), tls=tls))


@pytest.fixture
async def secured(redis_server: RedisServer, redis_url: str, tmp_path: Path) -> AsyncIterator[Secured]:
    assert redis_url
    async with AsyncExitStack() as stack:
        yield Secured(stack, Authority(tmp_path), redis_server, tmp_path / "authority.pem")


async def ping(url: str) -> None:
    database = Database(connect(url))
    try:
        await database.ping()
    finally:
        await database.close()


async def fault_at(url: str) -> UnavailableError:
    with pytest.raises(UnavailableError) as refused:
        await ping(url)
    return refused.value


async def test_a_server_that_proves_its_name_is_trusted(secured: Secured) -> None:
    await ping(f"rediss://127.0.0.1:{await secured.proxy()}/0?ssl_ca_certs={secured.ca}")


async def test_a_certificate_for_another_name_is_refused(secured: Secured) -> None:
    fault = await fault_at(
        f"rediss://127.0.0.1:{await secured.proxy(OTHER_NAME)}/0?ssl_ca_certs={secured.ca}"
    )
    assert isinstance(fault, UnusableServerError)
    assert "its certificate is refused: IP address mismatch" in fault.message


async def test_an_unknown_authority_is_refused_by_the_client(secured: Secured) -> None:
    fault = await fault_at(f"rediss://127.0.0.1:{await secured.proxy()}/0")
    assert isinstance(fault, UnusableServerError)
    assert "its certificate is refused: " in fault.message


@pytest.mark.parametrize("off", [f"ssl_check_hostname={word}" for word in ("false", "False", "0")])
async def test_a_parameter_turns_the_host_name_check_off(secured: Secured, off: str) -> None:
    port = await secured.proxy(OTHER_NAME)
    await ping(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={secured.ca}&{off}")


async def test_without_the_name_the_certificate_is_still_checked(secured: Secured) -> None:
    fault = await fault_at(f"rediss://127.0.0.1:{await secured.proxy()}/0?ssl_check_hostname=false")
    assert isinstance(fault, UnusableServerError)


async def test_a_parameter_turns_all_checks_off(secured: Secured) -> None:
    await ping(f"rediss://127.0.0.1:{await secured.proxy(OTHER_NAME)}/0?ssl_cert_reqs=none")


async def test_the_client_of_arq_checks_as_well(secured: Secured) -> None:
    url = f"rediss://127.0.0.1:{await secured.proxy(OTHER_NAME)}/0?ssl_ca_certs={secured.ca}"
    retrying = Retrying()
    retrying.end()  # A worker would wait for a proxy to get a valid certificate.
    queue = job_queue(connect(url, decode=False, retrying=retrying))
    try:
        with pytest.raises(RedisError, match="certificate verify failed"):
            await queue.ping()
    finally:
        await queue.aclose(close_connection_pool=True)


async def test_certificates_are_checked_through_sentinels(secured: Secured) -> None:
    good, bad = await secured.proxy(), await secured.proxy(OTHER_NAME)
    ca = f"ssl_ca_certs={secured.ca}"
    sentinel = await secured.sentinel(good)
    await ping(f"rediss+sentinel://127.0.0.1:{sentinel}/main?{ca}")
    await ping(f"redis+sentinel://127.0.0.1:{sentinel}/main?ssl=true&{ca}")
    for sentinel in (await secured.sentinel(bad), await secured.sentinel(good, OTHER_NAME)):
        fault = await fault_at(f"rediss+sentinel://127.0.0.1:{sentinel}/main?{ca}")
        assert isinstance(fault, UnusableServerError)
        assert "its certificate is refused: IP address mismatch" in fault.message
        await ping(f"rediss+sentinel://127.0.0.1:{sentinel}/main?{ca}&ssl_check_hostname=false")


async def test_sentinels_may_be_without_tls(secured: Secured) -> None:
    sentinel = await secured.sentinel(await secured.proxy(), name=None)
    await ping(f"rediss+sentinel://127.0.0.1:{sentinel}/main?sentinel_ssl=false&ssl_ca_certs={secured.ca}")


async def test_a_server_without_tls_is_refused(secured: Secured) -> None:
    """The server receives a TLS handshake instead of a command, and closes or sends an error."""
    fault = await fault_at(f"redis://127.0.0.1:{await secured.proxy()}/0")
    assert "\n" not in fault.message


async def test_tls_to_a_web_server_is_refused() -> None:
    async with listening(speaks_http) as port:
        fault = await fault_at(f"rediss://127.0.0.1:{port}/0")
    assert isinstance(fault, UnusableServerError)
    assert "no TLS with what is there" in fault.message


async def test_a_port_that_closes_on_tls_is_a_temporary_failure() -> None:
    async with listening(closes) as port:
        assert type(await fault_at(f"rediss://127.0.0.1:{port}/0")) is UnavailableError


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("ssl_ca_certs=nowhere.pem", "ssl_ca_certs cannot be used: No such file or directory"),
        ("ssl_ca_certs=empty.pem", "ssl_ca_certs cannot be used: "),
        ("ssl_certfile=empty.pem&ssl_keyfile=empty.pem", "ssl_certfile, ssl_keyfile cannot be used: "),
    ],
)
def test_a_file_that_cannot_be_used_is_named_at_once(query: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    with pytest.raises(ConfigError, match=f"NOTIFIER_REDIS_URL: {says}"):
        connect(f"rediss://127.0.0.1/0?{query}")
