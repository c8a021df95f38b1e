"""Rules beyond host and path: headers, queries, ipFilter, and what is told when none matches."""

from __future__ import annotations

import anyio
import pytest

from easews import Address, Context, Filter, Headers, Request, Response, parse_network
from easews.config.model import IpFilterSpec, ServerSpec
from easews.http.hosts import host_name
from easews.http.queries import Queries
from easews.server.routing import Match, Refused, Router
from easews.server.routing import router as router_module
from easews.server.routing.ipfilter import IpFilter
from easews.testing import gateway, load_config


class Answers(Filter):
    """Makes a pipeline a valid one."""

    kind = "Answers"

    async def handle(self, ctx: Context) -> None:
        ctx.response = Response(200)


PIPELINE = "---\n{{kind: Pipeline, name: {0}, filters: [{{kind: Answers, name: f}}]}}\n"
PIPELINES = "".join(map(PIPELINE.format, "abc"))


def server_spec(fields: str) -> ServerSpec:
    text = f"kind: HTTPServer\nname: s\nport: 80\n{fields}\n{PIPELINES}"
    return load_config(text, Answers).servers[0]


def server(fields: str) -> Router:
    """A server with these fields; its paths may lead to the pipelines `a`, `b` and `c`."""
    return Router(server_spec(fields))


def one_path(fields: str) -> Router:
    return server(f"rules: [{{paths: [{{backend: a, {fields}}}]}}]")


def ask(
    router: Router, target: str = "/", client: str = "192.0.2.1", method: str = "GET", **fields: str
) -> str | int:
    """The backend, or the status of the refusal. `x_a` stands for the header X-A."""
    found = router.route(request(target, client, method, **fields))
    return found.path.backend if isinstance(found, Match) else found.status


def request(
    target: str = "/", client: str = "192.0.2.1", method: str = "GET", **fields: str
) -> Request:
    headers = [("Host", "a.example"), *((k.replace("_", "-"), v) for k, v in fields.items())]
    return Request(method, target, Headers(headers), client=Address(client))


def told(router: Router, asked: Request) -> tuple[int, str]:
    refused = router.route(asked)
    assert isinstance(refused, Refused)
    return refused.status, refused.detail


# -- headers and queries -----------------------------------------------------------------------


def test_one_header_condition_is_enough() -> None:
    router = one_path("headers: [{key: X-A, values: ['1', '2']}, {key: X-B, regexp: '^v'}]")
    assert ask(router, x_a="2") == "a"
    assert ask(router, x_b="v3") == "a"
    assert ask(router, x_a="3", x_b="w") == 400
    assert ask(router) == 400


def test_with_match_all_header_every_condition_has_to_hold() -> None:
    router = one_path(
        "headers: [{key: X-A, values: ['1']}, {key: X-B, regexp: '^v'}], matchAllHeader: true"
    )
    assert ask(router, x_a="1", x_b="v3") == "a"
    assert ask(router, x_a="1") == 400
    assert ask(router, x_b="v3") == 400


def test_values_and_regexp_of_one_condition_are_two() -> None:
    both = "[{key: X-A, values: [one, two], regexp: '^t'}]"
    assert [ask(one_path(f"headers: {both}"), x_a=it) for it in ("one", "ten", "six")] == [
        *("a", "a", 400)
    ]
    every = one_path(f"headers: {both}, matchAllHeader: true")
    assert [ask(every, x_a=it) for it in ("two", "one", "ten")] == ["a", 400, 400]


def test_a_header_that_is_missing_counts_as_empty_and_the_first_of_several_counts() -> None:
    without = one_path("headers: [{key: X-A, regexp: '^$'}]")
    assert ask(without) == "a"
    assert ask(without, x_a="1") == 400
    asked = request(x_a="1")
    asked.headers.add("X-A", "2")
    first = one_path("headers: [{key: x-a, values: ['1']}]").route(asked)
    assert isinstance(first, Match)
    assert told(one_path("headers: [{key: x-a, values: ['2']}]"), asked)[0] == 400


def test_header_values_are_compared_as_utf8() -> None:
    router = one_path("headers: [{key: X-A, values: [café]}, {key: X-B, regexp: '^.$'}]")
    assert ask(router, x_a="café".encode().decode("latin-1")) == "a"
    assert ask(router, x_b="é".encode().decode("latin-1")) == "a"
    assert ask(router, x_b="\xff") == "a"
    assert ask(router, x_b="éé".encode().decode("latin-1")) == 400


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("room=1", "1"),
        ("a=b&room=1&room=2", "1"),
        ("r%6Fom=a%20b", "a b"),
        ("room=a+b", "a b"),
        ("room=a%2Bb", "a+b"),
        ("room=%C3%A9", "é"),
        ("room=%FF", "\ufffd"),
        ("room=%zz", "%zz"),
        ("room=%2531", "%31"),
        ("room=", ""),
        ("room=&room=1", ""),
        ("room&room=1", ""),
        ("room", ""),
        ("Room=1", ""),
        ("", ""),
        ("room=1;x", "1;x"),
        ("room=a=b", "a=b"),
    ],
)
def test_queries_are_decoded_once_and_the_first_value_counts(query: str, first: str) -> None:
    assert Queries(query).get("room") == first


def test_paths_can_ask_for_queries() -> None:
    router = one_path("queries: [{key: room, values: ['a b']}, {key: v, regexp: '^[0-9]+$'}]")
    assert ask(router, "/?room=a%20b") == "a"
    assert ask(router, "/?x&v=12") == "a"
    assert ask(router, "/?room=a&v=x") == 400
    every = one_path(
        "queries: [{key: room, values: [x]}, {key: v, values: ['1']}], matchAllQuery: true"
    )
    assert [ask(every, it) for it in ("/?room=x&v=1", "/?room=x", "/?v=1")] == ["a", 400, 400]


def test_headers_and_queries_both_have_to_match() -> None:
    router = one_path("headers: [{key: X-A, values: ['1']}], queries: [{key: v, values: ['1']}]")
    assert ask(router, "/?v=1", x_a="1") == "a"
    assert ask(router, "/?v=1") == 400
    assert ask(router, "/", x_a="1") == 400


def test_what_one_path_does_not_take_another_one_gets() -> None:
    router = server(
        "rules: [{paths: [{path: /x, backend: a, headers: [{key: X-A, values: ['2']}]},"
        " {path: /x, backend: b, queries: [{key: v, values: ['2']}]}, {path: /x, backend: c}]}]"
    )
    assert ask(router, "/x", x_a="2") == "a"
    assert ask(router, "/x?v=2") == "b"
    assert ask(router, "/x") == "c"


def test_a_query_is_sent_on_byte_for_byte() -> None:
    router = one_path("path: /x, rewriteTarget: /y, queries: [{key: v, values: [a b]}]")
    found = router.route(request("/x?v=a%20b&%zz&&?#+"))
    assert isinstance(found, Match)
    assert found.target == "/y?v=a%20b&%zz&&?#+"


# -- ipFilter ----------------------------------------------------------------------------------

NET = "10.0.0.0/8"
ONE = "10.0.0.7"


@pytest.mark.parametrize(
    ("allow", "block", "by_default", "let_in", "refused"),
    [
        ([], [], False, ["10.0.0.7", "::1", ""], []),
        ([], [], True, [], ["10.0.0.7", "::1", ""]),
        ([], [NET], False, ["11.0.0.1", "::1", ""], ["10.0.0.7", "::ffff:10.0.0.7"]),
        ([], [NET], True, [], ["10.0.0.7", "11.0.0.1", ""]),
        ([NET], [], False, ["10.0.0.7", "::ffff:10.0.0.7"], ["11.0.0.1", "::a00:7", ""]),
        ([NET], [], True, ["10.0.0.7"], ["11.0.0.1", ""]),
        ([NET], [ONE], True, ["10.0.0.8"], ["10.0.0.7", "11.0.0.1"]),
        ([NET], [ONE], False, ["10.0.0.8", "10.0.0.7"], ["11.0.0.1"]),
        (["::ffff:10.0.0.0/104"], [], False, ["10.0.0.7"], ["::1"]),
        (["2001:db8::/32", "::1"], [], False, ["2001:db8::5", "::1"], ["2001:db9::", "::2"]),
        (["fe80::/10"], [], False, ["fe80::1%eth0"], ["10.0.0.7"]),
        (["0.0.0.0/0"], [], False, ["10.0.0.7", "255.255.255.255"], ["::1"]),
    ],
)
def test_who_is_let_in(
    allow: list[str], block: list[str], by_default: bool, let_in: list[str], refused: list[str]
) -> None:
    networks = [tuple(map(parse_network, texts)) for texts in (allow, block)]
    ip_filter = IpFilter(IpFilterSpec(by_default, *networks))
    assert [it for it in [*let_in, *refused] if ip_filter.allows(it)] == let_in


def test_a_server_that_does_not_let_a_client_in_says_nothing_else() -> None:
    router = server(f"ipFilter: {{allowIPs: [{NET}]}}\nrules: [{{paths: [{{backend: a}}]}}]")
    assert ask(router, client=ONE) == "a"
    assert ask(router) == 403
    assert ask(router, "/..") == 403
    assert ask(router, "/..", client=ONE) == 400


def test_whom_one_path_or_rule_does_not_let_in_another_one_may() -> None:
    router = server(
        f"rules: [{{ipFilter: {{blockIPs: [{ONE}]}}, paths: [{{path: /r, backend: a}}]}},"
        f" {{paths: [{{path: /p, backend: a, ipFilter: {{allowIPs: [{NET}]}}}}]}},"
        " {paths: [{pathPrefix: /r, backend: b}, {path: /p, backend: c}]}]"
    )
    assert ask(router, "/r") == "a"
    assert ask(router, "/r", client=ONE) == "b"
    assert ask(router, "/p", client=ONE) == "a"
    assert ask(router, "/p") == "c"


def test_a_path_asks_its_rule_first() -> None:
    router = server(
        f"rules: [{{ipFilter: {{blockIPs: [{ONE}]}},"
        f" paths: [{{backend: a, ipFilter: {{allowIPs: [{NET}]}}}}]}}]"
    )
    assert [ask(router, client=it) for it in ("10.0.0.8", ONE, "192.0.2.1")] == ["a", 403, 403]


def test_a_rule_that_does_not_let_a_client_in_hides_its_paths() -> None:
    router = server(
        f"rules: [{{host: a.example, ipFilter: {{blockIPs: [{ONE}]}},"
        " paths: [{path: /x, backend: a}]}, {host: b.example, paths: [{backend: b}]}]"
    )
    assert ask(router, "/nothing", client=ONE) == 403
    assert ask(router, "/nothing") == 404


TRUSTING = f"""
kind: HTTPServer
name: s
port: 80
trustedProxies: [127.0.0.1]
clientAddressFrom: x-forwarded-for
ipFilter: {{allowIPs: [{NET}]}}
rules: [{{paths: [{{backend: a}}]}}]
"""


async def test_the_client_is_asked_for_and_not_the_proxy_in_front() -> None:
    async with gateway(TRUSTING + PIPELINES, Answers) as running:
        for client, status in (ONE, b"200"), ("192.0.2.1", b"403"), (f"{ONE}, 192.0.2.1", b"403"):
            stream = await anyio.connect_tcp(*running.address)
            async with stream:
                lines = ("GET / HTTP/1.1", "Host: h", f"X-Forwarded-For: {client}", "", "")
                await stream.send("\r\n".join(lines).encode())
                assert (await stream.receive()).split()[1] == status


# -- what is told ------------------------------------------------------------------------------


def test_what_says_most_is_told_403_then_400_then_405_then_404() -> None:
    router = server(
        f"rules: [{{paths: [{{path: /x, methods: [POST], backend: a}},"
        " {path: /x, backend: a, headers: [{key: X-A, values: ['1']}]},"
        f" {{path: /x, backend: a, ipFilter: {{blockIPs: [{ONE}]}}, methods: [PUT]}},"
        " {path: /y, methods: [POST], backend: a}]}]"
    )
    assert ask(router, "/x", client=ONE) == 403
    assert ask(router, "/x") == 400
    assert ask(router, "/y", client=ONE) == 405
    assert ask(router, "/z", client=ONE) == 404


def test_a_method_is_asked_for_before_headers() -> None:
    router = one_path("methods: [POST], headers: [{key: X-A, values: ['1']}]")
    assert ask(router) == 405
    assert ask(router, method="POST") == 400


def test_a_refusal_names_what_is_missing_and_no_values() -> None:
    router = server(
        "rules: [{paths: [{backend: a, headers: [{key: X-Key, values: [secret]}]},"
        " {backend: a, headers: [{key: X-Key, values: [secret]}, {key: X-B, values: [secret]}]},"
        " {backend: a, queries: [{key: v, regexp: secret}]}]}]"
    )
    assert told(router, request()) == (
        400,
        "no path here takes the values of: header X-Key, header X-B, query parameter v",
    )
    blocked = one_path(f"ipFilter: {{allowIPs: [{NET}]}}")
    assert told(blocked, request()) == (403, "clients at 192.0.2.1 are not allowed here")


# -- hosts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("A.example:80", "a.example"),
        ("a.example.", "a.example"),
        ("a.example.:80", "a.example"),
        ("[::1]:80", "[::1]"),
        ("[0:0:0:0:0:0:0:1]", "[::1]"),
        ("[2001:DB8::0:1]:8080", "[2001:db8::1]"),
        ("[::ffff:10.0.0.1]", "[::ffff:a00:1]"),
        ("[nonsense", ""),
        ("", ""),
    ],
)
def test_hosts_are_compared_by_name(host: str, name: str) -> None:
    assert host_name(host) == name


def test_hosts_may_be_written_as_in_easegress() -> None:
    router = server(
        "rules: [{hosts: [{value: x.example}, {isRegexp: true, value: '^a[.]'}],"
        " paths: [{backend: a}]}]"
    )
    assert ask(router) == "a"
    other = server("rules: [{hosts: [{value: '*.net'}, a.example], paths: [{backend: a}]}]")
    assert ask(other) == "a"
    no_other = server("rules: [{hosts: [{isRegexp: true, value: '^b'}], paths: [{backend: a}]}]")
    assert ask(no_other) == 404


# -- configs -----------------------------------------------------------------------------------


def test_headers_and_queries_are_part_of_a_paths_key_and_ip_filters_are_not() -> None:
    def key(fields: str) -> str:
        spec = server_spec(f"rules: [{{paths: [{{backend: a, {fields}}}]}}]")
        return spec.rules[0].paths[0].key

    fields = [
        "",
        "headers: [{key: a, values: [b]}]",
        "headers: [{key: a, values: [c]}]",
        "headers: [{key: a, regexp: b}]",
        "queries: [{key: a, values: [b]}]",
        "queries: [{key: a, values: [b]}], matchAllQuery: true",
    ]
    assert len({*map(key, fields)}) == len(fields)
    assert key("ipFilter: {blockIPs: [192.0.2.1]}") == key("")


def test_equal_ip_filters_are_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[IpFilterSpec] = []

    def make(spec: IpFilterSpec) -> IpFilter:
        made.append(spec)
        return IpFilter(spec)

    monkeypatch.setattr(router_module, "IpFilter", make)
    ip_filter = "ipFilter: {blockIPs: [10.0.0.0/8]}"
    paths = ", ".join(f"{{path: /{n}, backend: a, {ip_filter}}}" for n in range(3))
    router = server(f"{ip_filter}\nrules: [{{{ip_filter}, paths: [{paths}]}}]")
    assert len(made) == 1
    assert [ask(router, "/1", client=it) for it in (ONE, "192.0.2.1")] == [403, "a"]
