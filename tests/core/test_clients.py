"""How many connections each client has, and who counts as one."""

from __future__ import annotations

import pytest

from easews.server.clients import ClientCounts


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:0:ff00::1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_a_client_is_an_ipv4_address_or_an_ipv6_network(one: str, other: str, same: bool) -> None:
    counts = ClientCounts()
    assert counts.enter(one, 1)
    assert counts.enter(other, 1) is not same


def test_a_client_may_have_so_many_connections_until_one_ends() -> None:
    counts = ClientCounts()
    assert [counts.enter("192.0.2.1", 2) for _ in range(3)] == [True, True, False]
    counts.leave("192.0.2.1")
    assert [counts.enter("192.0.2.1", 2) for _ in range(2)] == [True, False]


def test_only_the_first_refusal_in_a_row_is_told() -> None:
    counts = ClientCounts()
    counts.enter("192.0.2.1", 2)
    counts.enter("192.0.2.1", 2)
    assert [counts.is_first_refusal("192.0.2.1") for _ in range(2)] == [True, False]
    counts.leave("192.0.2.1")
    assert counts.is_first_refusal("192.0.2.1")


def test_nothing_is_kept_of_clients_that_have_left() -> None:
    counts = ClientCounts()
    for number in range(10):
        counts.enter(f"192.0.2.{number}", 1)
        counts.is_first_refusal(f"192.0.2.{number}")
        counts.leave(f"192.0.2.{number}")
    assert (counts._open, counts._refused) == ({}, set())
