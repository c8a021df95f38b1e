"""Origins of web pages (RFC 6454): whose page it is, and patterns for those that are welcome."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fnmatch import translate
from typing import NamedTuple

_DEFAULT_PORTS = {"http": ":80", "ws": ":80", "https": ":443", "wss": ":443"}
_port = re.compile(r":\d+\Z").search

# RFC 6454 §6.2 with * and ? for any characters. Only pages of the web always have a host.
_SCHEME = r"[a-z0-9+.*?-]+://"
_HOST = r"(?:[a-z0-9._~*?-]+|\[[0-9a-f:.*?]+\])(?::[0-9*?]+)?"
_pattern = re.compile(
    rf"(?:{_SCHEME})?{_HOST}|(?!(?:http|ws)s?:){_SCHEME}", re.IGNORECASE
).fullmatch


class Origin(NamedTuple):
    """The origin of a page: `host` has a port unless it is the scheme's own."""

    scheme: str
    host: str

    def is_at(self, host: str) -> bool:
        """Whether the page comes from `host`, which a request asks for.

        Behind a TLS terminator we do not know the client's own scheme; Origin names it.
        """
        return bool(self.host) and self.host == host.removesuffix(self._default_port)

    @property
    def spellings(self) -> set[str]:
        """The host with and without the scheme's own port."""
        return {self.host, self.host if _port(self.host) else self.host + self._default_port}

    @property
    def _default_port(self) -> str:
        return _DEFAULT_PORTS.get(self.scheme, "")


def parse_origin(text: str) -> Origin | None:
    """The origin that the header Origin names; None for `null` and for what is malformed."""
    scheme, separator, rest = text.lower().partition("://")
    authority = rest.partition("/")[0]
    # Pages of the web have a host; those of other schemes may have none.
    hostless = not authority and scheme in _DEFAULT_PORTS
    if not scheme or not separator or hostless or "@" in authority:
        return None
    return Origin(scheme, authority.removesuffix(_DEFAULT_PORTS.get(scheme, "")))


class OriginPatterns:
    """Origins that are welcome, as globs with `*` and `?`, compared without case.

    A pattern with `://` in it is compared with the whole origin, any other with its host[:port].
    So what has no host (`file://`, of Electron and Cordova) matches a pattern with a scheme only.
    The origin `null` (sandboxed frames, local files) matches the pattern `null` and no other.
    """

    __slots__ = ("_hosts", "_null", "_origins")

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        globs = {pattern.lower() for pattern in patterns}
        self._null = "null" in globs
        self._hosts = [_matcher(glob) for glob in sorted(globs - {"null"}) if "://" not in glob]
        self._origins = [_matcher(glob) for glob in sorted(globs) if "://" in glob]

    @staticmethod
    def fault(pattern: str) -> tuple[str, str] | None:
        """What is wrong with a pattern that never matches, and what to write; or None."""
        if not pattern.isascii():
            return (
                "this pattern never matches: browsers write the names of hosts in ASCII",
                "write the name as it is in DNS, as in xn--caf-dma.example",
            )
        if not _pattern(pattern):
            return (
                "this pattern never matches: an Origin is scheme://host[:port], without a path",
                "write host[:port] or scheme://host[:port], as in *.example.org, localhost:3000"
                " or https://*.example.org; file:// for pages without a host",
            )
        return None

    def match(self, origin: str) -> bool:
        """Whether a pattern matches `origin`, which is the value of the header Origin."""
        if origin.lower() == "null":
            return self._null
        page = parse_origin(origin)
        if page is None:
            return False
        written = page.spellings
        return any(
            match(f"{page.scheme}://{text}") for match in self._origins for text in written
        ) or any(match(text) for match in self._hosts for text in written if text)


def _matcher(glob: str) -> Callable[[str], object]:
    # translate() also knows [sets], which would read the brackets of an IPv6 address.
    # Its regexps do not backtrack over stars: a long Origin costs no more than its length.
    return re.compile(translate(glob.replace("[", "[[]"))).match
