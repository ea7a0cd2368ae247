"""Watches: the creators, Spaces and searches that we follow."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from notifier.core.model.ids import WatchId
from notifier.errors import InvalidInputError

SPACE_ID: Final = re.compile(r"[a-zA-Z0-9]{1,13}")
USER_ID: Final = re.compile(r"[1-9][0-9]{0,18}")
"""As X writes it. With zeros before it the same person would be watched twice."""
USER_NAME: Final = re.compile(r"@[A-Za-z0-9_]{1,15}")
MAX_QUERY: Final = 2048

MAX_REQUEST_LINE_BYTES: Final = 8190
"""What servers take for the first line of a request; the widest default among those in use."""

RESERVED_BYTES: Final = 1190
"""Room in that line for the path and for all that a search asks for beside its query."""

MAX_ENCODED_QUERY_BYTES: Final = MAX_REQUEST_LINE_BYTES - RESERVED_BYTES


class WatchKind(StrEnum):
    """What a watch follows."""

    CREATOR = "creator"
    SPACE = "space"
    SEARCH = "search"


class OnFirstSight(StrEnum):
    """What happens with the Spaces that a new watch finds on its first poll."""

    BASELINE = "baseline"  # one watch.baseline event, no event per Space
    ANNOUNCE = "announce"  # an event per Space, as if it had just appeared


class WatchStatus(StrEnum):
    """How far a watch has come."""

    RESOLVING = "resolving"  # a name that is still to be turned into a user id
    ACTIVE = "active"
    FAILED = "failed"  # X refuses its subject for good; failure_reason says why, and it is tried once a day


class WatchRole(StrEnum):
    """In which role a watched person makes a Space one of the watch's."""

    CREATOR = "creator"
    HOST = "host"  # X lists Spaces by creator only: hosts are recognized in what other polls show


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """One watch. ``created_at`` is epoch seconds.

    Attributes:
        target: As given: a user id or ``@name``, a Space id, or a query.
        subject: What X is asked for: the user id once it is known, the Space id, or the query.
        roles: Of a creator: in which roles they are followed.
        baselined: Whether the first poll, of what already exists, has been committed.
    """

    id: WatchId
    kind: WatchKind
    target: str
    subject: str | None
    on_first_sight: OnFirstSight = OnFirstSight.BASELINE
    roles: tuple[WatchRole, ...] = (WatchRole.CREATOR,)
    label: str | None = None
    status: WatchStatus = WatchStatus.ACTIVE
    failure_reason: str | None = None
    paused: bool = False
    baselined: bool = False
    created_at: float

    @property
    def is_polling(self) -> bool:
        """Whether X is asked for this watch, be it once a day, and what it has found is followed."""
        return self.subject is not None and not self.paused

    @property
    def identity(self) -> str:
        """What two watches must not share: the subject, or the name as long as it is not resolved."""
        return self.subject or self.target.casefold()


def check_target(kind: WatchKind, target: str) -> str | None:
    """Check a watch's target and give its subject, None for a name that the workers still have to resolve.

    Raises:
        InvalidInputError: The target does not have the form that its kind needs (X's OpenAPI document).
    """
    if kind is WatchKind.SPACE:
        if not SPACE_ID.fullmatch(target):
            raise InvalidInputError.of(
                "target", "a Space id is 1 to 13 letters and digits, like 1zqKVXPQhvZJB"
            )
        return target
    if kind is WatchKind.SEARCH:
        if not target.strip() or len(target) > MAX_QUERY:
            raise InvalidInputError.of("target", f"a search query is 1 to {MAX_QUERY} characters")
        if target != target.strip():
            # The same search with a space more would be paid for twice.
            raise InvalidInputError.of("target", "a search query neither begins nor ends with white space")
        length = len(quote(target, safe="", errors="surrogatepass"))
        if length > MAX_ENCODED_QUERY_BYTES:
            raise InvalidInputError.of(
                "target",
                f"a search query is at most {MAX_ENCODED_QUERY_BYTES} bytes percent-encoded, as it stands in "
                f"the URL that X is asked with; this one is {length}",
            )
        return target
    if USER_ID.fullmatch(target):
        return target
    if USER_NAME.fullmatch(target):
        return None
    raise InvalidInputError.of(
        "target",
        "a creator is a user id of 1 to 19 digits (0 to 9, the first of them no 0), "
        "or @ and a name of 1 to 15 letters, digits and _",
    )
