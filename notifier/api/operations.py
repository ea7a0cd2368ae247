"""Operations: entries of the table that drives both the routing and the OpenAPI document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar

import structlog
from aiohttp import web
from pydantic import BaseModel

from notifier.api.bodies import JSON, Body, Query
from notifier.errors import UnavailableError
from notifier.runtime import Runtime

RUNTIME: Final[web.AppKey[Runtime]] = web.AppKey("RUNTIME", Runtime)
PROTECTED: Final = "/v1"

log = structlog.get_logger(__name__)

BodyT_co = TypeVar("BodyT_co", covariant=True)
QueryT_co = TypeVar("QueryT_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Call(Generic[BodyT_co, QueryT_co]):
    """One checked call: ``path`` has the path's parameters, the rest is as the models read it."""

    runtime: Runtime
    path: dict[str, str]
    body: BodyT_co
    query: QueryT_co


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back; the status is the operation's."""

    body: bytes = b""
    content_type: str = JSON
    location: str | None = None

    @classmethod
    def of(cls, document: BaseModel, *, location: str | None = None) -> Reply:
        """Answer with a model; ``location`` is the path of a new record."""
        # exclude_unset: a field of X's that is unknown is left out; our own are always set
        return cls(document.model_dump_json(by_alias=True, exclude_unset=True).encode(), location=location)


OperationHandler: TypeAlias = Callable[[Call[Any, Any]], Awaitable[Reply]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path; ``body``, ``query`` and ``answer`` are models that check and describe it."""

    method: str
    path: str
    handler: OperationHandler
    summary: str
    status: int = 200
    body: type[Body] | None = None
    query: type[Query] | None = None
    answer: type[BaseModel] | None = None

    @property
    def needs_key(self) -> bool:
        """Whether a caller must show the admin key."""
        return is_protected(self.path)

    @property
    def tag(self) -> str:
        """The resource, by the first segment of the path below the version."""
        return self.path.removeprefix(PROTECTED).split("/")[1] if self.needs_key else "health"


def is_protected(path: str) -> bool:
    """Tell whether a route, by its pattern, needs a key: everything under ``/v1`` does."""
    return path == PROTECTED or path.startswith(PROTECTED + "/")


async def hint(nudge: Awaitable[None]) -> None:
    """Nudge the workers; a nudge that is lost delays work until the next sweep, so the call goes on."""
    try:
        await nudge
    except UnavailableError as error:
        log.warning("api.nudge_lost", reason=error.message)
