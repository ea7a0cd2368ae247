"""A client for processes that must not give up: it waits while Redis does not serve.

A restart, a failover, a full disk or a frozen server are moments in the life of a worker. Every command
waits until the server takes it again, so whatever a worker has in hand is recorded then, and no step above
this module has to know. Only what waiting cannot change is raised: a wrong password, a missing permission, a
bad command.

When a connection breaks before the answer, the command is sent again and may run twice; the scripts are
written to do no harm then (docs/architecture.md, "Keys in Redis").
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, ReadOnlyError, RedisError, ResponseError, WatchError
from redis.exceptions import TimeoutError as RedisTimeoutError

from notifier.errors import UnusableServerError
from notifier.store.faults import code_of, fault_of

FIRST_PAUSE_SECONDS: Final = 0.02
LONGEST_PAUSE_SECONDS: Final = 0.5
"""A pause doubles up to here: a server that is back is noticed soon, and waiting costs next to nothing."""

PASSING_CODES: Final = frozenset(
    {
        *("LOADING", "READONLY", "MISCONF", "OOM", "BUSY", "UNKILLABLE"),
        *("MASTERDOWN", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN", "UNBLOCKED"),
    }
)
"""Codes of errors by which a server says that it cannot serve now."""

CONNECTION_FAILURES: Final = (RedisConnectionError, RedisTimeoutError, InvalidResponse, OSError)

T = TypeVar("T")

log = structlog.get_logger(__name__)


def may_pass(error: Exception) -> bool:
    """Return whether the same command may succeed later without a change of a setting.

    Whatever breaks a connection that once served may pass: a proxy in between may answer for a server that is
    away, or have no certificate for a moment.
    """
    if isinstance(error, ResponseError):
        return code_of(error) in PASSING_CODES
    return isinstance(error, CONNECTION_FAILURES) and not is_refusal(error)


def is_refusal(error: Exception) -> bool:
    """Return whether the server said that a setting must change first."""
    return code_of(error) != "" and isinstance(fault_of(error), UnusableServerError)


class Retrying:
    """How the commands of one process wait for the server: a line in the log at first, another at the end.

    Attributes:
        refused: Set once the server has refused for good; ``refusal`` is its error.
        repeats: How many commands were sent again, and may have run twice.
    """

    def __init__(self) -> None:
        self.refused = asyncio.Event()
        self.refusal: Exception | None = None
        self.repeats = 0
        self._ended = False
        self._waiting = 0
        self._lost_at = 0.0

    @property
    def waits(self) -> bool:
        """Whether some command waits for the server at this moment."""
        return self._waiting > 0

    def end(self) -> None:
        """Wait no more: from now on what fails is raised at once."""
        self._ended = True

    async def persist(self, command: Callable[[], Awaitable[T]]) -> T:
        """Run ``command`` until the server has taken it.

        Raises:
            RedisError: The server refuses the command for good, or the retrying has ended.
            OSError: The same, from the connection.
        """
        try:
            return await command()
        except (RedisError, OSError) as error:
            self._check(error)
        self.repeats += 1
        return await self._repeat(command)

    async def _repeat(self, command: Callable[[], Awaitable[T]]) -> T:
        pause, is_lost = 0.0, False
        try:
            while True:
                # The first retry is immediate: a single broken connection is not worth a log line.
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads, guards nothing
                try:
                    return await command()
                except (RedisError, OSError) as error:
                    self._check(error)
                    if not is_lost:
                        is_lost = True
                        self._lose(error)
                pause = min(max(pause * 2, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
        except asyncio.CancelledError:
            self._waiting -= is_lost
            is_lost = False
            raise
        finally:
            if is_lost:
                self._find()

    def _check(self, error: Exception) -> None:
        """Raise an error that is not to be waited out."""
        if is_refusal(error):
            self.refusal = error
            self.refused.set()
        if self._ended or not may_pass(error):
            raise error

    def _lose(self, error: Exception) -> None:
        self._waiting += 1
        if self._waiting == 1:
            self._lost_at = time.monotonic()
            log.warning("redis.lost", reason=fault_of(error).message)

    def _find(self) -> None:
        """Count a command that waits no more: it was taken, or refused, which is an answer as well."""
        self._waiting -= 1
        if self._waiting == 0 and not self._ended:
            log.info("redis.back", after_seconds=round(time.monotonic() - self._lost_at, 1))


class RetryingPipeline(Pipeline):
    """A pipeline that waits for the server; without a transaction only the commands that failed go again."""

    retrying: Retrying
    _watch: tuple[Any, ...] = ()

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send what was collected."""
        if self.watching:
            # A connection that breaks takes the WATCH with it: a WatchError, which its caller expects.
            return await super().execute(raise_on_error)
        stack = self.command_stack
        if self.is_transaction:
            return await self.retrying.persist(lambda: self._send(stack, raise_on_error=raise_on_error))
        answers: list[Any] = [None] * len(stack)
        unsent = list(range(len(stack)))

        async def send() -> None:
            sent = await self._send([stack[number] for number in unsent], raise_on_error=False)
            for number, answer in zip(unsent, sent, strict=True):
                answers[number] = answer
            unsent[:] = [
                number
                for number in unsent
                if isinstance(answers[number], Exception) and may_pass(answers[number])
            ]
            if unsent:
                raise answers[unsent[0]]

        await self.retrying.persist(send)
        failed = [answer for answer in answers if isinstance(answer, Exception)]
        if failed and raise_on_error:
            raise failed[0]
        return answers

    async def immediate_execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """Send a command before MULTI; after a broken connection its WATCH goes again ahead of it."""
        if args[0] == "WATCH":
            self._watch = args

        execute: Any = super().immediate_execute_command

        async def send() -> Any:  # noqa: ANN401
            try:
                if args[0] != "WATCH" and not self.watching:
                    await execute(*self._watch)
                return await execute(*args, **options)
            except WatchError as error:
                raise RedisConnectionError("the connection broke after a WATCH") from error

        return await self.retrying.persist(send)

    async def reset(self) -> None:
        """Release the connection, even one that no longer accepts UNWATCH."""
        reset: Any = super().reset
        try:
            await reset()
        except (RedisError, OSError):
            self.watching = False
            if self.connection is not None:
                await self.connection.disconnect(nowait=True)
            await reset()

    async def _send(self, commands: list[Any], *, raise_on_error: bool) -> list[Any]:
        self.command_stack = list(commands)
        answers: list[Any] = await super().execute(raise_on_error)
        return answers


class RetryingRedis(Redis):
    """A client whose commands and pipelines wait for the server.

    The classes of the library carry no usable annotations, hence ``Any``.
    """

    retrying: Retrying
    pipeline_class = RetryingPipeline

    async def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """Send a command, repeatedly if necessary."""
        execute: Any = super().execute_command

        async def send() -> Any:  # noqa: ANN401
            try:
                return await execute(*args, **dict(options))
            except ReadOnlyError:
                # It was made a replica. A new connection may lead to its successor.
                await self.connection_pool.disconnect(inuse_connections=False)
                raise

        return await self.retrying.persist(send)

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> RetryingPipeline:
        """Collect commands that wait for the server together."""
        pipeline = self.pipeline_class(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        pipeline.retrying = self.retrying
        return pipeline


def retrying_client(client: Redis, retrying: Retrying) -> RetryingRedis:
    """Return a client over the same connections that waits for the server."""
    waiting = RetryingRedis(connection_pool=client.connection_pool)
    waiting.retrying = retrying
    return waiting
