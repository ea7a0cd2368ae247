"""Whether a change that was decided on an older state of a record would undo what somebody else did."""

from __future__ import annotations

from collections.abc import Mapping


def overwritten(read: object, current: object, wanted: Mapping[str, object]) -> list[str]:
    """Return the names of the wanted fields that somebody changed since they were read.

    A field that has become what is wanted is none of them.

    Args:
        read: The record as it was when the change was asked for.
        current: The same record now.
        wanted: The fields to be changed, with their new values.
    """
    return [
        name
        for name, value in wanted.items()
        if getattr(current, name) != getattr(read, name) and getattr(current, name) != value
    ]
