"""The `admin` of a Gateway in a config: what is refused, and what is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from easews.addresses import Address, parse_endpoint
from easews.config import Source, from_sources
from easews.config.admin import at_address
from easews.config.model import AdminSpec
from easews.errors import ConfigError
from easews.plugins import Kinds


def admin(fields: str) -> AdminSpec:
    text = f"{{kind: Gateway, name: g, admin: {{{fields}}}}}"
    spec = from_sources([Source("etc/gw.yaml", text)], Kinds([]), {}).gateway.admin
    assert spec is not None
    return spec


def fault(fields: str) -> str:
    with pytest.raises(ConfigError) as caught:
        admin(fields)
    (problem,) = caught.value.problems
    return str(problem)


def test_without_admin_nothing_listens() -> None:
    spec = from_sources([Source("gw.yaml", "{kind: Gateway, name: g}")], Kinds([]), {}).gateway
    assert spec.admin is None


def test_an_empty_admin_listens_on_this_machine_only() -> None:
    spec = admin("")
    assert (spec.address, spec.port, spec.tap, spec.metrics) == (
        "127.0.0.1",
        9901,
        "headers",
        "token",
    )


def test_the_file_of_the_token_is_beside_the_config() -> None:
    assert Path(admin("tokenFile: admin.token").token_file) == Path("etc/admin.token")


def test_the_token_is_not_in_the_text_of_the_spec() -> None:
    assert "0123456789abcdef" not in repr(admin("token: 0123456789abcdef"))


@pytest.mark.parametrize("address", ["0.0.0.0:1", "'[::]:1'", "10.0.0.1:1", "gateway.example:1"])
def test_a_public_address_without_a_token_is_refused_at_its_place(address: str) -> None:
    told = fault(f"address: {address}")
    assert told.startswith("etc/gw.yaml:1:43: g.admin.address: whoever reaches this address")
    assert admin(f"address: {address}, token: 0123456789abcdef").token == "0123456789abcdef"
    assert admin(f"address: {address}, tokenFile: t").token_file == "etc/t"


@pytest.mark.parametrize("address", ["127.9.9.9:1", "'[::1]:1'", "localhost:1", "unix:/run/a.sock"])
def test_a_private_address_needs_no_token(address: str) -> None:
    assert admin(f"address: {address}").token == ""


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ("token: short", "token"),
        ("token: 0123456789abcdef, tokenFile: t", "both"),
        ("address: 127.0.0.1", "neither a host with a port"),
        ("address: '127.0.0.1:99999'", "from 0 to 65535"),
        ("address: '::1:80'", "neither a host with a port"),
        ("address: unix:a.sock", "whole path"),
    ],
)
def test_what_cannot_be_meant_is_told(fields: str, told: str) -> None:
    assert told in fault(fields)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("localhost:0", Address("localhost", 0)),
        ("[::1]:80", Address("::1", 80)),
        ("unix:/run/a:1", Address("unix:/run/a:1")),
    ],
)
def test_endpoints(text: str, address: Address) -> None:
    assert parse_endpoint(text) == address


@pytest.mark.parametrize("text", ["", "80", ":80", "[::1]", "[::1]:", "h:-1", "h:\u0661", "[h]:1"])
def test_what_is_no_endpoint(text: str) -> None:
    with pytest.raises(ValueError, match=r"it is neither|its port"):
        parse_endpoint(text)


def test_the_command_line_has_another_address_for_the_same_token() -> None:
    given: Any = admin("address: 127.0.0.1:1, token: 0123456789abcdef")
    spec = at_address(given, "0.0.0.0:2")
    assert (spec.address, spec.port, spec.token) == ("0.0.0.0", 2, "0123456789abcdef")
    assert at_address(None, "localhost:3").tap == "headers"
    with pytest.raises(ValueError, match="no token"):
        at_address(None, "0.0.0.0:2")


@pytest.mark.parametrize(
    ("text", "why"), [("127.0.0.1", "it is neither a host with a port"), ("h:99999", "its port")]
)
def test_the_command_line_is_told_why_it_has_no_address(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"^is no address to listen on: {why}"):
        at_address(None, text)
