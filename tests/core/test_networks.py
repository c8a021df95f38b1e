"""Networks as configs write them, and who is within."""

from __future__ import annotations

import pytest

from easews import parse_network
from easews.addresses import is_within
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
