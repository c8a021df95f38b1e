"""MaskJsonField for easews: hides fields in the JSON that a backend sends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from easews import Filter, Message, Reads, Result, Session, hookimpl

SCHEMA = {
    "type": "object",
    "properties": {
        "fields": {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "description": "Names of members that are hidden in every object, at any depth.",
            "examples": [["password", "token"]],
        },
        "mask": {
            "type": "string",
            "description": "What stands in place of a hidden value.",
            "default": "***",
            "examples": ["[hidden]"],
        },
        "otherText": {
            "enum": ["drop", "pass"],
            "description": "What happens to text that is no JSON, in which nothing can be hidden.",
            "default": "drop",
        },
    },
    "required": ["fields"],
    "additionalProperties": False,
    "examples": [{"fields": ["password", "token"]}],
}


class MaskJsonField(Filter):
    """Hides fields in the JSON that a backend sends."""

    kind = "MaskJsonField"
    api = 1
    schema = SCHEMA
    reads = Reads(senders=("backend",), binary=False)

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        super().__init__(name, spec)
        self._hidden = frozenset(spec["fields"])

    def on_message(self, session: Session, message: Message) -> Result:
        found = False

        # json calls it for every object, also for one that is lost because its name comes twice.
        def mask(members: dict[str, Any]) -> dict[str, Any]:
            nonlocal found
            for name in self._hidden & members.keys():
                members[name], found = self.spec["mask"], True
            return members

        try:
            value = json.loads(message.data, object_hook=mask)
            # `message` itself goes on as the bytes that came, and costs nothing.
            return json.dumps(value, allow_nan=False) if found else message
        except (ValueError, RecursionError):
            return message if self.spec["otherText"] == "pass" else None


@hookimpl
def easews_filters() -> list[type[Filter]]:
    return [MaskJsonField]
