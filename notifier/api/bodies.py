"""Reading what a caller sends: JSON bodies and query strings, into the models that check them."""

import json
import zlib
from collections.abc import Sequence
from typing import Any, ClassVar, Final, NoReturn, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from notifier.api.validation import invalid
from notifier.errors import (
    BadRequestError,
    FieldError,
    InvalidInputError,
    PayloadTooLargeError,
    UnsupportedEncodingError,
    UnsupportedMediaTypeError,
    UnsupportedPatchError,
)
from notifier.http.limits import MAX_BODY_BYTES
from notifier.http.media import CODINGS, JSON, MERGE_PATCH

TOO_LARGE: Final = "A body may have up to 64 KiB."
UTF_8: Final = "utf-8"
CHUNKED: Final = "chunked"
WINDOWS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""How zlib is asked to unpack a coding: with the header of gzip, or of zlib itself (RFC 9110, 8.4.1)."""

Document = dict[str, Any]


class Body(BaseModel):
    """A request body: no unknown fields, no silent conversions."""

    model_config = ConfigDict(extra="forbid", strict=True)

    hints: ClassVar[dict[str, str]] = {}
    """For names that this request does not take: what to do instead."""


class Query(BaseModel):
    """A query string; a parameter without a value counts as not given, unless the model says otherwise."""

    model_config = ConfigDict(extra="forbid")

    meaningful_when_empty: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, raw: Document) -> Document:
        return {name: value for name, value in raw.items() if value or name in cls.meaningful_when_empty}


BodyT = TypeVar("BodyT", bound=Body)
QueryT = TypeVar("QueryT", bound=Query)


async def read_document(request: web.Request, types: Sequence[str] = (JSON,)) -> Document:
    """Return the body as a JSON object, empty if there is no body.

    Args:
        request: The request.
        types: The media types of JSON that may be declared.

    Raises:
        UnsupportedMediaTypeError: It is declared as another type, in another charset or another coding.
        PayloadTooLargeError: It is larger than ``MAX_BODY_BYTES``, as sent or unpacked.
        BadRequestError: It is not the JSON of an object.
        InvalidInputError: A text in it cannot be written as UTF-8.
    """
    if request.content_length is not None and request.content_length > MAX_BODY_BYTES:
        raise PayloadTooLargeError(TOO_LARGE)
    raw = _decoded(await request.read(), request)
    if not raw:
        return {}
    _check_type(request, types)
    try:
        document = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except RecursionError:
        raise BadRequestError("The body is nested too deeply.") from None
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise BadRequestError(f"The body is not JSON in UTF-8 ({_place(error)}).") from None
    if not isinstance(document, dict):
        raise BadRequestError("The body must be a JSON object.")
    _refuse_lone_surrogates(document)
    return document


def check_body(model: type[BodyT], document: Document) -> BodyT:
    """Check a body against its model.

    Raises:
        InvalidInputError: It names every refused field.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise invalid("body", error, model.hints) from None


def check_query(model: type[QueryT], request: web.Request) -> QueryT:
    """Check a query string against its model.

    Raises:
        InvalidInputError: It names every refused parameter.
    """
    twice = [name for name in request.query if len(request.query.getall(name)) > 1]
    if twice:
        msg = "is given more than once"
        raise InvalidInputError(f"{twice[0]}: {msg}", FieldError(("query", twice[0]), msg))
    try:
        return model.model_validate(dict(request.query))
    except ValidationError as error:
        raise invalid("query", error) from None


def _check_type(request: web.Request, types: Sequence[str]) -> None:
    error = UnsupportedPatchError if MERGE_PATCH in types else UnsupportedMediaTypeError
    if request.content_type not in types:
        raise error(f"Send the body as 'Content-Type: {' or '.join(types)}'.")
    if (request.charset or UTF_8).lower() != UTF_8:
        raise error("Content-Type: JSON is read in UTF-8; leave charset out.")


def _decoded(raw: bytes, request: web.Request) -> bytes:
    """Undo the content coding of a body (RFC 9110, 8.4), without unpacking more than a body may have.

    aiohttp is not left to do it: what it cannot unpack it refuses before the API sees a request.
    """
    if request.headers.get("Transfer-Encoding", CHUNKED).strip().lower() != CHUNKED:
        raise BadRequestError("Transfer-Encoding: only chunked is supported.")
    coding = ", ".join(request.headers.getall("Content-Encoding", [])).strip().lower()
    if coding in ("", "identity"):
        return raw
    if coding not in WINDOWS:
        raise UnsupportedEncodingError(f"Content-Encoding: {', '.join(CODINGS)} or none can be read.")
    unpacking = zlib.decompressobj(WINDOWS[coding])
    try:
        text = unpacking.decompress(raw, MAX_BODY_BYTES + 1)
    except zlib.error:
        raise BadRequestError(f"Content-Encoding: the body is not {coding}.") from None
    if len(text) > MAX_BODY_BYTES:
        raise PayloadTooLargeError(TOO_LARGE)
    if raw and not unpacking.eof:
        raise BadRequestError(f"Content-Encoding: the body is not all of a {coding} stream.")
    return text


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _place(error: ValueError) -> str:
    """Return where the reading stopped, without quoting the body."""
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno} column {error.colno}"
    return "bytes that are not UTF-8" if isinstance(error, UnicodeDecodeError) else "a number out of range"


def _refuse_lone_surrogates(document: Document) -> None:
    """Refuse half characters: legal in JSON, but nothing that we could store, sign or send."""
    for name, value in document.items():
        try:
            json.dumps([name, value], ensure_ascii=False).encode()
        except UnicodeEncodeError:
            msg = "contains half a character (a lone surrogate); send whole characters"
            raise InvalidInputError(f"{name!a}: {msg}", FieldError(("body", name), msg)) from None
        except RecursionError:
            raise BadRequestError("The body is nested too deeply.") from None
