"""The connection to Redis: how a URL becomes a client, and how long each step may take."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    ConnectionPool,
    UnixDomainSocketConnection,
)
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import ConstantBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from notifier.errors import ConfigError
from notifier.redis_url import Login, RedisUrl, Tls, read_redis_url
from notifier.store.faults import WordsParser
from notifier.store.retrying import Retrying, retrying_client
from notifier.store.sentinel import PrimaryConnection, PrimaryTlsConnection, Sentinels, TlsConnection

CONNECT_SECONDS: Final = 3.0
ANSWER_SECONDS: Final = 5.0
"""How long one answer may take. With the time to connect it keeps a failing call under ten seconds: what was
not answered in time is not sent again, and a connection that broke is replaced once."""

SENTINEL_SECONDS: Final = 1.0
"""How long a Sentinel may take to connect, and to answer: a silent one must not hide the others."""

RETRY_AFTER_SECONDS: Final = 0.05


class ReadyConnections(ConnectionPool):
    """A pool that connects for each caller at once.

    redis-py connects under the lock of the pool, so that with a silent server its callers would time out one
    after the other. It also reads from each new connection to see whether something is left on it, and drops
    what a server says that refuses it.
    """

    async def get_connection(self, *_: object, **__: object) -> AbstractConnection:
        """Take a connection, connected; redis-py's arguments are deprecated and mean nothing."""
        connection = self.get_available_connection()  # type: ignore[no-untyped-call]
        try:
            await self.ensure_connection(connection)
        except BaseException:
            await self.release(connection)
            raise
        taken: AbstractConnection = connection
        return taken

    async def disconnect(self, inuse_connections: bool = True) -> None:
        """Close the connections, or those that nobody uses, of which none is handed out while it closes."""
        if inuse_connections:
            await super().disconnect()
            return
        closing, self._available_connections = self._available_connections, []
        await asyncio.gather(*(each.disconnect(nowait=True) for each in closing))
        self._available_connections += closing

    async def ensure_connection(self, connection: AbstractConnection) -> None:
        """Connect where there is no connection, or one that the server has closed or left something on."""
        if connection.is_connected and await _is_stale(connection):
            await connection.disconnect()
        await connection.connect()  # type: ignore[no-untyped-call]


class PrimaryConnections(ReadyConnections, SentinelConnectionPool):
    """The same to the primary that the Sentinels name."""

    async def disconnect(self, inuse_connections: bool = True) -> None:
        """Close the connections, and those to the Sentinels where all are closed."""
        await super().disconnect(inuse_connections)
        if inuse_connections:
            for sentinel in self.sentinel_manager.sentinels:
                await sentinel.aclose()


async def _is_stale(connection: AbstractConnection) -> bool:
    try:
        return bool(await connection.can_read_destructive())  # type: ignore[no-untyped-call]
    except (RedisConnectionError, OSError):
        return True


def connect(url: str, *, decode: bool = True, retrying: Retrying | None = None) -> Redis:
    """Make a client for a URL of the setting ``NOTIFIER_REDIS_URL``; nothing is dialled yet.

    With ``decode=False`` answers are bytes, as arq expects them. With ``retrying`` its commands wait for a
    server that does not serve.

    Raises:
        ConfigError: The URL is wrong, or a file of certificates that it names cannot be used.
    """
    try:
        where = read_redis_url(url)
    except ValueError as error:
        raise ConfigError(f"NOTIFIER_REDIS_URL: {error}") from None
    for tls in (where.tls, where.sentinel_tls):
        if tls is not None:
            _check_files(tls)
    options = {**_options(where), "decode_responses": decode}
    if retrying is not None:
        options |= {"retry": Retry(NoBackoff(), 0), "retry_on_error": []}
    client = Redis.from_pool(_pool(where, options))
    return client if retrying is None else retrying_client(client, retrying)


def _options(where: RedisUrl) -> dict[str, Any]:
    """Return the options of every connection to the server itself."""
    return {
        **_login(where.login),
        **_tls_options(where.tls),
        "db": where.database,
        "socket_timeout": ANSWER_SECONDS,
        "socket_connect_timeout": CONNECT_SECONDS,
        "parser_class": WordsParser,
        # The name of a library is a command more at each connect, and one more that a user must be allowed.
        "lib_name": None,
        "lib_version": None,
        # No health_check_interval: redis-py then checks a connection while it is being made, and recurses.
        # What the server has closed is found when the connection is taken from the pool.
        "retry": Retry(ConstantBackoff(RETRY_AFTER_SECONDS), 1, (RedisConnectionError,)),
        "retry_on_error": [RedisConnectionError],
    }


def _pool(where: RedisUrl, options: dict[str, Any]) -> ConnectionPool:
    if where.path is not None:
        return ReadyConnections(UnixDomainSocketConnection, path=where.path, **options)
    options["socket_keepalive"] = True
    if where.service is None:
        ((host, port),) = where.hosts
        kind = TlsConnection if where.tls else Connection
        return ReadyConnections(kind, host=host, port=port, **options)
    return PrimaryConnections(  # type: ignore[no-untyped-call]
        where.service,
        _sentinels(where),
        connection_class=PrimaryTlsConnection if where.tls else PrimaryConnection,
        **options,
    )


def _sentinels(where: RedisUrl) -> Sentinels:
    sentinels = Sentinels([])  # type: ignore[no-untyped-call]
    options = {
        **_login(where.sentinel_login),
        **_tls_options(where.sentinel_tls),
        "socket_timeout": SENTINEL_SECONDS,
        "socket_connect_timeout": SENTINEL_SECONDS,
        "socket_keepalive": True,
        "parser_class": WordsParser,
        "decode_responses": True,
        "lib_name": None,
        "lib_version": None,
    }
    kind = TlsConnection if where.sentinel_tls else Connection
    sentinels.sentinels = [
        Redis.from_pool(ReadyConnections(kind, host=host, port=port, **options)) for host, port in where.hosts
    ]
    return sentinels


def _login(login: Login) -> dict[str, str]:
    return {
        name: value
        for name, value in (("username", login.username), ("password", login.password))
        if value is not None
    }


def _tls_options(tls: Tls | None) -> dict[str, Any]:
    if tls is None:
        return {}
    return {
        "ssl_check_hostname": tls.check_hostname,
        "ssl_cert_reqs": tls.cert_reqs,
        "ssl_ca_certs": tls.ca_certs,
        "ssl_certfile": tls.certfile,
        "ssl_keyfile": tls.keyfile,
    }


def _check_files(tls: Tls) -> None:
    """Read the files once, so that a wrong one is a fault of the setting and not of the server."""
    names = "ssl_ca_certs"
    context = ssl.create_default_context()
    try:
        if tls.ca_certs is not None:
            context.load_verify_locations(cafile=tls.ca_certs)
        if tls.certfile is not None and tls.keyfile is not None:
            names = "ssl_certfile, ssl_keyfile"
            context.load_cert_chain(tls.certfile, tls.keyfile)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ConfigError(f"NOTIFIER_REDIS_URL: {names} cannot be used: {reason}") from None
