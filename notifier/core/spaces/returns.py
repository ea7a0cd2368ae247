"""The former values of fields, and how much proof a return to one of them needs (E4).

X's replicas lag and alternate, so former values come back in stale answers. A return is believed when it is
confirmed, and each one that was believed doubles the confirmations that the next one needs, until a value
comes that is really new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from notifier.core.spaces.known import KnownSpace, Meaning

T = TypeVar("T")

MAX_FORMER: Final = 4
"""How many former values of a field are kept."""

MAX_RETURN_FACTOR: Final = 16
"""The highest factor by which a return needs more confirmations."""


def return_factor(known: KnownSpace, name: str) -> int:
    """Return how many times more confirmations a return of a field needs than any other doubt."""
    return min(1 << known.returns.get(name, 0), MAX_RETURN_FACTOR)


def is_former(known: KnownSpace, name: str, meaning: Meaning) -> bool:
    """Return whether a field recently had this meaning."""
    return meaning in known.former.get(name, ())


def note_former(
    known: KnownSpace,
    name: str,
    before: Sequence[Meaning],
    now: Sequence[Meaning],
    *,
    most: int = MAX_FORMER,
) -> KnownSpace:
    """Return the state with the former values of a field updated; its present value is not among them."""
    kept = [meaning for meaning in known.former.get(name, ()) if meaning not in now and meaning not in before]
    former = (*(meaning for meaning in before if meaning not in now), *kept)[:most]
    return replace(known, former={**known.former, name: former} if former else without(known.former, name))


def note_return(known: KnownSpace, name: str) -> KnownSpace:
    """Return the state after a return was believed."""
    return replace(known, returns={**known.returns, name: known.returns.get(name, 0) + 1})


def note_new_meaning(known: KnownSpace, name: str) -> KnownSpace:
    """Return the state after a field took a value that is really new."""
    return replace(known, returns=without(known.returns, name)) if name in known.returns else known


def without(values: Mapping[str, T], name: str) -> dict[str, T]:
    """Return a mapping without one of its keys."""
    return {each: value for each, value in values.items() if each != name}
