"""From a request to the path that is responsible for it, and the target that is sent on.

The first rule and path that match in full win, in written order. Paths are compared with what
the client wrote percent-decoded once, repeated slashes as one; what is sent on keeps the client's
own encoding and all its slashes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import re2  # type: ignore[import-untyped]

from ...config.model import PathSpec, RuleSpec, ServerSpec
from ...http import Request
from ...http.paths import ambiguity, decoded, merged
from .rewrite import rewriter


class Match(NamedTuple):
    """The path that is responsible.

    `target` is to be sent on, `name` is the path as the config has it, for logs; `body_limit`
    is in bytes, -1 is unlimited.
    """

    path: PathSpec
    target: str
    name: str
    body_limit: int


@dataclass(frozen=True, slots=True)
class Refused:
    """No path is responsible: what to answer."""

    status: int
    detail: str
    headers: tuple[tuple[str, str], ...] = ()


_NOT_FOUND = Refused(404, "no rule of this server matches this host and path")


class Router:
    """The rules of one server, compiled once. `route` raises nothing and changes nothing."""

    def __init__(self, spec: ServerSpec) -> None:
        self._rules = [_Rule(rule, spec.client_max_body_size) for rule in spec.rules]
        self._by_host = not all(rule.any_host for rule in self._rules)

    def route(self, request: Request) -> Match | Refused:
        """The first full match, or the refusal that tells most about what is missing."""
        raw_path, mark, query = request.target.partition("?")
        path = decoded(raw_path)
        if fault := ambiguity(path):
            return _ambiguous(fault)
        allowed: dict[str, None] = {}
        host = _host_name(request.host) if self._by_host else ""
        for entry in self._candidates(host, merged(path)):
            # Header and query rules will be asked here, an ipFilter in `_candidates`: behind
            # a refusal of theirs (403, then 400) there is no 405.
            if request.method in entry.methods or not entry.methods:
                return entry.match(raw_path, mark + query)
            allowed.update(dict.fromkeys(entry.methods))
        return _method_not_allowed(request.method, allowed) if allowed else _NOT_FOUND

    def _candidates(self, host: str, path: str) -> Iterator[_Path]:
        """The paths that match, whatever the method."""
        for rule in self._rules:
            if rule.takes(host):
                yield from (entry for entry in rule.paths if entry.takes(path))


class _Rule:
    def __init__(self, spec: RuleSpec, body_limit: int) -> None:
        self.paths = [_Path(path, body_limit) for path in spec.paths]
        hosts = [host.lower().removesuffix(".") for host in spec.hosts]
        self.any_host = not hosts and spec.host_regexp is None
        self._names = frozenset(host for host in hosts if "*" not in host)
        self._suffixes = tuple(host[1:] for host in hosts if host.startswith("*"))
        self._prefixes = tuple(host[:-1] for host in hosts if host.endswith("*"))
        self._regexp = _compile(spec.host_regexp, case_sensitive=False)

    def takes(self, host: str) -> bool:
        return (
            self.any_host
            or host in self._names
            or host.endswith(self._suffixes)
            or host.startswith(self._prefixes)
            or (self._regexp is not None and self._regexp.search(host) is not None)
        )


class _Path:
    def __init__(self, spec: PathSpec, body_limit: int) -> None:
        limit = spec.client_max_body_size
        regexp = _compile(spec.path_regexp)
        self.methods = spec.methods
        self.takes = _matcher(spec, regexp)
        self._spec = spec
        self._name = spec.path or spec.path_prefix or spec.path_regexp or "*"
        self._body_limit = body_limit if limit is None else limit
        self._rewrite = rewriter(spec, regexp)

    def match(self, raw_path: str, query: str) -> Match | Refused:
        """The match, with the path rewritten; `query` has its question mark."""
        if self._rewrite is not None:
            raw_path = self._rewrite(raw_path)
            # `/files../x` has no dot segment, but with `/files` replaced by `/data/` it has.
            if fault := ambiguity(decoded(raw_path)):
                return _ambiguous(fault)
        return Match(self._spec, raw_path + query, self._name, self._body_limit)


def _matcher(spec: PathSpec, regexp: Any) -> Callable[[str], bool]:
    if spec.path is not None:
        return merged(spec.path).__eq__
    if spec.path_prefix is not None:
        prefix = merged(spec.path_prefix)
        return lambda path: path.startswith(prefix)
    if regexp is not None:
        return lambda path: regexp.search(path) is not None
    return lambda path: True


def _compile(pattern: str | None, *, case_sensitive: bool = True) -> Any:
    if pattern is None:
        return None
    options = re2.Options()
    options.case_sensitive = case_sensitive
    options.dot_nl = True  # or `%0A` would slip past `.*`
    return re2.compile(pattern, options)


def _host_name(host: str) -> str:
    """Host in lower case, without its port and the dot of a complete name; IPv6 in its brackets."""
    host = host.lower()
    name, colon, port = host.rpartition(":")
    if colon and not port.endswith("]"):
        host = name
    return host.removesuffix(".")


def _ambiguous(fault: str) -> Refused:
    return Refused(400, f"the path has {fault}: send it resolved, and without any such character")


def _method_not_allowed(method: str, allowed: dict[str, None]) -> Refused:
    methods = ", ".join(allowed)
    return Refused(
        405, f"{method} is not allowed on this path; allowed: {methods}", (("Allow", methods),)
    )
