"""Why each path of a server matches a request or does not, for people.

There is one judge, the router. It is asked for each thing that a path wants by itself, in a server
that wants nothing else. Nothing here is called while requests are served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from ...config.model import Condition, PathSpec, RuleSpec, ServerSpec
from ...config.phrases import either
from ...http import Request
from ...http.hosts import host_name
from .refusals import Refused
from .router import Router

_ANY_PATH = PathSpec("")


class Verdict(NamedTuple):
    """A path of the config and why it does not match: for no reason, if it does.

    `rule` and `place` are where it is: ``rules[rule].paths[place]``. Those behind the first match
    are not `tried`.
    """

    rule: int
    place: int
    path: PathSpec
    reasons: tuple[str, ...]
    tried: bool

    @property
    def matches(self) -> bool:
        """Whether it is the one that is responsible."""
        return self.tried and not self.reasons


def refused_by_server(server: ServerSpec, request: Request) -> Refused | None:
    """What the client is told whatever the rules are; None when they decide."""
    answer = Router(replace(server, rules=(RuleSpec(paths=(_ANY_PATH,)),))).route(request)
    return answer if isinstance(answer, Refused) else None


def verdicts(server: ServerSpec, request: Request) -> Iterator[Verdict]:
    """Every path of the server in written order."""
    tried = refused_by_server(server, request) is None
    for number, rule in enumerate(server.rules):
        for place, path in enumerate(rule.paths):
            reasons = tuple(_reasons(server, rule, path, request)) if tried else ()
            verdict = Verdict(number, place, path, reasons, tried)
            yield verdict
            tried = tried and not verdict.matches


def _reasons(server: ServerSpec, rule: RuleSpec, path: PathSpec, request: Request) -> Iterator[str]:
    for alone, reason in _WANTS:
        router = Router(replace(server, ip_filter=None, rules=(alone(rule, path),)))
        if isinstance(router.route(request), Refused):
            yield reason(rule, path, request)


def _only(path: PathSpec, *fields: str) -> RuleSpec:
    """A rule for every host, with a path that has only these fields of `path`."""
    return RuleSpec(paths=(PathSpec("", **{name: getattr(path, name) for name in fields}),))


def _host_reason(rule: RuleSpec, _: PathSpec, request: Request) -> str:
    wanted = [*rule.hosts, *(f"hosts that match {regexp}" for regexp in rule.host_regexps)]
    return f"the rule is for {either(wanted)}, and the request for {host_name(request.host)}"


def _path_reason(_: RuleSpec, path: PathSpec, request: Request) -> str:
    if path.path is not None:
        return f"the path is not {path.path}"
    if path.path_prefix is not None:
        return f"the path does not begin with {path.path_prefix}"
    return f"the path does not match {path.path_regexp}"


def _client_reason(whose: str) -> Callable[[RuleSpec, PathSpec, Request], str]:
    def reason(_: RuleSpec, path: PathSpec, request: Request) -> str:
        return f"{whose} ipFilter does not let {request.client.host} in"

    return reason


def _method_reason(_: RuleSpec, path: PathSpec, request: Request) -> str:
    return f"the method is {request.method}, and it takes {either(path.methods)}"


def _header_reason(_: RuleSpec, path: PathSpec, request: Request) -> str:
    return _condition_reason("header", path.headers, path.match_all_header)


def _query_reason(_: RuleSpec, path: PathSpec, request: Request) -> str:
    return _condition_reason("query parameter", path.queries, path.match_all_query)


def _condition_reason(noun: str, wanted: Sequence[Condition], match_all: bool) -> str:
    tests = [test for it in wanted for test in _tests(it)]
    return f"it wants the {noun} {(' and ' if match_all else ' or ').join(tests)}"


def _tests(condition: Condition) -> Iterator[str]:
    if condition.values:
        yield f"{condition.key} to be {either(condition.values)}"
    if condition.regexp is not None:
        yield f"{condition.key} to match {condition.regexp}"


#: What a path may want: the rule that wants only this, and the words for a request that has not.
_WANTS: Sequence[
    tuple[
        Callable[[RuleSpec, PathSpec], RuleSpec],
        Callable[[RuleSpec, PathSpec, Request], str],
    ]
] = (
    (lambda rule, _: RuleSpec(rule.hosts, rule.host_regexps, (_ANY_PATH,)), _host_reason),
    (lambda _, path: _only(path, "path", "path_prefix", "path_regexp"), _path_reason),
    (
        lambda rule, _: RuleSpec(paths=(_ANY_PATH,), ip_filter=rule.ip_filter),
        _client_reason("the rule's"),
    ),
    (lambda _, path: _only(path, "ip_filter"), _client_reason("its")),
    (lambda _, path: _only(path, "methods"), _method_reason),
    (lambda _, path: _only(path, "headers", "match_all_header"), _header_reason),
    (lambda _, path: _only(path, "queries", "match_all_query"), _query_reason),
)
