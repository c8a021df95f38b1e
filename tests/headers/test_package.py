"""What holds for every kind of the package: its schema, and an example that is valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from easews import Filter
from easews.filters import schema_of
from easews.schema import check_schema
from easews.testing import load_config
from easews_headers.plugin import easews_filters

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = ["answers.yaml", "cors.yaml", "headers.yaml"]


@pytest.mark.parametrize("filter_class", easews_filters(), ids=lambda it: it.kind)
def test_a_kind_has_a_valid_schema_with_an_example(filter_class: type[Filter]) -> None:
    schema = schema_of(filter_class)
    check_schema(schema)
    assert schema["examples"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_valid(name: str) -> None:
    load_config((FOLDER / name).read_text("utf-8"))


def test_every_kind_is_in_an_example() -> None:
    files = [*EXAMPLES, "demo.yaml"]
    text = "".join((FOLDER / name).read_text("utf-8") for name in files)
    assert not [
        it.kind
        for it in easews_filters()
        if f"kind: {it.kind} " not in f"{text} ".replace("\n", " ")
    ]
