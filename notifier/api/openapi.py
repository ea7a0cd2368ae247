"""The OpenAPI 3.1 document, made of the operations and of the models that check them."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from notifier import __version__
from notifier.api.bodies import Query
from notifier.api.idempotency import HEADER, MAX_KEY_CHARS, REPLAYED
from notifier.api.operations import Operation
from notifier.api.preconditions import IF_MATCH
from notifier.core.events.catalogue import PAYLOAD_MODELS
from notifier.http.access import AccessKind
from notifier.http.media import JSON, MERGE_PATCH, PROBLEM_JSON
from notifier.http.problems import Problem

TEXT: Final = {"type": "string"}
IF_MATCH_USE: Final = (
    "Change the record only in a state with one of these ETags; in another the answer is 409."
)
ETAG_USE: Final = (
    "The state of the record, for `If-Match`; the same for as long as nobody changes the record."
)
MERGE_PATCH_USE: Final = (
    "RFC 7396 over the same fields: null resets a field to its default, objects are merged member by member."
)
CONFLICT_USE: Final = (
    "The request contradicts what is stored. `type` says how: `conflict`, `version-conflict`, "
    "`idempotency-key-reused`, `idempotency-in-progress`."
)

REF: Final = "#/components/schemas/{model}"
PATH_PARAMETER: Final = re.compile(r"\{(\w+)\}")

Schema = dict[str, Any]
Schemas = dict[tuple[type[BaseModel], JsonSchemaMode], Schema]


@cache
def openapi_document(operations: tuple[Operation, ...]) -> bytes:
    """Return the document as JSON; it takes a tenth of a second, and is made once."""
    schemas, definitions = _schemas(operations)
    queries: dict[type[BaseModel], Schema] = {
        model: definitions.pop(schema["$ref"].rpartition("/")[2])
        for (model, _), schema in schemas.items()
        if issubclass(model, Query)
    }
    paths: dict[str, dict[str, Schema]] = {}
    for operation in operations:
        described = _operation(operation, schemas, queries)
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "space-notifier",
            "version": __version__,
            "description": "Watches X Spaces and sends every change to webhooks.",
        },
        "paths": paths,
        "webhooks": {name: _webhook(model, schemas) for name, model in PAYLOAD_MODELS.items()},
        "components": {
            "schemas": definitions,
            "securitySchemes": {AccessKind.KEY.value: {"type": "http", "scheme": "bearer"}},
        },
    }
    return json.dumps(document, ensure_ascii=False).encode()


def _schemas(operations: Iterable[Operation]) -> tuple[Schemas, Schema]:
    """Return a reference for each model and the definitions that the references lead to."""
    received: list[type[BaseModel]] = list(PAYLOAD_MODELS.values())
    sent: list[type[BaseModel]] = [Problem]
    for operation in operations:
        received += [model for model in (operation.body, operation.query) if model is not None]
        sent += [operation.answer] if operation.answer is not None else []
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {
        **{(model, "validation"): None for model in received},
        **{(model, "serialization"): None for model in sent},
    }
    references, schema = models_json_schema(list(wanted), ref_template=REF)
    return {key: references[key] for key in wanted}, schema["$defs"]


def _operation(operation: Operation, schemas: Schemas, queries: dict[type[BaseModel], Schema]) -> Schema:
    described: Schema = {
        "operationId": operation.handler.__name__,
        "summary": operation.summary,
        **({"description": operation.description} if operation.description else {}),
        "tags": [operation.tag],
        "parameters": _parameters(operation, queries),
        "responses": _responses(operation, schemas),
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": _is_needed(operation.body),
            "content": _bodies(operation, schemas),
        }
    if not operation.is_public:
        described["security"] = [{operation.access.kind.value: []}]
    return described


def _parameters(operation: Operation, queries: dict[type[BaseModel], Schema]) -> list[Schema]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in PATH_PARAMETER.findall(operation.path)
    ]
    if operation.query is not None:
        properties = queries[operation.query]["properties"]
        parameters += [{"name": name, "in": "query", "schema": schema} for name, schema in properties.items()]
    if operation.method == "POST":
        key = {"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARS}
        parameters.append({"name": HEADER, "in": "header", "schema": key})
    if operation.takes_if_match:
        parameters.append({"name": IF_MATCH, "in": "header", "schema": TEXT, "description": IF_MATCH_USE})
    return parameters


def _is_needed(model: type[BaseModel]) -> bool:
    """Return whether a request without a body is refused, which counts as an empty one."""
    try:
        model.model_validate({})
    except ValidationError:
        return True
    return False


def _bodies(operation: Operation, schemas: Schemas) -> Schema:
    """Describe a body in each media type that is taken; a merge patch is checked over the record."""
    bodies = _content(JSON, schemas[operation.body, "validation"]) if operation.body else {}
    if MERGE_PATCH in operation.body_types:
        bodies |= _content(MERGE_PATCH, {"type": "object", "description": MERGE_PATCH_USE})
    return bodies


def _responses(operation: Operation, schemas: Schemas) -> Schema:
    success: Schema = {"description": operation.summary}
    if operation.answer is not None:
        success["content"] = _content(JSON, schemas[operation.answer, "serialization"])
    if headers := _headers(operation):
        success["headers"] = headers
    problem = _content(PROBLEM_JSON, schemas[Problem, "serialization"])
    return {
        str(operation.status): success,
        **{str(status): {**refusal, "content": problem} for status, refusal in _refusals(operation).items()},
        "default": {"description": "What went wrong", "content": problem},
    }


def _headers(operation: Operation) -> Schema:
    """Describe the headers of a success."""
    headers: Schema = {}
    if operation.shows_etag:
        headers["ETag"] = {"schema": TEXT, "description": ETAG_USE}
    if operation.method == "POST":
        headers[REPLAYED] = {
            "schema": {"const": "true"},
            "description": "The stored answer to the first request with this idempotency key.",
        }
    return headers


def _refusals(operation: Operation) -> dict[int, Schema]:
    """Describe the refusals that a caller can do something about, by status."""
    refusals: dict[int, Schema] = {}
    if operation.query is not None or operation.body is not None:
        refusals[400] = {"description": "The body is not a JSON object, or the cursor is invalid."}
        refusals[422] = {"description": "A field, a parameter or a header is not acceptable."}
    if not operation.is_public:
        refusals[401] = {"description": "The API key is missing or wrong."}
    if operation.body is not None:
        refusals[408] = {"description": "The body did not arrive in time."}
        refusals[413] = {"description": "The body has more than 64 KiB."}
        refusals[415] = {"description": "The body is of another type, charset or content coding."}
    if operation.method == "POST" or operation.takes_if_match:
        refusals[409] = {"description": CONFLICT_USE}
    if operation.method == "POST":
        refusals[409]["headers"] = {
            "Retry-After": {"schema": {"type": "integer"}, "description": "With `idempotency-in-progress`."}
        }
    if "{" in operation.path:
        refusals[404] = {"description": "There is no such record."}
    return dict(sorted(refusals.items()))


def _webhook(model: type[BaseModel], schemas: Schemas) -> Schema:
    return {
        "post": {
            "description": inspect.getdoc(model),
            "requestBody": {"required": True, "content": _content(JSON, schemas[model, "validation"])},
            "responses": {"2XX": {"description": "Accepted; the event is not sent again"}},
        }
    }


def _content(media_type: str, schema: Schema) -> Schema:
    return {media_type: {"schema": schema}}
