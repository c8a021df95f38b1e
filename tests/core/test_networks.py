"""Networks as configs write them, and who is within."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews import parse_network
from easews.addresses import Network, NetworkSet, is_within
from easews.testing import load_config


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::/0", "::/0"),
    ],
)
def test_a_network_of_mapped_addresses_is_the_ipv4_network(text: str, network: str) -> None:
    assert str(parse_network(text)) == network


def test_what_is_no_network_is_an_error() -> None:
    with pytest.raises(ValueError, match="host bits"):
        parse_network("10.0.0.1/8")


@pytest.mark.parametrize("peer", ["10.0.0.1", "::ffff:10.0.0.1"])
def test_a_proxy_is_trusted_in_either_notation_of_its_network(peer: str) -> None:
    config = load_config(
        "{kind: HTTPServer, name: s, port: 80, trustedProxies: ['::ffff:10.0.0.0/104']}"
    )
    assert is_within(peer, config.servers[0].trusted_proxies)


# Few bits, so that networks and addresses often meet.
NETWORKS = st.one_of(
    st.builds(
        lambda bits, length: IPv4Network((bits << 24, length), strict=False),
        *(st.integers(0, 15), st.integers(0, 32)),
    ),
    st.builds(
        lambda bits, length: IPv6Network((bits << 120, length), strict=False),
        *(st.integers(0, 15), st.integers(0, 128)),
    ),
)
ADDRESSES = st.one_of(
    st.builds(
        lambda high, low: IPv4Address(high << 24 | low), st.integers(0, 15), st.integers(0, 3)
    ),
    st.builds(
        lambda high, low: IPv6Address(high << 120 | low), st.integers(0, 15), st.integers(0, 3)
    ),
)


@given(st.lists(NETWORKS, max_size=5), ADDRESSES)
def test_a_set_of_networks_has_the_addresses_of_each(
    networks: list[Network], ip: IPv4Address | IPv6Address
) -> None:
    assert (ip in NetworkSet(networks)) == any(ip in network for network in networks)
