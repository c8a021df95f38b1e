"""The formats that a schema may name, through the schema that names them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews.schema import errors

ACCEPTED = {
    "regexp": ["^/api/v[0-9]+/(.*)$", "", "(?i)x", "[[:alpha:]]"],
    "cidr": ["10.0.0.0/8", "192.0.2.7", "::/0", "2001:db8::1"],
    "url": [
        "ws://127.0.0.1:12345",
        "WSS://h",
        "http://[::1]:8080/base",
        "https://a.example/%20",
        "ws://my_backend:1/a..b/.c/",
        "ws://h.example.:65535",
        "ws://h:/",
        f"ws://{'a' * 63}.example",
        "ws://xn--bcher-kva.example",
        "ws://h/?room=%20",
    ],
    "origin": [
        "null",
        "https://www.example.org",
        "http://[::1]:3000",
        "chrome-extension://abcdef",
        "http://127.0.0.1/hello",
    ],
    "path": ["/", "/ws", "/a b", "/100%", "/.well-known/x..y", "/ü", "/a;b", "/a?b"],
    "prefix": ["/", "/a/.", "/a/..", "/.well-known/"],
    "address": ["", "127.0.0.1", "::1", "localhost", "my_host.example."],
    "target": ["/api/$1", "x", "/a%3Fb", "/a..b/.c/...", "/%2e%2e%2e"],
}

REFUSED = {
    "regexp": [("(a", "missing )"), ("a(?=b)", "lookahead"), (r"(a)\1", "earlier groups")],
    "cidr": [("10.0.0.1/8", "behind the prefix"), ("10.0.0.0/33", "neither"), ("x", "neither")],
    "url": [
        ("ftp://h", "ftp:// leads to no server"),
        ("h:80", "scheme such as ws://"),
        ("ws:/h", "scheme such as ws://"),
        ("ws://", "no host"),
        ("ws://h:99999", "its port is not a number from 1 to 65535"),
        ("ws://u:pw/x@h", "its port is not a number from 1 to 65535"),
        ("ws://h:0", "its port is not a number from 1 to 65535"),
        ("ws://h:65536", "its port"),
        ("ws://h:+80", "its port"),
        ("ws://h:\u0668\u0660", "its port"),
        ("ws://u:p@h", "credentials"),
        ("ws://@h", "credentials"),
        ("ws://h/#f", "fragment"),
        ("ws://h#", "fragment"),
        ("ws://h/a b", "percent-encoded"),
        ("ws://h/ü", "percent-encoded"),
        ("ws://h/\n", "percent-encoded"),
        ("ws://h/[a]", "percent-encoded"),
        ("ws://h/?q=ü", "percent-encoded"),
        ("ws://h/%", "two hexadecimal digits"),
        ("ws://h/%2", "two hexadecimal digits"),
        ("ws://h/%zz", "two hexadecimal digits"),
        ("ws://h/a/../b", "write the path that it leads to"),
        ("ws://h/%2e%2e", "dot segment"),
        ("ws://bücher.example", "xn--"),
        ("ws://\uff48", "xn--"),
        ("ws://a..b", "1 to 63 letters"),
        ("ws://.a", "1 to 63 letters"),
        ("ws://a b", "1 to 63 letters"),
        ("ws://a%20b", "1 to 63 letters"),
        ("ws://-a", "1 to 63 letters"),
        ("ws://a\x00b", "1 to 63 letters"),
        (f"ws://{'a' * 64}", "1 to 63 letters"),
        (f"ws://{'a.' * 126}aa", "1 to 63 letters"),
        ("ws://127.0.0.256", "taken for an IP"),
        ("ws://127.1", "taken for an IP"),
        ("ws://0x7f000001", "taken for an IP"),
        ("ws://::1", "in brackets"),
        ("ws://[::1", "in brackets"),
        ("ws://[::1]8080", "in brackets"),
        ("ws://[fe80::1%25eth0]", "zone"),
        ("ws://[127.0.0.1]", "no IPv6 address"),
        ("ws://[v1.a]", "no IPv6 address"),
        ("\tws://h", "scheme"),
    ],
    "origin": [
        ("", "scheme"),
        ("example.org", "scheme"),
        ("file:///tmp/x", "no host"),
        ("https://u:p@h", "credentials"),
        ("https://h:65536", "its port"),
        ("https://bücher.example", "xn--"),
        ("https://a b", "1 to 63 letters"),
    ],
    "path": [
        ("/a/../b", "write the path that it leads to"),
        ("/a/.", "dot segment"),
        ("/a/..;x=1/b", "dot segment"),
        ("/a\\..\\b", "dot segment"),
        ("//a", "repeated slashes"),
        ("/a%20b", "write the character itself for %20"),
        ("/\0", "a null character"),
    ],
    "prefix": [("/../a", "dot segment"), ("/a/..;", "dot segment"), ("/a//", "repeated slashes")],
    "address": [
        ("127.0.0.256", "taken for an IP"),
        ("a b", "1 to 63 letters"),
        ("h:80", "1 to 63 letters"),
        ("a..b", "1 to 63 letters"),
        ("a" * 64, "1 to 63 letters"),
    ],
    "target": [
        ("/../a", "dot segment"),
        ("/a/%2E", "dot segment"),
        ("..", "dot segment"),
        ("/.%2e/$1", "dot segment"),
        ("/a%2f..;x=1/$1", "dot segment"),
        ("/a/..%5c$1", "dot segment"),
        ("/a?b=$1", "a ? in it would be sent as %3F"),
        ("/a#b", "a # in it would be sent as %23"),
    ],
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
