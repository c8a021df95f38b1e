"""The formats that a schema may name, through the schema that names them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews.schema import errors

ACCEPTED = {
    "regexp": ["^/api/v[0-9]+/(.*)$", "", "(?i)x", "[[:alpha:]]"],
    "cidr": ["10.0.0.0/8", "192.0.2.7", "::/0", "2001:db8::1"],
    "url": ["ws://127.0.0.1:12345", "WSS://h", "http://[::1]:8080/base", "https://a.example/%20"],
    "address": ["", "127.0.0.1", "::1", "localhost", "my_host.example."],
    "target": ["/api/$1", "x", "/a..b/.c/...", "/%2e%2e%2e"],
}

REFUSED = {
    "regexp": [("(a", "missing )"), ("a(?=b)", "(?="), (r"(a)\1", r"\1")],
    "cidr": [("10.0.0.1/8", "behind the prefix"), ("10.0.0.0/33", "neither"), ("x", "neither")],
    "url": [
        ("ftp://h", "ftp:// leads to no server"),
        ("h:80", "scheme such as ws://"),
        ("ws:/h", "scheme such as ws://"),
        ("ws://", "no host"),
        ("ws://h:99999", "its port is not a number up to 65535"),
        ("ws://u:pw/x@h", "its port is not a number up to 65535"),
        ("ws://u:p@h", "credentials"),
        ("ws://h/#f", "fragments"),
        ("ws://h/a b", "percent-encoded"),
    ],
    "address": [("127.0.0.256", "neither"), ("a b", "neither"), ("h:80", "neither")],
    "target": [("/../a", "'..'"), ("/a/%2E", "'%2E'"), ("..", "'..'"), ("/.%2e/$1", "dot segment")],
}


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, ts in ACCEPTED.items() for t in ts])
def test_what_a_format_takes(name: str, text: str) -> None:
    assert not list(errors({"format": name}, text))


@pytest.mark.parametrize(
    ("name", "text", "reason"), [(n, *row) for n, rows in REFUSED.items() for row in rows]
)
def test_what_a_format_refuses_and_why(name: str, text: str, reason: str) -> None:
    (error,) = errors({"format": name}, text)
    assert reason in str(error.cause)


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_format_says_nothing_about_other_types(name: str) -> None:
    assert not list(errors({"format": name}, 17))


@given(st.sampled_from(sorted(ACCEPTED)), st.text())
def test_any_text_is_either_taken_or_refused(name: str, text: str) -> None:
    assert len(list(errors({"format": name}, text))) in (0, 1)
