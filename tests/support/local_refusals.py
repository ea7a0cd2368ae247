"""The record of X's refusals for a client that shares it with no other process."""

from __future__ import annotations

from notifier.core.polling.refusals import Refusals


class LocalRefusals:
    """Keeps the record in memory."""

    def __init__(self) -> None:
        self.stored = Refusals()

    async def read(self) -> Refusals:
        return self.stored

    async def replace(self, before: Refusals, after: Refusals) -> bool:
        assert before == self.stored
        self.stored = after
        return True
