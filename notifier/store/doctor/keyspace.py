"""Every key of the database: what it is, whether it belongs here, and whether it expires as it should."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from notifier.store.database import Database
from notifier.store.doctor.finding import AT_ONCE, Finding, batches
from notifier.store.schema import PREFIX, Key, Life, Place, Row, place_of
from notifier.store.scripts import Script, ScriptCall, script

DESCRIBE_KEYS: Final[Script[list[Any]]] = script("describe_keys")

NO_SUCH_KEY: Final = "none"
NEVER: Final = -1


@dataclass(slots=True)
class Keyspace:
    """All keys by row, and what is wrong with keys as such."""

    places: dict[Row, dict[Key, Place]] = field(default_factory=lambda: defaultdict(dict))
    findings: list[Finding] = field(default_factory=list)
    has_strange_types: bool = False

    def names(self, row: Row) -> list[Key]:
        """Return the keys of a row."""
        return list(self.places[row])

    def parts(self, row: Row, part: str) -> list[str]:
        """Return one part of the name of every key of a row."""
        return [place.part(part) for place in self.places[row].values()]


async def read_keyspace(database: Database) -> Keyspace:
    """Walk all keys."""
    found = Keyspace()
    seen: set[str] = set()
    async with database.translated():
        async for key in database.redis.scan_iter(count=4 * AT_ONCE):
            seen.add(key)
    for batch in batches(sorted(seen)):
        # Each by itself: a script may touch keys of one tag only.
        facts = await database.run_all([ScriptCall(DESCRIBE_KEYS, [Key(key)]) for key in batch])
        for key, (kind, ttl) in zip(batch, facts, strict=True):
            if kind != NO_SUCH_KEY:
                _note(found, Key(key), kind, ttl)
    return found


def _note(found: Keyspace, key: Key, kind: str, ttl: int) -> None:
    place = place_of(key)
    expires = ttl != NEVER
    if place is None:
        if key.startswith(PREFIX):
            found.findings.append(
                Finding(key, "no key of ours has this form", "keep other programs out of this database")
            )
        elif key.startswith("arq:") and not expires:
            found.findings.append(Finding(key, "never expires, as a job's keys must"))
        return
    row = place.row
    if kind != row.type:
        found.has_strange_types = True
        found.findings.append(Finding(key, f"is a {kind} and must be a {row.type}"))
        return
    found.places[row][key] = place
    if row.life is Life.PERMANENT and expires:
        found.findings.append(Finding(key, "expires, and must stay until it is deleted"))
    elif row.life is Life.EXPIRES and not expires:
        found.findings.append(Finding(key, "never expires, and must"))
