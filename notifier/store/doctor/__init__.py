"""A consistency check of the whole database. It only reads.

What belongs together is read at one moment, by a script or a transaction, in bounded batches, so that work
that goes on meanwhile neither waits nor looks like a fault. What is found is looked for a second time before
it is reported; so its text holds nothing that moves by itself.
"""

from __future__ import annotations

import asyncio
from typing import Final

from notifier.store import Store
from notifier.store.doctor.endpoints import examine_endpoints
from notifier.store.doctor.finding import Finding
from notifier.store.doctor.keyspace import read_keyspace
from notifier.store.doctor.log import examine_log
from notifier.store.doctor.queue import examine_deliveries, examine_leases
from notifier.store.doctor.secrets import examine_secrets
from notifier.store.doctor.server import examine_server
from notifier.store.doctor.spaces import examine_spaces
from notifier.store.doctor.watches import examine_watches
from notifier.store.doctor.work import examine_work
from notifier.store.sealing import SecretBox

POLL_AGAIN_SECONDS: Final = 0.2


async def findings(store: Store, box: SecretBox | None = None) -> list[Finding]:
    """Return all inconsistencies of the database, by key.

    Args:
        store: Over the database.
        box: With the master keys; without it, secrets are not opened.

    Raises:
        UnavailableError: Redis does not answer.
    """
    found = await _examine(store, box)
    if found:
        await asyncio.sleep(POLL_AGAIN_SECONDS)
        found &= await _examine(store, box)
    return sorted(found)


async def _examine(store: Store, box: SecretBox | None) -> set[Finding]:
    database, partitions = store.database, store.partitions
    keyspace = await read_keyspace(database)
    if keyspace.has_strange_types:
        return set(keyspace.findings)  # What has another type cannot be read.
    return {
        *await examine_server(database),
        *keyspace.findings,
        *await examine_log(database, keyspace, kept_seconds=store.retention_seconds),
        *await examine_endpoints(database, partitions, keyspace),
        *await examine_deliveries(database, partitions, keyspace),
        *await examine_leases(database, keyspace),
        *await examine_spaces(database, partitions, keyspace),
        *await examine_watches(database, keyspace),
        *await examine_work(database, keyspace),
        *(await examine_secrets(database, keyspace, box) if box is not None else ()),
    }


__all__ = ["Finding", "findings"]
