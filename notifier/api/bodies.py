"""Reading what a caller sends: JSON bodies and query strings, into the models that check them."""

import json
from typing import Any, ClassVar, Final, NoReturn, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from notifier.api.errors import invalid
from notifier.errors import BadRequestError, FieldError, InvalidInputError, UnsupportedMediaTypeError

MAX_BODY_BYTES: Final = 64 * 1024
JSON: Final = "application/json"

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


async def read_document(request: web.Request) -> Document:
    """Read the body as a JSON object; a request without a body gives an empty one.

    Raises:
        UnsupportedMediaTypeError: The body is not declared as JSON.
        BadRequestError: It is not the JSON of an object.
        InvalidInputError: A text in it cannot be written as UTF-8.
    """
    raw = await request.read()
    if not raw:
        return {}
    if request.content_type != JSON:
        raise UnsupportedMediaTypeError("Send the body as 'Content-Type: application/json'.")
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


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _place(error: ValueError) -> str:
    """Say where the reading stopped, without quoting the body."""
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno} column {error.colno}"
    return "bytes that are not UTF-8" if isinstance(error, UnicodeDecodeError) else "a number out of range"


def _refuse_lone_surrogates(document: Document) -> None:
    """Refuse half characters: legal in JSON, but nothing that we could store, sign or send."""
    for name, value in document.items():
        try:
            json.dumps([name, value], ensure_ascii=False).encode()
        except UnicodeEncodeError:
            msg = "holds half a character (a lone surrogate); send whole ones"
            raise InvalidInputError(f"{name!a}: {msg}", FieldError(("body", name), msg)) from None
        except RecursionError:
            raise BadRequestError("The body is nested too deeply.") from None
