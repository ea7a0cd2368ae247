"""What the client knows about X's refusals; the store keeps them for all workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import structlog

from notifier.core.model.observation import Call
from notifier.core.polling.refusals import Refusals

READ_AGAIN_SECONDS: Final = 30.0
"""How old the copy may be. A request must not cost a round trip for something that happens once in months;
what another worker has learned in the meantime costs at most one 400 here."""

TRIES: Final = 20
"""How often a change is tried; each failure means that another worker's change succeeded."""

log = structlog.get_logger(__name__)


class RefusalRecord(Protocol):
    """The one record that all workers share."""

    async def read(self) -> Refusals:
        """Return what X refuses."""
        ...

    async def replace(self, before: Refusals, after: Refusals) -> bool:
        """Replace the record that was read; return False if another worker was faster."""
        ...


class LearnedRefusals:
    """X's refusals as one worker knows them: a copy of the record, read again when it is old."""

    def __init__(self, record: RefusalRecord) -> None:
        self._record = record
        self._copy = Refusals()
        self._read_at: float | None = None

    async def at(self, now: float) -> Refusals:
        """Return what X refuses; ``now`` is epoch seconds."""
        if self._read_at is None or not 0 <= now - self._read_at < READ_AGAIN_SECONDS:
            self._copy, self._read_at = await self._record.read(), now
        return self._copy

    async def refuse(self, call: Call, values: Mapping[str, set[str]], *, now: float) -> None:
        """Record what a 400 named; a value that was not refused before is logged."""
        await self._change(lambda known: known.refuse(call, values, now=now))

    async def accept(self, call: Call, asked: Mapping[str, tuple[str, ...]]) -> None:
        """Record that X answered a question; a value that it had refused before is logged."""
        if self._copy.accept(call, asked) != self._copy:
            await self._change(lambda known: known.accept(call, asked))

    async def _change(self, change: Callable[[Refusals], Refusals]) -> None:
        """Change the record and the copy; if the record is busy all the time, the copy alone."""
        before = after = self._copy
        for _ in range(TRIES):
            before = await self._record.read()
            after = change(before)
            if after == before or await self._record.replace(before, after):
                break
        self._copy = after
        for each in after.since(before):
            log.warning("source.value_refused", call=each.call, parameter=each.parameter, value=each.value)
        for each in before.since(after):
            log.info("source.value_accepted", call=each.call, parameter=each.parameter, value=each.value)
