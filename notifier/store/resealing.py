"""Reseals what old master keys have sealed, while everything runs.

What is sealed are the signing secrets and targets of endpoints and, for a day, the answers kept for repeated
requests.
Each record is replaced only as it was read, so that nothing that changes meanwhile is lost.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from notifier.core.delivery.endpoint import Endpoint
from notifier.errors import ConfigError, NotFoundError, VersionConflictError
from notifier.store import schema
from notifier.store.database import Database
from notifier.store.endpoints import Endpoints
from notifier.store.schema import Key
from notifier.store.scripts import Script, script
from notifier.store.sealing import SecretBox, key_id_of

RESEAL_ANSWER: Final[Script[int]] = script("reseal_answer")

SCANNED_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Resealed:
    """What was done: records sealed again, those that are left, and which key seals how many texts now."""

    endpoints: int
    answers: int
    left: int
    in_use: Mapping[str, int]


class Resealing:
    """Everything sealed, in one place."""

    def __init__(self, database: Database, endpoints: Endpoints) -> None:
        self._database = database
        self._endpoints = endpoints

    async def in_use(self) -> Counter[str]:
        """Count the sealed texts by the id of their master key."""
        found: Counter[str] = Counter()
        for endpoint in (await self._endpoints.all()).values():
            found.update(map(key_id_of, endpoint.sealed))
        async for _, document in self._answers():
            found[key_id_of(json.loads(document)["body"])] += 1
        return found

    async def reseal(self, box: SecretBox) -> Resealed:
        """Seal everything again with the key that seals now; done twice, the second time changes nothing.

        Raises:
            ConfigError: A key that something is sealed under is missing, or is another one of the same id.
                A missing one is found before anything is changed.
        """
        missing = {key_id: count for key_id, count in (await self.in_use()).items() if not box.has(key_id)}
        if missing:
            listed = ", ".join(f"{key_id!r} ({count})" for key_id, count in sorted(missing.items()))
            raise ConfigError(
                f"NOTIFIER_MASTER_KEYS: what is sealed needs keys that are missing: {listed}; "
                "put them back, behind the new one"
            )
        endpoints = [await self._reseal_endpoint(each, box) for each in await self._endpoints.all()]
        answers = [await self._reseal_answer(key, document, box) async for key, document in self._answers()]
        done = [*endpoints, *answers]
        return Resealed(
            endpoints=endpoints.count(True),
            answers=answers.count(True),
            left=done.count(False),
            in_use=await self.in_use(),
        )

    async def _reseal_endpoint(self, endpoint_id: str, box: SecretBox) -> bool | None:
        """Seal an endpoint again; None where there was nothing to do, False where it failed."""
        try:
            change = await self._endpoints.change(endpoint_id, lambda endpoint: _resealed(endpoint, box))
        except NotFoundError:
            return None
        except VersionConflictError:
            return False
        return True if change.after != change.before else None

    async def _reseal_answer(self, key: Key, document: str, box: SecretBox) -> bool | None:
        """The same for an answer that is kept; it does not change, but it may have gone."""
        record = json.loads(document)
        sealed = box.reseal(record["body"])
        if sealed == record["body"]:
            return None
        args = [document, json.dumps({**record, "body": sealed})]
        return True if await self._database.run(RESEAL_ANSWER, keys=[key], args=args) else None

    async def _answers(self) -> AsyncIterator[tuple[Key, str]]:
        """Return the answers that are kept, by their keys; requests in flight have none yet."""
        async with self._database.translated():
            async for key in self._database.redis.scan_iter(schema.IDEMPOTENCY("*"), count=SCANNED_AT_ONCE):
                document = await self._database.redis.get(key)
                if document and "body" in json.loads(document):
                    yield Key(key), document


def _resealed(endpoint: Endpoint, box: SecretBox) -> Endpoint:
    secrets = tuple(replace(secret, sealed=box.reseal(secret.sealed)) for secret in endpoint.secrets)
    target = endpoint.target and replace(endpoint.target, sealed=box.reseal(endpoint.target.sealed))
    return replace(endpoint, secrets=secrets, target=target)
