"""The fields of queries and bodies: schemas, which both check and document them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..messages import CLOSE_CODES, MAX_REASON
from ..operate.queries import EXACT, LIMIT, MOST

Schema = Mapping[str, Any]


def fields_of(properties: Mapping[str, Schema], **more: Any) -> Schema:
    """A schema of these fields and no others."""
    return {"type": "object", "properties": properties, "additionalProperties": False, **more}


_TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": 1000}
_MEANINGS = {
    "client": "The client's address.",
    "server": "The name of the HTTPServer.",
    "route": "The path of the config that was matched.",
    "pipeline": "The name of the pipeline.",
    "backend": "The URL of the server that the session is with.",
    "path": "The path that the client has asked for.",
}
CONDITIONS: dict[str, Schema] = {
    **{name: {**_TEXT, "description": _MEANINGS[name]} for name in EXACT},
    "labels": {
        "description": "Labels that the session has, all of them.",
        "type": "object",
        "additionalProperties": {"type": "string", "maxLength": 1000},
        "minProperties": 1,
        "maxProperties": 20,
    },
    "search": {**_TEXT, "description": "A text in any of these fields, in upper or lower case."},
}
PAGE: dict[str, Schema] = {
    "limit": {
        "description": "How many sessions the page has at most.",
        "type": "integer",
        "minimum": 1,
        "maximum": MOST,
        "default": LIMIT,
    },
    "after": {
        "description": "The `next` of the page before.",
        "type": "string",
        "pattern": r"^[0-9]{1,12}(\.[0-9]{1,9})?~.{1,200}$",
    },
}
IDS: Schema = {
    "description": "Ids of sessions, any of them.",
    "type": "array",
    "items": _TEXT,
    "minItems": 1,
    "maxItems": MOST,
}
CLOSE: dict[str, Schema] = {
    "code": {
        "description": "The code of the Close that both sides get: 1000 to 1003, 1007 to 1014,"
        " or 3000 to 4999 (RFC 6455 §7.4).",
        "type": "integer",
        "default": 1001,
        "anyOf": [{"minimum": it.start, "maximum": it.stop - 1} for it in CLOSE_CODES],
    },
    "reason": {
        "description": f"The reason in it, {MAX_REASON} bytes of UTF-8 at most.",
        "type": "string",
        "maxLength": MAX_REASON,
        "default": "closed by an operator",
    },
}
NOTHING = fields_of({})
URL = fields_of({"url": {**_TEXT, "description": "The URL, as the pool has it."}}, required=["url"])
