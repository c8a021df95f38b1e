"""The router, which looks rules up, decides as one that tries them one after the other."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product, starmap
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from easews import Address, Headers, Request, parse_network
from easews.config.model import Condition, IpFilterSpec, PathSpec, RuleSpec
from easews.config.shadows import shadows
from easews.server.routing import Match, Router
from easews.server.routing.reasons import verdicts
from easews.testing import load_config

(SERVER,) = load_config("{kind: HTTPServer, name: s, port: 80, clientMaxBodySize: 1}").servers

HOSTS = ["a.example", "b.example", "a.test", "*.example", "*.test", "a.*", "b.*", "*example"]
HOST_REGEXPS = ["^a", "test$", "^b[.]"]
PATHS = ["/", "/a", "/a/b", "/b", "/abc"]
PREFIXES = ["/", "/a", "/a/", "/ab", "/b"]
PATH_REGEXPS = ["^/a", "b$", "^/.$"]
FILTERS = [
    IpFilterSpec(block=(parse_network("10.0.0.0/8"),)),
    IpFilterSpec(allow=(parse_network("10.1.0.0/16"), parse_network("::1"))),
    IpFilterSpec(block_by_default=True),
]
NEVER = "(?!)"
CONDITIONS = [Condition("x", ("1", "2")), Condition("x", (), "^[23]$"), Condition("y", ("1",))]


def _conditions(single: bool) -> st.SearchStrategy[tuple[Condition, ...]]:
    some = st.lists(st.sampled_from(CONDITIONS), min_size=1, max_size=2).map(tuple)
    return st.just(()) if single else st.one_of(st.just(()), st.just(()), some)


@st.composite
def path_specs(draw: st.DrawFn) -> PathSpec:
    kind = draw(st.sampled_from(["path", "path_prefix", "path_regexp", None]))
    known = {"path": PATHS, "path_prefix": PREFIXES, "path_regexp": PATH_REGEXPS}
    where: dict[str, Any] = {kind: draw(st.sampled_from(known[kind]))} if kind else {}
    methods = draw(st.sampled_from([(), (), ("GET",), ("POST", "PUT")]))
    plain = draw(st.booleans())
    return PathSpec(
        "b",
        **where,
        methods=methods,
        headers=draw(_conditions(plain)),
        queries=draw(_conditions(plain)),
        match_all_header=draw(st.booleans()),
        match_all_query=draw(st.booleans()),
        ip_filter=None if plain else draw(st.sampled_from([None, *FILTERS])),
    )


@st.composite
def rule_specs(draw: st.DrawFn) -> RuleSpec:
    return RuleSpec(
        tuple(draw(st.lists(st.sampled_from(HOSTS), max_size=2))),
        tuple(draw(st.lists(st.sampled_from(HOST_REGEXPS), max_size=1))),
        tuple(draw(st.lists(path_specs(), min_size=1, max_size=4))),
        draw(st.sampled_from([None, None, *FILTERS])),
    )


def request(
    host: str, path: str, query: str, method: str, client: str, x: str, y: str = ""
) -> Request:
    fields = [("Host", host), ("x", x), *([("y", y)] if y else [])]
    return Request(method, path + query, Headers(fields), client=Address(client))


ASKED = (
    ["a.example", "B.Example:80", "c.example", "a.test.", "a.net", "xexample", ""],
    [*PATHS, "/abc/d", "/c", "//a", "/%61"],
    ["", "?x=1", "?x=3&y=1", "?y=2"],
    ["GET", "POST"],
    ["10.0.0.1", "10.1.0.1", "192.0.2.1", "::1"],
    ["1", "2", "3", "4"],
)
REQUESTS = st.builds(request, *map(st.sampled_from, ASKED), st.sampled_from(["", "1", "2"]))
#: Of each what makes a difference, in all combinations.
MANY = [*starmap(request, product(*(values[:3] for values in ASKED)))]


# -- one after the other -----------------------------------------------------------------------


def in_turn(rules: list[RuleSpec], request: Request) -> int | str:
    """The key of the path that is responsible, or the status of the refusal."""
    host = request.host.lower().partition(":")[0].removesuffix(".")
    path = request.path.replace("//", "/")
    statuses: set[int] = set()
    for rule in rules:
        if not takes_host(rule, host):
            continue
        if not lets_in(rule.ip_filter, request):
            statuses.add(403)
            continue
        for spec in rule.paths:
            if takes_path(spec, path):
                status = status_of(spec, request)
                if not status:
                    return spec.key
                statuses.add(status)
    return next((status for status in (403, 400, 405) if status in statuses), 404)


def takes_host(rule: RuleSpec, host: str) -> bool:
    patterns = [re.escape(it).replace(r"\*", ".*") for it in rule.hosts]
    whole = any(re.fullmatch(it, host) for it in patterns)
    everywhere = not rule.hosts and not rule.host_regexps
    return everywhere or whole or any(re.search(it, host) for it in rule.host_regexps)


def takes_path(spec: PathSpec, path: str) -> bool:
    if spec.path_regexp is not None:
        return re.search(spec.path_regexp, path) is not None
    if spec.path is not None:
        return path == spec.path
    return path.startswith(spec.path_prefix or "")


def status_of(spec: PathSpec, request: Request) -> int:
    if not lets_in(spec.ip_filter, request):
        return 403
    if spec.methods and request.method not in spec.methods:
        return 405
    asked = dict(part.split("=") for part in request.query.split("&") if part)
    headers = {"x": request.headers.get("x"), "y": request.headers.get("y")}
    fits = holds(spec.headers, spec.match_all_header, headers) and holds(
        spec.queries, spec.match_all_query, asked
    )
    return 0 if fits else 400


def holds(conditions: tuple[Condition, ...], match_all: bool, values: dict[str, str]) -> bool:
    found = []
    for condition in conditions:
        value = values.get(condition.key, "")
        found.append(value in condition.values or bool(re.search(condition.regexp or NEVER, value)))
    return not found or (all(found) if match_all else any(found))


def lets_in(spec: IpFilterSpec | None, request: Request) -> bool:
    client = request.client.host
    if spec is None:
        return True
    if spec.block_by_default:
        return False
    if spec.allow:
        return client.startswith("10.1.") or client == "::1"
    return not client.startswith("10.")


def keyed(rules: list[RuleSpec]) -> list[RuleSpec]:
    """The rules, with the numbers of rule and path as the key of each path."""
    return [
        replace(
            rule, paths=tuple(replace(path, key=f"{n}.{m}") for m, path in enumerate(rule.paths))
        )
        for n, rule in enumerate(rules)
    ]


@given(st.lists(rule_specs(), max_size=6), st.sampled_from([None, *FILTERS]), REQUESTS)
def test_rules_are_tried_in_written_order(
    rules: list[RuleSpec], ip_filter: IpFilterSpec | None, request: Request
) -> None:
    router = Router(replace(SERVER, rules=tuple(keyed(rules)), ip_filter=ip_filter))
    found = router.route(request)
    expected = in_turn(keyed(rules), request) if lets_in(ip_filter, request) else 403
    assert (found.path.key if isinstance(found, Match) else found.status) == expected


@given(st.lists(rule_specs(), max_size=4))
def test_a_path_that_is_reported_as_shadowed_is_never_found(rules: list[RuleSpec]) -> None:
    shadowed = [(later[1], later[3]) for later, _ in shadows(rules)]
    assume(shadowed)
    router = Router(replace(SERVER, rules=tuple(keyed(rules))))
    found = [router.route(request) for request in MANY]
    keys = {it.path.key for it in found if isinstance(it, Match)}
    assert keys.isdisjoint(f"{rule}.{path}" for rule, path in shadowed)


@pytest.mark.parametrize("host", [None, "a.example", "*.example", "a.*", "^a"])
def test_the_first_of_many_that_match_wins_however_they_are_written(host: str | None) -> None:
    paths = [
        PathSpec("b", path="/x", methods=("POST",), key="wrong method"),
        PathSpec("b", path_regexp="x$", methods=("POST",), key="wrong method"),
        PathSpec("b", path_prefix="/y", key="other path"),
        PathSpec("b", path_regexp="^/x", key="first"),
        PathSpec("b", path="/x", key="exact, but later"),
        PathSpec("b", path_prefix="/", key="longer, but later"),
        PathSpec("b", key="all"),
    ]
    hosts, regexps = ((), ()) if host is None else ((), (host,)) if "^" in host else ((host,), ())
    one = [RuleSpec(hosts, regexps, (path,)) for path in paths]
    request = Request("GET", "/x", Headers([("Host", "a.example")]))
    for rules in (one, [RuleSpec(hosts, regexps, tuple(paths))]):
        found = Router(replace(SERVER, rules=tuple(rules))).route(request)
        assert isinstance(found, Match)
        assert found.path.key == "first"


# -- the reasons ---------------------------------------------------------------------------------


@given(st.lists(rule_specs(), max_size=3), REQUESTS)
def test_the_first_path_without_a_reason_is_the_routers(
    rules: list[RuleSpec], request: Request
) -> None:
    server = replace(SERVER, rules=tuple(keyed(rules)))
    found = [it for it in verdicts(server, request) if it.matches]
    answer = Router(server).route(request)
    assert [it.path.key for it in found] == ([answer.path.key] if isinstance(answer, Match) else [])
