"""``If-Match`` and ``ETag``: a change only of the state that the caller knows (RFC 9110, 8.8.3, 13.1.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import web

from notifier.errors import FieldError, InvalidInputError, VersionConflictError
from notifier.store.records import version_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

IF_MATCH: Final = "If-Match"
ANY: Final = "*"
TAG: Final = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\U0010ffff]*")')
TAGS: Final = re.compile(rf"[ \t,]*{TAG.pattern}(?:[ \t]*,[ \t,]*{TAG.pattern})*[ \t,]*")


@dataclass(frozen=True, slots=True)
class IfMatch:
    """The states of a record that a change may replace, as strong entity tags; None for any."""

    tags: frozenset[str] | None

    def check(self, record: DataclassInstance) -> None:
        """See that a record is in one of the states.

        Raises:
            VersionConflictError: It is not.
        """
        if self.tags is not None and etag_of(record) not in self.tags:
            raise VersionConflictError(
                f"{IF_MATCH}: the record has another ETag now; read it again and retry."
            )


def read_if_match(request: web.Request) -> IfMatch | None:
    """Return the request's precondition, None where it has none.

    Weak tags are dropped: they never match, since the comparison is the strong one (RFC 9110, 8.8.3.2).

    Raises:
        InvalidInputError: The header is neither ``*`` nor a list of entity tags.
    """
    rows = request.headers.getall(IF_MATCH, None)
    if rows is None:
        return None
    text = ", ".join(rows).strip()
    if text == ANY:
        return IfMatch(None)
    if not TAGS.fullmatch(text):
        msg = 'must be * or a list of ETags in their quotes, as in "1f0c"'
        raise InvalidInputError(f"{IF_MATCH}: {msg}", FieldError(("header", IF_MATCH), msg))
    return IfMatch(frozenset(tag for weak, tag in TAG.findall(text) if not weak))


def etag_of(record: DataclassInstance) -> str:
    """Return the strong entity tag of a record: another one after every change, no matter who made it."""
    return f'"{version_of(record)}"'
