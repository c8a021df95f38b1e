"""`traceparent` and `tracestate`, as W3C Trace Context has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews import Headers
from easews.http.traceparent import TraceParent, set_traceparent, traceparent_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
VALID = TraceParent(int(TRACE, 16), int(SPAN, 16), True)


def read(*values: str) -> TraceParent | None:
    return traceparent_of(Headers([("Traceparent", value) for value in values]))


@pytest.mark.parametrize(
    "value",
    [
        f"00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-ff",  # flags that nobody knows
        f"cc-{TRACE}-{SPAN}-01",  # a later version
        f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like",
    ],
)
def test_a_caller_is_read(value: str) -> None:
    assert read(value) == VALID


def test_a_caller_that_has_not_recorded_says_so() -> None:
    assert read(f"00-{TRACE}-{SPAN}-00") == VALID._replace(sampled=False)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "junk",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01.what",
        f"cc-{TRACE}-{SPAN}-01.what",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}{SPAN}-01",
    ],
)
def test_what_is_malformed_is_nobody(value: str) -> None:
    assert read(value) is None


def test_two_callers_are_none() -> None:
    assert read(f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01") is None
    assert read() is None


@given(st.integers(1, (1 << 128) - 1), st.integers(1, (1 << 64) - 1), st.booleans())
def test_what_is_written_is_read_again(trace: int, span: int, sampled: bool) -> None:
    own = TraceParent(trace, span, sampled)
    assert read(str(own)) == own


def test_the_state_goes_on_with_its_trace_only() -> None:
    for caller, left in ((VALID, ["a=1", "b=2"]), (None, [])):
        headers = Headers([("traceparent", "x"), ("tracestate", "a=1"), ("tracestate", "b=2")])
        set_traceparent(headers, VALID, caller)
        assert headers.get_all("traceparent") == [f"00-{TRACE}-{SPAN}-01"]
        assert headers.get_all("tracestate") == left
