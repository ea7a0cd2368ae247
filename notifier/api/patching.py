"""``PATCH``: what a caller wants changed, laid over a record as often as it has to be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from notifier.api.bodies import Body, Document, check_body
from notifier.api.operations import Call
from notifier.errors import VersionConflictError

BodyT = TypeVar("BodyT", bound=Body)


class Patch(Generic[BodyT]):
    """One PATCH of a record, in either of its two forms.

    ``application/json`` puts new values in the place of fields. ``application/merge-patch+json`` (RFC 7396)
    does the same, but goes down into objects, and null takes a member away: a field gets its default back.
    """

    def __init__(self, call: Call[BodyT, Any], model: type[BodyT]) -> None:
        self._call = call
        self._model = model
        self._first: object = None

    def over(self, current: Document, defaults: Document | None = None) -> BodyT:
        """Return the new values of the fields to be changed, checked.

        Args:
            current: The fields of the record that a PATCH can change, as JSON.
            defaults: What null gives back where that is not the model's own default.

        Raises:
            InvalidInputError: It names every refused field.
        """
        if self._call.merge is None:
            return self._call.body
        whole = merged(current, self._call.merge)
        all_defaults = self._model().model_dump(mode="json") | (defaults or {})
        return check_body(
            self._model, {name: whole.get(name, all_defaults.get(name)) for name in self._call.merge}
        )

    def refuse_overwriting(self, record: object, wanted: dict[str, Any]) -> None:
        """Check that the same fields were not changed since this PATCH first read the record.

        Members merged by a merge patch do not replace anything, so they never conflict.

        Raises:
            VersionConflictError: Somebody has, to other values than these.
        """
        self._first = self._first or record
        merge = self._call.merge or {}
        replaced = {name: value for name, value in wanted.items() if not isinstance(merge.get(name), dict)}
        if names := _overwritten(self._first, record, replaced):
            raise VersionConflictError(
                f"{', '.join(names)}: changed by another request at the same time; read it again and retry."
            )


def merged(target: object, patch: object) -> Any:  # noqa: ANN401  any JSON
    """Return a JSON value with a merge patch laid over it (RFC 7396, section 2)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def _overwritten(read: object, current: object, wanted: Mapping[str, object]) -> list[str]:
    """Return the names of the wanted fields that were changed since they were read.

    A field that already has the wanted value does not count.

    Args:
        read: The record as it was when the change was requested.
        current: The same record now.
        wanted: The fields to be changed, with their new values.
    """
    return [
        name
        for name, value in wanted.items()
        if getattr(current, name) != getattr(read, name) and getattr(current, name) != value
    ]
