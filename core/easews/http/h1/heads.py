"""The heads of requests and responses: bytes to values and back (RFC 9112 §§2-5). No I/O.

Reading is strict, without any leniency: what two readers could take in two ways is refused,
because what stands before us or behind us may be the other reader.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from ipaddress import AddressValueError, IPv6Address
from typing import NamedTuple

from ..headers import Headers
from .faults import TOKEN, HeadError, request_fault, response_fault


class RequestHead(NamedTuple):
    """A request without its body. `target` is in origin-form, or ``*`` with OPTIONS."""

    method: str
    target: str
    version: str
    headers: Headers


class ResponseHead(NamedTuple):
    """A response without its body. `reason` may be empty."""

    status: int
    reason: str
    version: str
    headers: Headers


# One expression matches the whole head, in linear time: the quantifiers of character classes are
# possessive, and a field line can begin in one place only. (Those of groups are not possessive:
# Python 3.11.2 mishandles that.) What `target` may not be besides is checked afterwards, as only
# few requests need it.
_FIELDS = rf"((?:\r\n{TOKEN}:[\t -~\x80-\xff]*+)*)\r\n\r\n"
_request = re.compile(rf'({TOKEN}) ([!"$-~]++) HTTP/(1\.[01]){_FIELDS}').fullmatch
_response = re.compile(
    rf"HTTP/(1\.[01]) ([1-9][0-9]{{2}})(?: ([\t -~\x80-\xff]*+))?{_FIELDS}"
).fullmatch
_lines = re.compile(r"\r\n([^:]++):[ \t]*+([^\r]*+)").findall
_request_line = re.compile(rf'{TOKEN} [!"$-~]+').fullmatch

_bad_triplet = re.compile(r"%(?![0-9A-Fa-f]{2})").search
_absolute = re.compile(r"https?://([^/?]*)(.*)", re.IGNORECASE).fullmatch
# RFC 3986 §3.2.2. No user information: RFC 9110 §4.2.4 has it treated as an error.
_authority = re.compile(
    r"(?:\[([0-9A-Fa-f:.]++)\]|(?:[A-Za-z0-9\-._~!$&'()*+,;=]++|%[0-9A-Fa-f]{2})+)(?::[0-9]{0,5})?"
).fullmatch
_length = re.compile(r"[0-9]{1,18}").fullmatch

_REASONS = {status.value: status.phrase for status in HTTPStatus}


def find_head_end(buffer: bytes | bytearray, start: int = 0, seen: int = 0) -> int:
    """The offset just behind the empty line of the head that begins at `start`. `seen` is how
    many bytes of `buffer` were searched before, in vain.

    -1 when it is not all there yet: the caller reads on, within its size and time limits.
    HeadError when what is there can never become a head, so that nobody waits for its end.
    """
    end = buffer.find(b"\r\n\r\n", max(start, seen - 3))
    if end >= 0:
        return end + 4
    line_end = buffer.find(b"\n", start)
    if line_end == start or (line_end > start and buffer[line_end - 1] != 0x0D):
        raise HeadError(400, "a line ends in a bare LF (RFC 9112 §2.2)")
    if len(buffer) > start and buffer[start] <= 0x20 and buffer[start] != 0x0D:
        raise HeadError(400, "this is not HTTP/1.1; is it TLS on a plain port?")
    return -1


def parse_request_head(raw: bytes | bytearray) -> RequestHead:
    """The request head `raw`, which `find_head_end` has delimited. HeadError when refused."""
    text = raw.decode("latin-1")
    match = _request(text)
    if match is None:
        raise request_fault(text)
    method, target, version, lines = match.groups()
    headers = Headers.parsed(_triples(lines))
    found = headers.by_name
    if "content-length" in found or "transfer-encoding" in found:
        check_framing(headers, version, 400)
    hosts = found.get("host", ())
    # RFC 9112 §3.2: more than one is refused in any version, none at all only in HTTP/1.1.
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        raise HeadError(400, f"there are {len(hosts)} Host fields, not one (RFC 9112 §3.2)")
    if hosts:
        _check_authority(hosts[0], "Host")
    if "%" in target and _bad_triplet(target):
        raise HeadError(400, "the request target has a % without two hexadecimal digits behind it")
    if target[0] != "/":
        target, headers = _origin_form(method, target, headers)
    return RequestHead(method, target, version, headers)


def parse_response_head(raw: bytes | bytearray) -> ResponseHead:
    """The response head `raw`, which `find_head_end` has delimited. HeadError when refused.

    Its framing fields are for `response_framing` to judge, which knows whether there is a body.
    """
    text = raw.decode("latin-1")
    match = _response(text)
    if match is None:
        raise response_fault(text)
    version, status, reason, lines = match.groups()
    return ResponseHead(int(status), reason or "", version, Headers.parsed(_triples(lines)))


def encode_request_head(method: str, target: str, headers: Headers) -> bytes:
    """The head as it is sent. ValueError when a filter made `method` or `target` unsendable.

    Its text, which ends in a log, shows neither: tokens are passed in queries.
    """
    line = f"{method} {target}"
    if not _request_line(line):
        raise ValueError("this method or target cannot stand in a request line (RFC 9112 §3)")
    return _encode(f"{line} HTTP/1.1", headers)


def encode_response_head(status: int, headers: Headers, version: str = "1.1") -> bytes:
    """The head as it is sent; a status that nobody has registered gets an empty reason."""
    return _encode(f"HTTP/{version} {status} {_REASONS.get(status, '')}", headers)


def _encode(line: str, headers: Headers) -> bytes:
    fields = [f"{name}: {value}\r\n" for _, name, value in headers.triples]
    return f"{line}\r\n{''.join(fields)}\r\n".encode("latin-1")


def _triples(lines: str) -> list[tuple[str, str, str]]:
    """(lower-case name, name, value) of each line; there is a CRLF before every one of them."""
    fields = _lines(lines)
    if " \r" in lines or "\t\r" in lines or lines[-1:] in " \t":  # which is rare
        fields = [(name, value.rstrip(" \t")) for name, value in fields]
    return [(name.lower(), name, value) for name, value in fields]


def check_framing(headers: Headers, version: str, status: int) -> None:
    """RFC 9112 §6: refuse what two readers could frame in two ways. HeadError with `status`."""
    lengths = headers.by_name.get("content-length", ())
    codings = headers.by_name.get("transfer-encoding", ())
    if codings:
        if version == "1.0":
            raise HeadError(status, "Transfer-Encoding has no meaning in HTTP/1.0 (RFC 9112 §6.1)")
        if lengths:
            raise HeadError(status, "both Transfer-Encoding and Content-Length (RFC 9112 §6.1)")
        if [coding.lower() for coding in codings] != ["chunked"]:
            raise HeadError(
                501 if status == 400 else status, "the only Transfer-Encoding here is 'chunked'"
            )
    elif lengths and (len(lengths) > 1 or not _length(lengths[0])):
        raise HeadError(status, "Content-Length is not one decimal number (RFC 9112 §6.2)")


def _check_authority(authority: str, where: str) -> None:
    match = _authority(authority)
    try:
        if match is None:
            raise AddressValueError
        if match[1] is not None:
            IPv6Address(match[1])
    except AddressValueError:
        raise HeadError(400, f"{where} is no host name or address (RFC 9112 §3.2)") from None


def _origin_form(method: str, target: str, headers: Headers) -> tuple[str, Headers]:
    """The target in origin-form, and the headers with the Host that it names (RFC 9112 §3.2)."""
    if target == "*":
        if method != "OPTIONS":
            raise HeadError(400, "the request target * is for OPTIONS only (RFC 9112 §3.2.4)")
        return target, headers
    match = _absolute(target)
    if match is None:
        raise HeadError(400, "the request target is no path and no http or https URL")
    authority, rest = match.groups()
    _check_authority(authority, "the request target's host")
    # RFC 9112 §3.2.2: a Host field that came along is ignored.
    others = [field for field in headers.triples if field[0] != "host"]
    headers = Headers.parsed([("host", "Host", authority), *others])
    if rest == "" and method == "OPTIONS":
        return "*", headers  # RFC 9112 §3.2.4
    return rest if rest.startswith("/") else f"/{rest}", headers
