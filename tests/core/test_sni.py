"""Which certificate is for which server name."""

from __future__ import annotations

import pytest

from easews.server.tls.sni import by_name, chosen

KNOWN = by_name(
    [
        (("example.org", "*.example.org"), "first"),
        (("a.example.org", "EXAMPLE.org"), "second"),
        (("*.b.example.org", "192.0.2.1"), "third"),
    ]
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("example.org", "first"),  # which both have: the first one gets it
        ("A.Example.ORG", "second"),  # exact, before a wildcard that is written earlier
        ("x.example.org", "first"),
        ("example.org.", "first"),
        ("x.b.example.org", "third"),
        ("x.y.example.org", "first"),  # a * is one label: this is the default
        ("192.0.2.1", "third"),
        ("elsewhere.test", "first"),
        ("localhost", "first"),
        ("", "first"),
    ],
)
def test_a_name_gets_its_certificate(name: str, expected: str) -> None:
    assert chosen(KNOWN, name) == expected


def test_no_label_is_covered_by_a_wildcard_of_another_depth() -> None:
    known = by_name([(("default.test",), "default"), (("*.example.org",), "wildcard")])
    assert chosen(known, "a.b.example.org") == "default"
    assert chosen(known, "example.org") == "default"
