"""What JSON Schema's `format` means here: regexp, cidr, url, address, target.

A checker raises ValueError with a text that goes on from "is no ...": what is wrong, in words.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from urllib.parse import unquote, urlsplit

import re2  # type: ignore[import-untyped]
from jsonschema import FormatChecker

URL_SCHEMES = ("ws", "wss", "http", "https")
_HOST_NAME = re.compile(
    r"(?=.{1,253}$)(?![0-9.]+$)[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*\.?"
)
_NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f<>\"\\^`{|}]")


def regexp(text: str) -> None:
    options = re2.Options()
    options.log_errors = False  # re2 would write to stderr by itself
    try:
        re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0]
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from None


def cidr(text: str) -> None:
    try:
        ip_network(text)
    except ValueError as error:
        if "host bits" in str(error):
            raise ValueError("there are bits set behind the prefix") from None
        raise ValueError("neither an IP nor an IP with a prefix length") from None


def url(text: str) -> None:
    if _NOT_IN_URLS.search(text):
        raise ValueError("it has a character that has to be percent-encoded")
    if "://" not in text:
        raise ValueError("it does not begin with a scheme such as ws://")
    parts = urlsplit(text)
    if parts.scheme.lower() not in URL_SCHEMES:
        raise ValueError(f"{parts.scheme}:// leads to no server")
    if not parts.hostname:
        raise ValueError("it has no host")
    if "@" in parts.netloc or parts.fragment:
        raise ValueError("credentials and fragments are not sent to a server")
    try:
        _ = parts.port
    except ValueError:  # whose text repeats what may be a part of a password
        raise ValueError("its port is not a number up to 65535") from None


def address(text: str) -> None:
    if text == "" or _HOST_NAME.fullmatch(text):
        return
    try:
        ip_address(text)
    except ValueError:
        raise ValueError("neither an IP nor a host name") from None


def target(text: str) -> None:
    """The path of a rewriteTarget. Clients get 400 for a dot segment, and so do configs."""
    for segment in text.split("/"):
        if unquote(segment) in (".", ".."):
            raise ValueError(f"{segment!r} is a dot segment, which leads out of the path")


CHECKS: dict[str, Callable[[str], None]] = {
    "address": address,
    "cidr": cidr,
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
