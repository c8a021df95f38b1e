"""From a request to the path that is responsible for it, and the target that is sent on.

The first rule and path that match in full win, in written order. Paths are compared with what
the client wrote percent-decoded once, repeated slashes as one; what is sent on keeps the client's
own encoding and all its slashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from ...config.model import IpFilterSpec, PathSpec, RuleSpec, ServerSpec
from ...http import Request
from ...http.hosts import host_name
from ...http.paths import ambiguity, decoded, merged
from ...http.queries import Queries
from .entry import Entry, Match
from .hostindex import HostIndex
from .ipfilter import IpFilter
from .pathindex import PathIndex, Rule, candidates
from .refusals import NOT_LET_IN, Failure, Refused, ambiguous, refused


class Router:
    """The rules of one server, compiled once. `route` raises nothing and changes nothing."""

    def __init__(self, spec: ServerSpec) -> None:
        compiler = _Compiler(spec.client_max_body_size)
        self._filter = compiler.filter(spec.ip_filter)
        self._hosts = HostIndex([compiler.rule(rule) for rule in spec.rules])

    def route(self, request: Request) -> Match | Refused:
        """The first full match, or the refusal that tells most about what is missing."""
        if self._filter is not None and not self._filter.allows(request.client.host):
            return refused([NOT_LET_IN], request)
        raw_path, mark, query = request.target.partition("?")
        path = decoded(raw_path)
        if fault := ambiguity(path):
            return ambiguous(fault)
        hosts = self._hosts
        indexes = hosts.found(host_name(request.host) if hosts.by_host else "")
        path = merged(path)
        failures: list[Failure] = []
        queries = None
        for entry in candidates(indexes, path):
            if not entry.takes(path):
                continue
            if entry.plain:
                return entry.match(raw_path, mark + query)
            queries = queries or Queries(query)
            failure = entry.failure(request, queries)
            if failure is None:
                return entry.match(raw_path, mark + query)
            failures.append(failure)
        if _some_rule_refuses(indexes, request):
            failures.append(NOT_LET_IN)
        return refused(failures, request)


def _some_rule_refuses(indexes: Sequence[PathIndex], request: Request) -> bool:
    """Whether a rule for this host does not let the client in, whichever its paths are."""
    return any(not it.allows(request.client.host) for index in indexes for it in index.filters)


class _Compiler:
    """Compiles rules. Equal ipFilters, which may have thousands of networks, are made once."""

    def __init__(self, body_limit: int) -> None:
        self._body_limit = body_limit
        self._numbers = count()
        self._filters: dict[IpFilterSpec, IpFilter] = {}

    def filter(self, spec: IpFilterSpec | None) -> IpFilter | None:
        if spec is None:
            return None
        if spec not in self._filters:
            self._filters[spec] = IpFilter(spec)
        return self._filters[spec]

    def rule(self, spec: RuleSpec) -> Rule:
        own = self.filter(spec.ip_filter)
        return Rule(spec, [self._entry(path, own) for path in spec.paths], own)

    def _entry(self, path: PathSpec, of_rule: IpFilter | None) -> Entry:
        filters = (of_rule, self.filter(path.ip_filter))
        given = tuple(it for it in filters if it is not None)
        return Entry(next(self._numbers), path, self._body_limit, given)
