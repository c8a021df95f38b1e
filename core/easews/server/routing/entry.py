"""One path of the config: what it asks of a request, and what is sent on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ...config.model import PathSpec
from ...config.patterns import Pattern, path_pattern
from ...http import Request
from ...http.paths import ambiguity, decoded
from ...http.queries import Queries
from ...http.regexps import compile_regexp
from .conditions import conditions, texts_of
from .ipfilter import IpFilter
from .refusals import NOT_LET_IN, Failure, Refused, ambiguous
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


class Entry:
    """A path of the config, compiled.

    number   its place in written order
    pattern  what a request's path is compared with
    plain    whether host and path are all that it asks for
    """

    __slots__ = (
        *("number", "pattern", "plain", "_spec", "_name", "_methods", "_regexp"),
        *("_filters", "_headers", "_queries", "_body_limit", "_rewrite"),
    )

    def __init__(
        self, number: int, spec: PathSpec, body_limit: int, filters: Sequence[IpFilter]
    ) -> None:
        limit = spec.client_max_body_size
        self.number: int = number
        self.pattern: Pattern = path_pattern(spec)
        is_regexp = self.pattern.kind == "regexp"
        self._regexp: Any = compile_regexp(self.pattern.text) if is_regexp else None
        self.plain: bool = not (spec.methods or spec.headers or spec.queries or filters)
        self._spec = spec
        self._name = spec.path or spec.path_prefix or spec.path_regexp or "*"
        self._methods = spec.methods
        self._filters = filters
        self._headers = conditions("header", spec.headers, spec.match_all_header)
        self._queries = conditions("query parameter", spec.queries, spec.match_all_query)
        self._body_limit = body_limit if limit is None else limit
        self._rewrite = rewriter(spec, self._regexp)

    def takes(self, path: str) -> bool:
        """Whether its regular expression, if it has one, is found in `path`."""
        return self._regexp is None or self._regexp.search(path) is not None

    def failure(self, request: Request, queries: Queries) -> Failure | None:
        """What else than host and path is not as it asks for; None when nothing is."""
        if self._filters and not all(it.allows(request.client.host) for it in self._filters):
            return NOT_LET_IN
        if self._methods and request.method not in self._methods:
            return Failure(405, self._methods)
        if self._headers is not None and not self._headers.hold(texts_of(request.headers)):
            return self._headers.failure
        if self._queries is not None and not self._queries.hold(queries.get):
            return self._queries.failure
        return None

    def match(self, raw_path: str, query: str) -> Match | Refused:
        """The match, with the path rewritten; `query` has its question mark."""
        if self._rewrite is not None:
            raw_path = self._rewrite(raw_path)
            # `/files../x` has no dot segment, but with `/files` replaced by `/data/` it has.
            if fault := ambiguity(decoded(raw_path)):
                return ambiguous(fault)
        return Match(self._spec, raw_path + query, self._name, self._body_limit)
