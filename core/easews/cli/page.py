"""One kind on a page: what it is, its results, its fields as a table, what is not there yet."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from importlib import metadata
from itertools import chain

from ..config.fields import Field, fields_of
from ..config.schemas import OBJECT_KINDS, entry_schema, object_schema
from ..config.wording import listed
from ..plugins import Kinds
from .report import folded, table

#: A description is not squeezed into fewer columns than this.
_NARROWEST = 40
_HEADING = ("FIELD", "TYPE", "DEFAULT", "WHAT IT IS")


def kind_page(name: str, kinds: Kinds, *, width: int | None, colour: bool) -> str:
    """What `easews kinds KIND` prints; without a `width`, a line for each field. KeyError if there
    is no such kind."""
    schema = object_schema(name) if name in OBJECT_KINDS else entry_schema(kinds[name])
    fields = list(fields_of(schema))
    rows = [_HEADING, *(_row(field) for field in fields if field.supported)]
    parts = [
        "\n".join(_wrapped(text, width) for text in (_origin(name, kinds), schema["description"])),
        _fitted(rows, width, colour),
    ]
    if missing := [field.path for field in fields if not field.supported]:
        parts.append(_wrapped(f"Not supported yet, and refused: {listed(missing)}", width))
    parts.append(f"With all examples, as JSON Schema: easews schema {name}")
    return "\n\n".join(parts)


def _origin(name: str, kinds: Kinds) -> str:
    if name in OBJECT_KINDS:
        return f"{name}, a kind of object of easews {metadata.version('easews')}"
    kind = kinds[name]
    return f"{name}, a kind of filter of {kind.distribution} {kind.version}"


def _row(field: Field) -> tuple[str, ...]:
    default = "required" if field.required else field.default or "-"
    text = field.description
    if field.examples:
        text = f"{text.rstrip('.')}. Such as {listed(field.examples)}."
    return (field.path, field.type, default, text)


def _fitted(rows: Sequence[Sequence[str]], width: int | None, colour: bool) -> str:
    """The table; where it is too wide, with each description in the lines below its field."""
    if width is None:
        return table(rows, colour=colour)
    columns = list(zip(*rows, strict=True))
    left = width - sum(max(map(len, column)) + 2 for column in columns[:-1])
    if left >= _NARROWEST:
        return table(list(_folded(rows, left)), colour=colour)
    heading, *lines = table([row[:-1] for row in rows], colour=colour).split("\n")
    texts = [textwrap.indent("\n".join(folded(row[-1], width - 4)), "    ") for row in rows[1:]]
    return "\n".join([heading, *chain(*zip(lines, texts, strict=True))])


def _folded(rows: Sequence[Sequence[str]], width: int) -> Iterator[tuple[str, ...]]:
    """The rows with their last cell in as many lines as it needs in `width`."""
    for *cells, text in rows:
        first, *more = folded(text, width) or [""]
        yield (*cells, first)
        yield from ((*[""] * len(cells), line) for line in more)


def _wrapped(text: str, width: int | None) -> str:
    return text if width is None else "\n".join(folded(text, width))
