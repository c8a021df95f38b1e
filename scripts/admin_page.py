"""The page on the admin API, from its OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from easews.admin.openapi import document
from easews.admin.operations import OPERATIONS

BEGINNING = """\
# Admin API

What the admin interface of a [Gateway](kinds/Gateway.md) answers.
[Administer a running gateway](../how-to/administer.md) shows how to use it. The same is at
`/api/v1/openapi.json`, for programs.

Requests send the token as `Authorization: Bearer TOKEN`, if the config has one. What changes
something is a POST with a body in JSON, at least `{}`, and `Content-Type: application/json`.
Unknown fields and parameters are refused, and bodies of more than 64 KiB. Errors are
`application/problem+json` (RFC 9457), whose `detail` says what is wrong.

| status | meaning |
|---|---|
| 400 | the query or the body is not as it should be |
| 401 | the token is missing or wrong |
| 403 | a page of another site has sent the request |
| 404 | there is no such path, or no such session is open |
| 405, 413, 415 | use another method, a smaller body, JSON |
| 409 | the gateway does not do that, and says why |
| 421 | the `Host` is not known here: see `hosts` |
| 501 | this gateway cannot do that |
"""


def admin_page() -> str:
    """The page."""
    told = document(OPERATIONS, "", has_token=True)
    operations = [
        (f"{method.upper()} {path}", operation)
        for path, methods in told["paths"].items()
        for method, operation in methods.items()
    ]
    parts = [BEGINNING, "## Operations\n"]
    parts += [part for name, operation in operations for part in _operation(name, operation)]
    parts.append("## Values\n")
    for name, schema in sorted(told["components"]["schemas"].items()):
        if name != "Problem":
            parts += [f"### {name}\n\n{schema['description']}\n", _table(schema)]
    return "\n".join(parts)


def _operation(name: str, operation: Mapping[str, Any]) -> Iterator[str]:
    answer = operation["responses"]["200"]["content"]
    ((media_type, content),) = answer.items()
    what = _type(content["schema"]) if media_type == "application/json" else f"`{media_type}`"
    open_to_all = "" if "security" in operation else " It needs no token."
    yield f"### {name}\n\n{operation['summary']}{open_to_all} The answer: {what}.\n"
    if parameters := operation.get("parameters"):
        rows = {it["name"]: it["schema"] | {"description": it["description"]} for it in parameters}
        yield _table({"properties": rows})
    if body := operation.get("requestBody"):
        schema = body["content"]["application/json"]["schema"]
        if schema["properties"]:
            yield f"The body:\n\n{_table(schema)}"


def _table(schema: Mapping[str, Any]) -> str:
    rows = [
        f"| `{name}` | {_type(field)} | {_meaning(field)} |"
        for name, field in schema["properties"].items()
    ]
    return "\n".join(["| name | type | meaning |", "|---|---|---|", *rows, ""])


def _meaning(field: Mapping[str, Any]) -> str:
    told = re.sub(r"\|", r"\\|", field.get("description", ""))
    told = told and told[0].upper() + told[1:]
    if "default" in field:
        told = f"{told.removesuffix('.')}. Default: `{field['default']}`."
    return told


def _type(schema: Mapping[str, Any]) -> str:
    """What a schema takes, in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "type" not in schema and "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    return str(schema.get("type", "any value"))
