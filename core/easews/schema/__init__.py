"""JSON Schemas (draft 2020-12), and what is done with one. Pure.

loading     the engine's own schemas; schemas with their references resolved
formats     the formats of strings: regular expressions, URLs, paths ...
fitting     whether a value fits, quickly
metaschema  the schema of schemas
checking    whether a schema is good; every fault of a value
parts       which schemas hold for a value, or may hold at a path
units       strings with units as seconds and bytes
completion  defaults filled in, units converted
json/       the engine's schemas
"""

from .checking import check_schema, errors
from .completion import ReadFile, complete
from .loading import COMMON, Bound, Schema, all_within, bound, load
from .parts import description_of, is_write_only, known_keys

__all__ = [
    "COMMON",
    "Bound",
    "ReadFile",
    "Schema",
    "all_within",
    "bound",
    "check_schema",
    "complete",
    "description_of",
    "errors",
    "is_write_only",
    "known_keys",
    "load",
]
