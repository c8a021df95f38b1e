"""The PROXY protocol, versions 1 and 2: what a proxy sends first, to say whose connection it is.

The names and rules are those of HAProxy's "The PROXY protocol, versions 1 & 2". Pure.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from ..addresses import UNIX, Address, parse_ip

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED_SIZE = 16
_TEXT = b"PROXY "
#: The longest line of version 1, CRLF included.
_LONGEST_LINE = 107

_PORT = rb"(0|[1-9][0-9]{0,4})"
_line = re.compile(
    rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?|TCP([46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) "
    + _PORT
    + b" "
    + _PORT
    + rb")"
).fullmatch

_LOCAL, _PROXY = 0, 1
_UNSPECIFIED = 0x00
#: Address family and transport -> the size of an IP, for both transports.
_INET = {0x11: 4, 0x12: 4, 0x21: 16, 0x22: 16}
_UNIX = (0x31, 0x32)
_UNIX_PATH = 108


class ProxyHeader(NamedTuple):
    """What a proxy has said of a connection.

    size         how many bytes the header has; the connection's own data begins behind it
    source       where the connection comes from, and
    destination  what it was made to. Both are None when the proxy speaks for itself (LOCAL), or
                 does not know (UNKNOWN, UNSPEC): then the ends of its own connection count
    """

    size: int
    source: Address | None = None
    destination: Address | None = None


def proxy_header(
    version: str, source: Address | None = None, destination: Address | None = None
) -> bytes:
    """The header, of the version `v1` or `v2`, for a connection from `source` to `destination`.

    Without a `source` the connection is our own. A source that is no IP is told as unknown.
    """
    ends = None if source is None else _ends(source, destination or Address("", 0))
    if version == "v1":
        return _line_for(ends)
    if ends is None:
        own = source is None
        return _SIGNATURE + bytes([0x20 | (_LOCAL if own else _PROXY), _UNSPECIFIED, 0, 0])
    (one, port), (other, other_port) = ends
    block = one.packed + other.packed + port.to_bytes(2) + other_port.to_bytes(2)
    family = 0x11 if one.version == 4 else 0x21
    return _SIGNATURE + bytes([0x20 | _PROXY, family]) + len(block).to_bytes(2) + block


_End = tuple[IPv4Address | IPv6Address, int]


def _ends(source: Address, destination: Address) -> tuple[_End, _End] | None:
    """Both ends, in one family: an IPv4 address is also an IPv6 address (RFC 4291 §2.5.5.2)."""
    one, other = parse_ip(source.host), parse_ip(destination.host)
    if one is None:
        return None
    if other is None:
        other = IPv4Address(0) if one.version == 4 else IPv6Address(0)
    if one.version != other.version:
        one, other = _mapped(one), _mapped(other)
    return (one, source.port), (other, destination.port)


def _mapped(ip: IPv4Address | IPv6Address) -> IPv6Address:
    return ip if isinstance(ip, IPv6Address) else IPv6Address(f"::ffff:{ip}")


def _line_for(ends: tuple[_End, _End] | None) -> bytes:
    if ends is None:
        return b"PROXY UNKNOWN\r\n"
    (one, port), (other, other_port) = ends
    family = "TCP4" if one.version == 4 else "TCP6"
    return f"PROXY {family} {one} {other} {port} {other_port}\r\n".encode()


def parse_proxy_header(data: bytes) -> ProxyHeader | None:
    """The header at the beginning of `data`.

    None when `data` is the beginning of a header and more is needed; all of it then belongs to
    the header. ValueError when it is none; the text goes on from "the PROXY header ...".
    """
    if data.startswith(_SIGNATURE):
        return _parse_binary(data)
    if data.startswith(_TEXT):
        return _parse_line(data)
    if _SIGNATURE.startswith(data) or _TEXT.startswith(data):
        return None
    raise ValueError("is missing")


def _parse_line(data: bytes) -> ProxyHeader | None:
    line, end, _ = data[:_LONGEST_LINE].partition(b"\r\n")
    if not end:
        if len(line) == _LONGEST_LINE:
            raise ValueError(f"is a line of more than {_LONGEST_LINE} bytes")
        return None
    match = _line(line)
    if match is None:
        raise ValueError("is malformed")
    size = len(line) + len(end)
    family, source, destination, source_port, destination_port = match.groups()
    if family is None:
        return ProxyHeader(size)
    kind = IPv4Address if family == b"4" else IPv6Address
    return ProxyHeader(
        size,
        Address(_written_ip(source, kind), _port(int(source_port))),
        Address(_written_ip(destination, kind), _port(int(destination_port))),
    )


def _written_ip(text: bytes, kind: type[IPv4Address | IPv6Address]) -> str:
    try:
        return str(parse_ip(str(kind(text.decode()))))
    except ValueError:
        raise ValueError("has an address that is none of its family") from None


def _port(port: int) -> int:
    if port > 65535:
        raise ValueError("has a port over 65535")
    return port


def _parse_binary(data: bytes) -> ProxyHeader | None:
    if len(data) < _FIXED_SIZE:
        return None
    version, command = divmod(data[12], 16)
    if version != 2:
        raise ValueError(f"has the version {version}, which is not 1 or 2")
    if command not in (_LOCAL, _PROXY):
        raise ValueError(f"has the unknown command {command}")
    size = _FIXED_SIZE + int.from_bytes(data[14:16])
    if len(data) < size:
        return None
    if command == _LOCAL or data[13] == _UNSPECIFIED:
        return ProxyHeader(size)  # whatever else it has is to be ignored
    return ProxyHeader(size, *_addresses(data[13], data[_FIXED_SIZE:size]))


def _addresses(family: int, block: bytes) -> tuple[Address, Address]:
    width = _INET.get(family)
    if width is not None:
        size = 2 * width + 4
    elif family in _UNIX:
        size = 2 * _UNIX_PATH
    else:
        raise ValueError(f"has the unknown address family 0x{family:02x}")
    if len(block) < size:
        raise ValueError("is too short for its addresses")
    _check_extensions(block[size:])
    if width is None:
        return _unix(block[:_UNIX_PATH]), _unix(block[_UNIX_PATH:size])
    ports = [int.from_bytes(block[at : at + 2]) for at in (2 * width, 2 * width + 2)]
    return (
        Address(_packed_ip(block[:width]), ports[0]),
        Address(_packed_ip(block[width : 2 * width]), ports[1]),
    )


def _packed_ip(packed: bytes) -> str:
    ip = IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)
    return str(parse_ip(str(ip)))


def _unix(path: bytes) -> Address:
    """RFC 7239 §6.2 calls a client without an address unknown: most have no path."""
    text = path.rstrip(b"\0").replace(b"\0", b"@").decode(errors="backslashreplace")
    return Address(f"{UNIX}{text}" if text else "unknown")


def _check_extensions(block: bytes) -> None:
    """Extensions (TLVs) are not used, but have to fill the rest of the header exactly."""
    at = 0
    while at < len(block):
        at += 3 + int.from_bytes(block[at + 1 : at + 3])
    if at != len(block):
        raise ValueError("has an extension that goes over its end")
