"""Errors as ``application/problem+json`` (RFC 9457), and the middleware that turns every failure into one."""

import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import web
from pydantic import BaseModel, Field

from notifier.errors import (
    BadRequestError,
    ConflictError,
    ExpectationFailedError,
    IdempotencyInProgressError,
    InvalidInputError,
    MethodNotAllowedError,
    NotFoundError,
    NotifierError,
    PayloadTooLargeError,
    UnauthorizedError,
    UnknownKeyError,
    UnsupportedEncodingError,
    UnsupportedPatchError,
)
from notifier.http.media import CODINGS, PATCH_TYPES, PROBLEM_JSON

INTERNAL_STATUS: Final = 500
REALM: Final = 'Bearer realm="space-notifier"'
HEADERS: Final[dict[type[NotifierError], dict[str, str]]] = {
    IdempotencyInProgressError: {"Retry-After": "1"},
    UnauthorizedError: {"WWW-Authenticate": REALM},
    UnknownKeyError: {"WWW-Authenticate": f'{REALM}, error="invalid_token"'},  # RFC 6750, 3.1
    UnsupportedEncodingError: {"Accept-Encoding": ", ".join(CODINGS)},  # RFC 9110, 15.5.16
    UnsupportedPatchError: {"Accept-Patch": ", ".join(PATCH_TYPES)},  # RFC 5789, 2.2
}
"""What goes along with a problem, by its kind."""

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FieldProblem(BaseModel):
    """One refused field."""

    loc: list[str | int] = Field(description="Where: `body`, `query` or `header`, then the path inside it.")
    msg: str


class Problem(BaseModel):
    """What went wrong."""

    type: str = Field(description="A stable name of the kind of problem, `/problems/…`.")
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] | None = Field(None, description="On 422: every refused field.")
    id: str | None = Field(None, description="On 409: the conflicting record.")


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every failure with a problem document; unexpected errors are logged and not shown."""
    try:
        return await handler(request)
    except NotifierError as error:
        if error.status != INTERNAL_STATUS:
            return problem_response(error)
        failure: Exception = error
    except web.HTTPException as answer:
        return from_http(request, answer)
    except web.RequestPayloadError:
        return problem_response(BadRequestError("The body is not framed as HTTP/1.1 has it."))
    except Exception as error:
        if isinstance(error, OSError) and request.transport is None:
            log.info("api.client_gone", method=request.method, route=route_name(request))
            raise ConnectionResetError("the client hung up") from error
        failure = error
    log.error("api.failed", method=request.method, route=route_name(request), exc_info=failure)
    return problem_response(NotifierError("Something went wrong on our side; the log says what."))


def problem_response(error: NotifierError, headers: dict[str, str] | None = None) -> web.Response:
    """Write one of our errors as a problem document."""
    return _response(_problem(error), {**HEADERS.get(type(error), {}), **(headers or {})})


def problem_bytes(error: NotifierError) -> bytes:
    """Write one of our errors as the last answer of a connection, where there is no request to answer."""
    body = _body(_problem(error))
    reason = HTTPStatus(error.status).phrase
    head = (
        f"HTTP/1.1 {error.status} {reason}\r\nContent-Type: {PROBLEM_JSON}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def _problem(error: NotifierError) -> Problem:
    fields = error.errors if isinstance(error, InvalidInputError) else ()
    return Problem(
        type=f"/problems/{error.code}",
        title=error.title,
        status=error.status,
        detail=error.message,
        errors=[FieldProblem(loc=list(field.loc), msg=field.msg) for field in fields] or None,
        id=error.existing_id if isinstance(error, ConflictError) else None,
    )


def from_http(request: web.BaseRequest, answer: web.HTTPException) -> web.Response:
    """Rewrite an answer of aiohttp's own as a problem document."""
    if isinstance(answer, web.HTTPNotFound):
        return problem_response(NotFoundError("There is nothing at this path; see /openapi.json."))
    if isinstance(answer, web.HTTPMethodNotAllowed):
        allow = ", ".join(sorted(answer.allowed_methods))
        text = f"{request.method} is not allowed here; allowed: {allow}."
        return problem_response(MethodNotAllowedError(text), {"Allow": allow})
    if isinstance(answer, web.HTTPRequestEntityTooLarge):
        return problem_response(PayloadTooLargeError("A body may have up to 64 KiB."))
    if isinstance(answer, web.HTTPExpectationFailed):
        return problem_response(ExpectationFailedError("Expect: only 100-continue is supported."))
    title = answer.reason
    return _response(Problem(type="about:blank", title=title, status=answer.status, detail=title))


def _response(problem: Problem, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=problem.status, body=_body(problem), headers=headers, content_type=PROBLEM_JSON
    )


def _body(problem: Problem) -> bytes:
    # ASCII escapes: a message may quote a name with a lone surrogate, which has no UTF-8.
    return json.dumps(problem.model_dump(exclude_none=True)).encode()


def route_name(request: web.Request) -> str:
    """Return the pattern of the route that a request found."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "unknown"
