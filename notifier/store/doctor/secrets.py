"""Secrets of endpoints: whether the master keys open them. Where one does not, nothing is delivered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import ValidationError

from notifier.core.delivery.endpoint import Endpoint
from notifier.errors import ConfigError
from notifier.store import schema
from notifier.store.database import Database
from notifier.store.doctor.finding import Finding, atomically, batches
from notifier.store.doctor.keyspace import Keyspace
from notifier.store.endpoints import ENDPOINT
from notifier.store.sealing import SecretBox


async def examine_secrets(database: Database, keyspace: Keyspace, box: SecretBox) -> list[Finding]:
    """Try to open every secret of every endpoint."""
    found: list[Finding] = []
    for endpoint_ids in batches(keyspace.parts(schema.ENDPOINT, "endpoint")):
        texts = await atomically(database, *(("GET", schema.ENDPOINT(each)) for each in endpoint_ids))
        found += _sealed(endpoint_ids, texts, box)
    return found


def _sealed(endpoint_ids: Sequence[str], texts: Sequence[str | None], box: SecretBox) -> Iterator[Finding]:
    for endpoint_id, text in zip(endpoint_ids, texts, strict=True):
        if text is None:
            continue  # Deleted in the meantime.
        try:
            endpoint = ENDPOINT.validate_json(text)
        except ValidationError:
            continue  # Told where endpoints are examined.
        for problem in sorted({problem for each in endpoint.sealed if (problem := _problem(each, box))}):
            yield Finding(
                schema.ENDPOINT(endpoint_id),
                f"nothing is delivered to it, for a secret cannot be opened. {problem}",
                "put the key back into NOTIFIER_MASTER_KEYS of every process; where it is lost for good: "
                + _replacement(endpoint),
            )


def _replacement(endpoint: Endpoint) -> str:
    if endpoint.target is not None:
        return f"give {endpoint.id} its target again, PATCH /v1/endpoints/{endpoint.id}"
    return f"space-notifier endpoints rotate-secret {endpoint.id}"


def _problem(sealed: str, box: SecretBox) -> str | None:
    try:
        box.open(sealed)
    except ConfigError as error:
        return error.message
    return None
