"""What fields meant before, and how hard a return to that is to believe (E4).

X's replicas lag and alternate, so what was left behind comes back in answers that are behind. A return is
believed when it is confirmed, and each that was believed makes the next one twice as hard, until something
comes that was not there before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from notifier.core.spaces.known import KnownSpace, Meaning

T = TypeVar("T")

MOST_FORMER: Final = 4
"""How many former meanings of a field are kept."""

HARDEST: Final = 16
"""How many times as many confirmations a return needs at most."""


def hardness(known: KnownSpace, name: str) -> int:
    """Return by how much a return of a field is harder to believe than anything else that is doubtful."""
    return min(1 << known.returns.get(name, 0), HARDEST)


def is_former(known: KnownSpace, name: str, meaning: Meaning) -> bool:
    """Return whether a field meant this not long ago."""
    return meaning in known.former.get(name, ())


def leave_behind(
    known: KnownSpace,
    name: str,
    before: Sequence[Meaning],
    now: Sequence[Meaning],
    *,
    most: int = MOST_FORMER,
) -> KnownSpace:
    """Note what a field does not mean any more; what it means now is not former."""
    kept = [meaning for meaning in known.former.get(name, ()) if meaning not in now and meaning not in before]
    former = (*(meaning for meaning in before if meaning not in now), *kept)[:most]
    return replace(known, former={**known.former, name: former} if former else without(known.former, name))


def after_return(known: KnownSpace, name: str) -> KnownSpace:
    """Note that a return was believed."""
    return replace(known, returns={**known.returns, name: known.returns.get(name, 0) + 1})


def after_news(known: KnownSpace, name: str) -> KnownSpace:
    """Note that a field came to mean what it had not meant before."""
    return replace(known, returns=without(known.returns, name)) if name in known.returns else known


def without(values: Mapping[str, T], name: str) -> dict[str, T]:
    """Return a mapping without one of its names."""
    return {each: value for each, value in values.items() if each != name}
