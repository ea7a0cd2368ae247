"""What X lets us ask, shared between all workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pydantic import TypeAdapter

from notifier.core.model.observation import Call
from notifier.core.model.poll import Urgency
from notifier.core.polling import buckets
from notifier.core.polling.buckets import Buckets
from notifier.store import schema
from notifier.store.database import Database
from notifier.store.records import REPLACE

BUCKETS = TypeAdapter(Buckets)

TTL_SECONDS: Final = 3600
"""Four windows: what was learned of shared buckets outlives a pause, and a record of no use goes away."""

CLOSED_TTL_SECONDS: Final = 90_000
"""While a window of 24 hours is used up, the record has to outlast it."""

TRIES: Final = 50
"""How often a change is tried; each failure means that another worker's has gone through."""

CONTENDED_SECONDS: Final = 1.0
"""The wait for a request that found the record busy all the time."""


class SharedBudget:
    """Rate buckets as X's headers describe them: one record, changed by :mod:`notifier.core.polling.buckets`.

    ``now``, ``reset`` and ``until`` are epoch seconds by our clock throughout.

    Args:
        database: Where the record is.
        origin: A fingerprint of X's URL and the token. A record of another one says nothing of this one's
            windows: requests are taken from a new record then, while :meth:`describe` shows what is there.
    """

    def __init__(self, database: Database, origin: str = "") -> None:
        self._database = database
        self._origin = origin
        self._seen: tuple[str, Buckets] | None = None  # as stored when this process last read or replaced it

    async def wait(self, call: Call, urgency: Urgency, *, now: float) -> float:
        """Return the seconds to wait for a request, 0 where it may go now; takes none."""
        _, record = await self._own()
        return buckets.wait(record, call, urgency, now=now)

    async def take(self, call: Call, urgency: Urgency, *, now: float) -> float:
        """Take one request; returns 0, or the seconds to wait for one."""
        for _ in range(TRIES):
            was_read = self._seen is None
            text, record = self._seen or await self._own()
            seconds = buckets.wait(record, call, urgency, now=now)
            if seconds > 0 and was_read:
                return seconds
            if seconds > 0:
                self._seen = None  # other workers may have changed it meanwhile
            elif await self._replace(text, buckets.take(record, call, urgency, now=now)):
                return 0.0
        return CONTENDED_SECONDS

    async def note(self, call: Call, *, limit: int, remaining: int, reset: float, now: float) -> None:
        """Take over what the headers of an answer say."""
        await self._note(
            lambda record: buckets.learn(record, call, limit=limit, remaining=remaining, reset=reset, now=now)
        )

    async def close(self, call: Call, *, until: float, now: float) -> None:
        """Make no request of a call before a moment, because a window of 24 hours is used up."""
        await self._note(lambda record: buckets.close(record, call, until=until, now=now))

    async def note_nothing(self, call: Call, *, now: float) -> None:
        """Note that a request has ended without a word of its bucket."""
        await self._note(lambda record: buckets.learn_nothing(record, call, now=now))

    async def describe(self, *, now: float) -> Buckets:
        """Return the known state of all buckets."""
        _, record = await self._read()
        return record.at(now)

    async def remaining(self, *, now: float) -> dict[Call, int]:
        """Return the remaining requests of each bucket whose window X has described."""
        return {call: bucket.remaining for call, bucket in (await self.describe(now=now)).by_call.items()}

    async def _note(self, change: Callable[[Buckets], Buckets]) -> None:
        """Change the record. One that others keep changing stays: the next answer says the same."""
        for _ in range(TRIES):
            text, record = self._seen or await self._own()
            if await self._replace(text, change(record)):
                return

    async def _own(self) -> tuple[str, Buckets]:
        """Read the text that is stored, and the record of our own origin."""
        text, record = await self._read()
        self._seen = text, record if record.origin == self._origin else Buckets(origin=self._origin)
        return self._seen

    async def _read(self) -> tuple[str, Buckets]:
        async with self._database.translated():
            text: str | None = await self._database.redis.get(schema.BUCKETS())
        return text or "", BUCKETS.validate_json(text) if text else Buckets()

    async def _replace(self, text: str, record: Buckets) -> bool:
        """Replace the record unless it is another by now than ``text``; what is seen then has to be read."""
        ttl = CLOSED_TTL_SECONDS if record.closed_until else TTL_SECONDS
        new = BUCKETS.dump_json(record).decode()
        self._seen = None
        replaced = await self._database.run(REPLACE, keys=[schema.BUCKETS()], args=[new, text, ttl])
        if replaced:
            self._seen = new, record
        return bool(replaced)
