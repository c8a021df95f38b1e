"""Who the client is, behind proxies: whom to believe, and in which header."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews import Address, Headers
from easews.http.forwarded import parse_node
from easews.server.address import client_address

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8"), ip_network("192.0.2.7")]
PROXY = Address("10.0.0.1", 40000)
STRANGER = Address("198.51.100.9", 40000)


def by_x_forwarded_for(*lines: str, peer: Address = PROXY) -> str:
    headers = Headers([("X-Forwarded-For", line) for line in lines])
    return str(client_address(headers, peer, TRUSTED, "x-forwarded-for"))


def by_forwarded(*lines: str, peer: Address = PROXY) -> str:
    headers = Headers([("Forwarded", line) for line in lines])
    return str(client_address(headers, peer, TRUSTED, "forwarded"))


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        ((), "10.0.0.1:40000"),
        (("",), "10.0.0.1:40000"),
        (("203.0.113.5",), "203.0.113.5"),
        (("6.6.6.6, 203.0.113.5",), "203.0.113.5"),
        (("6.6.6.6", "203.0.113.5, 10.2.2.2"), "203.0.113.5"),
        (("203.0.113.5 ,\t192.0.2.7,, 10.2.2.2:80",), "203.0.113.5"),
        (("10.3.3.3, 10.2.2.2",), "10.3.3.3"),
        (("203.0.113.5:5123",), "203.0.113.5:5123"),
        (("2001:db8::1",), "2001:db8::1"),
        (("[2001:DB8:0::1]",), "2001:db8::1"),
        (("[2001:db8::1]:443, fd00::2",), "[2001:db8::1]:443"),
        (("203.0.113.5, ::ffff:10.2.2.2",), "203.0.113.5"),
        (("::ffff:203.0.113.5",), "203.0.113.5"),
        (("[::ffff:cb00:7105]:80",), "203.0.113.5:80"),
        (('"203.0.113.5"',), "203.0.113.5"),
        (('6.6.6.6, "[2001:db8::1]:443", "10.2.2.2:80"',), "[2001:db8::1]:443"),
        (("203.0.113.5:_x.Y-1, 10.2.2.2:_p",), "203.0.113.5"),
    ],
)
def test_the_client_is_the_rightmost_hop_that_is_no_trusted_proxy(
    lines: tuple[str, ...], client: str
) -> None:
    assert by_x_forwarded_for(*lines) == client


@pytest.mark.parametrize(
    "hop",
    [
        *[
            "unknown",
            "_hidden",
            "unknown:80",
            '"_hidden"',
            '"',
            '"1.2.3.4',
            "10.0.0",
            "01.2.3.4",
            "1.2.3.4:",
            "1.2.3.4:65536",
            "[1.2.3.4]",
        ],
        *["[::1", "::1]:80", "fe80::1%eth0", "1.2.3.4 5.6.7.8", "1.2.3.4:_", "²03.0.113.5"],
    ],
)
def test_a_hop_that_is_no_address_ends_the_walk_at_the_proxy_that_reported_it(hop: str) -> None:
    assert parse_node(hop) is None
    assert by_x_forwarded_for(f"203.0.113.5, {hop}, 10.2.2.2") == "10.2.2.2"


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        (("for=203.0.113.5",), "203.0.113.5"),
        (("For=203.0.113.5;Proto=https, for=10.2.2.2",), "203.0.113.5"),
        (
            (
                "for=6.6.6.6",
                'for="203.0.113.5:80" ; by=_x',
            ),
            "203.0.113.5:80",
        ),
        (('proto=http;FOR="[2001:db8::1]:4711"',), "[2001:db8::1]:4711"),
        (('for="[2001:db8:\\:1]"',), "2001:db8::1"),
        (('for="203.0.113.5:_port"',), "203.0.113.5"),
        (('for="[::ffff:203.0.113.5]:_port"',), "203.0.113.5"),
        (('for=203.0.113.5;host="x, for=6.6.6.6"',), "203.0.113.5"),
        (('for=203.0.113.5;host=";for=6.6.6.6"',), "203.0.113.5"),
        (("for=203.0.113.5;;,,",), "203.0.113.5"),
    ],
)
def test_forwarded_is_read_by_rfc_7239(lines: tuple[str, ...], client: str) -> None:
    assert by_forwarded(*lines) == client


@pytest.mark.parametrize(
    "element",
    [
        *["for=unknown", "for=_SEVKISEK", "by=203.0.113.5", "for = 203.0.113.5", "203.0.113.5"],
        *[
            "for=[2001:db8::1]",
            'for="unknown:80"',
            'for="_hidden:80"',
            'for="\\"1.2.3.4\\""',
            "for=203.0.113.5:80",
            "for=1.1.1.1;for=2.2.2.2",
            'for="1.2.3.4',
        ],
    ],
)
def test_an_element_without_an_address_ends_the_walk(element: str) -> None:
    assert by_forwarded(f"for=6.6.6.6, {element}, for=10.2.2.2") == "10.2.2.2"


@pytest.mark.parametrize(
    "lie", ['for="', 'for="x', 'a="\\', "for=6.6.6.6;x", '", for="6.6.6.6', ","]
)
def test_an_open_quote_does_not_swallow_what_an_honest_proxy_adds(lie: str) -> None:
    honest = 'for=203.0.113.5;host="a:80";proto=https'
    assert by_forwarded(f"{lie}, {honest}") == "203.0.113.5"


def test_an_ipv4_peer_of_a_socket_for_both_families_is_an_ipv4_address() -> None:
    assert by_x_forwarded_for("203.0.113.5", peer=Address("::ffff:10.0.0.1", 1)) == "203.0.113.5"


def test_a_link_local_proxy_is_trusted_whatever_its_zone() -> None:
    peer = Address("fe80::1%eth0", 1)
    headers = Headers([("X-Forwarded-For", "203.0.113.5")])
    client = client_address(headers, peer, [ip_network("fe80::/10")], "x-forwarded-for")
    assert client == Address("203.0.113.5")


def test_without_a_named_header_the_client_is_the_peer() -> None:
    headers = Headers([("X-Forwarded-For", "203.0.113.5")])
    assert client_address(headers, PROXY, TRUSTED, None) == PROXY


# -- properties ------------------------------------------------------------------------------

ANYTHING = st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=40)
SOURCES = st.sampled_from(["x-forwarded-for", "forwarded", None])
HOPS = st.lists(st.ip_addresses().map(str) | st.sampled_from(["10.2.2.2", "unknown", "_x", ""]))


def all_headers(value: str) -> Headers:
    return Headers([("Forwarded", value), ("X-Forwarded-For", value)])


@given(ANYTHING, SOURCES)
def test_an_untrusted_peer_is_the_client_whatever_it_says(value: str, source: str | None) -> None:
    assert client_address(all_headers(value), STRANGER, TRUSTED, source) == STRANGER


@given(ANYTHING | HOPS.map(", ".join))
def test_what_a_client_says_to_an_honest_proxy_changes_nothing(lie: str) -> None:
    assert by_x_forwarded_for(f"{lie}, 203.0.113.5") == "203.0.113.5"
    assert by_forwarded(f'{lie}, for="203.0.113.5"') == "203.0.113.5"


@given(HOPS)
def test_no_list_of_hops_is_an_error_and_the_client_is_one_of_them(hops: list[str]) -> None:
    client = by_x_forwarded_for(", ".join(hops))
    known = [str(parsed) for hop in hops if (parsed := parse_node(hop))]
    assert client in [*known, str(PROXY)]
