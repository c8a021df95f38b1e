"""What follows from DNS answers: which servers, and when to ask again."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews.addresses import Address, parse_nameserver
from easews.upstream import Server
from easews.upstream.dialling.securing import ClientTls, ClientTlsSpec
from easews.upstream.names.records import (
    Service,
    Target,
    difference,
    hosts_entries,
    known_of,
    merged,
    preferred,
    servers_at,
    service_domain,
    targets_of,
)
from easews.upstream.names.resolving import Resolve, next_look_up, next_retry
from easews.upstream.servers import Via

EACH = Resolve("each", min_ttl=5, max_ttl=300)
HOSTS = st.sampled_from(["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2"])
TARGETS = st.lists(st.builds(Target, HOSTS, st.integers(0, 2), st.integers(1, 9))).map(merged)
SERVICES = st.lists(
    st.builds(Service, st.integers(0, 2), st.integers(0, 9), st.just(80), st.sampled_from("abc"))
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", Address("192.0.2.1", 53)),
        ("192.0.2.1:5353", Address("192.0.2.1", 5353)),
        ("2001:db8::1", Address("2001:db8::1", 53)),
        ("[2001:db8::1]:5353", Address("2001:db8::1", 5353)),
    ],
)
def test_a_nameserver_is_an_ip_with_or_without_a_port(text: str, address: Address) -> None:
    assert parse_nameserver(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":53",
        "ns.example",
        "ns.example:53",
        "[192.0.2.1]:53",
        "[2001:db8::1]",
        "192.0.2.1:",
        "192.0.2.1:0",
        "192.0.2.1:65536",
        "192.0.2.1:5.3",
    ],
)
def test_anything_else_is_no_nameserver(text: str) -> None:
    with pytest.raises(ValueError, match=r"it is neither an IP|its port is not"):
        parse_nameserver(text)


def test_names_are_looked_up_at_each_connection_unless_a_spec_says_otherwise() -> None:
    full = {"nameservers": ["192.0.2.1"], "minTtl": 1.0, "maxTtl": 9.0, "timeout": 2.0}
    assert Resolve.from_spec("dial") is None
    assert Resolve.from_spec({"mode": "dial", **full}) is None
    assert Resolve.from_spec("each") == Resolve("each")
    nameservers = (Address("192.0.2.1", 53),)
    assert Resolve.from_spec({"mode": "srv", **full}) == Resolve("srv", nameservers, 1, 9, 2)


def test_each_address_is_a_server_with_the_weight_the_path_and_the_host_of_its_name() -> None:
    server = Server.at("ws://backend.example:8000/base", weight=3)
    first, second = servers_at(server, targets_of(["2001:db8::1", "192.0.2.1"]))
    assert (first.url, second.url) == (
        "ws://192.0.2.1:8000/base",
        "ws://[2001:db8::1]:8000/base",
    )
    assert (first.host, first.port, first.path) == ("192.0.2.1", 8000, "/base")
    assert (first.weight, first.own_host, first.is_ip) == (3, "backend.example:8000", True)
    (keeps_host,) = servers_at(Server.at("ws://a", keep_host=True), [Target("192.0.2.1")])
    assert keeps_host.own_host == ""


def test_a_server_at_an_address_proves_the_name_that_led_there() -> None:
    via = Via(tls=ClientTls(ClientTlsSpec(), ssl.create_default_context()))
    for url, port, name in (
        ("wss://chat.example", 0, "chat.example"),
        ("wss://_ws._tcp.example", 9000, "example"),
        ("wss://_odd.example", 0, "_odd.example"),
    ):
        server = Server.at(url, via=via)
        (found,) = servers_at(server, [Target("192.0.2.1", port)])
        assert found.via.tls is not None
        assert found.via.tls.spec.server_name == found.own_host == name


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (Target("192.0.2.1"), "192.0.2.1"),
        (Target("192.0.2.1", 9000), "192.0.2.1:9000"),
        (Target("2001:db8::1", 9000), "[2001:db8::1]:9000"),
    ],
)
def test_an_address_is_shown_with_its_port_if_it_has_one(target: Target, shown: str) -> None:
    assert str(target) == shown


def test_a_service_gives_port_and_weight_and_its_domain_is_the_host() -> None:
    server = Server.at("ws://_ws._tcp.backend.example/base", weight=2)
    (target,) = servers_at(server, [Target("192.0.2.1", 9000, 5)])
    assert (target.url, target.port) == ("ws://192.0.2.1:9000/base", 9000)
    assert (target.weight, target.own_host) == (10, "backend.example")


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("_ws._tcp.a.example", "a.example"),
        ("web.service.consul", "web.service.consul"),
        ("_tcp", "_tcp"),
        ("", ""),
    ],
)
def test_the_domain_of_a_service_is_what_stands_behind_its_labels(host: str, domain: str) -> None:
    assert service_domain(host) == domain


def test_the_lowest_priority_is_preferred() -> None:
    first, other, last = Service(1, 5, 80, "a"), Service(1, 9, 80, "b"), Service(2, 5, 80, "c")
    assert preferred([last, other, first]) == (first, other)
    assert preferred([Service(0, 0, 0, "."), last]) == (last,)
    assert preferred([Service(0, 0, 0, ".")]) == ()


@given(SERVICES)
def test_every_service_of_the_lowest_priority_gets_a_share(services: list[Service]) -> None:
    chosen = preferred(services)
    lowest = min((service.priority for service in services), default=0)
    assert len(chosen) == sum(service.priority == lowest for service in services)
    assert all(service.weight > 0 for service in chosen)


def test_a_weight_of_0_is_a_small_share_unless_all_have_it() -> None:
    pair = [Service(0, 0, 80, "a"), Service(0, 3, 80, "b")]
    assert [service.weight for service in preferred(pair)] == [1, 30]
    pair = [Service(0, 0, 80, "a"), Service(0, 0, 80, "b")]
    assert [service.weight for service in preferred(pair)] == [1, 1]


@given(st.lists(HOSTS), st.randoms())
def test_the_order_of_an_answer_changes_nothing(hosts: list[str], random: object) -> None:
    shuffled = list(hosts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert targets_of(shuffled) == targets_of(hosts)


def test_an_ipv4_address_within_ipv6_is_the_same_address() -> None:
    assert targets_of(["::ffff:192.0.2.1", "192.0.2.1"]) == (Target("192.0.2.1"),)


def test_the_weights_of_services_at_one_address_are_added() -> None:
    twice = [Target("192.0.2.1", 80, 2), Target("192.0.2.1", 81, 2), Target("192.0.2.1", 80, 3)]
    assert merged(twice) == (Target("192.0.2.1", 80, 5), Target("192.0.2.1", 81, 2))


@given(TARGETS, TARGETS)
def test_what_came_and_what_left_make_the_difference(
    before: tuple[Target, ...], after: tuple[Target, ...]
) -> None:
    came, left = difference(before, after)
    stayed = {target[:2] for target in before} - {target[:2] for target in left}
    assert stayed | {target[:2] for target in came} == {target[:2] for target in after}
    assert not stayed & {target[:2] for target in came}


@given(st.floats(0, 1e9), st.floats(0, 1))
def test_an_answer_counts_for_its_ttl_within_the_limits(ttl: float, chance: float) -> None:
    wait = next_look_up(ttl, EACH, chance)
    counts = min(max(ttl, EACH.min_ttl), EACH.max_ttl)
    assert counts <= wait <= counts * 1.1


@given(st.integers(1, 2000), st.floats(0, 1), st.floats(0.1, 1000))
def test_failed_look_ups_are_repeated_ever_less_often(
    failures: int, chance: float, min_ttl: float
) -> None:
    resolve = Resolve("each", min_ttl=min_ttl)
    wait = next_retry(failures, resolve, chance)
    assert min_ttl <= wait <= max(min_ttl, 30) * 1.1
    assert next_retry(failures + 1, resolve, chance) >= wait


def test_a_hosts_file_has_several_names_on_a_line_and_comments() -> None:
    text = "# addresses\n127.0.0.1 localhost\n192.0.2.1\tA.example a # a.test\n2001:db8::1 a\nx a"
    assert hosts_entries(text, "a") == ("192.0.2.1", "2001:db8::1")
    assert hosts_entries(text, "a.example.") == ("192.0.2.1",)
    assert hosts_entries(text, "a.test") == hosts_entries(text, "") == ()


def test_a_name_is_known_as_long_as_somebody_uses_it() -> None:
    known = known_of("a", EACH)
    assert known_of("a", EACH) is known
    assert known_of("b", EACH) is not known
    assert known_of("a", Resolve("srv")) is not known
    known.trouble = "no answer"
    del known
    assert known_of("a", EACH).trouble == ""
