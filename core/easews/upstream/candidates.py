"""Which pool of several takes a request.   (pure)

The first pool whose `filter` matches takes it, otherwise the main pool, which has none. All that
stands in a filter has to match: the headers, one of the URLs, and the share of requests (`permil`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from random import randrange
from typing import Any

from ..filters import SpecFault
from ..http import Request
from ..http.matching import HeaderMatch, TextMatch

Spec = Mapping[str, Any]
Test = Callable[[Request], bool]


class Candidates:
    """The filters of pools; `choose` says which pool takes a request."""

    def __init__(self, candidates: Sequence[tuple[int, Sequence[Test]]], main: int) -> None:
        self._candidates = tuple(candidates)
        self._main = main

    @classmethod
    def from_spec(cls, pools: Sequence[Spec]) -> Candidates:
        """Make candidates from the specs of a filter's pools, of which one has no `filter`."""
        candidates = [
            (index, [*_tests(pool["filter"], index)])
            for index, pool in enumerate(pools)
            if "filter" in pool
        ]
        main = next(index for index, pool in enumerate(pools) if "filter" not in pool)
        return cls(candidates, main)

    def choose(self, request: Request) -> int:
        """The index of the pool that takes `request`."""
        for index, tests in self._candidates:
            if all(test(request) for test in tests):
                return index
        return self._main


def _tests(spec: Spec, index: int) -> Iterator[Test]:
    if headers := spec.get("headers"):
        match = HeaderMatch(headers, match_all=spec["matchAllHeaders"])
        yield lambda request: match.fits(request.headers)
    if urls := spec.get("urls"):
        yield _url_test(urls)
    if "permil" in spec:
        yield _share_test(spec, index)


def _url_test(urls: Sequence[Spec]) -> Test:
    tests = [(frozenset(entry["methods"]), TextMatch(entry["url"])) for entry in urls]

    def test(request: Request) -> bool:
        method, path = request.method, request.path
        return any((not methods or method in methods) and url.fits(path) for methods, url in tests)

    return test


def _share_test(spec: Spec, index: int) -> Test:
    permil: int = spec["permil"]
    if spec["policy"] == "random":
        return lambda request: randrange(1000) < permil
    if spec["policy"] == "ipHash":
        return lambda request: _place(request.client.host, index) < permil
    name: str = spec["headerHashKey"]

    def test(request: Request) -> bool:
        value = request.headers.get(name)
        return bool(value) and _place(value, index) < permil

    return test


def _place(text: str, index: int) -> int:
    """A number below 1000, always the same for one text.

    Each pool has places of its own. Otherwise those that the first pool takes would be missing
    among those of the second one.
    """
    digest = blake2b(text.encode(), digest_size=8, salt=str(index).encode()).digest()
    return int.from_bytes(digest, "big") % 1000


def candidate_faults(pools: Sequence[Spec], at: Sequence[str | int]) -> Iterator[SpecFault]:
    """The faults of several pools that their schemas cannot express; `at` is their place."""
    main = [index for index, pool in enumerate(pools) if "filter" not in pool]
    if not main:
        yield SpecFault(
            at,
            "every pool has a filter, so requests that match none of them have no server",
            "add a pool without a filter: it takes the other requests",
        )
    for index in main[1:]:
        yield SpecFault(
            (*at, index),
            "this is the second pool without a filter, and only one can take the other requests",
            "add a filter, or write its servers into the first one",
        )
    for index, pool in enumerate(pools):
        if "filter" in pool:
            yield from _filter_faults(pool["filter"], (*at, index, "filter"))


def _filter_faults(spec: Spec, at: Sequence[str | int]) -> Iterator[SpecFault]:
    policy: str = spec["policy"]
    shared = policy != "general"
    if not (spec.get("headers") or spec.get("urls") or shared or "permil" in spec):
        yield SpecFault(
            at,
            "this filter matches every request",
            "write headers, urls, or permil with a policy",
        )
    if "permil" in spec and not shared:
        yield SpecFault(
            (*at, "permil"),
            "nothing says how these requests are chosen",
            "add a policy: random, ipHash or headerHash",
        )
    if shared and "permil" not in spec:
        yield SpecFault(
            (*at, "policy"),
            f"{policy} chooses a share of the requests, and no share is given",
            "add permil: a number from 0 to 1000",
        )
    if policy == "headerHash" and "headerHashKey" not in spec:
        yield SpecFault(
            (*at, "policy"),
            "headerHash needs the name of the header",
            "add headerHashKey, such as X-User",
        )
    if policy != "headerHash" and "headerHashKey" in spec:
        yield SpecFault(
            (*at, "headerHashKey"),
            f"the policy {policy} does not use it",
            "leave it out, or write policy: headerHash",
        )
