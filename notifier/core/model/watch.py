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
"""As X writes it. With leading zeros the same person could be watched twice."""
USER_NAME: Final = re.compile(r"@[A-Za-z0-9_]{1,15}")
MAX_QUERY: Final = 2048

MAX_REQUEST_LINE_BYTES: Final = 8190
"""The longest request line that common servers accept by default."""

RESERVED_BYTES: Final = 1190
"""Room in that line for the path and the other parameters of a search."""

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
    """The state of a watch."""

    RESOLVING = "resolving"  # its name still has to be resolved to a user id
    ACTIVE = "active"
    FAILED = (
        "failed"  # X permanently refuses its subject; failure_reason says why, and it is tried once a day
    )


class WatchRole(StrEnum):
    """The role in which a watched person makes a Space match the watch."""

    CREATOR = "creator"
    HOST = "host"  # X lists Spaces by creator only, so hosts are found in what other polls show


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """One watch. ``created_at`` is epoch seconds.

    Attributes:
        target: As given: a user id or ``@name``, a Space id, or a query.
        subject: What X is asked about: the user id once it is known, the Space id, or the query.
        roles: For a creator, the roles in which they are followed.
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
        """Whether X is polled for this watch, even if only once a day, and its Spaces are followed."""
        return self.subject is not None and not self.paused

    @property
    def identity(self) -> str:
        """The value that no two watches may share: the subject, or the name until it is resolved."""
        return self.subject or self.target.casefold()


def check_target(kind: WatchKind, target: str) -> str | None:
    """Return the subject of a watch's target, None for a name that the workers still have to resolve.

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
            # The same search with an extra space would be paid for twice.
            raise InvalidInputError.of("target", "a search query neither begins nor ends with white space")
        length = len(quote(target, safe="", errors="surrogatepass"))
        if length > MAX_ENCODED_QUERY_BYTES:
            raise InvalidInputError.of(
                "target",
                f"a search query is at most {MAX_ENCODED_QUERY_BYTES} bytes percent-encoded, as it is in "
                f"the URL of the request to X; this one is {length}",
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
