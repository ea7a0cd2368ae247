"""Which lists show a Space: the answers by creator or by search, which outweigh not-founds by id (E2).

A Space has disappeared from its lists once each of them was answered without it. A list that can no longer be
polled, because its watch is gone or X does not answer, counts only for a limited time.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from notifier.core.model.observation import Call
from notifier.core.model.space import Space
from notifier.core.spaces.known import KnownSpace

LISTED_SECONDS: Final = 600.0
"""How long a list that showed a Space counts without showing it again."""

SEPARATOR: Final = ":"


def list_of(call: Call, subject: str) -> str:
    """Return the name of the list of a creator (a user id) or a search (the id of its watch)."""
    return f"{call}{SEPARATOR}{subject}"


def call_and_subject(listed: str) -> tuple[Call, str]:
    """Return the call by which a list is requested, and its subject."""
    call, _, subject = listed.partition(SEPARATOR)
    return Call(call), subject


def shown_by(seen: Space, known: Space | None, asked: Collection[str]) -> tuple[str, ...]:
    """Return which of the lists requested in one question show a Space.

    The creator and hosts of the Space tell the lists apart. A single list shows everything in its answer.
    """
    if len(asked) == 1:
        return tuple(asked)
    views = [view for view in (seen, known) if view is not None]
    creators = [view.creator_id for view in views if view.creator_id]
    hosts = [host for view in views for host in view.host_ids or ()]
    named = dict.fromkeys(list_of(Call.CREATORS, person) for person in (*creators, *hosts))
    return tuple(name for name in named if name in asked)


def to_ask(before: KnownSpace | None, after: KnownSpace, *, now: float) -> list[str]:
    """Return the lists to poll at once because a lookup did not find a Space that they show (E2).

    Only for the first such lookup, so that the end is announced as soon as it is confirmed.
    """
    is_first = before is not None and before.missing_since is None and after.missing_since is not None
    return showing(after, now=now) if is_first and not after.phase.is_over else []


def note_shown(known: KnownSpace, lists: Collection[str], *, now: float) -> KnownSpace:
    """Return the state after these lists have shown the Space."""
    return replace(known, listed={**known.listed, **dict.fromkeys(lists, now)}) if lists else known


def note_left_out(known: KnownSpace, lists: Collection[str], *, began_at: float) -> KnownSpace:
    """Return the state after these lists, requested at an epoch second, were answered without the Space."""
    left = {name: at for name, at in known.listed.items() if name not in lists or at > began_at}
    return known if len(left) == len(known.listed) else replace(known, listed=left)


def showing(known: KnownSpace, *, now: float) -> list[str]:
    """Return the lists that still show the Space, as far as is known."""
    return [name for name, at in known.listed.items() if now - at < LISTED_SECONDS]
