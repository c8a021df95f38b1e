"""What of a request's fields counts: nothing that decides can be forged or removed by a client."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews import ClientCertificate, Headers
from easews.http import hyphenated
from easews.server.fields import add_certificate, received_fields, without_reserved

FAMILY = [
    *("Forwarded", "X-Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Uri"),
    *("X-Forwarded-Method", "X-Forwarded-User", "X-Forwarded-Client-Cert", "X-Forwarded-Prefix"),
    *("X-Real-IP", "X-Original-Forwarded-For", "Proxy"),
]
SPELLINGS = [
    *("X_Forwarded_For", "X.Forwarded.For", "x-forwarded_for", "X_REAL_IP", "X-Real.Ip"),
    *("X_Forwarded-Proto", "x_original-forwarded.for"),
]
OTHERS = ["X_Auth_User", "X-Forwarder", "Via", "Proxy_Hint", "X.Y", "X-Real-IPs", "Not-Forwarded"]


def kept(
    *fields: tuple[str, str], trusted: bool = False, source: str | None = None
) -> list[tuple[str, str]]:
    return list(received_fields(Headers(fields), trusted, source))


def names(*sent: str, trusted: bool = True, source: str | None = None) -> list[str]:
    """Which of the fields that were sent are kept."""
    return [
        name for name, _ in kept(*((name, "a") for name in sent), trusted=trusted, source=source)
    ]


@pytest.mark.parametrize("name", [*FAMILY, *SPELLINGS])
def test_a_stranger_says_nothing_about_whom_it_speaks_for_in_any_spelling(name: str) -> None:
    assert names("Host", name, name.upper(), "Accept", trusted=False) == ["Host", "Accept"]


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("name", OTHERS)
def test_other_fields_pass_with_underscores_and_dots(name: str, trusted: bool) -> None:
    assert names("X-Real-IP", name, trusted=trusted)[-1] == name


@pytest.mark.parametrize("name", sorted({*FAMILY} - {"Proxy"}))
def test_a_trusted_proxy_may_say_all_of_it(name: str) -> None:
    assert names(name) == [name]


@pytest.mark.parametrize("name", [*SPELLINGS, "Proxy", "PROXY"])
def test_no_proxy_writes_other_spellings_so_they_are_its_clients(name: str) -> None:
    assert names("X-Forwarded-For", name) == ["X-Forwarded-For"]


@pytest.mark.parametrize(
    ("source", "left"),
    [
        (None, ["Accept", "X-Forwarded-For", "X-Forwarded-Uri", "X-Real-IP"]),
        ("x-forwarded-for", ["Accept", "X-Forwarded-For", "X-Forwarded-Uri", "X-Real-IP"]),
        ("forwarded", ["Accept", "Forwarded"]),
    ],
)
def test_of_two_families_one_is_believed(source: str | None, left: list[str]) -> None:
    sent = ["Accept", "Forwarded", "X-Forwarded-For", "X-Forwarded-Uri", "X-Real-IP"]
    assert names(*sent, source=source) == left


def test_where_a_trusted_proxy_writes_only_forwarded_the_rest_is_its_clients() -> None:
    assert names("X-Forwarded-Proto", "Forwarded", "X-Real-IP") == ["Forwarded"]


def test_what_connection_names_is_gone_and_connection_names_it_no_more() -> None:
    fields = [("X-Auth-User", "eve"), ("Connection", "Upgrade, x-auth-USER"), ("Upgrade", "x")]
    assert kept(*fields) == [("Upgrade", "x"), ("Connection", "Upgrade")]
    # Even if it was not sent: a filter may set it.
    assert kept(*fields[1:]) == [("Upgrade", "x"), ("Connection", "Upgrade")]


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        (["keep-alive, Upgrade"], ["keep-alive, Upgrade"]),
        (["close"], ["close"]),
        (["Keep-Alive", "TE, close"], ["Keep-Alive, close"]),
        (["TE"], []),
        (["x-a,,"], []),
    ],
)
def test_the_options_of_connection_stay(lines: list[str], left: list[str]) -> None:
    fields = [("Connection", line) for line in lines]
    assert kept(*fields) == [("Connection", line) for line in left]


@pytest.mark.parametrize(
    "name",
    [
        *("Host", "Content-Length", "TE", "Transfer-Encoding"),
        *("Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol"),
    ],
)
def test_connection_cannot_remove_what_makes_the_request_what_it_is(name: str) -> None:
    assert kept((name, "1"), ("Connection", f"close, {name}")) == [
        (name, "1"),
        ("Connection", "close"),
    ]


@pytest.mark.parametrize("name", ["Cookie", "Authorization", "Origin", "HTTP2-Settings", "X-A"])
def test_any_other_field_that_connection_names_is_as_good_as_not_sent(name: str) -> None:
    assert kept((name, "1"), ("Connection", name)) == []


def test_the_upgrade_that_connection_has_to_name_stays() -> None:
    fields = [("Upgrade", "websocket"), ("Connection", "keep-alive, Upgrade")]
    assert kept(*fields, ("Proxy", "x")) == fields


def test_connection_cannot_remove_what_a_trusted_proxy_says() -> None:
    fields = [("X-Forwarded-For", "203.0.113.5"), ("Connection", "X-Forwarded-For")]
    assert kept(*fields, trusted=True) == [fields[0]]
    assert kept(*fields) == []


def test_an_ordinary_request_is_taken_as_it_is() -> None:
    headers = Headers([("Host", "a"), ("Connection", "keep-alive, Upgrade"), ("Cookie", "a.b_c")])
    assert received_fields(headers, False, None) is headers


def test_what_is_taken_out_is_taken_from_a_copy() -> None:
    headers = Headers([("Proxy", "a"), ("Connection", "X-A")])
    assert len(received_fields(headers, False, None)) == 0
    assert len(headers) == 2


# -- properties ------------------------------------------------------------------------------

NAMES = st.sampled_from([*FAMILY, *SPELLINGS, *OTHERS, "Host", "Cookie", "Connection"])
VALUES = st.lists(NAMES | st.sampled_from(["close", "Upgrade"])).map(", ".join)


@given(st.lists(st.tuples(NAMES, VALUES)), st.sampled_from(["forwarded", "x-forwarded-for", None]))
def test_whatever_is_sent_strangers_forge_nothing_and_connection_names_nothing(
    fields: list[tuple[str, str]], source: str | None
) -> None:
    received = received_fields(Headers(fields), False, source)
    assert {name.lower() for name in FAMILY}.isdisjoint(map(hyphenated, received.by_name))
    assert {*received.tokens("connection")} <= {"close", "upgrade"}
    named = Headers(fields).tokens("connection")
    assert {*received.by_name}.isdisjoint({*named} - {"host", "connection"})


def test_a_reserved_field_is_gone_in_every_spelling() -> None:
    fields = [("X-Client-Subject", "a"), ("x_client_subject", "b"), ("X-Other", "c")]
    assert [*without_reserved(Headers(fields), {"x-client-subject"})] == [("X-Other", "c")]
    untouched = Headers(fields[2:])
    assert without_reserved(untouched, {"x-client-subject"}) is untouched


def test_a_certificate_is_told_so_that_nothing_in_it_can_be_taken_for_more() -> None:
    certificate = ClientCertificate(
        "CN=Zoë\r\nX: y",
        "CN=ca",
        ("DNS:a,DNS:b", "URI:x%y\n"),
        "ab" * 32,
        "1F",
        datetime(2026, 1, 2, tzinfo=UTC),
        datetime(2027, 1, 2, tzinfo=UTC),
    )
    names = ("subject", "issuer", "sans", "fingerprint", "serial", "notBefore", "notAfter")
    headers = Headers()
    add_certificate(headers, {name: f"X-{name}" for name in names}, certificate)
    assert [value for _, value in headers] == [
        "CN=Zo\\C3\\AB\\0D\\0AX: y",
        "CN=ca",
        "DNS:a%2CDNS:b, URI:x%25y%0A",
        "ab" * 32,
        "1F",
        "2026-01-02T00:00:00Z",
        "2027-01-02T00:00:00Z",
    ]
