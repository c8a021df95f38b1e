"""JSON Schemas (draft 2020-12), and what is done with one. Pure.

loading   the engine's own schemas, the shared `$defs`, and how references are looked up
formats   the formats of strings: durations, sizes, URLs …
units     strings with units as seconds and bytes
json/     the engine's schemas
"""

from .loading import (
    COMMON,
    Schema,
    check_schema,
    complete,
    description_of,
    errors,
    is_write_only,
    known_keys,
    load,
    resolver_of,
)

__all__ = [
    "COMMON",
    "Schema",
    "check_schema",
    "complete",
    "description_of",
    "errors",
    "is_write_only",
    "known_keys",
    "load",
    "resolver_of",
]
