"""Routing: the first full match in written order, refusals, and what is sent on."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews import Headers, Request
from easews.config.model import PathSpec, RuleSpec
from easews.server.routing import Match, Refused, Router
from easews.testing import load_config


def router(*rules: RuleSpec) -> Router:
    text = "{kind: HTTPServer, name: demo-server, port: 8080, clientMaxBodySize: 100}"
    (server,) = load_config(text).servers
    return Router(replace(server, rules=rules))


def get(target: str, host: str = "a.example", method: str = "GET") -> Request:
    return Request(method, target, Headers([("Host", host)]))


def one_path(spec: PathSpec) -> Router:
    return router(RuleSpec(paths=(spec,)))


def backend(found: Match | Refused) -> str | int:
    return found.path.backend if isinstance(found, Match) else found.status


def sent_on(spec: PathSpec, target: str) -> str | int:
    found = one_path(spec).route(get(target))
    return found.target if isinstance(found, Match) else found.status


@pytest.mark.parametrize(
    ("spec", "target", "matches"),
    [
        (PathSpec("b"), "/anything", True),
        (PathSpec("b", path="/ws"), "/ws", True),
        (PathSpec("b", path="/ws"), "/ws?room=1", True),
        (PathSpec("b", path="/ws"), "/%77s", True),
        (PathSpec("b", path="/ws"), "/ws/", False),
        (PathSpec("b", path="/ws"), "/WS", False),
        (PathSpec("b", path="/ws"), "/%2577s", False),
        (PathSpec("b", path="/café"), "/caf%C3%A9", True),
        (PathSpec("b", path="/a b"), "/a%20b", True),
        (PathSpec("b", path_prefix="/api"), "/api/x", True),
        (PathSpec("b", path_prefix="/api"), "/apix", True),
        (PathSpec("b", path_prefix="/api/"), "/api", False),
        (PathSpec("b", path_regexp="v[0-9]"), "/api/v1/x", True),
        (PathSpec("b", path_regexp="^v[0-9]"), "/api/v1/x", False),
        (PathSpec("b", path_regexp="^/caf.$"), "/caf%C3%A9", True),
        (PathSpec("b", path_regexp="^/.$"), "/%FF", True),
        (PathSpec("b", path_regexp="^/.$"), "/%80", True),
        (PathSpec("b", path_regexp="^/...$"), "/%E2%82x", True),
        (PathSpec("b", path_regexp="^/admin.*$"), "/admin%0Ax", True),
        (PathSpec("b", path_regexp="^/[é]$"), "/%C3%A9", True),
        (PathSpec("b", path="/admin"), "//admin", True),
        (PathSpec("b", path="/admin"), "/%2F/admin", True),
        (PathSpec("b", path="/admin/"), "/admin//", True),
        (PathSpec("b", path="/a//b"), "/a/b", True),
        (PathSpec("b", path_prefix="/api//"), "//api/x", True),
        (PathSpec("b", path_regexp="^/admin$"), "///admin", True),
        (PathSpec("b", path_regexp="x"), "/?x", False),
    ],
)
def test_paths_are_compared_decoded_once_and_without_the_query(
    spec: PathSpec, target: str, matches: bool
) -> None:
    assert backend(one_path(spec).route(get(target))) == ("b" if matches else 404)


@pytest.mark.parametrize(
    ("rule", "host", "matches"),
    [
        (RuleSpec(), "", True),
        (RuleSpec(("a.example",)), "A.Example:8080", True),
        (RuleSpec(("A.example",)), "a.example", True),
        (RuleSpec(("a.example",)), "b.a.example", False),
        (RuleSpec(("a.example",)), "", False),
        (RuleSpec(("*.example",)), "b.a.example:80", True),
        (RuleSpec(("*.example",)), "example", False),
        (RuleSpec(("*.example",)), "a.example.org", False),
        (RuleSpec(("www.*",)), "www.example", True),
        (RuleSpec(("www.*",)), "ww.example", False),
        (RuleSpec(("www.*",)), "a.www.example", False),
        (RuleSpec(("b.example", "a.example")), "a.example", True),
        (RuleSpec(("x.test",)), "x.test.", True),
        (RuleSpec(("x.test",)), "X.test.:80", True),
        (RuleSpec(("x.test",)), "x.test..", False),
        (RuleSpec(("x.test.",)), "x.test", True),
        (RuleSpec(("*.test.",)), "x.test.", True),
        (RuleSpec((), ("^x\\.test$",)), "x.test.:80", True),
        (RuleSpec(("[::1]",)), "[::1]:8080", True),
        (RuleSpec(("[::1]",)), "[::1]", True),
        (RuleSpec((), ("^[AB]\\.",)), "b.example", True),
        (RuleSpec((), ("^a\\.",)), "A.EXAMPLE:80", True),
        (RuleSpec((), ("example$",)), "a.example:80", True),
        (RuleSpec((), ("^b",)), "a.example", False),
        (RuleSpec(("c.example",), ("^a",)), "a.example", True),
    ],
)
def test_hosts_are_compared_without_port_case_and_a_dot_at_the_end(
    rule: RuleSpec, host: str, matches: bool
) -> None:
    with_path = RuleSpec(rule.hosts, rule.host_regexps, (PathSpec("b"),))
    assert backend(router(with_path).route(get("/", host))) == ("b" if matches else 404)


def test_the_first_full_match_in_written_order_wins() -> None:
    routes = router(
        RuleSpec(("b.example",), paths=(PathSpec("other-host"),)),
        RuleSpec(paths=(PathSpec("post", path="/ws", methods=("POST",)), PathSpec("any"))),
        RuleSpec(("a.example",), paths=(PathSpec("too-late", path="/ws"),)),
    )
    assert backend(routes.route(get("/ws", "b.example"))) == "other-host"
    assert backend(routes.route(get("/ws", method="POST"))) == "post"
    assert backend(routes.route(get("/ws"))) == "any"


def test_a_wrong_method_is_told_all_that_are_allowed_on_the_path() -> None:
    routes = router(
        RuleSpec(paths=(PathSpec("b", path="/ws", methods=("GET", "HEAD")),)),
        RuleSpec(paths=(PathSpec("b", path_prefix="/w", methods=("PUT", "GET")),)),
        RuleSpec(paths=(PathSpec("b", path="/other", methods=("DELETE",)),)),
    )
    refused = routes.route(get("/ws", method="get"))
    assert isinstance(refused, Refused)
    assert (refused.status, refused.headers) == (405, (("Allow", "GET, HEAD, PUT"),))
    assert "GET, HEAD, PUT" in refused.detail


def test_a_server_without_rules_knows_no_path() -> None:
    assert backend(router().route(get("/"))) == 404


@pytest.mark.parametrize(
    "target",
    ["/..", "/../x", "/a/./b", "/a/.", "/%2e%2E/x", "/.%2e", "/a%2F..", "/..%2fa", "/%2E", ".."],
)
def test_a_dot_segment_in_any_encoding_is_refused(target: str) -> None:
    assert backend(one_path(PathSpec("b")).route(get(target))) == 400


# Java's servers take these for dot segments, and some on Windows.
@pytest.mark.parametrize(
    "target",
    [
        "/ws/..;/admin",
        "/ws/..;a=b",
        "/.;/x",
        "/ws/..%3B/a",
        "/ws/..%5cadmin",
        "/..\\a",
        "/a\\..",
        "/\\.\\",
    ],
)
def test_what_other_servers_take_for_a_dot_segment_is_refused(target: str) -> None:
    assert backend(one_path(PathSpec("b")).route(get(target))) == 400


@pytest.mark.parametrize("target", ["/%00", "/admin%00.html", "/a/%00/b"])
def test_a_null_character_is_refused(target: str) -> None:
    assert backend(one_path(PathSpec("b")).route(get(target))) == 400


# A second decoding is nobody's business, and neither is what is no whole segment.
@pytest.mark.parametrize(
    "target",
    [
        "/...",
        "/a..",
        "/..a",
        "/.a",
        "/?../",
        "/?%00",
        "/%252e%252e",
        "/a\\b",
        "/a..;/",
        "/;..",
        "/.well;x",
    ],
)
def test_dots_that_are_no_segment_are_none_of_our_business(target: str) -> None:
    assert sent_on(PathSpec("b"), target) == target


@pytest.mark.parametrize("target", ["//admin", "/a//b", "/%2F/x?//"])
def test_slashes_are_merged_for_matching_only(target: str) -> None:
    assert sent_on(PathSpec("b"), target) == target


@pytest.mark.parametrize(
    ("spec", "limit", "name"),
    [
        (PathSpec("b", path="/ws"), 100, "/ws"),
        (PathSpec("b", path_prefix="/w", client_max_body_size=-1), -1, "/w"),
        (PathSpec("b", path_regexp="^/ws$", client_max_body_size=0), 0, "^/ws$"),
        (PathSpec("b"), 100, "*"),
    ],
)
def test_a_match_has_the_paths_limit_or_the_servers_and_a_name_for_logs(
    spec: PathSpec, limit: int, name: str
) -> None:
    found = one_path(spec).route(get("/ws"))
    assert found == Match(spec, "/ws", name, limit)


def by_path(target: str) -> PathSpec:
    return PathSpec("b", path="/ws", rewrite_target=target)


def by_prefix(prefix: str, target: str) -> PathSpec:
    return PathSpec("b", path_prefix=prefix, rewrite_target=target)


def by_regexp(pattern: str, target: str) -> PathSpec:
    return PathSpec("b", path_regexp=pattern, rewrite_target=target)


# The first ones are Easegress' own examples; the results of the regexps are Go's.
@pytest.mark.parametrize(
    ("spec", "target", "expected"),
    [
        (by_path("/bar"), "/ws?a=1&b=2", "/bar?a=1&b=2"),
        (by_prefix("/fo", "/ba"), "/foo?a=1&b=2", "/bao?a=1&b=2"),
        (by_regexp("/(fo).", "/ba$1"), "/foo?a=1&b=2", "/bafo?a=1&b=2"),
        (by_path("/bar"), "/%77s?", "/bar?"),
        (by_path("/a b/é%20?#"), "/ws", "/a%20b/%C3%A9%20%3F%23"),
        (by_path("bar"), "/ws", "/bar"),
        (PathSpec("b", rewrite_target="/bar"), "/x/y?z", "/bar?z"),
        (by_prefix("/api/", "/"), "/api/a%2Fb%20c", "/a%2Fb%20c"),
        (by_prefix("/café", "/c"), "/caf%C3%A9/%41", "/c/%41"),
        (by_prefix("/a/b", "/c"), "/a%2fb/d", "/c/d"),
        (by_regexp("^/a/(.*)$", "/x/$1"), "/a/b%2Fc%3Fd?e=%20", "/x/b%2Fc%3Fd?e=%20"),
        (by_regexp("/a", "/b"), "/a/a/c", "/b/b/c"),
        (by_regexp("^/a", "/b"), "/a/a", "/b/a"),
        (by_regexp("x*", "-"), "/axb", "/-/-a-b-"),
        (by_regexp("^/(a)(z)?", "/${1}1$2$3"), "/a/c", "/a1/c"),
        (by_regexp("^/(a)", "/$1x$$1"), "/a/c", "/$1/c"),
        (by_regexp("^/(?P<room>[^/]+)/ws", "/ws/$room"), "/r%201/ws", "/ws/r%201"),
        (by_regexp("(a)", "$0${0}$"), "/a", "/aa$"),
        (by_regexp("^/", ""), "/a", "/a"),
        (by_regexp("a", "é"), "/%FFa", "/%FF%C3%A9"),
        (by_regexp("^/(.)(.)$", "/$2$1"), "/%FF%C3%A9", "/%C3%A9%FF"),
        (by_regexp("\\x{FFFD}", "-"), "/%FF%EF%BF%BD%80", "/---"),
        (by_prefix("/api/", "/"), "//api///a//b", "/a//b"),
        (by_prefix("/é/", "/x/"), "/%C3%A9//a", "/x/a"),
        (by_regexp("^/a/(.*)$", "/x/$1"), "//a//b%2F/c", "/x/b%2F/c"),
    ],
)
def test_what_is_sent_on_is_rewritten_and_else_as_the_client_wrote_it(
    spec: PathSpec, target: str, expected: str
) -> None:
    assert sent_on(spec, target) == expected


@pytest.mark.parametrize(
    "spec", [by_prefix("/files", "/data/"), by_regexp("^/files(.*)", "/data/$1")]
)
@pytest.mark.parametrize("target", ["/files../secret", "/files%2e./secret", "/files.."])
def test_rewriting_makes_no_dot_segment_of_what_was_none(spec: PathSpec, target: str) -> None:
    assert sent_on(spec, target) == 400


# -- properties ------------------------------------------------------------------------------

TARGETS = st.lists(
    st.sampled_from(
        ["/", "a", "b", ".", "%2e", "%2F", "%25", "%FF", "%C3%A9", "?", "$1", "\\", ";", "%00"]
    )
).map(lambda parts: "/" + "".join(parts))
SPECS = st.sampled_from(
    [
        PathSpec("b"),
        by_prefix("/", "/x"),
        by_prefix("/é", "/x"),
        by_regexp("a|b*", "[$0]"),
        by_regexp("(.)b", "/$1é"),
        by_regexp("[^a]*", "$0"),
    ]
)


@given(SPECS, TARGETS)
def test_routing_never_raises_and_never_lets_a_dot_segment_through(
    spec: PathSpec, target: str
) -> None:
    found = one_path(spec).route(get(target))
    if isinstance(found, Match):
        path, _, query = found.target.partition("?")
        assert path.startswith("/")
        segments = re.split(rb"[/\\]", unquote_to_bytes(path))
        assert not {b".", b".."} & {segment.partition(b";")[0] for segment in segments}
        assert b"\0" not in unquote_to_bytes(path)
        assert query == target.partition("?")[2]


@given(TARGETS)
def test_what_is_replaced_by_itself_stays_byte_for_byte_but_for_slashes(target: str) -> None:
    path, mark, query = target.partition("?")
    expected = re.sub("^(/|%2F)+", "/", path) + mark + query
    assert sent_on(by_regexp("^/(.*)$", "/$1"), target) in (expected, 400)
    assert sent_on(by_prefix("/", "/"), target) in (expected, 400)


def test_a_refusal_tells_what_was_wrong() -> None:
    dots = one_path(PathSpec("b")).route(get("/a/%2e%2e/b"))
    assert isinstance(dots, Refused)
    assert "the path has a dot segment, `.` or `..`" in dots.detail
    made = PathSpec("b", path_prefix="/files", rewrite_target="/data/")
    rewritten = one_path(made).route(get("/files../x"))
    assert isinstance(rewritten, Refused)
    assert "the path has a dot segment, `.` or `..`" in rewritten.detail
    null = one_path(PathSpec("b", path_prefix="/a")).route(get("/a%00"))
    assert isinstance(null, Refused)
    assert "the path has a null character" in null.detail
    method = one_path(PathSpec("b", methods=("POST",))).route(get("/", method="PUT"))
    assert isinstance(method, Refused)
    assert "PUT" in method.detail


def test_a_paths_regexp_knows_case() -> None:
    assert sent_on(PathSpec("b", path_regexp="^/a$"), "/a") == "/a"
    assert sent_on(PathSpec("b", path_regexp="^/a$"), "/A") == 404


def test_a_host_that_ends_in_a_star_needs_all_that_stands_before_it() -> None:
    one = router(RuleSpec(hosts=("www.*",), paths=(PathSpec("b"),)))
    assert backend(one.route(get("/", host="www.example"))) == "b"
    assert backend(one.route(get("/", host="wwwx.example"))) == 404


def test_what_stands_before_the_first_match_stays() -> None:
    spec = PathSpec("b", path_regexp="v[0-9]", rewrite_target="w")
    assert sent_on(spec, "/v1/x/v2") == "/w/x/w"
