"""Paths that never match because of an earlier one are reported, and only if that is certain."""

from __future__ import annotations

import pytest

from easews import ConfigError, Context, Filter
from easews.testing import load_config


class Answers(Filter):
    """Makes a pipeline a valid one."""

    kind = "Answers"

    async def handle(self, ctx: Context) -> None: ...


SERVER = "kind: HTTPServer\nname: s\nport: 80\nrules:\n"
PIPELINE = "\n---\n{kind: Pipeline, name: p, filters: [{kind: Answers, name: f}]}"


def faults(rules: str) -> list[str]:
    try:
        load_config(SERVER + rules + PIPELINE, Answers)
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []


def pair(earlier: str, later: str) -> list[str]:
    """Two paths of one rule, the second one in line 7."""
    paths = [f"  - {{backend: p, {fields}}}\n" for fields in (earlier, later)]
    return faults(f"- paths:\n{''.join(paths)}")


def hosts(earlier: str, later: str) -> list[str]:
    first, second = "paths: [{backend: p}]", "paths: [{path: /x, backend: p}]"
    return faults(f"- {{{earlier}, {first}}}\n- {{{later}, {second}}}")


def test_both_places_are_told() -> None:
    assert pair("pathPrefix: /a", "path: /a/b") == [
        "test.yaml:7:5: s.rules[0].paths[1]: this path never matches: rules[0].paths[0], at "
        "test.yaml:6, takes all of its requests; write it before that one, or remove it"
    ]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("path: /a", "path: /a"),
        ("", "path: /a"),
        ("", ""),
        ("", "pathRegexp: ^/a"),
        ("pathPrefix: /", "path: /a"),
        ("pathPrefix: /a", "pathPrefix: /a/b"),
        ("pathRegexp: ^/a", "pathRegexp: ^/a"),
        ("pathRegexp: ^/a", "path: /a/b"),
        ("path: /a", "path: /a, methods: [GET]"),
        ("path: /a, methods: [GET, PUT]", "path: /a, methods: [GET]"),
        ("path: /a", "path: /a, headers: [{key: x, values: [y]}]"),
        ("path: /a, queries: [{key: x, regexp: y}]", "path: /a, queries: [{key: x, regexp: y}]"),
        ("path: /a", "path: /a, ipFilter: {blockIPs: [10.0.0.1]}"),
        (
            "path: /a, ipFilter: {blockIPs: [10.0.0.1]}",
            "path: /a, ipFilter: {blockIPs: [10.0.0.1]}",
        ),
        ("path: /a, rewriteTarget: /b", "path: /a"),
    ],
)
def test_a_path_that_an_earlier_one_takes_all_requests_of_is_reported(
    earlier: str, later: str
) -> None:
    (fault,) = pair(earlier, later)
    assert "rules[0].paths[1]: this path never matches: rules[0].paths[0]" in fault


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("path: /a", "path: /b"),
        ("path: /a", "pathPrefix: /a"),
        ("path: /a", "pathRegexp: ^/a$"),
        ("pathPrefix: /a/", "path: /a"),
        ("pathRegexp: ^/a", "pathPrefix: /a"),
        ("pathRegexp: ^/A", "path: /a"),
        ("path: /a, methods: [GET]", "path: /a"),
        ("path: /a, methods: [GET]", "path: /a, methods: [GET, PUT]"),
        ("path: /a, headers: [{key: x, values: [y]}]", "path: /a"),
        (
            "path: /a, headers: [{key: x, values: [y]}]",
            "path: /a, queries: [{key: x, values: [y]}]",
        ),
        (
            "path: /a, headers: [{key: x, values: [y]}]",
            "path: /a, headers: [{key: x, values: [z]}]",
        ),
        ("path: /a, ipFilter: {blockIPs: [10.0.0.1]}", "path: /a"),
        ("path: /a, ipFilter: {blockIPs: [10.0.0.1]}", "path: /a, ipFilter: {blockIPs: ['::1']}"),
    ],
)
def test_a_path_that_may_match_is_none_of_them(earlier: str, later: str) -> None:
    assert not pair(earlier, later)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("host: a.example", "host: A.example."),
        ("host: '*.example'", "host: a.example"),
        ("host: '*.example'", "host: '*.b.example'"),
        ("host: 'www.*'", "hosts: [www.a, www.b]"),
        ("hosts: [a, b, c]", "hosts: [c, b]"),
        ("hostRegexp: '^A[.]'", "host: a.example"),
        ("hostRegexp: ^a", "hostRegexp: ^a"),
        ("hosts: ['*.a', '*.b']", "hosts: [x.b, x.a]"),
        ("host: '[::1]'", "host: '[0:0:0:0:0:0:0:1]'"),
    ],
)
def test_all_hosts_of_a_path_count(earlier: str, later: str) -> None:
    (fault,) = hosts(earlier, later)
    assert "rules[1].paths[0]: this path never matches: rules[0].paths[0]" in fault


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("host: a", "host: b"),
        ("host: a", "hosts: [a, b]"),
        ("host: a.example", "host: '*.example'"),
        ("host: '*.b.example'", "host: '*.example'"),
        ("hostRegexp: ^a", "host: '*.example'"),
        ("hostRegexp: ^a", "hostRegexp: '^a[.]'"),
        ("host: 'www.*'", "host: '*.www.a'"),
    ],
)
def test_a_path_with_a_host_of_its_own_is_none_of_them(earlier: str, later: str) -> None:
    assert not hosts(earlier, later)


def test_the_ip_filter_of_a_rule_counts() -> None:
    only, rest = "ipFilter: {allowIPs: [10.0.0.0/8]}", "ipFilter: {blockIPs: [10.0.0.1]}"
    assert not hosts(only, "host: a")
    assert not hosts(only, rest)
    assert hosts(only, f"host: a, {only}")


def test_each_path_is_reported_once_with_the_first_that_takes_its_requests() -> None:
    (second, third) = faults("- paths: [{backend: p}, {backend: p}, {path: /a, backend: p}]")
    assert "paths[1]: this path never matches: rules[0].paths[0]" in second
    assert "paths[2]: this path never matches: rules[0].paths[0]" in third


def test_a_server_with_another_fault_is_checked_once_that_is_mended() -> None:
    found = faults("- paths: [{path: /a, backend: p}, {path: /a, backend: p, metods: [GET]}]")
    assert len(found) == 1
    assert "metods" in found[0]
    unset = faults("- paths: [{path: /a, backend: p}, {path: /a, backend: '${UNSET_NAME}'}]")
    assert len(unset) == 1
    assert "UNSET_NAME is not set" in unset[0]
