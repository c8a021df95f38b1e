"""The operations as an OpenAPI document (3.1). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .inputs import LABEL
from .operations import Operation
from .types import Schema, definitions, schema_of

_TITLE = "easews admin API"
_ABOUT = (
    "What may be asked of a running gateway. Errors are `application/problem+json` (RFC 9457);"
    " what is no HTTP, or too large, may be answered in plain text."
)
_PROBLEM: Schema = {
    "description": "Why a request was not answered as it wanted (RFC 9457).",
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"description": "What is wrong, and what would be right.", "type": "string"},
        "requestId": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail"],
}
_STATUSES = {
    400: "The query or the body is not as it should be.",
    401: "The token is missing or wrong.",
    404: "No such session is open, or there is no such worker.",
    409: "The gateway does not do that; the detail says why.",
    501: "This gateway cannot do that.",
}

#: What stands in paths.
_IN_PATHS: Mapping[str, Schema] = {
    "id": {
        "schema": {"type": "string", "minLength": 1},
        "description": "The id of the session, as in the log.",
    },
    "number": {
        "schema": {"type": "integer", "minimum": 1},
        "description": "The number of the worker, as `status` has it.",
    },
}


def document(operations: Iterable[Operation], version: str, *, has_token: bool) -> Schema:
    """The document. Without a token there is nothing about one in it."""
    paths: dict[str, dict[str, Schema]] = {}
    schemas: dict[str, Schema] = {"Problem": _PROBLEM}
    for operation in operations:
        is_open = operation.access == "open" or not has_token
        methods = paths.setdefault(operation.path, {})
        methods[operation.method.lower()] = _operation(operation, is_open)
        schemas |= definitions(operation.answer)
    schemes = {"token": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": _TITLE, "version": version, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            **({"securitySchemes": schemes} if has_token else {}),
        },
    }


def _operation(operation: Operation, is_open: bool) -> Schema:
    found: Schema = {
        "operationId": operation.name,
        "summary": operation.summary,
        "responses": _responses(operation, is_open),
    }
    if parameters := _parameters(operation):
        found["parameters"] = parameters
    if operation.body is not None:
        content = {"application/json": {"schema": operation.body}}
        found["requestBody"] = {"required": True, "content": content}
    if not is_open:
        found["security"] = [{"token": []}]
    return found


def _parameters(operation: Operation) -> list[Schema]:
    properties: Mapping[str, Any] = (operation.query or {}).get("properties", {})
    found = [_parameter(name, schema) for name, schema in properties.items()]
    found[:0] = [
        {"name": name, "in": "path", "required": True, **told}
        for name, told in _IN_PATHS.items()
        if f"{{{name}}}" in operation.path
    ]
    return found


def _parameter(name: str, schema: Schema) -> Schema:
    """Each label is a parameter of its own, such as `label.user=ann`."""
    told = schema["description"]
    bare = {key: it for key, it in schema.items() if key != "description"}
    if name == "labels":
        value = {"type": "string"}
        shape = {"type": "object", "patternProperties": {f"^{LABEL.replace('.', '[.]')}": value}}
        bare = {**shape, "additionalProperties": False}
        told = f"{told} Each is a parameter, such as `{LABEL}user=ann`."
    return {"name": name, "in": "query", "description": told, "schema": bare}


def _responses(operation: Operation, is_open: bool) -> Schema:
    refused = {"schema": {"$ref": "#/components/schemas/Problem"}}
    problem = {"application/problem+json": refused}
    if isinstance(operation.answer, str):
        content = {operation.answer: {"schema": {"type": "string"}}}
    else:
        content = {"application/json": {"schema": schema_of(operation.answer)}}
    may_be = {**operation.statuses}
    statuses = {status: _STATUSES[status] for status in _refusals(operation, is_open)}
    return {
        "200": {"description": "As asked.", "content": content},
        **{str(status): {"description": it, "content": content} for status, it in may_be.items()},
        **{str(status): {"description": it, "content": problem} for status, it in statuses.items()},
        "default": {
            "description": "The request was refused.",
            "content": {**problem, "text/plain": {"schema": {"type": "string"}}},
        },
    }


def _refusals(operation: Operation, is_open: bool) -> list[int]:
    return [
        400,
        *([] if is_open else [401]),
        *([404] if "{" in operation.path else []),
        *([409] if operation.changes or operation.query else []),
        *([501] if operation.access == "token" else []),
    ]
