"""From files to a Config, and the words for what a schema finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from easews import ConfigError, Context, Filter, PluginError, SpecFault
from easews.config import Config, Source, from_sources, load
from easews.config.sources import read_sources
from easews.errors import Problem
from easews.filters import schema_of
from easews.plugins import Kind, Kinds
from easews.schema import Schema, complete
from easews.testing import make_filter


class Stamp(Filter):
    """Stamps requests."""

    kind = "Stamp"
    results = ("stamped",)
    schema: ClassVar[Mapping[str, Any] | str] = {
        "type": "object",
        "properties": {
            "text": {"type": "string"},
            "every": {"$ref": "urn:easews:common#/$defs/duration", "default": "5s"},
            "pin": {"type": "string", "pattern": "^[0-9]+$", "writeOnly": True},
            "tags": {"type": "array", "items": {"enum": ["red", "green"]}},
        },
    }

    @classmethod
    def check(cls, spec: Mapping[str, Any]) -> Iterator[SpecFault]:
        if spec.get("text") == "crash":
            raise RuntimeError(spec)
        if "text" in spec and "pin" in spec:
            yield SpecFault(("text",), f"{spec['text']} beside {spec['pin']}", "one of them")

    async def handle(self, ctx: Context) -> None:
        pass


def kinds(*broken: PluginError) -> Kinds:
    stamp = Kind("Stamp", Stamp, schema_of(Stamp), "easews-stamp", "1.0")
    return Kinds([stamp], broken)


def config(text: str, **environ: str) -> Config:
    return from_sources([Source("f", text)], kinds(), environ)


def faults(text: str, *broken: PluginError, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        from_sources([Source("f", text)], kinds(*broken), environ)
    return [str(problem) for problem in caught.value.problems]


def outcome(text: str) -> Config | tuple[Problem, ...]:
    try:
        return config(text)
    except ConfigError as error:
        return error.problems


def stamp(fields: str, **environ: str) -> list[str]:
    """The faults of a filter with these fields, which stand on the first line."""
    return faults(
        f"{{kind: Pipeline, name: p, filters: [{{kind: Stamp, name: s, {fields}}}]}}", **environ
    )


FULL = """\
kind: HTTPServer
name: web
port: ${PORT}
address: 127.0.0.1
https: false
keepAlive: false
keepAliveTimeout: 1m30s
maxConnections: 7
clientMaxBodySize: 1KiB
headerTimeout: 500ms
maxHeaderBytes: 8KiB
trustedProxies: [10.0.0.0/8]
clientAddressFrom: forwarded
rules:
  - host: example.org
    hosts: ["*.example.org"]
    hostRegexp: ^api
    paths:
      - {path: /a, backend: p, methods: [GET]}
      - {pathRegexp: ^/b/(.*), rewriteTarget: /$1, backend: p, clientMaxBodySize: -1}
---
kind: Pipeline
name: p
data: {region: eu}
filters:
  - {kind: Stamp, name: s, text: hi}
flow:
  - {filter: s, alias: first, jumpIf: {stamped: s, internalError: END}}
  - filter: s
"""


def test_a_gateway_says_how_the_process_drains_and_logs() -> None:
    usual = config(FULL, PORT="80").gateway
    assert (usual.drain, usual.log_format) == ((0.0, 30.0, 10.0, 1001, 0), "text")
    drain = "{delay: 5s, window: 1m, code: 1012, perSecond: 9}"
    own = f"{{kind: Gateway, name: g, drain: {drain}, log: {{format: json}}}}"
    gateway = config(own).gateway
    assert (gateway.drain, gateway.log_format) == ((5.0, 60.0, 10.0, 1012, 9), "json")


def test_a_config_has_one_gateway_at_most() -> None:
    found = faults("{kind: Gateway, name: a}\n---\n{kind: Gateway, name: b}")
    assert found == [
        "f:3:8: b.kind: there is another Gateway, a, at f:1; write one for the whole config"
    ]


def test_each_object_and_filter_is_completed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    completed: list[str] = []

    def counting(schema: Schema, value: Any, *folder: str) -> Any:
        completed.append(value["name"])
        return complete(schema, value, *folder)

    monkeypatch.setattr("easews.config.checks.complete", counting)
    monkeypatch.setattr("easews.config.build.complete", counting)
    config(FULL + "---\n{kind: Gateway, name: g}", PORT="80")
    assert sorted(completed) == ["g", "p", "s", "web"]


def test_no_reference_is_looked_up_for_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    config(FULL, PORT="80")
    monkeypatch.setattr("easews.schema.loading._Binder", None)
    config(FULL, PORT="81")


def test_every_field_arrives_in_its_own_unit() -> None:
    loaded = config(FULL, PORT="8080")
    (server,) = loaded.servers
    assert (server.port, server.address, server.keep_alive) == (8080, "127.0.0.1", False)
    assert (server.keep_alive_timeout, server.limits.header_timeout) == (90.0, 0.5)
    assert (server.client_max_body_size, server.limits.max_header_bytes) == (1024, 8192)
    assert (server.max_connections, server.client_address_from) == (7, "forwarded")
    assert server.trusted_proxies == (ip_network("10.0.0.0/8"),)
    (rule,) = server.rules
    assert (rule.hosts, rule.host_regexps) == (("example.org", "*.example.org"), ("^api",))
    first, second = rule.paths
    assert (first.path, first.methods, first.client_max_body_size) == ("/a", ("GET",), None)
    assert (second.path, second.path_regexp, second.rewrite_target) == (None, "^/b/(.*)", "/$1")
    assert second.client_max_body_size == -1


def test_a_pipeline_arrives_with_its_flow_and_complete_specs() -> None:
    (pipeline,) = config(FULL, PORT="8080").pipelines
    (entry,) = pipeline.filters
    assert (entry.name, entry.kind.filter_class) == ("s", Stamp)
    assert entry.spec == {"text": "hi", "every": 5.0}
    first, second = pipeline.flow
    assert (first.filter, first.alias, second.alias) == ("s", "first", "s")
    assert first.jump_if == {"stamped": "s", "internalError": "END"}
    assert pipeline.data == {"region": "eu"}


def test_defaults_are_those_of_the_contract_and_an_empty_flow_is_written_out() -> None:
    loaded = config(
        "{kind: HTTPServer, name: w, port: 1}\n---\n"
        "{kind: Pipeline, name: p, filters: [{kind: Stamp, name: a}, {kind: Stamp, name: b}]}"
    )
    (server,) = loaded.servers
    assert (server.keep_alive, server.keep_alive_timeout, server.max_connections) == (
        True,
        60,
        10240,
    )
    assert (server.client_max_body_size, server.limits.header_timeout) == (4 * 1024**2, 10)
    assert (server.limits.max_header_bytes, server.address, server.rules) == (64 * 1024, "", ())
    assert [(step.filter, step.alias) for step in loaded.pipelines[0].flow] == [
        ("a", "a"),
        ("b", "b"),
    ]


def test_all_problems_come_at_once_in_the_order_of_the_files() -> None:
    sources = [
        Source("b", "kind: HTTPServer\nname: w\nprot: 1\naddress: [x]"),
        Source("a", "kind: Pipeline\nname: ${NOPE}\nfilters: []"),
    ]
    with pytest.raises(ConfigError) as caught:
        from_sources(sources, kinds(), {})
    assert str(caught.value).splitlines() == [
        "b:3:1: w.prot: unknown key 'prot'; did you mean 'port'?",
        'b:4:10: w.address: a list is not text; expected text (such as "", 127.0.0.1, ::1)',
        "a:2:7: document 1.name: the variable NOPE is not set; "
        "set it, or write a default: ${NOPE:-default}",
        "a:3:10: document 1.filters: this list is empty; the filters of this pipeline, each with "
        "its kind, its name, and that kind's own fields "
        "(such as [{kind: XForwarded, name: forwarded}])",
    ]


# What stands in the file, and what is said of it.
WORDS = {
    "port: '80'": "w.port: '80' is text, not a whole number; write it without quotes",
    "port: 0": "w.port: 0 is less than 1; a TCP port (such as 8080)",
    "keepAlive: no": "w.keepAlive: 'no' is not true or false; expected true or false",
    "headerTimeout: 5": "w.headerTimeout: 5 has no unit; write 5s or 5ms",
    "headerTimeout: 0": "w.headerTimeout: 0 is no timeout",
    "keepAliveTimeout: 0s": "w.keepAliveTimeout: '0s' is no timeout",
    "maxHeaderBytes: 0KiB": "w.maxHeaderBytes: '0KiB' is not accepted here",
    "maxHeaderBytes: -1": "w.maxHeaderBytes: -1 is less than 1",
    "headerTimeout: soon": "'soon' is no timeout; a duration of more than 0: numbers",
    "clientAddressFrom: X-Forwarded-For": "did you mean 'x-forwarded-for'?",
    "trustedProxies: [10.0.0.1/8]": "'10.0.0.1/8' is no proxy address: there are bits",
    "keyBase64: c2VjcmV0": "w.keyBase64: keyBase64 without https: true; write https: true",
    "rules: [{paths: []}]": "w.rules[0].paths: this list is empty; the paths",
    "rules: [{host: 'a:80', paths: [{backend: p}]}]": "w.rules[0].host: 'a:80' is no host",
    "zzz: 1": "w.zzz: unknown key 'zzz'; known here: kind, name, port",
    "hosts: a": "w.hosts: unknown key 'hosts'; it belongs in an entry of 'rules'",
    "rules: [{paths: [{path: '/a/*', backend: p}]}]": "'/a/*': a * here is a character like any "
    "other; write pathPrefix instead, without the *",
    "rules: [{paths: [{pathPrefix: '/a*', backend: p}]}]": "a prefix is followed by anything",
    "host: a": "w.host: unknown key 'host'; it belongs in an entry of 'rules'",
    "'a b': 1": "w['a b']: unknown key 'a b'",
}


@pytest.mark.parametrize("field", WORDS)
def test_the_words_for_a_fault(field: str) -> None:
    port = "" if field.startswith("port") else ", port: 1"
    pipeline = "{kind: Pipeline, name: p, filters: [{kind: Stamp, name: s}]}"
    (fault,) = faults(f"{{kind: HTTPServer, name: w{port}, {field}}}\n---\n{pipeline}")
    assert WORDS[field] in fault


def test_the_design_notes_own_slip_is_told_with_its_remedy() -> None:
    told = faults("kind: HTTPServer\nname: w\nport: 1\nrules:\n- paths:\n  path: /ws\n  backend: p")
    assert told == [
        "f:6:3: w.rules[0].path: 'path' and 'backend' belong in an entry of 'paths', which is "
        "empty; indent them, with a '- ' before the first"
    ]


@pytest.mark.parametrize(
    ("document", "wrong"),
    [
        ("- a", "f:1:1: document 1: this is a list, not an object"),
        ("text", "f:1:1: document 1: this is text, not an object"),
        ("name: x", "f:1:1: x: 'kind' is missing; expected HTTPServer, Pipeline or Gateway"),
        ("kind: HttpServer", "'HttpServer' is no kind of object; did you mean 'HTTPServer'?"),
        ("kind: [a]", "a list is no kind of object"),
        ("kind: WebSocketProxy", "is a kind of filter; it belongs in the filters of a Pipeline"),
        ("{kind: Pipeline, name: p, filters: [{kind: Pipeline, name: q}]}", "is no filter"),
        ("{kind: Pipeline, name: p, filters: [{name: q}]}", "p.filters[0]: 'kind' is missing"),
        (
            "{kind: Pipeline, name: p, filters: [{kind: Stamp, name: END}]}",
            "'END' is taken; anything but END",
        ),
        ("", "f:1:1: there is no object in it"),
    ],
)
def test_what_is_no_object_or_filter(document: str, wrong: str) -> None:
    (fault,) = faults(document)
    assert wrong in fault


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("Stmap", "did you mean 'Stamp'?; installed: Stamp"),
        (
            "Other",
            "installed: Stamp; a package brings a kind by an entry point in the group 'easews', "
            "a single file only to `easews run --watch-plugins FILE.py`",
        ),
        ("WebSocketProxy", "pip install easews-wsproxy; installed: Stamp"),
    ],
)
def test_a_kind_that_is_not_installed_names_those_that_are(kind: str, hint: str) -> None:
    (fault,) = faults(f"{{kind: Pipeline, name: p, filters: [{{kind: {kind}, name: s}}]}}")
    assert fault == f"f:1:44: p.filters[0].kind: no kind of filter '{kind}' is installed; {hint}"


def test_a_broken_plugin_is_named_where_its_kind_is_wanted() -> None:
    broken = PluginError("easews-wsproxy", "it fails with ImportError", "update it")
    text = "{kind: Pipeline, name: p, filters: [{kind: WebSocketProxy, name: s}]}"
    (fault,) = faults(text, broken)
    assert "its plugin is broken; easews-wsproxy: it fails with ImportError; update it" in fault


class Shaped(Filter):
    kind = "Shaped"
    schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {
            "tls": {"type": "object", "properties": {"certificate": {"type": "string"}}},
            "word": {"not": {"pattern": "x"}},
            "within": {"type": "integer", "maximum": 0, "x-unit": "seconds"},
        },
        "additionalProperties": False,
    }

    async def handle(self, ctx: Context) -> None:
        pass


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"certificate": "a.pem"}, "it belongs in 'tls'"),
        ({"word": "xyz"}, "'xyz' is not accepted here"),
        ({"within": 5}, "5 has no unit; write 5s or 5ms"),
    ],
)
def test_what_a_plugins_schema_refuses_is_put_into_words(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_filter(Shaped, **spec)


class Tree(Filter):
    kind = "Tree"
    schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {"root": {"$ref": "#/$defs/node"}},
        "$defs": {
            "node": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                    "wait": {"$ref": "urn:easews:common#/$defs/duration"},
                },
            }
        },
    }

    async def handle(self, ctx: Context) -> None:
        pass


def test_a_plugins_schema_may_contain_itself() -> None:
    leaf = {"wait": "5s"}
    tree = make_filter(Tree, root={"children": [{"children": [leaf]}]})
    assert tree.spec["root"]["children"][0]["children"] == [{"wait": 5}]
    with pytest.raises(ConfigError, match=r"children\[0\].wat: .*did you mean 'wait'"):
        make_filter(Tree, root={"children": [{"children": [{"wat": "5s"}]}]})


def test_broken_plugins_are_named_where_a_kind_is_unknown() -> None:
    broken = PluginError("acme-filters", "it fails with ImportError", "update it")
    text = "{kind: Pipeline, name: p, filters: [{kind: Foobarbaz, name: s}]}"
    (fault,) = faults(text, broken)
    assert "broken plugins: acme-filters" in fault


def test_ports_that_are_no_numbers_are_not_compared() -> None:
    server = "{kind: HTTPServer, name: %s, port: w, rules: []}"
    found = faults(f"{server % 'a'}\n---\n{server % 'b'}")
    assert found
    assert not [fault for fault in found if "this address and port" in fault]


def test_a_filters_own_fields_are_checked_even_where_its_schema_is_open() -> None:
    assert stamp("txt: a, tags: [red, gren]") == [
        "f:1:60: p.filters[0].txt: unknown key 'txt'; did you mean 'text'?",
        "f:1:80: p.filters[0].tags[1]: 'gren' is not accepted here; did you mean 'green'?",
    ]


def test_what_a_filters_check_finds_has_its_place_and_shows_no_secret() -> None:
    (fault,) = stamp("text: public, pin: '4711'")
    assert fault == "f:1:66: p.filters[0].text: public beside (not shown); one of them"


def test_a_check_that_fails_names_its_package() -> None:
    (fault,) = stamp("text: crash")
    line = Stamp.check.__code__.co_firstlineno + 3
    assert f"the check of Stamp fails with RuntimeError ({__file__}:{line}); update" in fault
    assert fault.endswith("update easews-stamp 1.0")


def test_a_secret_is_never_shown() -> None:
    assert stamp("pin: hunter2")[0].endswith(": this value (not shown) is not accepted here")


@pytest.mark.parametrize(
    "text",
    [
        "kind: ${X}",
        "{kind: HTTPServer, name: '${X}', port: w}",
        "{kind: HTTPServer, name: w, port: 1, rules: [{paths: [{backend: '${X}'}]}]}",
        "{kind: HTTPServer, name: w, port: 1, rules: [{hostRegexp: '${X}', paths: []}]}",
        "{kind: HTTPServer, name: w, port: 1, trustedProxies: ['${X}']}",
        "{kind: HTTPServer, name: w, port: 1, clientAddressFrom: '${X}'}",
        "{kind: Pipeline, name: p, filters: [{kind: '${X}', name: s}]}",
        "{kind: Pipeline, name: p, filters: [{kind: Stamp, name: s, text: '${X}', pin: '1'}]}",
        "{kind: Pipeline, name: p, filters: [{kind: Stamp, name: '${X}'}], flow: [{filter: s}]}",
    ],
)
def test_the_value_of_a_variable_is_never_shown(text: str) -> None:
    assert "hunter2" not in "\n".join(faults(text, X="(hunter2"))


def test_a_folder_gives_its_yaml_files_by_name(tmp_path: Path) -> None:
    for name in ("b.yml", "a.yaml", "c.txt", ".hidden.yaml"):
        (tmp_path / name).write_text(name)
    (tmp_path / "d.yaml").mkdir()
    found = list(read_sources([str(tmp_path), str(tmp_path / "a.yaml")]))
    assert [source.text for source in found if isinstance(source, Source)] == ["a.yaml", "b.yml"]
    assert len(found) == 2


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("missing.yaml", "missing.yaml:1:1: cannot be read: No such file or directory"),
        ("empty", "empty:1:1: has no *.yaml or *.yml in it"),
        ("latin.yaml", "latin.yaml:2:4: is not UTF-8; save the file as UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path, path: str, wrong: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: \xe9")
    with pytest.raises(ConfigError) as caught:
        load([str(tmp_path / path)], kinds())
    assert wrong in str(caught.value)


def test_a_folder_that_cannot_be_listed_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def iterdir(self: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(ConfigError, match="Permission denied"):
        load([str(tmp_path)], kinds())


FRAGMENTS = st.sampled_from(
    [*FULL.replace("${PORT}", "1").splitlines(), "kind: Pipeline", "- filter: s", "  - &a x", "*a"]
)


@given(st.one_of(st.text(), st.lists(st.one_of(FRAGMENTS, st.text(max_size=9))).map("\n".join)))
@example("? [a, b]\n: ${X:-")
@example("kind: Pipeline\nname: {}\nfilters: {a: 1}\nflow: [1, {filter: [], jumpIf: [x]}]")
@example("kind: HTTPServer\nname: 1\nport: true\nrules: [[], {paths: {0: 1}}, {paths: [x, {}]}]")
def test_any_text_is_a_config_or_has_problems_in_it(text: str) -> None:
    result = outcome(text)
    if isinstance(result, Config):
        assert result.servers or result.pipelines
    else:
        last = len(text.splitlines()) + 1
        assert result
        assert all(1 <= problem.line <= last for problem in result)
