"""Paths that never match, because an earlier one of their server takes all of their requests.

Only what is certain is reported: one earlier path that holds for every host, path, method, header,
query and client that the later one holds for. It is looked up by what it is compared with, so that
a server with thousands of paths is checked quickly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from ..errors import Problem
from ..http.regexps import RegexpSet
from ..schema import complete
from .build import rule_spec
from .checks import Checked
from .documents import Path, shown_path
from .model import PathSpec, RuleSpec
from .patterns import EVERYTHING, Pattern, host_patterns, path_pattern
from .schemas import object_schema

#: What a path asks of headers, or of queries; empty when it asks for nothing.
Asked = tuple[Hashable, ...]


def check_shadows(checked: Checked) -> Iterator[Problem]:
    """Each path of a server that never matches; with other faults it is not sure what it means."""
    server = checked.document
    root = server.root
    if checked.problems or root.void or root.text("kind") != "HTTPServer":
        return
    if any(node.void for _, node in root.scalars()):
        return
    rules = complete(object_schema("HTTPServer"), root.value)["rules"]
    for later, earlier in shadows(map(rule_spec, rules)):
        node = server.at(earlier)
        assert node is not None
        where = f"{shown_path(earlier)[1:]}, at {server.file}:{node.place.line}"
        wrong = f"this path never matches: {where}, takes all of its requests"
        yield server.problem(later, wrong, "write it before that one, or remove it")


@dataclass(frozen=True, slots=True)
class _Route:
    """A path that stands at `at`, as part of its rule."""

    at: Path
    rule: RuleSpec
    path: PathSpec
    hosts: frozenset[Pattern]
    pattern: Pattern


def _routes(rules: Iterable[RuleSpec]) -> Iterator[_Route]:
    for number, rule in enumerate(rules):
        hosts = frozenset(host_patterns(rule))
        for place, path in enumerate(rule.paths):
            yield _Route(("rules", number, "paths", place), rule, path, hosts, path_pattern(path))


def shadows(rules: Iterable[RuleSpec]) -> Iterator[tuple[Path, Path]]:
    """Where each path stands that never matches, and the first one that takes its requests."""
    routes = [*_routes(rules)]
    hosts = _Wider((host for it in routes for host in it.hosts), case_sensitive=False)
    paths = _Wider((it.pattern for it in routes), case_sensitive=True)
    taken: dict[Hashable, list[_Route]] = defaultdict(list)
    for route in routes:
        asked = _asked(route.path)
        keys = product(
            hosts.than(min(route.hosts)),
            paths.than(route.pattern),
            *({it, ()} for it in asked),
        )
        earlier = [it for key in keys for it in taken.get(key, ()) if _takes_all(it, route, hosts)]
        if earlier:
            yield route.at, min(it.at for it in earlier)
            continue
        for host in route.hosts:
            taken[host, route.pattern, *asked].append(route)


def _asked(path: PathSpec) -> tuple[Asked, Asked]:
    return (
        (path.match_all_header, *path.headers) if path.headers else (),
        (path.match_all_query, *path.queries) if path.queries else (),
    )


def _takes_all(earlier: _Route, route: _Route, hosts: _Wider) -> bool:
    """Whether `earlier`, whose path and conditions fit, has all hosts, methods and clients, too."""
    methods = earlier.path.methods
    return (
        all(not earlier.hosts.isdisjoint(hosts.than(host)) for host in route.hosts)
        and (not methods or bool(route.path.methods and {*route.path.methods} <= {*methods}))
        and all(it in _filters(route) for it in _filters(earlier))
    )


def _filters(route: _Route) -> list[object]:
    return [it for it in (route.rule.ip_filter, route.path.ip_filter) if it is not None]


class _Wider:
    """Patterns, to be asked which of them match all that another one matches."""

    def __init__(self, patterns: Iterable[Pattern], *, case_sensitive: bool) -> None:
        self._known = {it: it for it in patterns}
        regexps = (text for kind, text in self._known if kind == "regexp")
        self._regexps = RegexpSet(regexps, case_sensitive=case_sensitive)
        self._lengths = sorted({len(text) for _, text in self._known})
        self._found: dict[Pattern, list[Pattern]] = {}

    def than(self, pattern: Pattern) -> list[Pattern]:
        """Those that match all that `pattern` matches, itself among them."""
        if pattern not in self._found:
            keys = dict.fromkeys(self._might_be(*pattern))
            self._found[pattern] = [self._known[key] for key in keys if key in self._known]
        return self._found[pattern]

    def _might_be(self, kind: str, text: str) -> Iterator[Pattern]:
        yield EVERYTHING
        yield Pattern(kind, text)
        if kind in ("is", "begins"):
            yield from (Pattern("begins", text[:length]) for length in self._lengths)
        if kind in ("is", "ends"):
            yield from (Pattern("ends", text[-length:]) for length in self._lengths if length)
        if kind == "is":
            yield from (Pattern("regexp", regexp) for regexp in self._regexps.found(text))
