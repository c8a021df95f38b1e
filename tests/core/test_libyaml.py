"""libyaml's parser and the one in Python read the same, place by place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from easews.config import Source, reader, yamlevents
from easews.config.reader import read_documents
from easews.errors import Problem

ROOT = Path(__file__).parents[2]
FILES = [*ROOT.glob("tests/core/golden/*.yaml"), *ROOT.glob("examples/*.yaml")]
LINES = sorted({line for file in FILES for line in file.read_text("utf-8").splitlines(True)})
TOKENS = [
    *("a", "b:", "-", "'", '"', "{", "}", "[", "]", ",", ":", "?", "#", "# c", "|", ">", "&"),
    *("&x", "*x", "!", "---", "...", "%", "@", "`", "1", "${A:-b}", "<<", "\\n", "\\", "~"),
    *("\xe9", "\x85", "\u2028", "\ufeff", "\U0001f600", "\x07"),
]
SPACE = st.sampled_from(["", " ", "\n", "\n  ", "\n    ", "\t", "\r\n", ": ", "- ", " #"])
SCRAPS = st.tuples(st.sampled_from(TOKENS), SPACE).map("".join) | st.sampled_from(LINES)

pytestmark = pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML is without libyaml")


def read(text: str, loader: Any) -> tuple[list[Any], list[Problem]]:
    """What is read with libyaml's loader, or without."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yamlevents, "_LIBYAML", loader)
        return read_documents(Source("f", text), {})


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_config_is_read_as_without_it(file: Path) -> None:
    text = file.read_text("utf-8")
    assert read(text, yaml.CSafeLoader) == read(text, None)


@given(st.lists(SCRAPS, max_size=12).map("".join))
@example("[a?b]")
@example("--- \n")
@example("a:\t1")
@example("{a:, b}")
def test_any_text_is_read_as_without_it(text: str) -> None:
    assert read(text, yaml.CSafeLoader) == read(text, None)


def test_it_is_used_where_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "slow_events", None)
    documents, problems = read_documents(Source("f", "kind: Pipeline\nname: [p, 1]\n"), {})
    assert documents[0].root.value == {"kind": "Pipeline", "name": ["p", 1]}
    assert not problems
