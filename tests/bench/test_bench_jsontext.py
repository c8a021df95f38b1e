"""The text that is sent compressed."""

from __future__ import annotations

import pytest
from bench.jsontext import TAIL, compressed, inflated, text_of


@pytest.mark.parametrize("size", [1, 125, 4096])
def test_a_text_has_the_size_that_was_asked_for(size: int) -> None:
    text = text_of(size)
    assert len(text) == size
    assert text.isascii()
    assert text == text_of(size)


def test_a_payload_is_compressed_and_inflates_to_the_text() -> None:
    text = text_of(4096)
    payload = compressed(text)
    assert len(payload) < len(text) / 2
    assert not payload.endswith(TAIL)
    assert inflated(payload) == text
