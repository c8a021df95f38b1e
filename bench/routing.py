"""What finding the path of a request costs: `python -m bench.routing [COUNT ...]`.

Each row is a server with 10, 1,000 and 10,000 rules (or COUNT ...) of one sort. The request is for
the last of them. Shown is the CPU time of one call of the router in microseconds, the least of
seven runs.
"""

from __future__ import annotations

import sys
import timeit
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Network
from time import process_time

from easews import Headers, Request
from easews.config.model import Condition, IpFilterSpec, PathSpec, RuleSpec, ServerSpec
from easews.server.routing import Router
from easews.testing import load_config

COUNTS = (10, 1_000, 10_000)
RUNS = 7
SECONDS = 0.05

(SERVER,) = load_config("{kind: HTTPServer, name: s, port: 8080}").servers

#: A server, and the target and host of a request.
Case = tuple[ServerSpec, str, str]


def _paths(paths: Iterator[PathSpec], target: str) -> Case:
    return replace(SERVER, rules=(RuleSpec(paths=tuple(paths)),)), target, "a.example"


def exact_paths(count: int) -> Case:
    return _paths((PathSpec("b", path=f"/p{n}") for n in range(count)), f"/p{count - 1}")


def no_such_path(count: int) -> Case:
    return _paths((PathSpec("b", path=f"/p{n}") for n in range(count)), "/nothing")


def prefixes(count: int) -> Case:
    paths = (PathSpec("b", path_prefix=f"/p{n}/") for n in range(count))
    return _paths(paths, f"/p{count - 1}/x")


def _hosts(pattern: Callable[[int], str], count: int) -> Case:
    path = (PathSpec("b", path_prefix="/"),)
    rules = tuple(RuleSpec((pattern(n),), paths=path) for n in range(count))
    return replace(SERVER, rules=rules), "/x", f"www.h{count - 1}.example:8080"


def exact_hosts(count: int) -> Case:
    return _hosts(lambda n: f"www.h{n}.example", count)


def wildcard_hosts(count: int) -> Case:
    return _hosts(lambda n: f"*.h{n}.example", count)


def networks(count: int) -> Case:
    blocked = tuple(IPv4Network((10 << 24 | n << 8, 24)) for n in range(count))
    server, target, host = exact_paths(1)
    return replace(server, ip_filter=IpFilterSpec(block=blocked)), target, host


def header_values(count: int) -> Case:
    def path(n: int) -> PathSpec:
        return PathSpec("b", path="/x", headers=(Condition("X-Tenant", (f"{n}",)),))

    return _paths(map(path, range(count)), "/x")


def regexps(count: int) -> Case:
    paths = (PathSpec("b", path_regexp=f"^/p{n}/[0-9]+$") for n in range(count))
    return _paths(paths, f"/p{count - 1}/7")


CASES = {
    "exact paths": exact_paths,
    "exact paths, the request has none of them": no_such_path,
    "prefixes": prefixes,
    "exact hosts, a prefix each": exact_hosts,
    "wildcard hosts, a prefix each": wildcard_hosts,
    "networks in an ipFilter, and one path": networks,
    "one path, told apart by a header's value": header_values,
    "regular expressions": regexps,
}


def request_of(case: Case, count: int) -> Request:
    _, target, host = case
    return Request("GET", target, Headers([("Host", host), ("X-Tenant", f"{count - 1}")]))


def microseconds(case: Case, count: int) -> float:
    router, request = Router(case[0]), request_of(case, count)
    timer = timeit.Timer(lambda: router.route(request), timer=process_time)
    number = max(1, int(SECONDS / (timer.timeit(100) / 100)))
    return min(timer.repeat(RUNS, number)) / number * 1e6


def main() -> None:
    counts = [*map(int, sys.argv[1:])] or COUNTS
    print("| us for a request, with | " + " | ".join(f"{count:,}" for count in counts) + " |")
    print("|---|" + "--:|" * len(counts))
    for name, case in CASES.items():
        times = [f"{microseconds(case(count), count):.2f}" for count in counts]
        print(f"| {name} | " + " | ".join(times) + " |", flush=True)


if __name__ == "__main__":
    main()
