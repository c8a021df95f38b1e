"""What has to fit together: names that lead somewhere, servers side by side, jumps forward."""

from __future__ import annotations

import pytest

from easews import ConfigError, Context, Filter, Message, Session
from easews.config import Source, from_sources
from easews.filters import schema_of
from easews.plugins import Kind, Kinds


class Relay(Filter):
    """Takes the connection over."""

    kind = "Relay"
    results = ("clientError", "serverError")
    unbounded_body = True

    async def handle(self, ctx: Context) -> None:
        pass


class Plain(Relay):
    """Answers at once."""

    kind = "Plain"
    unbounded_body = False


class Opens(Plain):
    """Opens sessions."""

    kind = "Opens"
    opens_sessions = True


class Reads(Plain):
    """Reads messages."""

    kind = "Reads"

    def on_message(self, session: Session, message: Message) -> Message:
        return message


class Sees(Reads):
    """Is asked after an answer, too."""

    kind = "Sees"
    sees_answers = True


class Believes(Plain):
    """Takes the word of some proxies."""

    kind = "Believes"
    schema = {"type": "object", "properties": {"proxies": {"type": "array"}}}  # noqa: RUF012
    trusted_field = "proxies"


KINDS = Kinds(
    Kind(it.kind, it, schema_of(it), "the-test", "0")
    for it in (Relay, Plain, Opens, Reads, Sees, Believes)
)
PIPELINE = "{kind: Pipeline, name: p, filters: [{kind: Plain, name: a}, {kind: Plain, name: b}]}"


def faults(*documents: str) -> list[str]:
    text = "\n---\n".join(documents)
    try:
        from_sources([Source("f", text)], KINDS, {})
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []


def server(name: str = "w", **fields: object) -> str:
    fields = {"kind": "HTTPServer", "name": name, "port": 80, **fields}
    return "\n".join(f"{key}: {value}" for key, value in fields.items())


def path(fields: str) -> str:
    return f"[{{paths: [{{{fields}}}]}}]"


def flow(*steps: str) -> list[str]:
    return faults(f"{PIPELINE[:-1]}, flow: [{', '.join(steps)}]}}")


def test_a_backend_is_the_name_of_a_pipeline() -> None:
    assert not faults(server(rules=path("backend: p")), PIPELINE)
    assert faults(server(rules=path("backend: q")), PIPELINE) == [
        "f:4:28: w.rules[0].paths[0].backend: no Pipeline is called 'q'; there are: p"
    ]
    (fault,) = faults(server(rules=path("backend: w")), PIPELINE)
    assert "'w' is no Pipeline" in fault


def test_objects_have_names_of_their_own_across_kinds_and_files() -> None:
    with pytest.raises(ConfigError) as caught:
        from_sources([Source("a", server("p")), Source("b", PIPELINE)], KINDS, {})
    assert "b:1:24: p.name: 'p' is the name of another object, at a:2" in str(caught.value)


def test_filters_of_one_pipeline_have_names_of_their_own() -> None:
    entries = "[{kind: Plain, name: a}, {kind: Relay, name: a}]"
    (fault,) = faults(f"{{kind: Pipeline, name: p, filters: {entries}}}")
    assert "p.filters[1].name: 'a' is the name of another filter of this pipeline" in fault


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("''", "''", True),
        ("''", "127.0.0.1", True),
        ("0.0.0.0", "127.0.0.1", True),
        ("'::'", "::1", True),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ("localhost", "LOCALHOST", True),
        ("0.0.0.0", "::1", False),
        ("127.0.0.1", "127.0.0.2", False),
        ("localhost", "127.0.0.2", False),
    ],
)
def test_two_servers_on_one_address(one: str, other: str, clash: bool) -> None:
    told = faults(server("v", address=one), server("w", address=other))
    assert ["those of v, at f:1" in fault for fault in told] == [True] * clash
    assert not faults(server("v", address=one), server("w", address=other, port=81))


def test_two_servers_on_one_unix_socket() -> None:
    def on(name: str, path: str) -> str:
        return f"kind: HTTPServer\nname: {name}\naddress: unix:{path}"

    (fault,) = faults(on("v", "/run/a"), on("w", "/run/a"))
    assert "w.address: this unix socket is that of v, at f:1" in fault
    assert not faults(on("v", "/run/a"), on("w", "/run/b"), server("x"))


@pytest.mark.parametrize(
    ("on_server", "on_path", "complains_about"),
    [
        (None, None, "w.rules[0].paths[0]: the pipeline r holds a Relay"),
        ("4MiB", None, "w.rules[0].paths[0]: the pipeline r holds a Relay"),
        (-1, "1MiB", "w.rules[0].paths[0].clientMaxBodySize: the pipeline r holds a Relay"),
        (-1, None, ""),
        (None, -1, ""),
        ("4MiB", -1, ""),
    ],
)
def test_a_session_needs_an_unlimited_body(
    on_server: object, on_path: object, complains_about: str
) -> None:
    relay = "{kind: Pipeline, name: r, filters: [{kind: Plain, name: a}, {kind: Relay, name: b}]}"
    own = "" if on_path is None else f", clientMaxBodySize: {on_path}"
    limit = "null" if on_server is None else on_server
    front = server(rules=path(f"backend: r{own}"), clientMaxBodySize=limit)
    told = faults(front.replace("clientMaxBodySize: null", ""), relay)
    if complains_about:
        (fault,) = told
        assert complains_about in fault
        assert "set clientMaxBodySize: -1" in fault
    else:
        assert not told


GOOD_FLOWS = [
    ["{filter: b}", "{filter: a}"],
    ["{filter: a, jumpIf: {clientError: END, internalError: b}}", "{filter: b}"],
    ["{filter: a, jumpIf: {clientError: again}}", "{filter: b}", "{filter: a, alias: again}"],
    ["{filter: a}", "{filter: a}"],
]


@pytest.mark.parametrize("steps", GOOD_FLOWS)
def test_a_flow_names_filters_and_jumps_forward(steps: list[str]) -> None:
    assert not flow(*steps)


# The step that is wrong stands first; it is followed by `b`.
BAD_STEPS = {
    "{filter: c}": "p.flow[0].filter: no filter of this pipeline is called 'c'; there are: a, b",
    "{filter: a, jumpIf: {clientEror: b}}": "Plain has no result 'clientEror'; did you mean",
    "{filter: a, jumpIf: {x: b}}": "it has: clientError, serverError, internalError",
    "{filter: a, jumpIf: {clientError: a}}": "'a' is no later step of this flow; write it "
    "behind this step, or jump to: b, END",
    "{filter: a, jumpIf: {clientError: c}}": "p.flow[0].jumpIf.clientError: 'c' is no later step",
}


@pytest.mark.parametrize("step", BAD_STEPS)
def test_a_flow_that_leads_nowhere(step: str) -> None:
    (fault,) = flow(step, "{filter: b}")
    assert BAD_STEPS[step] in fault


def test_a_jump_to_one_of_two_steps_of_a_name_is_refused() -> None:
    (fault,) = flow("{filter: b, jumpIf: {clientError: a}}", "{filter: a}", "{filter: a}")
    assert "'a' could be any of 2 later steps; give each of them an alias" in fault


def test_cross_checks_go_on_beside_faults_of_a_schema() -> None:
    told = faults(server(prot=1, rules=path("backend: q")), PIPELINE)
    assert len(told) == 2


def believing(*networks: str) -> str:
    entry = f"{{kind: Believes, name: a, proxies: [{', '.join(networks)}]}}"
    return f"{{kind: Pipeline, name: p, filters: [{entry}]}}"


def test_a_filter_trusts_no_proxy_that_its_server_does_not() -> None:
    trusting = server(trustedProxies="[10.0.0.0/8, '2001:db8::/32']", rules=path("backend: p"))
    assert not faults(trusting, believing("10.1.0.0/16", "10.0.0.1", "'2001:db8::1'"))
    assert not faults(trusting, believing("'::ffff:10.0.0.0/104'"))
    assert faults(trusting, believing("10.0.0.1", "192.0.2.0/24")) == [
        "f:7:83: p.filters[0].proxies[1]: '192.0.2.0/24' is not within the trustedProxies of w;"
        " a filter can only narrow them: add it there, or leave it out here"
    ]
    assert len(faults(trusting, believing("10.0.0.0/7", "'::/0'", "0.0.0.0/0"))) == 3


def test_whom_a_filter_may_trust_is_what_all_servers_that_lead_to_it_trust() -> None:
    one = server("one", rules=path("backend: p"))
    other = server("other", port=81, trustedProxies="[10.0.0.0/8]", rules=path("backend: p"))
    assert not faults(one, other, believing("10.0.0.0/8"))
    assert len(faults(one, believing("10.0.0.0/8"))) == 1


def test_whom_a_filter_trusts_is_its_own_business_where_no_server_leads() -> None:
    assert not faults(believing("10.0.0.0/8"))


def rewritten(regexp: str, target: str) -> list[str]:
    fields = f"backend: p, pathRegexp: '{regexp}', rewriteTarget: '{target}'"
    return faults(server(rules=path(fields)), PIPELINE)


@pytest.mark.parametrize("target", ["/a", "/$0/$1", "/${1}x", "/$room", "/$", "/$$3", "/$-"])
def test_a_target_names_groups_of_its_regexp(target: str) -> None:
    assert not rewritten("^/(?P<room>.*)$", target.replace("$$", "$$$$"))


def test_a_group_that_a_regexp_has_not_is_reported() -> None:
    (fault,) = rewritten("^/(?P<room>.*)$", "/$1x")
    assert fault.endswith(
        "rewriteTarget: the group '1x' is none of pathRegexp's; it has: $0, $1, $room; "
        "write ${1} before a letter or digit"
    )
    (fault,) = rewritten("^/(.*)$", "/$2")
    assert fault.endswith("the group '2' is none of pathRegexp's; it has: $0, $1")
    assert len(rewritten("^/a$", "/$1/$2/$x/$1")) == 3


def test_without_a_regexp_a_dollar_is_a_character() -> None:
    fields = "backend: p, path: /a, rewriteTarget: '/$1'"
    assert not faults(server(rules=path(fields)), PIPELINE)


def reading(*kinds: str, flow: str = "") -> list[str]:
    filters = ", ".join(f"{{kind: {kind}, name: {kind.lower()}}}" for kind in kinds)
    pipeline = f"{{kind: Pipeline, name: p, filters: [{filters}]{flow}}}"
    return faults(pipeline, server(rules=path("backend: p")))


def test_a_filter_of_messages_stands_before_what_opens_sessions() -> None:
    assert not reading("Reads", "Opens")
    assert reading("Plain", "Opens", "Reads") == [
        "f:1:93: p.filters[2]: Reads reads messages, but stands behind opens (Opens), which"
        " answers, so no message reaches it; put it before opens"
    ]
    (fault,) = reading("Reads", "Opens", flow=", flow: [{filter: opens}, {filter: reads}]")
    assert "p.flow[1]: Reads reads messages, but stands behind opens" in fault


@pytest.mark.parametrize(
    "flow",
    [
        "{filter: opens, jumpIf: {serverError: reads}}, {filter: reads}, {filter: opens, alias: o}",
        "{filter: plain, jumpIf: {serverError: r}}, {filter: opens}, {filter: reads, alias: r}",
        "{filter: opens}, {filter: sees}",
        "{filter: opens}, {filter: sees}, {filter: reads}",  # it may withdraw the answer
    ],
)
def test_a_filter_of_messages_that_may_be_reached_behind_an_answer_is_right(flow: str) -> None:
    assert not reading("Opens", "Reads", "Sees", "Plain", flow=f", flow: [{flow}]")


def test_a_filter_of_messages_needs_one_that_opens_sessions() -> None:
    (fault,) = reading("Plain", "Reads")
    assert "no filter of the pipeline opens sessions; add a WebSocketProxy as the last" in fault
    (fault,) = reading("Reads", "Unknown")  # which may open them
    assert "no kind of filter 'Unknown' is installed" in fault


def test_a_pipeline_that_no_server_leads_to_may_lack_it() -> None:
    assert not faults("{kind: Pipeline, name: p, filters: [{kind: Reads, name: reads}]}")
