"""How endpoints are spread over the partitions of the delivering side."""

from __future__ import annotations

from zlib import crc32

from notifier.core.model.ids import EndpointId, EventId, delivery_id
from notifier.store import schema
from notifier.store.schema import Key, Row


class Partitions:
    """A fixed number of partitions; an endpoint's is a function of its id."""

    def __init__(self, count: int) -> None:
        self.count = count

    def of(self, endpoint_id: str) -> int:
        """Return the partition of an endpoint."""
        return crc32(endpoint_id.encode()) % self.count

    def key(self, row: Row, endpoint_id: str, *rest: str) -> Key:
        """Return a key of an endpoint's, in its partition."""
        return row(self.of(endpoint_id), endpoint_id, *rest)

    def recipients(self, event_id: str) -> list[Key]:
        """Return the keys of an event's recipients, one per partition."""
        return [schema.RECIPIENTS(partition, event_id) for partition in range(self.count)]

    def delivery(self, event_id: EventId, endpoint_id: EndpointId) -> Key:
        """Return the key of a delivery's record."""
        return schema.DELIVERY(self.of(endpoint_id), delivery_id(event_id, endpoint_id))
