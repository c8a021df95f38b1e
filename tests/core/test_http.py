"""Headers, requests and responses as filters see them; handing a connection over."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews import (
    Address,
    Connection,
    Ending,
    Headers,
    Opening,
    Request,
    Response,
    Upgrade,
    end_to_end,
)


def test_the_values_of_a_field_are_found_by_its_lower_case_name() -> None:
    headers = Headers([("Host", "h"), ("X-A", "1"), ("x-a", "2")])
    assert dict(headers.by_name) == {"host": ("h",), "x-a": ("1", "2")}
    headers.extend([("x-a", "X-A", "3"), ("x-b", "X-B", "4")])
    assert headers.by_name["x-a"] == ("1", "2", "3")
    assert headers.get("X-B") == "4"


def test_headers_keep_order_and_repeated_lines() -> None:
    headers = Headers([("Via", "a"), ("X", "1"), ("via", "b, c")])
    assert list(headers) == [("Via", "a"), ("X", "1"), ("via", "b, c")]
    assert headers.get("VIA") == "a"
    assert headers.get_all("via") == ["a", "b, c"]
    assert headers.elements("via") == ["a", "b", "c"]
    assert headers.get("none") == ""


def test_headers_are_equal_to_headers_only() -> None:
    assert Headers([("Via", "a")]) == Headers([("via", "a")])
    assert Headers([("Via", "a")]) != [("Via", "a")]


def test_a_path_is_decoded_once() -> None:
    assert Request("GET", "/a/b?c").path == "/a/b"
    assert Request("GET", "/a%2520b").path == "/a%20b"


def test_headers_are_set_added_and_removed() -> None:
    headers = Headers([("A", "1"), ("B", "2"), ("a", "3")])
    headers.set("a", "4")
    headers.add("C", "5")
    assert list(headers) == [("B", "2"), ("a", "4"), ("C", "5")]
    headers.remove("b", "c", "none")
    assert headers == Headers([("A", "4")])
    assert "a" in headers
    assert "b" not in headers


@pytest.mark.parametrize("sent", ["X_Auth_User", "x.auth.user", "X-Auth_User", "X-AUTH-USER"])
def test_setting_or_removing_a_field_takes_its_other_spellings_out(sent: str) -> None:
    headers = Headers([(sent, "eve"), ("X_Other", "1")])
    headers.set("X-Auth-User", "bob")
    assert list(headers) == [("X_Other", "1"), ("X-Auth-User", "bob")]
    headers.remove(sent)
    assert list(headers) == [("X_Other", "1")]


def test_a_copy_is_a_thing_of_its_own() -> None:
    headers = Headers([("A", "1")])
    headers.copy().add("B", "2")
    assert len(headers) == 1


NAMES = st.sampled_from(["A", "a", "B", "b", "C"])
CHANGES = st.one_of(
    st.tuples(st.sampled_from(["add", "set"]), NAMES, st.sampled_from("123")),
    st.tuples(st.just("remove"), NAMES, NAMES),
    st.tuples(st.sampled_from(["copy", "get"]), NAMES),
)


@given(st.lists(CHANGES))
def test_headers_are_found_by_what_they_are_now(changes: list[tuple[str, ...]]) -> None:
    headers, before = Headers(), [(Headers(), list[tuple[str, str]]())]
    for change, *arguments in changes:
        if change == "copy":
            before.append((headers, list(headers)))
            headers = headers.copy()
        else:
            getattr(headers, change)(*arguments)
        for each, fields in [*before, (headers, list(headers))]:
            assert list(each) == fields
            for name in "abc":
                assert each.get_all(name) == [v for field, v in fields if field.lower() == name]


@pytest.mark.parametrize(
    ("name", "value"), [("", "x"), ("a b", "x"), ("a:", "x"), ("A", "x\r\nB: y"), ("A", "ł")]
)
def test_what_could_not_be_sent_as_it_is_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="header"):
        Headers().add(name, value)


def test_a_repr_shows_no_values() -> None:
    assert "secret" not in repr(Headers([("Cookie", "secret")]))
    assert "secret" not in repr(Request("GET", "/ws?token=secret"))


def test_only_end_to_end_headers_go_on() -> None:
    for_this_hop = "TE Keep-Alive X-Once Upgrade Proxy-Connection Transfer-Encoding Proxy-Any Host"
    headers = Headers([("Connection", "keep-alive, X-Once"), ("X-Stays", "1")])
    for name in for_this_hop.split():
        headers.add(name, "x")
    assert list(end_to_end(headers, "HOST")) == [("X-Stays", "1")]


def test_other_spellings_of_what_stays_here_stay_here() -> None:
    names = ["Keep_Alive", "proxy.authorization", "X.Once", "Sec_WebSocket.Key", "X_Stays", "B"]
    headers = Headers([("Connection", "X-Once"), *((name, "x") for name in names)])
    assert list(end_to_end(headers, "Sec-WebSocket-Key")) == [("X_Stays", "x"), ("B", "x")]


def test_a_request_knows_its_path_decoded_and_as_it_was_written() -> None:
    request = Request("GET", "/a%20b/%C5%82?x=%20")
    assert (request.path, request.raw_path) == ("/a b/ł", "/a%20b/%C5%82")
    assert request.query == "x=%20"
    assert Request("GET", "/%ff").path == "/\udcff"


@pytest.mark.parametrize(
    ("version", "headers", "wants"),
    [
        ("1.1", [("Connection", "keep-alive, Upgrade"), ("Upgrade", "x")], True),
        ("1.0", [("Connection", "Upgrade"), ("Upgrade", "x")], False),
        ("1.1", [("Upgrade", "x")], False),
        ("1.1", [("Connection", "Upgrade")], False),
    ],
)
def test_an_upgrade_attempt_is_recognised(
    version: str, headers: list[tuple[str, str]], wants: bool
) -> None:
    assert Request("GET", "/", Headers(headers), version=version).wants_upgrade is wants


def test_addresses_are_written_as_in_urls() -> None:
    assert str(Address("::1", 80)) == "[::1]:80"
    assert str(Address("10.0.0.1", 80)) == "10.0.0.1:80"
    assert str(Address("/run/x.sock")) == "/run/x.sock"


async def test_a_body_is_empty_unless_somebody_gave_one() -> None:
    assert [piece async for piece in Request("GET", "/").body] == []
    assert [piece async for piece in Response(200, content="łó").body] == ["łó".encode()]


async def test_an_answer_is_closed_once_whether_its_on_close_is_async_or_not() -> None:
    closed: list[str] = []

    async def close() -> None:
        closed.append("async")

    for on_close in (lambda: closed.append("sync"), close):
        response = Response(200, on_close=on_close)
        assert response.held
        await response.aclose()
        await response.aclose()
        assert not response.held
    assert closed == ["sync", "async"]


async def test_an_upgrade_is_either_started_or_discarded() -> None:
    started: list[Connection] = []
    discarded: list[int] = []
    near, far = socket.socketpair()
    with near, far:
        connection = Connection(near, Opening("1"))
        upgrade = Upgrade(Headers(), "x", "", started.append, lambda: discarded.append(1))
        await upgrade.accept(connection)
        await upgrade.aclose()
        assert (started, discarded) == ([connection], [])
        with pytest.raises(RuntimeError, match="already started"):
            await upgrade.accept(connection)

    other = Upgrade(Headers(), "x", "", started.append, lambda: discarded.append(1))
    await other.aclose()
    await other.aclose()
    assert discarded == [1]


def test_a_connection_is_over_once() -> None:
    released: list[int] = []
    near, far = socket.socketpair()
    with near, far:
        connection = Connection(near, Opening("1"), release=lambda: released.append(1))
        connection.over(Ending("client", 1000, "closed", 0.0))
        connection.over(Ending("client", 1000, "closed", 0.0))
    assert released == [1]
