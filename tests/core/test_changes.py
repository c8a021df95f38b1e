"""Changes of headers: their order, empty values, and headers that are not to be changed."""

from __future__ import annotations

from typing import Any

import pytest

from easews import HeaderChanges, Headers
from easews.testing import make_context

OURS = [
    *("Connection", "Content-Length", "Transfer-Encoding", "Upgrade", "Keep_Alive", "TE"),
    *("Sec-WebSocket-Key", "sec-websocket-accept", "Host"),
]


def changed(spec: dict[str, Any], *fields: tuple[str, str], target: str = "/") -> Headers:
    ctx = make_context(target, fields)
    headers = ctx.request.headers
    HeaderChanges(spec).apply(headers, ctx)
    return Headers([field for field in headers if field[0] != "Host"])


def test_headers_are_removed_then_replaced_then_added() -> None:
    spec = {
        "add": {"X-B": "added"},
        "set": {"X-A": "new", "X-B": "set"},
        "del": ["X-B", "X-Gone"],
    }
    headers = changed(spec, ("X-A", "1"), ("x-a", "2"), ("X-B", "3"), ("X_Gone", "4"))
    assert [*headers] == [("X-A", "new"), ("X-B", "set"), ("X-B", "added")]


def test_a_header_can_be_renamed() -> None:
    spec = {"del": ["X-Old"], "set": {"X-New": "{{Header.X-Old}}"}}
    assert [*changed(spec, ("X-Old", "1"))] == [("X-New", "1")]


def test_values_see_the_headers_as_they_came() -> None:
    spec = {"set": {"A": "{{Header.B}}", "B": "{{Header.A}}"}, "add": {"C": "{{Header.A}}"}}
    assert [*changed(spec, ("A", "1"), ("B", "2"))] == [("A", "2"), ("B", "1"), ("C", "1")]


def test_a_value_that_is_missing_takes_the_clients_own_out() -> None:
    spec = {"set": {"X-User": "{{Certificate.subject}}"}, "add": {"X-More": "{{Query.a}}"}}
    assert [*changed(spec, ("X-User", "forged"), ("X_User", "forged"))] == []


def test_a_value_cannot_begin_another_header() -> None:
    spec = {"set": {"X": "{{Query.x}}"}}
    headers = changed(spec, target="/?x=a%0d%0aX-Admin:1")
    assert [*headers] == [("X", "a%0D%0AX-Admin:1")]


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("verb", ["del", "set", "add"])
def test_what_the_engine_writes_is_not_to_be_changed(name: str, verb: str) -> None:
    spec: dict[str, Any] = {verb: [name] if verb == "del" else {name: "x"}}
    (fault,) = HeaderChanges.faults(spec, ("header",))
    assert tuple(fault.path) == ("header", verb, 0 if verb == "del" else name)
    assert "changed" in fault.wrong
    assert fault.accepted


def test_a_name_or_value_that_cannot_be_sent_is_a_fault() -> None:
    faults = HeaderChanges.faults({"set": {"a b": "x"}, "add": {"A": "{{Methot}}"}}, ())
    assert [(*fault.path,) for fault in faults] == [("set", "a b"), ("add", "A")]


def test_a_spec_without_fault_has_none() -> None:
    spec = {"del": ["Server"], "set": {"X-A": "{{Header.X-B}}"}, "add": {"Cookie": "a=b"}}
    assert not [*HeaderChanges.faults(spec, ())]
