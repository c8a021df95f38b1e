"""Which web pages may open a session: the check of Origin (RFC 6455 §10.2).

A browser lets any page of any site open a WebSocket here, and sends the user's cookies along;
only Origin tells the server whose page it is. Clients that are no browsers send none, and
could write anything there: they are let through, this check does not concern them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fnmatch import translate

from easews import Request

from .rules import Refusal

_DEFAULT_PORTS = {"http": ":80", "ws": ":80", "https": ":443", "wss": ":443"}
_PORT = re.compile(r":\d+\Z").search


def _refused(why: str) -> Refusal:
    return Refusal(403, (), f"the Origin of this handshake is refused: {why}", "clientError")


_SEVERAL = _refused("there is more than one (RFC 6454 §7.3)")
_MALFORMED = _refused("it is not of the form `scheme://host[:port]` (RFC 6454 §6.2)")
_OPAQUE = _refused("`null` is not among the originPatterns")
_FOREIGN = _refused("it is neither this host nor matched by one of the originPatterns")


class OriginPolicy:
    """The page's host[:port] must be the one that the client asked for, or match a pattern.

    `patterns` are globs with `*` and `?`, compared without case: with `://` in it with the whole
    origin, else with its host[:port]. So what has no host (`file://`, of Electron and Cordova)
    passes by a pattern with a scheme only; the origin `null` (sandboxed frames, local files)
    passes by the pattern `null` and no other. `skip` lets everything pass.
    """

    def __init__(self, patterns: Iterable[str] = (), skip: bool = False) -> None:
        globs = {pattern.lower() for pattern in patterns}
        self._skip = skip
        self._null = "null" in globs
        self._hosts = [_matcher(glob) for glob in sorted(globs - {"null"}) if "://" not in glob]
        self._origins = [_matcher(glob) for glob in sorted(globs) if "://" in glob]

    def check(self, request: Request) -> Refusal | None:
        """The refusal of this handshake for its Origin, or None."""
        origins = request.headers.by_name.get("origin")
        if self._skip or not origins:
            return None
        if len(origins) > 1:
            return _SEVERAL
        origin = origins[0].lower()
        if origin == "null":
            return None if self._null else _OPAQUE
        scheme, separator, rest = origin.partition("://")
        authority = rest.partition("/")[0]
        # Pages of the web have a host; those of other schemes may have none.
        hostless = not authority and scheme in _DEFAULT_PORTS
        if not scheme or not separator or hostless or "@" in authority:
            return _MALFORMED
        return None if self._passes(_asked_host(request), scheme, authority) else _FOREIGN

    def _passes(self, host: str, scheme: str, authority: str) -> bool:
        # Behind a TLS terminator we do not know the client's own scheme; Origin names it.
        default = _DEFAULT_PORTS.get(scheme, "")
        bare = authority.removesuffix(default)
        if bare and bare == host.removesuffix(default):
            return True
        full = bare if _PORT(bare) else bare + default
        written = {bare, full}
        return any(
            match(f"{scheme}://{text}") for match in self._origins for text in written
        ) or any(match(text) for match in self._hosts for text in written if text)


def _matcher(glob: str) -> Callable[[str], object]:
    # translate() also knows [sets], which would read the brackets of an IPv6 address.
    # Its regexps do not backtrack over stars: a long Origin costs no more than its length.
    return re.compile(translate(glob.replace("[", "[[]"))).match


def _asked_host(request: Request) -> str:
    """The host[:port] that the client asked for.

    A trusted proxy that asks for another Host says in X-Forwarded-Host what it was asked for; of
    several the first one is the client's. What untrusted peers say there never gets here.
    """
    asked = request.headers.elements("x-forwarded-host")
    return (asked[0] if asked else request.host).lower()
