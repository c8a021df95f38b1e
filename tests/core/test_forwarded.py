"""ForwardedPolicy: what the backend is told about the client, and whose word is passed on."""

from __future__ import annotations

import time
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews import Address, ForwardedPolicy, Headers, Request
from easews.addresses import is_within
from easews.http.forwarded import (
    Mode,
    forwarded_elements,
    forwarded_for,
    forwarding_names,
)
from easews.server.fields import received_fields

TRUSTED = [ip_network("10.0.0.0/8")]
PROXY = Address("10.0.0.1", 40000)
STRANGER = Address("198.51.100.9", 40000)
FAMILY = [
    *("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto"),
    *("X-Forwarded-Prefix", "X-Forwarded-Uri", "X-Forwarded-User", "X-Real-IP"),
]
Fields = list[tuple[str, str]]


def told(
    policy: ForwardedPolicy,
    *fields: tuple[str, str],
    peer: Address = PROXY,
    host: str = "a.example:8080",
    scheme: str = "http",
    by_a_filter: Fields | None = None,
) -> Fields:
    """What the backend is told besides Host when `peer` sends these fields."""
    trusted = is_within(peer.host, TRUSTED)
    received = received_fields(Headers([("Host", host), *fields]), trusted, None)
    vouched = forwarding_names(received)
    for name, value in by_a_filter or ():
        received.set(name, value)
    local = Address("10.0.0.9", 8080)
    request = Request("GET", "/", received, peer=peer, local=local, scheme=scheme, vouched=vouched)
    headers = request.headers.copy()
    policy.apply(headers, request)
    assert headers.get_all("host") == [host]
    return [field for field in headers if field[0] != "Host"]


def test_a_backend_is_told_peer_host_and_scheme() -> None:
    assert told(ForwardedPolicy(), ("Accept", "*/*"), peer=STRANGER, scheme="https") == [
        ("Accept", "*/*"),
        ("X-Forwarded-For", "198.51.100.9"),
        ("X-Forwarded-Host", "a.example:8080"),
        ("X-Forwarded-Proto", "https"),
    ]


def test_the_peer_is_appended_to_what_a_trusted_one_says_in_one_line() -> None:
    lines = [("X-Forwarded-For", "6.6.6.6, 203.0.113.5"), ("x-forwarded-for", " 10.2.2.2,")]
    assert told(ForwardedPolicy(fields=["for"]), *lines) == [
        ("X-Forwarded-For", "6.6.6.6, 203.0.113.5, 10.2.2.2, 10.0.0.1")
    ]


def test_what_the_outermost_trusted_proxy_was_asked_is_kept() -> None:
    said = [("X-Forwarded-Host", "b"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Port", "443")]
    policy = ForwardedPolicy(fields=["host", "proto", "port"])
    assert told(policy, *said) == said


def test_the_port_is_ours_and_only_told_when_asked_for() -> None:
    assert told(ForwardedPolicy(fields=["port"])) == [("X-Forwarded-Port", "8080")]
    assert "X-Forwarded-Port" not in dict(told(ForwardedPolicy()))


def test_no_host_is_told_when_the_client_sent_none() -> None:
    names = [name for name, _ in told(ForwardedPolicy(forwarded=True), host="")]
    assert names == ["X-Forwarded-For", "X-Forwarded-Proto", "Forwarded"]


@pytest.mark.parametrize("name", [*FAMILY, "Forwarded"])
def test_what_an_untrusted_peer_says_is_dropped_even_if_we_do_not_write_it(name: str) -> None:
    assert told(ForwardedPolicy(fields=[]), (name, "for=6.6.6.6"), peer=STRANGER) == []
    assert told(ForwardedPolicy(fields=[]), (name, "for=6.6.6.6")) == [(name, "for=6.6.6.6")]


@pytest.mark.parametrize(
    ("mode", "expected"), [("replace", [("X-Forwarded-For", "10.0.0.1")]), ("remove", [])]
)
def test_replace_and_remove_keep_nothing_from_anyone(mode: Mode, expected: Fields) -> None:
    said = [(name, "203.0.113.5") for name in (*FAMILY, "Forwarded")]
    assert told(ForwardedPolicy(mode, ["for"]), *said) == expected


@pytest.mark.parametrize("peer", [PROXY, STRANGER])
def test_what_a_filter_sets_goes_on_whoever_the_peer_is(peer: Address) -> None:
    set_by_it = [
        *(("X-Forwarded-Prefix", "/base"), ("X-Real-IP", "192.0.2.1")),
        *(("X-Forwarded-Proto", "https"), ("Forwarded", "for=_filter")),
    ]
    said = [(name, "6.6.6.6") for name in FAMILY]
    now = told(ForwardedPolicy(), *said, peer=peer, by_a_filter=set_by_it)
    assert [field for field in now if field in set_by_it] == set_by_it
    assert {name for name, _ in set_by_it}.isdisjoint(name for name, _ in now if _ == "6.6.6.6")


@pytest.mark.parametrize("mode", ["replace", "remove"])
def test_a_policy_behind_a_filter_decides_on_the_fields_that_it_writes_and_no_others(
    mode: Mode,
) -> None:
    by_a_filter = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Prefix", "/base")]
    now = told(ForwardedPolicy(mode, []), peer=STRANGER, by_a_filter=by_a_filter)
    assert now == [("X-Forwarded-Prefix", "/base")]


def test_of_the_trusted_peers_a_policy_may_take_the_word_of_some_only() -> None:
    said = [("X-Forwarded-For", "203.0.113.5"), ("X-Forwarded-Prefix", "/x")]
    near = ForwardedPolicy(fields=["for"], trusted=[ip_network("10.0.0.1")])
    assert told(near, *said) == [said[1], ("X-Forwarded-For", "203.0.113.5, 10.0.0.1")]
    other = ForwardedPolicy(fields=["for"], trusted=[ip_network("10.0.0.2")])
    set_by_it = [("X-Real-IP", "192.0.2.1")]
    assert told(other, *said, by_a_filter=set_by_it) == [
        *set_by_it,
        ("X-Forwarded-For", "10.0.0.1"),
    ]


def test_a_policy_trusts_nobody_whom_the_server_does_not() -> None:
    policy = ForwardedPolicy(fields=["for"], trusted=[ip_network("0.0.0.0/0")])
    said = ("X-Forwarded-For", "203.0.113.5")
    assert told(policy, said, peer=STRANGER) == [("X-Forwarded-For", "198.51.100.9")]


def test_remove_adds_no_forwarded_either() -> None:
    assert told(ForwardedPolicy("remove", forwarded=True)) == []


def test_of_a_trusted_peer_forwarded_is_dropped_beside_x_forwarded_for() -> None:
    said = [("Forwarded", "for=6.6.6.6"), ("X-Forwarded-For", "203.0.113.5")]
    assert told(ForwardedPolicy(fields=["for"], forwarded=True), *said) == [
        ("X-Forwarded-For", "203.0.113.5, 10.0.0.1"),
        ("Forwarded", 'for=10.0.0.1;host="a.example:8080";proto=http'),
    ]


def test_of_a_trusted_peer_that_writes_forwarded_no_x_forwarded_is_believed() -> None:
    said = [("X-Forwarded-Proto", "https"), ("X-Real-IP", "6.6.6.6"), ("Forwarded", "for=1.2.3.4")]
    assert told(ForwardedPolicy(fields=["proto"]), *said) == [
        ("Forwarded", "for=1.2.3.4"),
        ("X-Forwarded-Proto", "http"),
    ]


@pytest.mark.parametrize(
    ("peer", "host", "element"),
    [
        ("192.0.2.1", "a", "for=192.0.2.1;host=a;proto=http"),
        ("2001:db8::1", "[::1]:80", 'for="[2001:db8::1]";host="[::1]:80";proto=http'),
        ("::ffff:192.0.2.1", "a", "for=192.0.2.1;host=a;proto=http"),
        ("fe80::1%eth0", "a", 'for="[fe80::1]";host=a;proto=http'),
        ("/run/easews.sock", "a", "for=unknown;host=a;proto=http"),
        ("192.0.2.1", 'a";for="b\\', 'for=192.0.2.1;host="a\\";for=\\"b\\\\";proto=http'),
    ],
)
def test_an_element_of_forwarded_is_quoted_as_rfc_7239_wants_it(
    peer: str, host: str, element: str
) -> None:
    policy = ForwardedPolicy(fields=[], forwarded=True)
    assert told(policy, peer=Address(peer), host=host) == [("Forwarded", element)]


@pytest.mark.parametrize(
    ("peer", "hop"),
    [("2001:db8::1", "2001:db8::1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("/run/s", "unknown")],
)
def test_x_forwarded_for_has_no_brackets_and_no_mapped_addresses(peer: str, hop: str) -> None:
    policy = ForwardedPolicy(fields=["for"])
    assert told(policy, peer=Address(peer, 1)) == [("X-Forwarded-For", hop)]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (
            ["for=1.2.3.4;proto=https", 'for="[::1]", for=_x '],
            'for=1.2.3.4;proto=https, for="[::1]", for=_x, ',
        ),
        (['for="open, for=1.2.3.4'], "for=1.2.3.4, "),
        (['for="open'], ""),
        (["for=6.6.6.6, ?, for=1.2.3.4"], "for=1.2.3.4, "),
    ],
)
def test_our_element_stands_behind_the_well_formed_end_of_forwarded(
    said: list[str], kept: str
) -> None:
    policy = ForwardedPolicy(fields=[], forwarded=True)
    told_now = told(policy, *(("Forwarded", line) for line in said), host="a")
    assert told_now == [("Forwarded", f"{kept}for=10.0.0.1;host=a;proto=http")]


@pytest.mark.parametrize(
    "piece", ["for=a;", "a=b ; ", 'for="\\a', 'for="a,', 'for="a",', "a,", "\t", 'a="\\",', ",="]
)
@pytest.mark.parametrize("end", ["", "\x00"])
def test_forwarded_is_read_in_a_time_that_grows_with_its_length_alone(piece: str, end: str) -> None:
    def seconds(size: int) -> float:
        headers = Headers.parsed([("forwarded", "Forwarded", piece * (size // len(piece)) + end)])
        start = time.process_time()
        for _ in range(5):
            forwarded_elements(headers)
        return time.process_time() - start

    seconds(4000)
    # Linear is 16 times as long; even quadratic would be 256 times.
    assert seconds(64_000) < 100 * max(seconds(4000), 1e-3)


def test_the_clients_own_headers_may_be_changed_in_place() -> None:
    said = Headers([("Host", "a"), ("X-Forwarded-For", "6.6.6.6")])
    request = Request("GET", "/", said, vouched=["x-forwarded-for"])
    ForwardedPolicy("replace").apply(request.headers, request)
    assert request.headers.get_all("x-forwarded-for") == ["127.0.0.1"]


# -- properties ------------------------------------------------------------------------------

VALUES = st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=30)
LIES = st.lists(st.tuples(st.sampled_from([*FAMILY, "forwarded"]), VALUES), max_size=5)
POLICIES = st.builds(
    ForwardedPolicy,
    st.sampled_from(["append", "replace", "remove"]),
    st.lists(st.sampled_from(["for", "host", "proto", "port"]), unique=True),
    st.booleans(),
)


@given(POLICIES, LIES)
def test_an_untrusted_peer_never_influences_what_is_told(
    policy: ForwardedPolicy, lies: Fields
) -> None:
    assert told(policy, *lies, peer=STRANGER) == told(policy, peer=STRANGER)


@given(POLICIES, LIES)
def test_a_trusted_peer_is_always_the_last_hop_that_is_told(
    policy: ForwardedPolicy, said: Fields
) -> None:
    headers = Headers(told(policy, *said))
    if policy.mode != "remove" and "for" in policy.fields:
        assert headers.elements("x-forwarded-for")[-1] == "10.0.0.1"
    if policy.mode != "remove" and policy.forwarded:
        assert forwarded_elements(headers)[-1].startswith("for=10.0.0.1;")


@pytest.mark.parametrize(
    "name", ["Forwarded", "X-Forwarded-Any", "X-Real-IP", "Proxy", "X_Real_IP", "X.Real.IP"]
)
def test_a_field_that_only_a_proxy_may_write_is_known_by_itself(name: str) -> None:
    assert forwarding_names(Headers([("Accept", "*/*"), (name, "x")])) == {name.lower()}


def test_elements_count_from_the_comma_behind_a_fault_on() -> None:
    headers = Headers([("Forwarded", 'for=a, =, for="b", proto=http')])
    assert forwarded_elements(headers) == ['for="b"', "proto=http"]


@pytest.mark.parametrize(
    ("element", "hop"),
    [("for=a", "a"), ('proto=http;For="[::1]:80"', "[::1]:80"), ("for=a;for=b", ""), ("by=a", "")],
)
def test_an_element_names_one_hop_or_none(element: str, hop: str) -> None:
    assert forwarded_for(element) == hop
