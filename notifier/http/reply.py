"""What a handler answers, and how it is written: a model, content of any other type, nothing, or a stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, TypeVar

from aiohttp import ETag, web
from pydantic import BaseModel

from notifier.http.media import JSON
from notifier.http.streaming import stream

NOT_MODIFIED: Final = 304
ANY_TAG: Final = "*"

AnswerT_co = TypeVar("AnswerT_co", bound="BaseModel | bytes | None", covariant=True)
ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply(Generic[AnswerT_co]):
    """What goes back; made by one of the forms below, so that its type says what it holds.

    Attributes:
        status: None for the one that the route has for its successes.
        location: The path of a new record.
        etag: The state of a record, or of the content, in its quotes.
        headers: Further ones. A stored answer to a POST is repeated without them.
        chunks: The parts of a stream, in the place of ``body``.
    """

    body: bytes = b""
    content_type: str = JSON
    status: int | None = None
    location: str | None = None
    etag: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    chunks: AsyncGenerator[bytes, None] | None = None

    @staticmethod
    def of(document: ModelT, *, location: str | None = None, etag: str | None = None) -> Reply[ModelT]:
        """Answer with a model as JSON."""
        # exclude_unset: a field of X's that is unknown is left out; our own are always set
        body = document.model_dump_json(by_alias=True, exclude_unset=True).encode()
        return Reply(body=body, location=location, etag=etag)

    @staticmethod
    def nothing() -> Reply[None]:
        """Answer with the status alone."""
        return Reply()

    @staticmethod
    def content(
        body: bytes, content_type: str, *, etag: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply[bytes]:
        """Answer with bytes of some media type; ``etag`` identifies exactly these bytes."""
        return Reply(body=body, content_type=content_type, etag=etag, headers=headers or {})

    @staticmethod
    def stream(
        chunks: AsyncGenerator[bytes, None], content_type: str, *, headers: Mapping[str, str] | None = None
    ) -> Reply[bytes]:
        """Answer with a stream of bytes until the generator ends or the connection closes."""
        return Reply(chunks=chunks, content_type=content_type, headers=headers or {})

    def unless_held(self, tags: Iterable[ETag] | None) -> Reply[AnswerT_co]:
        """Return the reply, or 304 where the caller holds the same content already (RFC 9110, 13.1.2).

        Args:
            tags: The request's ``If-None-Match``; weak tags match as well.
        """
        if not any(tag.value == ANY_TAG or f'"{tag.value}"' == self.etag for tag in tags or ()):
            return self
        return replace(self, body=b"", status=NOT_MODIFIED)


async def respond(request: web.Request, reply: Reply[Any], *, status: int = 200) -> web.StreamResponse:
    """Write a reply; ``status`` is the one of a success here."""
    headers = {"Cache-Control": "no-store", **reply.headers}
    if reply.body or reply.chunks is not None:
        headers["Content-Type"] = reply.content_type
    if reply.location:
        headers["Location"] = reply.location
    if reply.etag:
        headers["ETag"] = reply.etag
    status = reply.status or status
    if reply.chunks is not None:
        return await stream(request, web.StreamResponse(status=status, headers=headers), reply.chunks)
    return web.Response(status=status, body=reply.body, headers=headers)
