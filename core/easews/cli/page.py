"""One kind on a page: what it is, its results, its fields as a table, what is not there yet."""

from __future__ import annotations

from importlib import metadata

from ..config.fields import Field, fields_of
from ..config.phrases import listed
from ..config.schemas import OBJECT_KINDS, kind_schema
from ..plugins import Kinds
from .report import fitted_table, folded

_HEADING = ("FIELD", "TYPE", "DEFAULT", "DESCRIPTION")


def kind_page(name: str, kinds: Kinds, *, width: int | None, colour: bool) -> str:
    """What `easews kinds KIND` prints; without a `width`, a line for each field. KeyError if there
    is no such kind."""
    schema = kind_schema(name, kinds)
    fields = list(fields_of(schema))
    rows = [_HEADING, *(_row(field) for field in fields if field.supported)]
    parts = [
        "\n".join(_wrapped(text, width) for text in (_origin(name, kinds), schema["description"])),
        fitted_table(rows, width, colour),
    ]
    if missing := [field.path for field in fields if not field.supported]:
        parts.append(_wrapped(f"Not supported yet, and refused: {listed(missing)}", width))
    parts.append(f"With all examples, as JSON Schema: easews schema {name}")
    return "\n\n".join(parts)


def _origin(name: str, kinds: Kinds) -> str:
    if name in OBJECT_KINDS:
        return f"{name}, a kind of object of easews {metadata.version('easews')}"
    kind = kinds[name]
    return f"{name}, a kind of filter of {kind.distribution} {kind.version}{kind.build_note}"


def _row(field: Field) -> tuple[str, ...]:
    default = "required" if field.required else field.default or "-"
    text = field.description
    if field.examples:
        text = f"{text.rstrip('.')}. For example {listed(field.examples)}."
    return (field.path, field.type, default, text)


def _wrapped(text: str, width: int | None) -> str:
    return text if width is None else "\n".join(folded(text, width))
