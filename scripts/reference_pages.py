"""Writes the reference pages that are made from the sources: `python scripts/reference_pages.py`.

    docs/reference/kinds/*.md   a page for every kind, from its schema
    docs/reference/api.md       what filters import, from its docstrings
    docs/reference/errors.md    what `validate` reports for broken configs, from tests/core/golden
    docs/reference/metrics.md   every metric, from the catalogue
    docs/reference/admin-api.md what the admin interface answers, from its operations

They are kept with the sources, for reading where no site is; a test fails when they are stale.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import yaml

from admin_page import admin_page
from api_page import api_page
from easews.config.fields import Field, fields_of
from easews.config.phrases import written
from easews.config.schemas import OBJECT_KINDS, kind_schema
from easews.plugins import Kind
from easews.schema import Schema, load
from editor_schemas import published
from metrics_page import metrics_page

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "reference"
GOLDEN = ROOT / "tests" / "core" / "golden"
CONFIGS = sorted((ROOT / "examples").glob("*.yaml"))
NOT_YET = "Not supported yet: "

ERRORS = """\
# Errors of validate

`easews validate` reports all faults of a config at once: the place, what is wrong, and what would
be accepted. On a terminal it underlines the place, as here. In a pipe each fault is one line,
`FILE:LINE:COLUMN: PATH: what is wrong; what would be accepted`, and with `--format json` an object.
The exit status is 1. `easews run` reports the same before it starts anything.

Values from environment variables are never shown, nor values of secret fields.
"""
#: The headings of the page on errors, and how the names of the configs below them begin.
GROUPS = (
    ("YAML", ("yaml-", "document-")),
    ("Environment variables", ("variable-", "secret-")),
    (
        "References between objects, filters and steps",
        ("backend-", "flow-", "two-", "name-", "filter-name"),
    ),
    ("TLS", ("tls-",)),
    ("Fields and values", ("",)),
)


def pages() -> Iterator[tuple[str, str]]:
    """Each page: its name in the folder, and its text."""
    kinds = published()
    origins = dict.fromkeys(OBJECT_KINDS, "A kind of object; it is part of the engine.")
    origins |= {kind.name: _origin(kind) for kind in kinds.values()}
    for name, origin in origins.items():
        yield f"kinds/{name}.md", kind_page(name, kind_schema(name, kinds), origin)
    yield "api.md", api_page()
    yield "errors.md", errors_page()
    yield "metrics.md", metrics_page()
    yield "admin-api.md", admin_page()


def _origin(kind: Kind) -> str:
    results = ", ".join(f"`{result}`" for result in kind.results) or "none"
    return f"A kind of filter, from the package `{kind.distribution}`. Results: {results}."


def kind_page(name: str, schema: Schema, origin: str) -> str:
    """What it is, examples, and a table of fields for each mapping in it."""
    parts = [f"# {name}", schema["description"].partition(" Results: ")[0], origin]
    for example in schema.get("examples", ())[:1]:
        shown = yaml.dump(example, Dumper=_Dumper, sort_keys=False)
        parts.append(f"<!-- fields of: {name} -->\n```yaml\n{shown}```")
    parts += _in_a_pipeline(name)
    fields = list(fields_of(schema))
    descriptions = {field.path: field.description for field in fields}
    for parent in dict.fromkeys(map(_parent, fields)):
        parts.append(f"## `{parent}`" if parent else "## Fields")
        if parent:
            parts.append(descriptions[parent.removesuffix("[]").removesuffix(".*")])
        parts += _tables([field for field in fields if _parent(field) == parent])
    parts += ["## How values are written", "\n".join(_notations(fields))]
    return "\n\n".join(parts) + "\n"


class _Dumper(yaml.SafeDumper):
    """A text with quotes of its own is put between the others, and not doubled."""

    def choose_scalar_style(self) -> str:
        style = str(super().choose_scalar_style())
        assert isinstance(self.event, yaml.ScalarEvent)
        return '"' if style == "'" and "'" in self.event.value else style


def _in_a_pipeline(kind: str) -> Iterator[str]:
    """The shortest pipeline among the examples that has a filter of this kind."""
    found = [
        (len(document), document, config.name)
        for config in CONFIGS
        for document in config.read_text("utf-8").split("---\n")
        if "kind: Pipeline" in document and f"- kind: {kind}\n" in _code(document)
    ]
    if found:
        _, document, name = min(found)
        yield "## In a pipeline"
        yield f"From `examples/{name}`:"
        yield f"```yaml\n{document.strip()}\n```"


def _code(document: str) -> str:
    """The document without its comments."""
    return re.sub(r" *#.*", "", document)


def _parent(field: Field) -> str:
    return field.path.rpartition(".")[0]


def _tables(fields: Iterable[Field]) -> Iterator[str]:
    rows = ["| field | type | default | meaning |", "|---|---|---|---|"]
    missing: list[str] = []
    for field in fields:
        key = field.path.rpartition(".")[2]
        if field.supported:
            rows.append(f"| {' | '.join(map(_cell, _row(key, field)))} |")
        texts = (field.description, field.schema.get("then", {}).get("description", ""))
        refused = [text.removeprefix(NOT_YET) for text in texts if text.startswith(NOT_YET)]
        missing += [f"- `{key}`: {text}" for text in refused]
    if len(rows) > 2:
        yield "\n".join(rows)
    if missing:
        yield "Not supported yet, and refused:"
        yield "\n".join(missing)


def _row(key: str, field: Field) -> tuple[str, ...]:
    default = "required" if field.required else f"`{field.default}`" if field.default else ""
    examples = ", ".join(f"`{example}`" for example in field.examples[:3])
    text = f"{field.description.rstrip('.')}."
    return (
        f"`{key}`",
        field.type,
        default,
        f"{text} For example {examples}." if examples else text,
    )


def _cell(text: str) -> str:
    """`text` in a table, where a bar would begin the next cell, and a star slanted letters."""
    parts = text.replace("|", "\\|").split("`")
    parts[::2] = [part.replace("*", "\\*") for part in parts[::2]]
    return "`".join(parts)


def _notations(fields: Iterable[Field]) -> Iterator[str]:
    """How the values are written that have a name of their own, such as a duration."""
    used = {field.type.removeprefix("list of ") for field in fields if field.supported}
    for definition in load("common")["$defs"].values():
        if definition.get("title") in used:
            shown = map(written, filter(None, definition["examples"]))
            examples = ", ".join(f"`{example}`" for example in shown)
            text = _cell(definition["description"].rstrip("."))
            yield f"- **{definition['title']}**: {text}. For example {examples}."


def errors_page() -> str:
    def group_of(config: Path) -> int:
        heads = (heads for _, heads in GROUPS)
        return next(number for number, head in enumerate(heads) if config.name.startswith(head))

    parts = [ERRORS]
    configs = sorted(GOLDEN.glob("*.yaml"), key=lambda config: (group_of(config), config.name))
    for number, group in groupby(configs, group_of):
        parts.append(f"## {GROUPS[number][0]}\n")
        for config in group:
            text = config.with_suffix(".txt").read_text("utf-8")
            mark = "<!-- not run: tests/core/test_golden.py compares it -->"
            parts.append(f"{mark}\n```text\n{text}```\n")
    return "\n".join(parts)


def main() -> None:
    for name, text in pages():
        (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
