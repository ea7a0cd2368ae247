"""Every key of the database: what it is, whether it belongs here, and whether it expires as it should."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

from notifier.store import keys
from notifier.store.database import Database
from notifier.store.doctor.finding import AT_ONCE, Finding, batches

FORMS: Final = {
    **dict.fromkeys(
        (
            *(keys.SERIAL, keys.PARTITIONS, keys.GENERATION, keys.ADMIN_KEY, keys.BUCKETS, keys.HEALTH),
            keys.REFUSALS,
            *(keys.watch("*"), keys.endpoint("*"), keys.wakeup("*"), keys.idempotency("*")),
            keys.ARQ_QUEUE + ":health-check",
        ),
        "string",
    ),
    **dict.fromkeys(
        (
            *(keys.TELEMETRY, keys.watch_by("*"), keys.space("*"), keys.event("*"), keys.run("*")),
            *(keys.ANSWERED, keys.standings("*")),
            *(
                keys.lines("*"),
                keys.leases("*", "*"),
                keys.delivery("*"),
                keys.spent("*"),
                keys.recovery("*"),
                keys.memories("*"),
            ),
        ),
        "hash",
    ),
    **dict.fromkeys(
        (
            keys.HOST_WATCHES,
            keys.space_watches("*"),
            keys.space_mentions("*"),
            keys.owed("*"),
            keys.billed("*"),
        ),
        "set",
    ),
    **dict.fromkeys(
        (
            *(keys.WATCHES, keys.SPACES, keys.EVENTS, keys.OUTBOX, keys.ENDPOINTS, keys.RECOVERING),
            *(
                keys.CHALLENGES,
                keys.WORKERS,
                keys.CYCLE_POLLED,
                keys.CYCLE_MISSING,
                keys.ARQ_QUEUE,
                keys.HELD,
            ),
            *(keys.watch_spaces("*"), keys.space_events("*"), keys.spaces_in("*"), keys.polls("*", "*")),
            *(keys.timers("*"), keys.events_of_type("*"), keys.due("*"), keys.leased("*")),
            *(keys.line("*", "*"), keys.owes("*"), keys.recoveries("*"), "sn:ready:*"),
            keys.memory_ends("*"),
        ),
        "zset",
    ),
}
"""Every form of a key with its type. A star stands for anything without a colon, at the end for anything."""

FREE_TAILS: Final = (keys.wakeup("*"), keys.idempotency("*"), keys.leases("*", "*"))
"""The forms whose last star may hold colons."""

MAY_EXPIRE: Final = (keys.space("*"), keys.owes("*"))
"""What is permanent while it is in use, and expires once it is not."""

NO_SUCH_KEY: Final = "none"
NEVER: Final = -1


@dataclass(slots=True)
class Keyspace:
    """The names of all keys by form, and what is wrong with keys as such."""

    names: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    findings: list[Finding] = field(default_factory=list)
    has_strange_types: bool = False

    def ids(self, form: str) -> list[str]:
        """Return what stands for the only star of a form, of every key that has it."""
        start, end = form.split("*")
        return [name.removeprefix(start).removesuffix(end) for name in self.names[form]]


def _pattern(form: str) -> str:
    inner = re.escape(form).replace(r"\*", "[^:]+")
    return inner.removesuffix("[^:]+") + ".+" if form in FREE_TAILS else inner


_FORM_LIST: Final = tuple(FORMS)
_ANY_FORM: Final = re.compile("|".join(f"({_pattern(form)})" for form in _FORM_LIST))


def form_of(key: str) -> str | None:
    """Return the form of a key of ours; None for a stranger."""
    match = _ANY_FORM.fullmatch(key)
    return None if match is None else _FORM_LIST[(match.lastindex or 0) - 1]


async def read_keyspace(database: Database) -> Keyspace:
    """Walk all keys."""
    found = Keyspace()
    seen: set[str] = set()
    async with database.translated():
        async for key in database.redis.scan_iter(count=4 * AT_ONCE):
            seen.add(key)
    for batch in batches(sorted(seen)):
        facts = await database.run("describe_keys", args=batch)
        for key, kind, ttl in zip(batch, facts[::2], facts[1::2], strict=True):
            if kind != NO_SUCH_KEY:
                _note(found, key, kind, ttl)
    return found


def _note(found: Keyspace, key: str, kind: str, ttl: int) -> None:
    form = form_of(key)
    expires = ttl != NEVER
    if form is None:
        if key.startswith("sn:"):
            found.findings.append(
                Finding(key, "no key of ours has this form", "keep other programs out of this database")
            )
        elif key.startswith("arq:") and not expires:
            found.findings.append(Finding(key, "never expires, as a job's keys must"))
        return
    if kind != FORMS[form]:
        found.has_strange_types = True
        found.findings.append(Finding(key, f"is a {kind} and must be a {FORMS[form]}"))
        return
    found.names[form].append(key)
    if form in keys.PERMANENT:
        if expires and form not in MAY_EXPIRE:
            found.findings.append(Finding(key, "expires, and must stay until it is deleted"))
    elif not expires and form != keys.ARQ_QUEUE + ":health-check":
        found.findings.append(Finding(key, "never expires, and must"))
