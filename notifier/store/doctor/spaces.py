"""Checks of Spaces: records, indexes, polls and timers, sequences of events, and erasures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from pydantic import ValidationError

from notifier.core.events.event import EventType, redact
from notifier.core.model.ids import EndpointId, EventId, SpaceId
from notifier.core.model.space import FIELD_KINDS, FieldKind
from notifier.core.model.watch import Watch, WatchKind
from notifier.core.spaces.known import KnownSpace, read_known
from notifier.core.spaces.merging import Patience
from notifier.core.spaces.timers import TimerKind, timers_of
from notifier.store import schema
from notifier.store.database import Database
from notifier.store.delivery_queue import attempts_in
from notifier.store.doctor.finding import Finding, atomically, batches
from notifier.store.doctor.keyspace import NEVER, Keyspace
from notifier.store.partitions import Partitions
from notifier.store.scripts import Script, script
from notifier.store.watches import WATCH

EXAMINE_SPACES: Final[Script[list[list[Any]]]] = script("examine_spaces")

SPACES_AT_ONCE: Final = 100
ANY_PATIENCE: Final = Patience(needed=1, apart=0.0, reminder=0.0, overdue=0.0)
"""The settings decide only when a reminder fires, not which timers there are."""

KEPT_FIELDS: Final = ("id", "state", "creator_id")
"""The fields of an erased Space that may be kept, in addition to its times."""

ERASURE_SLACK_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Filed:
    """A Space with all that is filed of it, as ``examine_spaces.lua`` reads it; times in ms."""

    id: str
    doc: str
    version: str
    phase: str
    expires_in: int
    serial: str
    phases: Sequence[str]
    parts: Sequence[str]
    poll_at: str
    reminder: str
    erasure: str
    watches: Sequence[tuple[str, str, int]]
    sequences: Sequence[int]


async def examine_spaces(database: Database, partitions: Partitions, keyspace: Keyspace) -> list[Finding]:
    """Examine every Space that has a record, or a watch."""
    found: list[Finding] = []
    erased: list[str] = []
    space_ids = {*keyspace.parts(schema.SPACE, "space"), *keyspace.parts(schema.SPACE_WATCHES, "space")}
    for batch in batches(sorted(space_ids), SPACES_AT_ONCE):
        for row in await database.run(EXAMINE_SPACES, keys=[schema.SPACES()], args=batch):
            filed = Filed(*row)
            key = schema.SPACE(filed.id)
            try:
                watches = _watches(filed)
                known = read_known(json.loads(filed.doc)) if filed.doc else None
            except (ValueError, KeyError, TypeError, ValidationError) as error:
                found.append(Finding(key, f"cannot be read ({type(error).__name__})"))
                continue
            found += _watch_faults(filed)
            found += [Finding(key, text) for text in _poll_faults(filed, known, watches)]
            if known is not None:
                found += [Finding(key, text) for text in _record_faults(filed, known)]
                found += _timer_faults(filed, known, watches)
                found += _sequence_faults(filed, known)
                erased += [filed.id] if known.erased else []
    for space_id in erased:
        found += await _erased(database, partitions, space_id)
    return found


def _watches(filed: Filed) -> list[Watch]:
    """Read the watches that the Space matches."""
    return [WATCH.validate_json(text) for _, text, _ in filed.watches if text]


def _is_followed(watches: Sequence[Watch]) -> bool:
    return any(watch.is_polling for watch in watches)


def _watch_faults(filed: Filed) -> Iterator[Finding]:
    for watch_id, text, lists_it in filed.watches:
        if not text:
            yield Finding(schema.SPACE_WATCHES(filed.id), f"there is no watch {watch_id}")
        elif not lists_it and filed.doc and WATCH.validate_json(text).kind is not WatchKind.SPACE:
            yield Finding(schema.WATCH_SPACES(watch_id), f"{filed.id} is not in it, though it matches")


def _record_faults(filed: Filed, known: KnownSpace) -> Iterator[str]:
    if known.space.id != filed.id:
        yield f"holds another Space, {known.space.id}"
    if known.phase != filed.phase:
        yield f"its phase is {filed.phase}, and by its document {known.phase}"
    if not filed.version.isdigit() or int(filed.version) < 1:
        yield "its version is no number from 1 on"
    if filed.serial == "":
        yield f"is not in {schema.SPACES()}"
    if list(filed.phases) != [known.phase]:
        yield f"is indexed as {' and '.join(filed.phases) or 'nothing'}, and is {known.phase}"


def _poll_faults(filed: Filed, known: KnownSpace | None, watches: Sequence[Watch]) -> Iterator[str]:
    """Return faults of the polls of a Space, which has exactly one while followed and not forgotten."""
    if len(filed.parts) > 1:
        yield f"its poll is {' and '.join(filed.parts)} at once"
    # An expiring record is forgotten; a Space that was seen and has no record was forgotten.
    is_remembered = filed.expires_in == NEVER if known is not None else filed.serial == ""
    if not filed.parts and is_remembered and _is_followed(watches):
        yield "is followed, and no poll is scheduled for it"
    if known is None and filed.serial != "" and filed.parts:
        yield "its record is gone while it is polled"


def _timer_faults(filed: Filed, known: KnownSpace, watches: Sequence[Watch]) -> Iterator[Finding]:
    """Compare the timers with what the Space asks for.

    A Space that is followed again gets its timers from its next poll, and may keep an erasure timer from the
    time when no watch followed it, which then does nothing.
    """
    wanted = {kind: at * 1000 + 1 for kind, at in timers_of(known, patience=ANY_PATIENCE).items()}
    has = {
        TimerKind.REMINDER: _number(filed.reminder),
        TimerKind.ERASURE: _number(filed.erasure),
    }
    key, reminder = schema.TIMERS(TimerKind.REMINDER), has[TimerKind.REMINDER]
    if reminder is not None and TimerKind.REMINDER not in wanted:
        yield Finding(key, f"{filed.id} has nothing to be reminded of")
    if not _is_followed(watches) or filed.parts != ["patient"]:
        return
    for kind, latest in wanted.items():
        at = has[kind]
        if at is None:
            yield Finding(schema.TIMERS(kind), f"{filed.id} is not in it")
        elif at > latest:
            yield Finding(schema.TIMERS(kind), f"{filed.id} fires too late")


def _number(score: str) -> float | None:
    return None if score == "" else float(score)


def _sequence_faults(filed: Filed, known: KnownSpace) -> Iterator[Finding]:
    key = schema.SPACE_EVENTS(filed.id)
    for earlier, later in pairwise(filed.sequences):
        if later != earlier + 1:
            gap = f"sequence {later} is there twice" if later == earlier else f"{later} follows on {earlier}"
            yield Finding(key, f"the sequences have a gap or a double: {gap}")
    if filed.sequences and filed.sequences[-1] != known.sequence:
        yield Finding(key, f"ends with sequence {filed.sequences[-1]}, and the Space is at {known.sequence}")


async def _erased(database: Database, partitions: Partitions, space_id: str) -> list[Finding]:
    """Find content of a Space that was erased."""
    own, mentions = await atomically(
        database,
        ("ZRANGE", schema.SPACE_EVENTS(space_id), 0, -1),
        ("SMEMBERS", schema.SPACE_MENTIONS(space_id)),
    )
    event_ids = [*own, *sorted(mentions)]
    doc, *rows = await atomically(
        database,
        ("HGET", schema.SPACE(space_id), "doc"),
        *(("HMGET", schema.EVENT(event_id), "body", "type", "at") for event_id in event_ids),
    )
    known = read_known(json.loads(doc)) if doc else None
    if known is None or not known.erased:
        return []  # X shows it again.
    found: list[Finding] = []
    if known.has_content:
        found.append(Finding(schema.SPACE(space_id), "was erased and still has content"))
    found += [
        Finding(schema.EVENT(event_id), f"is about {space_id}, which was erased")
        for event_id, (body, _, _) in zip(event_ids, rows, strict=True)
        if body is not None and _has_content(body, SpaceId(space_id))
    ]
    erased_at = [int(at) / 1000 for _, event_type, at in rows if event_type == EventType.REDACTED]
    if erased_at:
        before = erased_at[-1] - ERASURE_SLACK_SECONDS
        found += await _revealing_attempts(database, partitions, event_ids, before=before)
    return found


def _has_content(body: str, space_id: SpaceId) -> bool:
    return bool(_essence(body) != _essence(redact(body.encode(), space_id).decode()))


def _essence(body: str) -> Any:  # noqa: ANN401  the payload as JSON has it
    """Return a payload without what may be kept of Spaces, and without empty lists of people."""
    data = json.loads(body)["data"]
    data = {name: value for name, value in data.items() if name not in ("users", "previous") or value}
    if "space" in data:
        data["space"] = _content(data["space"])
    if "spaces" in data["details"]:
        shown = [_content(space) for space in data["details"]["spaces"]]
        data["details"] = {**data["details"], "spaces": shown}
    return data


def _content(space: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a Space that have to be erased."""
    return {
        name: value
        for name, value in space.items()
        if name not in KEPT_FIELDS and FIELD_KINDS.get(name) is not FieldKind.TIME
    }


async def _revealing_attempts(
    database: Database, partitions: Partitions, event_ids: Sequence[str], *, before: float
) -> list[Finding]:
    """Find answers of receivers from before the erasure: they may repeat what the receiver got."""
    found: list[Finding] = []
    sets = [(event_id, key) for event_id in event_ids for key in partitions.recipients(event_id)]
    owed = await atomically(database, *(("SMEMBERS", key) for _, key in sets))
    records = [
        partitions.delivery(EventId(event_id), EndpointId(endpoint_id))
        for (event_id, _), endpoint_ids in zip(sets, owed, strict=True)
        for endpoint_id in sorted(endpoint_ids)
    ]
    for batch in batches(records):
        for key, record in zip(
            batch, await atomically(database, *(("HGETALL", key) for key in batch)), strict=True
        ):
            revealing = [
                each
                for each in attempts_in(record)
                if each.started_at < before and (each.body or each.headers)
            ]
            if revealing:
                found.append(Finding(key, "keeps what was answered to an event that was erased"))
    return found
