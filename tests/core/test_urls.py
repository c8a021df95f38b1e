"""URLs of servers, and the origins that pages have."""

from __future__ import annotations

import pytest

from easews.http.urls import check_host_name, server_url
from easews.upstream import origin_of


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://a.example", "http://a.example"),
        ("HTTPS://A.example/page?x", "https://a.example"),
        ("http://a.example:80", "http://a.example"),
        ("https://a.example:443/", "https://a.example"),
        ("https://a.example:80/", "https://a.example:80"),
        ("http://a.example:8080", "http://a.example:8080"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("http://[::1]", "http://[::1]"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("null", "null"),
    ],
)
def test_an_origin_is_written_as_browsers_do(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize("url", ["http://", "a.example", "http://a:0", "http://a@b"])
def test_what_has_no_origin_is_refused(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # test_formats has the reasons
        origin_of(url)


def test_the_parts_of_a_servers_url() -> None:
    assert server_url("WSS://A.example/Base") == ("wss", "a.example", 443, "/Base")
    assert server_url("ws://[2001:DB8::1]:81") == ("ws", "2001:db8::1", 81, "")
    assert server_url("ws://XX/") == ("ws", "xx", 80, "/")
    with pytest.raises(ValueError, match="no IPv6 address"):
        server_url("ws://[::1.]")


def test_a_query_is_checked_though_it_is_not_sent() -> None:
    with pytest.raises(ValueError, match="percent-encoded"):
        server_url("ws://a/?q=ü")


def test_a_host_name_has_at_most_253_characters() -> None:
    longest = ".".join(["a" * 63] * 3 + ["b" * 61])
    assert len(longest) == 253
    check_host_name(longest)
    with pytest.raises(ValueError, match="1 to 63"):
        check_host_name(f"{longest}b")


@pytest.mark.parametrize(
    ("text", "socket", "path"),
    [
        ("unix:/run/app.sock", "/run/app.sock", ""),
        ("unix:/run/app.sock:/base/", "/run/app.sock", "/base/"),
        ("unix:/run/app.sock:/", "/run/app.sock", "/"),
    ],
)
def test_a_unix_socket_may_have_a_path_behind_it(text: str, socket: str, path: str) -> None:
    assert server_url(text) == ("unix", socket, 0, path)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("unix:app.sock", "the whole path of a file, from the root"),
        ("unix://run/app.sock:base", "a path such as /base"),
        ("unix:/run/", "the whole path of a file"),
        ("unix:/" + 103 * "x", "at most 103 bytes"),
        ("unix:/s:/a?b", "without query and fragment"),
        ("unix:/s:/a#b", "without query and fragment"),
        ("unix:/s:/a b", "percent-encoded"),
        ("unix:/s:/a/../b", "dot segment"),
    ],
)
def test_what_leads_to_no_unix_socket_is_refused(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        server_url(text)
