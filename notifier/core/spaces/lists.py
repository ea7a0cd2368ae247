"""Which lists show a Space: the answers by creator or by search, which outweigh not-founds by id (E2).

A Space that disappears from its lists is known to have done so when each of them was answered without it. One
that cannot be asked any more, because its watch is gone or X does not answer, counts for a while only.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from notifier.core.model.observation import Call
from notifier.core.model.space import Space
from notifier.core.spaces.known import KnownSpace

LISTED_SECONDS: Final = 600.0
"""How long a list that showed a Space speaks for it without showing it again."""

BETWEEN: Final = ":"


def list_of(call: Call, subject: str) -> str:
    """Name the list that X gives for a creator (a user id) or a search (the id of its watch)."""
    return f"{call}{BETWEEN}{subject}"


def call_and_subject(listed: str) -> tuple[Call, str]:
    """Return by which call a list is asked for, and under which subject."""
    call, _, subject = listed.partition(BETWEEN)
    return Call(call), subject


def shown_by(seen: Space, known: Space | None, asked: Collection[str]) -> tuple[str, ...]:
    """Return which of the lists that were asked for in one question show a Space.

    Whose Space it is tells them apart. Where there is one alone, it shows all that is in its answer.
    """
    if len(asked) == 1:
        return tuple(asked)
    views = [view for view in (seen, known) if view is not None]
    creators = [view.creator_id for view in views if view.creator_id]
    hosts = [host for view in views for host in view.host_ids or ()]
    named = dict.fromkeys(list_of(Call.CREATORS, person) for person in (*creators, *hosts))
    return tuple(name for name in named if name in asked)


def to_ask(before: KnownSpace | None, after: KnownSpace, *, now: float) -> list[str]:
    """List what has to be asked for at once because a lookup did not find a Space that it shows (E2).

    Only where the lookup is the first to say so: the end is to come as soon as it is confirmed.
    """
    is_first = before is not None and before.missing_since is None and after.missing_since is not None
    return showing(after, now=now) if is_first and not after.phase.is_over else []


def note_shown(known: KnownSpace, lists: Collection[str], *, now: float) -> KnownSpace:
    """Note that these lists show the Space."""
    return replace(known, listed={**known.listed, **dict.fromkeys(lists, now)}) if lists else known


def note_left_out(known: KnownSpace, lists: Collection[str], *, began_at: float) -> KnownSpace:
    """Note that these lists were answered without the Space; when they were asked for is in epoch seconds."""
    left = {name: at for name, at in known.listed.items() if name not in lists or at > began_at}
    return known if len(left) == len(known.listed) else replace(known, listed=left)


def showing(known: KnownSpace, *, now: float) -> list[str]:
    """List what still shows the Space, as far as is known."""
    return [name for name, at in known.listed.items() if now - at < LISTED_SECONDS]
