"""The connection to Redis and the scripts that run in it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from notifier.errors import ConfigError, UnavailableError
from notifier.store.retrying import Retrying, retrying_client

Argument: TypeAlias = str | int | float | bytes

INCLUDE: Final = re.compile(r"^-- include: (\S+)$", re.MULTILINE)
SENTINEL_PORT: Final = 26_379
SOCKET_TIMEOUT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Script:
    """One Lua script with what it includes, and the digest by which the server knows it."""

    name: str
    source: str
    sha: str


@cache
def script(name: str) -> Script:
    """Read ``lua/<name>.lua``; an ``-- include: lib/x.lua`` line puts that file ahead of it."""
    folder = files("notifier.store") / "lua"
    body = (folder / f"{name}.lua").read_text()
    libraries = [(folder / included).read_text() for included in INCLUDE.findall(body)]
    source = "\n".join([*libraries, body])
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


@dataclass(frozen=True, slots=True)
class ScriptCall:
    """A script with its keys and arguments, to be sent alone or with others in one round trip."""

    script: Script
    keys: Sequence[str]
    args: Sequence[Argument]


def unavailable(error: Exception) -> UnavailableError:
    """Return ours for an error of the connection or of a server that cannot serve."""
    return UnavailableError(f"Redis does not serve: {type(error).__name__}")


class Database:
    """Redis as the store's modules use it: text in and out, scripts by name, one kind of error."""

    def __init__(self, redis: Redis) -> None:
        # redis-py annotates its commands for the blocking and the asyncio client at once, which no caller can
        # satisfy; the methods of this room are the typed face of what it answers.
        self.redis: Any = redis

    async def run(self, name: str, *, keys: Sequence[str] = (), args: Sequence[Argument] = ()) -> Any:  # noqa: ANN401 - each stub types its script's answer
        """Run one script."""
        (answer,) = await self.run_all([ScriptCall(script(name), keys, args)])
        return answer

    async def run_all(self, calls: Sequence[ScriptCall]) -> list[Any]:
        """Run scripts in order, in one round trip.

        Raises:
            UnavailableError: Redis does not answer, or is not able to write.
        """
        async with self.translated():
            answers = await self._pipeline(calls)
            unknown = [number for number, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if unknown:
                # A new or restarted server does not know the script. Only those calls are made again: the
                # others have happened.
                again = [calls[number] for number in unknown]
                await self._load({call.script for call in again})
                for number, answer in zip(unknown, await self._pipeline(again), strict=True):
                    answers[number] = answer
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            return answers

    async def _load(self, scripts: Iterable[Script]) -> None:
        async with self.redis.pipeline(transaction=False) as pipe:
            for each in scripts:
                pipe.script_load(each.source)
            await pipe.execute()

    async def _pipeline(self, calls: Sequence[ScriptCall]) -> list[Any]:
        if len(calls) == 1:
            return [await self._evaluate(calls[0])]
        async with self.redis.pipeline(transaction=False) as pipe:
            for call in calls:
                pipe.evalsha(call.script.sha, len(call.keys), *call.keys, *call.args)
            answers: list[Any] = await pipe.execute(raise_on_error=False)
            return answers

    async def _evaluate(self, call: ScriptCall) -> Any:  # noqa: ANN401 - see run
        """Run one script; a pipeline would cost more. Gives the server's error as a pipeline does."""
        try:
            return await self.redis.evalsha(call.script.sha, len(call.keys), *call.keys, *call.args)
        except ResponseError as error:
            return error

    @asynccontextmanager
    async def pipeline(self) -> AsyncIterator[Any]:
        """Collect plain commands for one round trip; the caller executes the pipeline."""
        async with self.translated(), self.redis.pipeline(transaction=False) as pipe:
            yield pipe

    @asynccontextmanager
    async def translated(self) -> AsyncIterator[None]:
        """Turn the errors of the connection and of a server that cannot serve into ours."""
        try:
            yield
        except (RedisError, OSError) as error:
            raise unavailable(error) from error

    async def ping(self) -> None:
        """Make sure that Redis answers."""
        async with self.translated():
            await self.redis.ping()

    async def close(self) -> None:
        """Close every connection."""
        await self.redis.aclose(close_connection_pool=True)


def connect(url: str, *, decode: bool = True, retrying: Retrying | None = None) -> Redis:
    """Open a client for ``redis://``, ``rediss://``, ``unix://`` or ``redis+sentinel://``.

    A sentinel URL is ``redis+sentinel://[user:password@]host[:port][,host…]/service[/db]``. With
    ``decode=False`` answers are bytes, as arq expects them. With ``retrying`` its commands wait for a server
    that does not serve.

    Raises:
        ConfigError: The URL cannot be read.
    """
    options: dict[str, Any] = {
        "decode_responses": decode,
        "socket_timeout": SOCKET_TIMEOUT_SECONDS,
        "socket_connect_timeout": SOCKET_TIMEOUT_SECONDS,
        "socket_keepalive": True,
        "retry": Retry(ExponentialBackoff(cap=0.5, base=0.02), 3),
        "retry_on_error": [RedisConnectionError, RedisTimeoutError],
    }
    if retrying is not None:
        options |= {"retry": Retry(NoBackoff(), 0), "retry_on_error": []}
    try:
        if url.startswith("redis+sentinel://"):
            client = _connect_by_sentinel(url, options)
        else:
            if url.startswith("unix://"):
                options.pop("socket_keepalive")
            client = Redis.from_url(url, **options)
    except ValueError:
        raise ConfigError(
            "NOTIFIER_REDIS_URL: cannot be read; write redis://host:6379/0 or redis+sentinel://host:26379/mymaster"
        ) from None
    return client if retrying is None else retrying_client(client, retrying)


def _connect_by_sentinel(url: str, options: dict[str, Any]) -> Redis:
    parts = urlsplit(url)
    hosts = parts.netloc.rpartition("@")[2].split(",")
    sentinels = [(host.partition(":")[0], int(host.partition(":")[2] or SENTINEL_PORT)) for host in hosts]
    service, _, database = parts.path.strip("/").partition("/")
    credentials = parts.netloc.rpartition("@")[0].partition(":")
    sentinel_password = parse_qs(parts.query).get("sentinel_password", [None])[0]
    # redis-py leaves Sentinel without annotations.
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        sentinels, sentinel_kwargs={"password": sentinel_password} if sentinel_password else {}, **options
    )
    master: Redis = sentinel.master_for(
        service or "mymaster",
        db=int(database or 0),
        username=unquote(credentials[0]) or None,
        password=unquote(credentials[2]) or None,
    )
    return master
