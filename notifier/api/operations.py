"""Operations: entries of the table that drives both the routing and the OpenAPI document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar

import structlog
from aiohttp import web
from pydantic import BaseModel

from notifier.api.bodies import Body, Document, Query
from notifier.api.preconditions import IfMatch
from notifier.errors import UnavailableError
from notifier.http.media import JSON, PATCH_TYPES
from notifier.runtime import Runtime

RUNTIME: Final[web.AppKey[Runtime]] = web.AppKey("RUNTIME", Runtime)
PROTECTED: Final = "/v1"

log = structlog.get_logger(__name__)

BodyT_co = TypeVar("BodyT_co", covariant=True)
QueryT_co = TypeVar("QueryT_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Call(Generic[BodyT_co, QueryT_co]):
    """One checked call: ``path`` has the path's parameters, the rest is as the models read it.

    Attributes:
        resource: The path itself, as it names what is asked for.
        if_match: The states that the caller wants to change; None where it does not say.
        merge: A merge patch as it was sent. It can only be checked over the record, so ``body`` is None then.
    """

    runtime: Runtime
    path: dict[str, str]
    body: BodyT_co
    query: QueryT_co
    resource: str = ""
    if_match: IfMatch | None = None
    merge: Document | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back; the status is the operation's."""

    body: bytes = b""
    content_type: str = JSON
    location: str | None = None
    etag: str | None = None

    @classmethod
    def of(cls, document: BaseModel, *, location: str | None = None, etag: str | None = None) -> Reply:
        """Answer with a model; ``location`` is the path of a new record, ``etag`` the state of the record."""
        # exclude_unset: a field of X's that is unknown is left out; our own are always set
        body = document.model_dump_json(by_alias=True, exclude_unset=True).encode()
        return cls(body, location=location, etag=etag)


OperationHandler: TypeAlias = Callable[[Call[Any, Any]], Awaitable[Reply]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path; ``body``, ``query`` and ``answer`` are models that check and describe it.

    Attributes:
        takes_if_match: Whether it changes a record that has an ETag, and so honours ``If-Match``.
        shows_etag: Whether its answer is such a record.
    """

    method: str
    path: str
    handler: OperationHandler
    summary: str
    status: int = 200
    body: type[Body] | None = None
    query: type[Query] | None = None
    answer: type[BaseModel] | None = None
    takes_if_match: bool = False
    shows_etag: bool = False

    @property
    def body_types(self) -> tuple[str, ...]:
        """The media types in which a body may come."""
        return PATCH_TYPES if self.method == "PATCH" else (JSON,)

    @property
    def needs_key(self) -> bool:
        """Whether a caller must show the admin key."""
        return is_protected(self.path)

    @property
    def tag(self) -> str:
        """The resource, by the first segment of the path below the version."""
        return self.path.removeprefix(PROTECTED).split("/")[1] if self.needs_key else "health"


def is_protected(path: str) -> bool:
    """Return whether a route, by its pattern, needs a key: everything under ``/v1`` does."""
    return path == PROTECTED or path.startswith(PROTECTED + "/")


async def hint(wakeup: Awaitable[None]) -> None:
    """Wake the workers; a lost wakeup delays work until the next sweep, so the call goes on."""
    try:
        await wakeup
    except UnavailableError as error:
        log.warning("api.wakeup_lost", reason=error.message)
