"""The record of what X refuses for a client that has nobody to share it with."""

from __future__ import annotations

from notifier.core.polling.refusals import Refusals


class OwnRefusals:
    """Keeps it in memory."""

    def __init__(self) -> None:
        self.stored = Refusals()

    async def read(self) -> Refusals:
        return self.stored

    async def replace(self, before: Refusals, after: Refusals) -> bool:
        assert before == self.stored
        self.stored = after
        return True
