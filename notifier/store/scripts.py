"""The Lua scripts: each is assembled from its file, its includes, and the schema.

A script names no key. It begins with a ``#!lua`` line, under which a server in cluster mode refuses
every key that is not in the slot of its ``KEYS``; all of them are of one tag, which is taken from the
first. For each row of the schema that a script uses it is given a function of its parts
(``due_key(endpoint)``), or a string where there are none (``outbox_key``), and for each constant below
that it uses, a local of that name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, Generic, TypeAlias, TypeVar

from notifier.core.delivery.delivery import DeliveryStatus
from notifier.core.model.poll import Urgency
from notifier.core.model.space import Phase
from notifier.core.spaces.timers import TimerKind
from notifier.store import schema
from notifier.store.schema import Domain, Key, Row

Argument: TypeAlias = str | int | float | bytes

T_co = TypeVar("T_co", covariant=True)

SHEBANG: Final = re.compile(r"\A#!lua[^\n]*\n")
INCLUDE: Final = re.compile(r"^-- include: (\S+)$", re.MULTILINE)
KEY_NAME: Final = re.compile(r"\b([a-z_]+)_key\b")
CONSTANT_NAME: Final = re.compile(r"\b[A-Z_]+\b")
TAG: Final = "local TAG = string.match(KEYS[1], '^sn:{[^}]*}:')"

LEASED: Final = "leased"
POLL_PARTS: Final = (*Urgency, LEASED)

CONSTANTS: Final[Mapping[str, Any]] = {
    "PHASES": tuple(Phase),
    "POLL_PARTS": POLL_PARTS,
    "TIMER_KINDS": tuple(TimerKind),
    "FINAL_STATUSES": tuple(status for status in DeliveryStatus if status is not DeliveryStatus.PENDING),
    "WAKEUP_MS": 5_000,  # how long an unanswered wakeup prevents another one
    "LEASES_SECONDS": 3_600,  # the memory of what ends in seconds
    "CYCLE_SECONDS": 7_200,
}
"""What scripts and Python have to agree about."""


@dataclass(frozen=True, slots=True)
class Script(Generic[T_co]):
    """One script and the digest by which the server knows it; ``T_co`` is the shape of its answer."""

    name: str
    source: str
    sha: str


@dataclass(frozen=True, slots=True)
class ScriptCall(Generic[T_co]):
    """A script with its keys and arguments, to be sent alone or with others in one round trip."""

    script: Script[T_co]
    keys: Sequence[Key]
    args: Sequence[Argument] = ()


@cache
def script(name: str) -> Script[Any]:
    """Read ``lua/<name>.lua``; an ``-- include: lib/x.lua`` line puts that file ahead of it.

    Raises:
        ValueError: It has no ``#!lua`` line, names a key that no row declares, or keys of both domains.
    """
    folder = files("notifier.store") / "lua"
    body = (folder / f"{name}.lua").read_text()
    shebang = SHEBANG.match(body)
    if shebang is None:
        raise ValueError(f"{name}.lua has no #!lua line")
    libraries = [(folder / included).read_text() for included in INCLUDE.findall(body)]
    written = "\n".join([*libraries, body[shebang.end() :]])
    source = shebang.group() + "\n".join([*_prelude(name, written), written])
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


def rows_in(name: str, written: str) -> list[Row]:
    """Return the rows whose keys a script names.

    Raises:
        ValueError: A key has no row, or the rows are of both domains.
    """
    names = sorted(set(KEY_NAME.findall(written)))
    unknown = [each for each in names if each.upper() not in schema.ROWS]
    if unknown:
        raise ValueError(f"{name}.lua names {unknown[0]}_key, which the schema does not declare")
    rows = [schema.ROWS[each.upper()] for each in names]
    if len({row.domain for row in rows}) > 1:
        raise ValueError(f"{name}.lua names keys of both domains: {', '.join(names)}")
    return rows


def _prelude(name: str, written: str) -> Iterator[str]:
    rows = rows_in(name, written)
    if rows:
        yield TAG
    for row in rows:
        constant = next(known for known, each in schema.ROWS.items() if each is row)
        yield _key_function(constant.lower(), row)
    words = set(CONSTANT_NAME.findall(written))
    for constant, value in CONSTANTS.items():
        if constant in words:
            yield f"local {constant} = {_lua(value)}"


def _key_function(name: str, row: Row) -> str:
    parts = row.parts[1:] if row.domain is Domain.DELIVERING else row.parts
    texts = schema.PLACEHOLDER.sub("\0", row.form).split("\0")
    pieces = [f"'{texts[0]}'"]
    for part, text in zip(parts, texts[1:], strict=True):
        pieces += [part, f"'{text}'"] if text else [part]
    joined = " .. ".join(["TAG", *pieces])
    if not parts:
        return f"local {name}_key = {joined}"
    return f"local function {name}_key({', '.join(parts)}) return {joined} end"


def _lua(value: object) -> str:
    """Write a constant in Lua."""
    if isinstance(value, tuple):
        return "{" + ", ".join(_lua(each) for each in value) + "}"
    return f"'{value}'" if isinstance(value, str) else str(value)
