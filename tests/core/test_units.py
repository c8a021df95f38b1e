"""Durations and sizes: what people write, and what they get."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews.schema import errors
from easews.schema.units import seconds, size, written_seconds, written_size

DURATION = {"$ref": "urn:easews:common#/$defs/duration"}
SIZE = {"$ref": "urn:easews:common#/$defs/size"}


@pytest.mark.parametrize(
    ("text", "value"),
    [("500ms", 0.5), ("30s", 30), ("2h", 7200), ("1h30m", 5400), ("1.5s", 1.5), ("0", 0), (0, 0)],
)
def test_a_duration_is_seconds(text: str | int, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "5", "5 s", "-5s", "s", "30s1h", "1d", "5S", 5, "1e3s", "٣s"])
def test_what_is_no_duration_is_refused(text: str | int) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (17, 17),
        (-1, -1),
        ("17", 17),
        ("2B", 2),
        ("64KiB", 65536),
        ("4MiB", 4194304),
        ("1GiB", 2**30),
    ],
)
def test_a_size_is_bytes(text: str | int, value: int) -> None:
    assert size(text) == value


@pytest.mark.parametrize("text", ["", "4MB", "4 MiB", "4mib", "-1KiB", "1.5MiB", "MiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        size(text)


@given(st.one_of(st.integers(-2, 2), st.from_regex(r"[0-9.hmsKMGiB ]{0,8}", fullmatch=True)))
def test_the_schema_takes_what_can_be_converted_and_nothing_else(value: str | int) -> None:
    for schema, convert in ((DURATION, seconds), (SIZE, size)):
        valid = not list(errors(schema, value))
        try:
            converted = convert(value) >= (0 if schema is DURATION else -1)
        except ValueError:
            converted = False
        assert valid == converted, value


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0B"), (1, "1B"), (1023, "1023B"), (65536, "64KiB"), (1 << 20, "1MiB"), (1536, "1536B")],
)
def test_bytes_are_written_as_a_config_would(count: int, text: str) -> None:
    assert written_size(count) == text
    assert size(text) == count


@given(st.integers(min_value=0))
def test_what_is_written_is_read_as_the_same(count: int) -> None:
    assert size(written_size(count)) == count


@pytest.mark.parametrize(
    ("count", "text"),
    [(0.0, "0s"), (0.5, "500ms"), (1.5, "1.5s"), (5400.0, "5400s"), (2592000.0, "2592000s")],
)
def test_a_duration_is_written_with_a_unit(count: float, text: str) -> None:
    assert written_seconds(count) == text


@given(st.integers(0, 10**11))
def test_a_written_duration_is_read_as_the_same_one(milliseconds: int) -> None:
    count = milliseconds / 1000
    assert seconds(written_seconds(count)) == pytest.approx(count, rel=1e-12)
