"""Which pages may open a session."""

from __future__ import annotations

import time

import pytest

from easews import Headers, Request
from easews_wsproxy.handshake.origin import OriginPolicy


def asked(origin: str | None, host: str = "gateway.example", forwarded_host: str = "") -> Request:
    headers = Headers([("Host", host)])
    if forwarded_host:
        headers.add("X-Forwarded-Host", forwarded_host)
    if origin is not None:
        headers.add("Origin", origin)
    return Request("GET", "/", headers)


def passes(origin: str | None, *patterns: str, host: str = "gateway.example") -> bool:
    return OriginPolicy(patterns).check(asked(origin, host)) is None


@pytest.mark.parametrize("patterns", [[], ["*.example.org"]])
def test_a_client_without_an_origin_is_no_browser_and_passes(patterns: list[str]) -> None:
    assert passes(None, *patterns)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://gateway.example", "gateway.example"),
        ("https://gateway.example", "gateway.example"),
        ("HTTPS://Gateway.Example", "gateway.EXAMPLE"),
        ("http://gateway.example:80", "gateway.example"),
        ("http://gateway.example", "gateway.example:80"),
        ("https://gateway.example", "gateway.example:443"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://[::1]:8080", "[::1]:8080"),
    ],
)
def test_a_page_of_the_host_that_was_asked_passes(origin: str, host: str) -> None:
    assert passes(origin, host=host)
    assert passes(origin, "*.other.example", host=host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://evil.example", "gateway.example"),
        ("http://gateway.example.evil.example", "gateway.example"),
        ("http://evilgateway.example", "gateway.example"),
        ("http://gateway.example:8080", "gateway.example"),
        ("http://gateway.example", "gateway.example:8080"),
        ("https://gateway.example:80", "gateway.example:443"),
        ("http://[::1]:8080", "[::1]:8081"),
        ("null", "gateway.example"),
        ("null", "null"),
    ],
)
def test_any_other_page_is_refused(origin: str, host: str) -> None:
    refusal = OriginPolicy().check(asked(origin, host))

    assert refusal is not None
    assert (refusal.status, refusal.result) == (403, "clientError")


@pytest.mark.parametrize(
    ("pattern", "origin"),
    [
        ("app.example.org", "https://app.example.org"),
        ("App.Example.ORG", "https://aPP.example.org"),
        ("*.example.org", "https://a.b.example.org"),
        ("app-?.example.org", "https://app-1.example.org"),
        ("localhost:*", "http://localhost:3000"),
        ("localhost:*", "http://localhost"),
        ("app.example.org:443", "https://app.example.org"),
        ("app.example.org", "https://app.example.org:443"),
        ("[::1]:3000", "http://[::1]:3000"),
        ("*", "https://anything.example:1"),
        ("null", "null"),
        ("https://app.example.org", "https://app.example.org"),
        ("https://app.example.org", "https://app.example.org:443"),
        ("https://app.example.org:443", "https://app.example.org"),
        ("*://localhost:*", "http://localhost:3000"),
        ("file://", "file://"),
        ("file://*", "file://"),
        ("chrome-extension://*", "chrome-extension://kfkpbmdodkgpjegcmbjnjbpkgoogkmdb"),
        ("Capacitor://localhost", "capacitor://localhost"),
        ("*", "chrome-extension://kfkpbmdodkgpjegcmbjnjbpkgoogkmdb"),
    ],
)
def test_a_pattern_lets_the_pages_pass_that_it_matches(pattern: str, origin: str) -> None:
    assert passes(origin, "first.example", pattern)


@pytest.mark.parametrize(
    ("pattern", "origin"),
    [
        ("example.org", "https://app.example.org"),
        ("example.org", "https://example.org.evil.example"),
        ("*.example.org", "https://example.org"),
        ("*.example.org", "https://app.example.org:8443"),
        ("*.example.org", "https://evilexample.org"),
        ("app.example.org", "https://appXexample.org"),
        ("[abc].example.org", "https://a.example.org"),
        ("*", "null"),
        ("nul?", "null"),
        ("*", "file://"),
        ("file", "file://"),
        ("https://app.example.org", "http://app.example.org"),
        ("http://*", "https://app.example.org"),
        ("chrome-extension://abc", "chrome-extension://abcd"),
        ("file://", "null"),
        ("http://*", "http://"),
        ("null", "http://null"),
    ],
)
def test_a_pattern_matches_as_a_whole_and_null_only_by_its_name(pattern: str, origin: str) -> None:
    assert not passes(origin, pattern)


@pytest.mark.parametrize(
    "origin", ["", "gateway.example", "http://", "http://u@gateway.example", "://", "about:blank"]
)
def test_what_is_no_origin_is_refused_whatever_the_patterns(origin: str) -> None:
    assert not passes(origin, "*")


@pytest.mark.parametrize(
    ("forwarded_host", "passes_"),
    [
        ("shop.example", True),
        ("SHOP.example:443", True),
        ("shop.example, inner.example", True),
        ("inner.example, shop.example", False),
        ("shop.example:8443", False),
    ],
)
def test_behind_a_trusted_proxy_the_host_is_what_that_was_asked_for(
    forwarded_host: str, passes_: bool
) -> None:
    request = asked("https://shop.example", "inner.example", forwarded_host)
    assert (OriginPolicy().check(request) is None) is passes_
    inner = asked("https://inner.example", "inner.example", "shop.example")
    assert OriginPolicy().check(inner) is not None


def test_two_origins_are_refused() -> None:
    request = asked("http://gateway.example")
    request.headers.add("Origin", "http://gateway.example")

    assert OriginPolicy(["*"]).check(request) is not None


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", None])
def test_with_the_check_skipped_everything_passes(origin: str | None) -> None:
    assert OriginPolicy(skip=True).check(asked(origin)) is None


def test_a_long_origin_against_many_stars_costs_no_more_than_its_length() -> None:
    policy = OriginPolicy(["*a" * 20 + "!"])

    def seconds(length: int) -> float:
        request = asked("http://" + "a" * length)
        start = time.process_time()
        for _ in range(20):
            assert policy.check(request) is not None
        return time.process_time() - start

    seconds(1000)
    # Backtracking over twenty stars would not end in this universe; linear is 16 times.
    assert seconds(16_000) < 200 * max(seconds(1000), 1e-3)


def test_a_refusal_is_a_403_of_the_client_with_its_reason() -> None:
    refusal = OriginPolicy().check(asked("http://elsewhere.example"))
    assert refusal is not None
    assert (refusal.status, refusal.headers, refusal.result) == (403, (), "clientError")
    assert refusal.detail.startswith("the Origin of this handshake is refused: it is neither ")


@pytest.mark.parametrize("origin", ["gateway.example", "://gateway.example"])
def test_what_is_no_origin_passes_by_no_pattern(origin: str) -> None:
    assert not passes(origin, "*")


def test_the_host_of_an_origin_ends_before_its_path() -> None:
    assert passes("http://gateway.example/page")
    assert not passes("http://evil.example/gateway.example", "gateway.example")
    assert not passes("http://evil.example://gateway.example", "gateway.example")


def test_a_pattern_with_a_port_matches_that_port_only() -> None:
    assert passes("http://a.example", "*:80")
    assert not passes("http://a.example:8080", "*:80")
