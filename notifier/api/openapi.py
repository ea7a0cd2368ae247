"""The OpenAPI 3.1 document, made of the operations and of the models that check them."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from notifier import __version__
from notifier.api.bodies import Query
from notifier.api.errors import Problem
from notifier.api.idempotency import HEADER, MAX_KEY_CHARS
from notifier.api.media import JSON, PROBLEM_JSON
from notifier.api.operations import Operation
from notifier.core.catalogue import PAYLOAD_MODELS

REF: Final = "#/components/schemas/{model}"
PATH_PARAMETER: Final = re.compile(r"\{(\w+)\}")

Schema = dict[str, Any]
Schemas = dict[tuple[type[BaseModel], JsonSchemaMode], Schema]


def openapi_document(operations: Sequence[Operation]) -> bytes:
    """Write the document as JSON."""
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
            "description": "Watches X Spaces and brings every change to webhooks.",
        },
        "paths": paths,
        "webhooks": {name: _webhook(model, schemas) for name, model in PAYLOAD_MODELS.items()},
        "components": {
            "schemas": definitions,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }
    return json.dumps(document, ensure_ascii=False).encode()


def _schemas(operations: Iterable[Operation]) -> tuple[Schemas, Schema]:
    """Give a reference for each model and the definitions that the references lead to."""
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
        "tags": [operation.tag],
        "parameters": _parameters(operation, queries),
        "responses": _responses(operation, schemas),
    }
    if operation.body is not None:
        required = any(field.is_required() for field in operation.body.model_fields.values())
        content = _content(JSON, schemas[operation.body, "validation"])
        described["requestBody"] = {"required": required, "content": content}
    if operation.needs_key:
        described["security"] = [{"key": []}]
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
    return parameters


def _responses(operation: Operation, schemas: Schemas) -> Schema:
    success: Schema = {"description": operation.summary}
    if operation.answer is not None:
        success["content"] = _content(JSON, schemas[operation.answer, "serialization"])
    problem = _content(PROBLEM_JSON, schemas[Problem, "serialization"])
    return {
        str(operation.status): success,
        "default": {"description": "What went wrong", "content": problem},
    }


def _webhook(model: type[BaseModel], schemas: Schemas) -> Schema:
    return {
        "post": {
            "description": inspect.getdoc(model),
            "requestBody": {"required": True, "content": _content(JSON, schemas[model, "validation"])},
            "responses": {"2XX": {"description": "Taken; the event is not sent again"}},
        }
    }


def _content(media_type: str, schema: Schema) -> Schema:
    return {media_type: {"schema": schema}}
