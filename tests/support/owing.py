"""Making events owed, for tests that begin in the middle of the pipeline."""

from __future__ import annotations

from collections.abc import Iterable

from notifier.store import Store
from notifier.store.delivery_queue import Owed


async def make_owed(store: Store, wanted: Iterable[Owed]) -> set[int]:
    """Make events owed to endpoints; gives the partitions that have work and no nudge on its way."""
    return {partition async for partitions in store.queue.owe(wanted) for partition in partitions}
