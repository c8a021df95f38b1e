"""The header of the PROXY protocol: what it says, what is none, and when more is needed."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews import Address
from easews.addresses import parse_ip
from easews.net.proxyprotocol import ProxyHeader, parse_proxy_header, proxy_header

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
SOURCE, DESTINATION = Address("203.0.113.5", 56324), Address("192.0.2.1", 443)
LINE = b"PROXY TCP4 203.0.113.5 192.0.2.1 56324 443\r\n"
REST = b"GET / HTTP/1.1\r\n\r\n"


def binary(
    block: bytes = b"", family: int = 0x11, command: int = 0x21, size: int | None = None
) -> bytes:
    length = len(block) if size is None else size
    return SIGNATURE + bytes([command, family]) + length.to_bytes(2) + block


def inet(source: Address = SOURCE, destination: Address = DESTINATION) -> bytes:
    packed = [ip_address(end.host).packed for end in (source, destination)]
    return b"".join(packed) + source.port.to_bytes(2) + destination.port.to_bytes(2)


def extension(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + len(value).to_bytes(2) + value


@pytest.mark.parametrize("header", [LINE, binary(inet())], ids=["v1", "v2"])
def test_a_header_names_both_ends_of_the_clients_connection(header: bytes) -> None:
    assert parse_proxy_header(header + REST) == ProxyHeader(len(header), SOURCE, DESTINATION)


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY TCP6 2001:db8::5 2001:DB8:0::1 56324 443\r\n",
        binary(inet(Address("2001:db8::5", 56324), Address("2001:db8::1", 443)), 0x21),
        binary(inet(Address("2001:db8::5", 56324), Address("2001:db8::1", 443)), 0x22),
    ],
)
def test_addresses_may_be_ipv6(header: bytes) -> None:
    ends = Address("2001:db8::5", 56324), Address("2001:db8::1", 443)
    assert parse_proxy_header(header) == ProxyHeader(len(header), *ends)


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY TCP6 ::ffff:203.0.113.5 ::ffff:c000:201 56324 443\r\n",
        binary(inet(Address("::ffff:203.0.113.5", 56324), Address("::ffff:192.0.2.1", 443)), 0x21),
    ],
)
def test_an_ipv4_mapped_address_is_the_ipv4_address(header: bytes) -> None:
    assert parse_proxy_header(header) == ProxyHeader(len(header), SOURCE, DESTINATION)


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
        binary(command=0x20, family=0),
        binary(inet(), command=0x20),
        binary(b"whatever it is", command=0x20, family=0xFF),
        binary(b"whatever it is", family=0),
    ],
)
def test_a_proxy_may_leave_the_ends_of_its_own_connection_to_count(header: bytes) -> None:
    assert parse_proxy_header(header + REST) == ProxyHeader(len(header))
    assert parse_proxy_header(header) == ProxyHeader(len(header))


@pytest.mark.parametrize(
    ("path", "host"),
    [
        (b"/run/client.sock", "unix:/run/client.sock"),
        (b"\0abstract", "unix:@abstract"),
        (b"/\xffX", "unix:/\\xffX"),
        (b"", "unknown"),
    ],
)
def test_clients_of_unix_sockets_are_known_by_their_path_if_they_have_one(
    path: bytes, host: str
) -> None:
    header = binary(path.ljust(108, b"\0") + b"/run/s".ljust(108, b"\0"), 0x31)
    ends = Address(host), Address("unix:/run/s")
    assert parse_proxy_header(header) == ProxyHeader(len(header), *ends)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 5000])
def test_extensions_are_skipped(size: int) -> None:
    header = binary(inet() + extension(0x01, b"h2") + extension(0x04, bytes(size)))
    assert parse_proxy_header(header + REST) == ProxyHeader(len(header), SOURCE, DESTINATION)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"GET / HTTP/1.1\r\n", "is missing"),
        (b"\x16\x03\x01", "is missing"),
        (b"proxy TCP4", "is missing"),
        (b"PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n", "is malformed"),
        (b"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n", "is malformed"),
        (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n", "is malformed"),
        (b"PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n", "is malformed"),
        (b"PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n", "is malformed"),
        (b"PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n", "is malformed"),
        (b"PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n", "is malformed"),
        (b"PROXY UNKNOWNx\r\n", "is malformed"),
        (b"PROXY \r\n", "is malformed"),
        (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n", "has a port over 65535"),
        (b"PROXY TCP4 ::1 2.2.2.2 1 2\r\n", "none of its family"),
        (b"PROXY TCP6 1.1.1.1 ::1 1 2\r\n", "none of its family"),
        (b"PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n", "none of its family"),
        (b"PROXY UNKNOWN".ljust(107), "more than 107 bytes"),
        (b"PROXY UNKNOWN".ljust(106) + b"\r\n", "more than 107 bytes"),
        (binary(inet(), command=0x11), "has the version 1"),
        (binary(inet(), command=0x31), "has the version 3"),
        (binary(inet(), command=0x22), "unknown command 2"),
        (binary(inet(), family=0x10), "family 0x10"),
        (binary(inet(), family=0x41), "family 0x41"),
        (binary(inet()[:-1]), "too short"),
        (binary(inet(), 0x21), "too short"),
        (binary(bytes(215), 0x31), "too short"),
        (binary(inet() + b"\1"), "goes over its end"),
        (binary(inet() + b"\1\0\2x"), "goes over its end"),
    ],
)
def test_what_is_no_header_is_an_error(data: bytes, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_proxy_header(data)


def test_the_longest_line_has_107_bytes() -> None:
    line = b"PROXY UNKNOWN ".ljust(105, b"f") + b"\r\n"
    assert parse_proxy_header(line) == ProxyHeader(107)
    assert parse_proxy_header(line[:106]) is None


V4, V6 = st.integers(0, 2**32 - 1).map(IPv4Address), st.integers(2**64, 2**128 - 1).map(IPv6Address)
PORTS = st.integers(0, 65535)
EXTENSIONS = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40)), max_size=4)


@st.composite
def headers(draw: st.DrawFn) -> tuple[bytes, ProxyHeader]:
    ips = draw(st.sampled_from([V4, V6]))
    ends = [Address(str(draw(ips)), draw(PORTS)) for _ in range(2)]
    version = 6 if ":" in ends[0].host else 4
    if draw(st.booleans()):
        hosts, ports = " ".join(end.host for end in ends), " ".join(str(end.port) for end in ends)
        data = f"PROXY TCP{version} {hosts} {ports}\r\n".encode()
    else:
        extensions = b"".join(extension(*it) for it in draw(EXTENSIONS))
        data = binary(inet(*ends) + extensions, 0x11 if version == 4 else 0x21)
    return data, ProxyHeader(len(data), *ends)


@given(headers(), st.binary(max_size=20))
def test_whatever_follows_a_header_it_is_read_as_it_was_written(
    header: tuple[bytes, ProxyHeader], rest: bytes
) -> None:
    data, expected = header
    assert parse_proxy_header(data + rest) == expected


@given(headers(), st.data())
def test_the_beginning_of_a_header_asks_for_more(
    header: tuple[bytes, ProxyHeader], draw: st.DataObject
) -> None:
    data, _ = header
    assert parse_proxy_header(data[: draw.draw(st.integers(0, len(data) - 1))]) is None


@given(st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, binary()[:13]]), st.binary())
def test_any_bytes_are_a_header_or_an_error_or_ask_for_more(begin: bytes, rest: bytes) -> None:
    data = begin + rest
    try:
        header = parse_proxy_header(data)
    except ValueError:
        return
    assert header is None or 0 < header.size <= len(data)


# The header that we write


def test_what_is_written_is_what_the_specification_has() -> None:
    assert proxy_header("v1", SOURCE, DESTINATION) == LINE
    assert proxy_header("v2", SOURCE, DESTINATION) == binary(inet())


VERSIONS = pytest.mark.parametrize("version", ["v1", "v2"])
IPS = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
ADDRESSES = st.builds(Address, IPS, st.integers(0, 65535))


@VERSIONS
@given(source=ADDRESSES, destination=ADDRESSES)
def test_what_is_written_is_read_as_it_was(
    version: str, source: Address, destination: Address
) -> None:
    """In one family or in two; a mapped IPv4 address is the IPv4 address."""
    header = proxy_header(version, source, destination)
    read = parse_proxy_header(header + REST)
    assert read is not None
    assert read.size == len(header)
    for end, meant in ((read.source, source), (read.destination, destination)):
        assert end is not None
        assert (parse_ip(end.host), end.port) == (parse_ip(meant.host), meant.port)


@VERSIONS
def test_our_own_connection_has_no_source(version: str) -> None:
    header = proxy_header(version)
    assert parse_proxy_header(header + REST) == ProxyHeader(len(header))
    assert header == (b"PROXY UNKNOWN\r\n" if version == "v1" else binary(family=0, command=0x20))


@VERSIONS
def test_a_client_without_an_ip_is_unknown(version: str) -> None:
    header = proxy_header(version, Address("unix"), Address("unix:/run/easews.sock"))
    assert parse_proxy_header(header + REST) == ProxyHeader(len(header))
    assert header == (b"PROXY UNKNOWN\r\n" if version == "v1" else binary(family=0, command=0x21))


@VERSIONS
@pytest.mark.parametrize(("client", "nowhere"), [("192.0.2.5", "0.0.0.0"), ("2001:db8::5", "::")])
def test_a_client_behind_a_proxy_on_a_unix_socket_came_to_no_address(
    version: str, client: str, nowhere: str
) -> None:
    header = proxy_header(version, Address(client, 1), Address("unix:/run/easews.sock"))
    read = parse_proxy_header(header)
    assert read == ProxyHeader(len(header), Address(client, 1), Address(nowhere, 0))
