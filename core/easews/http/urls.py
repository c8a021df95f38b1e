"""URLs of servers, and origins: their parts, and what is wrong with one (RFC 3986, RFC 6454).

`urllib.parse` also takes what leads to no server, and differs between versions of Python. The
texts of errors go on from "is no URL: ", a second one says what to write instead. None repeats
the URL, which may hold a password.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import unquote

from ..addresses import UNIX, bracketed
from .paths import ambiguity

#: What fits into sockaddr_un on every system; Linux takes 107.
_LONGEST_SOCKET_PATH = 103

DEFAULT_PORTS = {"ws": 80, "http": 80, "wss": 443, "https": 443}

_PARTS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)
_AUTHORITY = re.compile(r"(\[[^]]*\]|[^:[\]]*)(?::([^:]*))?")
_PORT = re.compile(r"[0-9]{1,9}")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
#: RFC 3986 §3.3 and §3.4, and the % that begins an encoded octet.
_PATH_AND_QUERY = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/?%-]*")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


class ServerURL(NamedTuple):
    """The parts of a server's URL. `port` is the scheme's own where none is written.

    `scheme` and `host` are in lower case, an IPv6 address is without its brackets.
    """

    scheme: str
    host: str
    port: int
    path: str


def server_url(text: str) -> ServerURL:
    """The parts of `text`, any query aside. ValueError when no request can be sent there.

    The host of `unix:/run/app.sock` is the path of the socket. The path of requests stands behind
    it and a colon: `unix:/run/app.sock:/base`.
    """
    if text.startswith(UNIX):
        return _unix_url(text.removeprefix(UNIX))
    scheme, authority, path, query, fragment = _split(text)
    if scheme not in DEFAULT_PORTS:
        raise ValueError(f"{scheme}:// leads to no server")
    host, port = _host_and_port(authority)
    if fragment is not None:
        raise ValueError("a fragment is not sent to a server")
    _check_path(path + (query or ""))
    if ambiguity(unquote(path)):
        raise ValueError("its path has a dot segment, . or ..", "write the path that it leads to")
    return ServerURL(scheme, host, port or DEFAULT_PORTS[scheme], path)


def port_of(text: str) -> int | None:
    """The port that is written in a URL. ValueError when the URL is not valid."""
    _, authority, *_ = _split(text)
    return _host_and_port(authority)[1]


def _unix_url(text: str) -> ServerURL:
    socket, colon, path = text.partition(":")
    check_socket_path(socket)
    if colon and not path.startswith("/"):
        raise ValueError("behind the socket and a colon stands a path such as /base")
    if "#" in path or "?" in path:
        raise ValueError("behind the socket stands a path without query and fragment")
    _check_path(path)
    if ambiguity(unquote(path)):
        raise ValueError("its path has a dot segment, . or ..", "write the path that it leads to")
    return ServerURL("unix", socket, 0, path)


def check_socket_path(path: str) -> None:
    """ValueError unless `path` is that of a unix socket."""
    if not path.startswith("/") or path.endswith("/") or "\0" in path:
        raise ValueError("behind unix: stands the whole path of a file, from the root")
    if len(path.encode()) > _LONGEST_SOCKET_PATH:
        raise ValueError(f"the path of a unix socket has at most {_LONGEST_SOCKET_PATH} bytes")


def origin_of(text: str) -> str:
    """The Origin that a page at the URL `text` sends, or `text` itself if it is one already.

    As browsers write it: in lower case, without the scheme's own port. ValueError when there
    is none.
    """
    if text == "null":
        return text
    scheme, authority, *_ = _split(text)
    host, port = _host_and_port(authority)
    host = bracketed(host)
    own = port is None or port == DEFAULT_PORTS.get(scheme)
    return f"{scheme}://{host}" if own else f"{scheme}://{host}:{port}"


def is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def check_host_name(name: str) -> None:
    """ValueError unless `name` is a host name, as DNS has them (RFC 1123 §2.1), or with a _."""
    labels = name.removesuffix(".").split(".")
    if not all(map(_LABEL.fullmatch, labels)) or len(name) > 253:
        raise ValueError("each part of a host name has 1 to 63 letters, digits, - and _")
    if labels[-1].isdigit() or labels[-1].lower().startswith("0x"):
        raise ValueError("a host name that ends in a number is taken for an IP")


def _split(text: str) -> tuple[str, str, str, str | None, str | None]:
    found = _PARTS.fullmatch(text)
    if found is None:
        raise ValueError("it does not begin with a scheme such as ws:// or https://")
    scheme, authority, path, query, fragment = found.groups()
    return scheme.lower(), authority, path, query, fragment


def _host_and_port(authority: str) -> tuple[str, int | None]:
    if "@" in authority:
        raise ValueError("credentials are not sent to a server")
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        raise ValueError("an IPv6 address stands in brackets, as in ws://[::1]:8080")
    host, port = found.groups()
    if not host:
        raise ValueError("it has no host")
    _check_host(host)
    if port and not (_PORT.fullmatch(port) and 1 <= int(port) <= 65535):
        raise ValueError("its port is not a number from 1 to 65535")
    return host.strip("[]").lower(), int(port) if port else None


def _check_host(host: str) -> None:
    if not host.isascii():
        raise ValueError("its host is not ASCII", "write it as IDNA does, with xn--...")
    if not host.startswith("["):
        if not is_ip(host):
            check_host_name(host)
    elif "%" in host:
        raise ValueError("an IPv6 address with a zone is not supported")
    elif ":" not in host or not is_ip(host[1:-1]):
        raise ValueError("what stands in brackets is no IPv6 address")


def _check_path(path: str) -> None:
    if not _PATH_AND_QUERY.fullmatch(path):
        raise ValueError("it has a character that has to be percent-encoded")
    if _BAD_PERCENT.search(path):
        raise ValueError("it has a % without two hexadecimal digits behind it")
