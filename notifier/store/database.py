"""Redis as the store uses it: plain commands, scripts by name, and one kind of error."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import NoScriptError, RedisError, ResponseError

from notifier.store.faults import fault_of
from notifier.store.retrying import RetryingRedis
from notifier.store.schema import Key
from notifier.store.scripts import Argument, Script, ScriptCall

T = TypeVar("T")


class Database:
    """Redis as the store's modules use it: text in and out, scripts by name, one kind of error."""

    def __init__(self, redis: Redis) -> None:
        # redis-py annotates its commands for the blocking and the asyncio client at once, which no caller can
        # satisfy; the methods of this room are the typed face of what it answers.
        self.redis: Any = redis

    @property
    def repeats(self) -> int:
        """How many commands this client has sent again because it got no answer to them."""
        return self.redis.retrying.repeats if isinstance(self.redis, RetryingRedis) else 0

    async def run(self, script: Script[T], *, keys: Sequence[Key], args: Sequence[Argument] = ()) -> T:
        """Run one script; the first of its keys says of which tag all of them are."""
        (answer,) = await self.run_all([ScriptCall(script, keys, args)])
        return answer

    async def run_all(self, calls: Sequence[ScriptCall[T]]) -> list[T]:
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

    async def _load(self, scripts: Iterable[Script[object]]) -> None:
        async with self.redis.pipeline(transaction=False) as pipe:
            for each in scripts:
                pipe.script_load(each.source)
            await pipe.execute()

    async def _pipeline(self, calls: Sequence[ScriptCall[object]]) -> list[Any]:
        if len(calls) == 1:
            return [await self._evaluate(calls[0])]
        async with self.redis.pipeline(transaction=False) as pipe:
            for call in calls:
                pipe.evalsha(call.script.sha, len(call.keys), *call.keys, *call.args)
            answers: list[Any] = await pipe.execute(raise_on_error=False)
            return answers

    async def _evaluate(self, call: ScriptCall[object]) -> Any:  # noqa: ANN401 - typed by its script
        """Run one script; a pipeline would cost more. Return the server's error as a pipeline does."""
        try:
            return await self.redis.evalsha(call.script.sha, len(call.keys), *call.keys, *call.args)
        except ResponseError as error:
            return error

    @asynccontextmanager
    async def pipeline(self) -> AsyncIterator[Any]:
        """Collect plain commands for one round trip; the caller executes the pipeline."""
        async with self.translated(), self.redis.pipeline(transaction=False) as pipe:
            yield pipe

    async def converse(self, commands: Sequence[Sequence[str]]) -> list[Any]:
        """Send plain commands once, in one round trip; what comes back is as the server wrote it, errors too.

        Raises:
            UnavailableError: Redis does not answer.
        """
        plain = Pipeline(self.redis.connection_pool, {}, transaction=False, shard_hint=None)
        async with self.translated(), plain as pipe:
            for name, *arguments in commands:
                # As bytes: redis-py would send some commands ahead of the others by their names.
                pipe.execute_command(name.encode(), *arguments)
            answers: list[Any] = await pipe.execute(raise_on_error=False)
        return answers

    @asynccontextmanager
    async def translated(self) -> AsyncIterator[None]:
        """Convert errors of the connection and of a failing server into our own (``faults.py``)."""
        try:
            yield
        except (RedisError, OSError) as error:
            raise fault_of(error) from error

    async def ping(self) -> None:
        """Make sure that Redis answers."""
        async with self.translated():
            await self.redis.ping()

    async def close(self) -> None:
        """Close every connection."""
        await self.redis.aclose(close_connection_pool=True)
