"""How endpoints are spread over the partitions of the delivery queue."""

from __future__ import annotations

from zlib import crc32

from notifier.store import keys
from notifier.store.database import Argument, Database


class Partitions:
    """A fixed number of partitions; an endpoint's is a function of its id."""

    def __init__(self, database: Database, count: int) -> None:
        self._database = database
        self.count = count

    def of(self, endpoint_id: str) -> int:
        """Return the partition of an endpoint."""
        return crc32(endpoint_id.encode()) % self.count

    async def settle_in(self) -> None:
        """File every endpoint again where the number of partitions is not what it was at the last start."""
        async with self._database.translated():
            before = int(await self._database.redis.get(keys.PARTITIONS) or 0)
            if before == self.count:
                return
            endpoint_ids = await self._database.redis.zrange(keys.ENDPOINTS, 0, -1)
        placed: list[Argument] = []
        for endpoint_id in endpoint_ids:
            placed += [endpoint_id, self.of(endpoint_id)]
        await self._database.run("spread", args=[before, self.count, *placed])
