"""What a filter class says of itself: its schema and its summary."""

from __future__ import annotations

import json
import sys
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from .filter import Filter, overrides

#: What `onError` of an entry may say.
ON_ERROR = ("close", "pass", "drop")
_ON_ERROR_FIELD = {
    "enum": list(ON_ERROR),
    "default": "close",
    "description": "What happens to a message when this filter raises: the session is closed with"
    " 1011, or the message goes on as it came, or it is dropped.",
    "examples": ["pass"],
}


def schema_of(filter_class: type[Filter]) -> dict[str, Any]:
    """The filter's JSON Schema as a dict, read from its package when it names a file.

    That of a filter that reads messages has `onError`, too. OSError, ValueError or
    ModuleNotFoundError when that file is missing or is no JSON.
    """
    schema = _own_schema(filter_class)
    if overrides(filter_class, "on_message"):
        schema["properties"] = {**schema.get("properties", {}), "onError": _ON_ERROR_FIELD}
    return schema


def _own_schema(filter_class: type[Filter]) -> dict[str, Any]:
    schema = filter_class.schema
    if isinstance(schema, str):
        text = (_package_of(filter_class) / "schemas" / schema).read_text("utf-8")
        loaded = json.loads(text)
        if not isinstance(loaded, dict):
            raise ValueError(f"{schema} holds no JSON object")
        return loaded
    return dict(schema)


def _package_of(filter_class: type[Filter]) -> Traversable:
    """The folder of its package; of a file that was run by itself, the folder it is in."""
    name = filter_class.__module__.partition(".")[0]
    module = sys.modules.get(name)
    if module is not None and module.__spec__ is None and module.__file__ is not None:
        return Path(module.__file__).parent
    return resources.files(name)


def summary_of(filter_class: type[Filter]) -> str:
    """The first line of the filter's docstring."""
    return (filter_class.__doc__ or "").strip().partition("\n")[0]
