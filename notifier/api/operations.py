"""Operations: entries of the table that drives both the routing and the OpenAPI document.

What a handler's annotations and its docstring say is read from there and said nowhere else.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

import structlog
from pydantic import BaseModel

from notifier.api.bodies import Body, Document, Query
from notifier.api.preconditions import IfMatch
from notifier.errors import UnavailableError
from notifier.http.access import PUBLIC, Access
from notifier.http.media import JSON, PATCH_TYPES
from notifier.http.reply import Reply
from notifier.runtime import Runtime

VERSION: Final = "/v1"

log = structlog.get_logger(__name__)

BodyT_co = TypeVar("BodyT_co", bound=Body | None, covariant=True)
QueryT_co = TypeVar("QueryT_co", bound=Query | None, covariant=True)


@dataclass(frozen=True, slots=True)
class Call(Generic[BodyT_co, QueryT_co]):
    """One checked call: ``path`` has the path's parameters, the rest is as the models read it.

    Attributes:
        resource: The path itself.
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


OperationHandler: TypeAlias = Callable[[Call[Any, Any]], Awaitable[Reply[Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path; ``body``, ``query`` and ``answer`` are models that check and describe it.

    Attributes:
        status: Of a success.
        takes_if_match: Whether it changes a record that has an ETag, and so honours ``If-Match``.
        shows_etag: Whether its answer is such a record.
    """

    method: str
    path: str
    handler: OperationHandler
    access: Access
    summary: str
    description: str
    body: type[Body] | None
    query: type[Query] | None
    answer: type[BaseModel] | None
    status: int
    takes_if_match: bool
    shows_etag: bool

    @property
    def body_types(self) -> tuple[str, ...]:
        """The media types in which a body may come."""
        return PATCH_TYPES if self.method == "PATCH" else (JSON,)

    @property
    def is_public(self) -> bool:
        """Whether it may be called without a key."""
        return self.access == PUBLIC

    @property
    def tag(self) -> str:
        """The resource, by the first segment of the path below the version."""
        return self.path.split("/")[2] if self.path.startswith(VERSION) else "health"


def operation(
    method: str,
    path: str,
    handler: Callable[[Call[BodyT_co, QueryT_co]], Awaitable[Reply[Any]]],
    access: Access,
    *,
    status: int = 200,
    takes_if_match: bool = False,
    shows_etag: bool = False,
) -> Operation:
    """Return the operation that a handler carries out.

    Its models are those of the handler's annotations, ``Call[Body, Query]`` and ``Reply[Answer]``, with None
    for what it does not have and ``Reply[bytes]`` for content that is not JSON. The first line of its
    docstring is the summary, the rest the description.

    Raises:
        TypeError: The annotations or the docstring do not say this.
    """
    body, query, answer = _models(handler)
    if answer is bytes and method == "POST":
        raise _misfit(handler, "a POST answers with a model or nothing: its answer is kept, to be repeated")
    summary, _, description = (inspect.getdoc(handler) or "").partition("\n")
    if not summary:
        raise _misfit(handler, "needs a docstring: it is what the OpenAPI document says")
    return Operation(
        method=method,
        path=path,
        handler=handler,
        access=access,
        summary=summary.rstrip("."),
        description=description.strip(),
        body=body,
        query=query,
        answer=None if answer is bytes else answer,
        status=status,
        takes_if_match=takes_if_match,
        shows_etag=shows_etag,
    )


def _models(handler: Callable[..., object]) -> tuple[Any, Any, Any]:
    """Return the models of body, query and answer, None for each that there is not."""
    hints = get_type_hints(handler)
    reply = hints.pop("return", None)
    call = next(iter(hints.values()), None)
    if len(hints) != 1 or get_origin(call) is not Call or get_origin(reply) is not Reply:
        raise _misfit(handler, "has to be annotated as (call: Call[Body, Query]) -> Reply[Answer]")
    body, query = get_args(call)
    (answer,) = get_args(reply)
    return (
        _model(handler, body, Body),
        _model(handler, query, Query),
        bytes if answer is bytes else _model(handler, answer, BaseModel),
    )


def _model(handler: Callable[..., object], named: object, base: type[BaseModel]) -> type[BaseModel] | None:
    if named is type(None):
        return None
    if isinstance(named, type) and issubclass(named, base):
        return named
    raise _misfit(handler, f"{named} is neither None nor a {base.__name__}")


def _misfit(handler: Callable[..., object], text: str) -> TypeError:
    return TypeError(f"{handler.__module__}.{handler.__qualname__}: {text}")


async def hint(wakeup: Awaitable[None]) -> None:
    """Wake the workers; the call continues if that fails, since the next sweep makes up for it."""
    try:
        await wakeup
    except UnavailableError as error:
        log.warning("api.wakeup_lost", reason=error.message)
