"""What JSON Schema's `format` means here: regexp, cidr, url, origin, address, endpoint, nameserver,
target, path, peers, prefix.

A checker raises ValueError with a text that goes on from "is no ...": what is wrong, in words.
A second text may say what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_network
from urllib.parse import quote

import re2  # type: ignore[import-untyped]
from jsonschema import FormatChecker

from ..addresses import UNIX, parse_endpoint, parse_nameserver
from ..http import urls
from ..http.paths import ambiguity, decoded

# RE2's complaints about what comes from other syntaxes.
_LOOKS_AROUND = re.compile(r"\(\?(?:[!=]|<[!=])|named capture group: \(\?<[!=]")
_REFERS_BACK = re.compile(r"invalid escape sequence: \\[1-9k]")
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_ENDS_A_PATH = re.compile(r"[?#]")


def regexp(text: str) -> None:
    options = re2.Options()
    options.log_errors = False  # re2 would write to stderr by itself
    try:
        re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0]
        complaint = reason.decode() if isinstance(reason, bytes) else str(reason)
        raise ValueError(*_in_plain_words(complaint)) from None


def _in_plain_words(complaint: str) -> tuple[str, ...]:
    """What other syntaxes have and RE2 has not; its own words for all the rest."""
    if _LOOKS_AROUND.search(complaint):
        return (
            "RE2 has neither lookahead nor lookbehind",
            "what is not meant can have a path of its own, above this one",
        )
    if _REFERS_BACK.search(complaint):
        return ("RE2 has no references to earlier groups", "write out what is meant")
    return (complaint,)


def cidr(text: str) -> None:
    try:
        ip_network(text)
    except ValueError as error:
        if "host bits" in str(error):
            raise ValueError("there are bits set behind the prefix") from None
        raise ValueError("neither an IP nor an IP with a prefix length") from None


def peers(text: str) -> None:
    """A network, or `unix` for the peers of unix sockets."""
    if text != "unix":
        cidr(text)


def url(text: str) -> None:
    urls.server_url(text)


def origin(text: str) -> None:
    """An Origin, or a URL, whose origin is meant."""
    urls.origin_of(text)


def address(text: str) -> None:
    if text.startswith(UNIX):
        urls.check_socket_path(text.removeprefix(UNIX))
    elif text and not urls.is_ip(text):
        urls.check_host_name(text)


def endpoint(text: str) -> None:
    """Where to listen, with a port."""
    address(parse_endpoint(text).host)


def nameserver(text: str) -> None:
    """A nameserver's IP, with or without a port."""
    parse_nameserver(text)


def target(text: str) -> None:
    """The path of a rewriteTarget. Clients get 400 for an ambiguous one, and so do configs."""
    if fault := ambiguity(decoded(text)):
        raise ValueError(f"it has {fault}, which may lead out of the path")
    if found := _ENDS_A_PATH.search(text):
        character, encoded = found.group(), quote(found.group())
        raise ValueError(
            f"a {character} in it would be sent as {encoded}, as part of the path",
            f"leave it out, because the client's query is sent on anyhow; "
            f"for the character itself write {encoded}",
        )


def path(text: str) -> None:
    """A path that requests are compared with, which is as the router sees it."""
    _matchable(text, text)


def prefix(text: str) -> None:
    """As `path`, but what matches goes on behind it."""
    _matchable(text, f"{text}x")  # `/a/.` is the beginning of `/a/.x`


def _matchable(text: str, path: str) -> None:
    """ValueError when no request for `path` can match: a request's path is decoded and merged."""
    if encoded := _ENCODED.search(text):
        raise ValueError(
            "paths are compared decoded",
            f"write the character itself for {encoded.group()}, or use pathRegexp",
        )
    if fault := ambiguity(path):
        raise ValueError(
            f"it never matches, because requests with {fault} are refused",
            "write the path that it leads to",
        )
    if "//" in text:
        raise ValueError(
            "it never matches, because repeated slashes count as one", "write one / for them"
        )


CHECKS: dict[str, Callable[[str], None]] = {
    "address": address,
    "cidr": cidr,
    "endpoint": endpoint,
    "nameserver": nameserver,
    "origin": origin,
    "path": path,
    "peers": peers,
    "prefix": prefix,
    "regexp": regexp,
    "target": target,
    "url": url,
}


def _for_strings(check: Callable[[str], None]) -> Callable[[object], bool]:
    def passes(value: object) -> bool:
        if isinstance(value, str):  # JSON Schema: a format says nothing about other types
            check(value)
        return True

    return passes


CHECKER = FormatChecker(formats=())
for _name, _check in CHECKS.items():
    CHECKER.checks(_name, raises=ValueError)(_for_strings(_check))
