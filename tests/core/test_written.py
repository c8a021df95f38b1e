"""Values in messages are written as a config has them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from easews.config import Source
from easews.config.phrases import either, written
from easews.config.reader import read_documents

PIECES = st.sampled_from([*"ab1 -?:,[]{}#&*!|>'\"%@`\\/~.é", ": ", " #", "- ", "no", "null", "0x1"])
TEXTS = st.lists(PIECES, max_size=5).map("".join)
VALUES = st.recursive(
    TEXTS | st.booleans() | st.integers(-9, 9) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


@given(VALUES)
@example("---")
@example(["a?b", {"{": "}"}])
def test_what_is_written_is_read_as_it_was(value: object) -> None:
    (document,), problems = read_documents(Source("f", f"v: {written(value)}\n"), {})
    assert not problems
    assert document.root.value == {"v": value}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([{"path": "/ws", "backend": "p"}], "[{path: /ws, backend: p}]"),
        ({"url": "ws://127.0.0.1:80/a?b"}, '{url: "ws://127.0.0.1:80/a?b"}'),
        ("ws://127.0.0.1:80/a?b", "ws://127.0.0.1:80/a?b"),
        ("*.example.org", '"*.example.org"'),
        (["10", 10, True, ""], '["10", 10, true, ""]'),
    ],
)
def test_only_a_text_that_needs_quotes_has_them(value: object, text: str) -> None:
    assert written(value) == text


def test_choices_are_told_in_a_sentence() -> None:
    assert [either(words) for words in ("a", "ab", "abc")] == ["a", "a or b", "a, b or c"]
