"""What a config shows of itself has no secret in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.certificates import Authority
from tests.ourkinds import OUR_KINDS
from tests.repo.pages import ROOT

from easews.config import Source, from_sources
from easews.config.documents import Node, Place
from easews.config.schemas import OBJECT_KINDS, kind_schema
from easews.config.shown import MASKED, Mask
from easews.errors import ConfigError
from easews.schema import Bound
from easews.schema.parts import possible

SECRET = "s3cr3t-4711"
KINDS = OUR_KINDS


def ways_to_secrets(schema: Bound, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all writeOnly fields, as far as five steps deep."""
    for part in possible(schema):
        if part.get("writeOnly"):
            yield way
        if len(way) < 5:
            steps = list(part.get("properties", {}).items())
            steps += [("any", sub) for sub in part.get("patternProperties", {}).values()]
            steps += (
                [("any", part["additionalProperties"])] if "additionalProperties" in part else []
            )
            steps += [(0, part["items"])] if "items" in part else []
            for step, sub in steps:
                if isinstance(sub, Bound):
                    yield from ways_to_secrets(sub, (*way, step))


WAYS = sorted(
    {
        (kind, way)
        for kind in (*OBJECT_KINDS, *KINDS)
        for way in ways_to_secrets(kind_schema(kind, KINDS))
    },
    key=repr,
)


def at(way: tuple[Any, ...], value: Any) -> Any:
    for step in reversed(way):
        value = [value] if isinstance(step, int) else {step: value}
    return value


secrets = st.one_of(
    st.just(SECRET),
    st.just([SECRET]),
    st.just({"name": SECRET}),
)


def test_there_are_secrets_to_look_for() -> None:
    assert len(WAYS) > 10
    assert ("HTTPServer", ("keyPassword",)) in WAYS


@given(st.sampled_from(WAYS), secrets)
def test_no_write_only_field_of_any_kind_is_shown(place: tuple[str, Any], secret: Any) -> None:
    kind, way = place
    done = Mask(possible(kind_schema(kind, KINDS))).masked(at(way, secret))
    assert SECRET not in json.dumps(done)
    assert MASKED in json.dumps(done)


@given(
    st.recursive(
        st.sampled_from([SECRET, "text", 7, None, True, float("inf"), float("nan")]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["port", "rules", "x"]), inner, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_what_a_variable_was_put_into_is_not_shown(value: Any) -> None:
    done = Mask(possible(kind_schema("HTTPServer", KINDS))).masked(value, written(value))
    assert SECRET not in json.dumps(done, allow_nan=False)


def written(value: Any) -> Node:
    """`value` as a file has it, in which secrets come from variables."""
    steps: Any = value.items() if isinstance(value, dict) else ()
    steps = enumerate(value) if isinstance(value, list) else steps
    inner = {step: written(it) for step, it in steps}
    return Node(value, Place(1, 1, 1, 1), inner, hidden=value == SECRET)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("ws://user:pass@b:1/x", "ws://***@b:1/x"),
        ("https://b/?token=abc", "https://b/?***"),
        ("ws://b:1/x", "ws://b:1/x"),
        ({"X-Api-Key": "abc", "Accept": "text/html"}, {"X-Api-Key": "***", "Accept": "text/html"}),
        ({"Authorization": ["Bearer abc"]}, {"Authorization": "***"}),
        ({"key": "Cookie", "values": ["abc"]}, {"key": "Cookie", "values": "***"}),
        ({"key": "X-Room", "values": ["abc"]}, {"key": "X-Room", "values": ["abc"]}),
    ],
)
def test_secrets_without_a_schema_are_told_by_their_names(value: Any, expected: Any) -> None:
    assert Mask([]).masked(value) == expected


CONFIG = """
kind: HTTPServer
name: s
port: 80
headerTimeout: 2s
clientMaxBodySize: -1
rules: [{paths: [{pathPrefix: /, backend: p, headers: [{key: X-Token, values: [s3cr3t-4711]}]}]}]
---
kind: Pipeline
name: p
data: {password: s3cr3t-4711, room: "${ROOM}"}
filters:
- {kind: RequestAdaptor, name: stamp, header: {set: {Authorization: Bearer s3cr3t-4711}}}
- kind: WebSocketProxy
  name: proxy
  pools:
  - servers: [{url: "ws://127.0.0.1:9/"}]
    loadBalance: {stickySession: {mode: DurationBased, secret: s3cr3t-4711-s3cr3t-4711}}
"""


def test_a_config_shows_its_objects_with_defaults_and_without_secrets() -> None:
    config = from_sources([Source("gw.yaml", CONFIG)], KINDS, {"ROOM": SECRET})
    assert SECRET not in config.shown
    server, pipeline = json.loads(config.shown)
    assert (server["name"], server["headerTimeout"], server["bodyTimeout"]) == ("s", "2s", "30s")
    assert pipeline["data"] == {"password": "***", "room": "***"}
    proxy = pipeline["filters"][1]
    assert (proxy["kind"], proxy["name"]) == ("WebSocketProxy", "proxy")
    assert proxy["pools"][0]["loadBalance"]["stickySession"]["secret"] == "***"


def again(text: str, environ: dict[str, str]) -> list[str]:
    """What is wrong with what the config `text` shows, but for what is masked in it."""
    config = from_sources([Source("gw.yaml", text)], KINDS, environ)
    shown = yaml.safe_dump_all(json.loads(config.shown), sort_keys=False)
    try:
        assert from_sources([Source("gw.yaml", shown)], KINDS, {}).shown == config.shown
    except ConfigError as error:
        return [str(it) for it in error.problems if MASKED not in it.wrong]
    return []


EXAMPLES = [path for path in sorted((ROOT / "examples").glob("*.yaml")) if path.stem != "demo"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_what_an_example_shows_is_a_config_again(path: Path) -> None:
    assert not again(path.read_text(), {})


PATH = {"pathPrefix": "/", "backend": "p", "clientMaxBodySize": -1}
SERVER = {"kind": "HTTPServer", "name": "s", "port": 80, "trustedProxies": ["10.0.0.0/8"]}
PROXY = {"kind": "WebSocketProxy", "name": "to", "pools": [{"servers": [{"url": "ws://a:1"}]}]}
MOCK = {"kind": "Mock", "name": "m", "rules": [{"match": {"pathPrefix": "/"}, "code": 200}]}


def config_with(kind: str, fields: Mapping[str, Any]) -> str:
    """A config in which an object or a filter of this kind has these fields."""
    server = {**SERVER, "rules": [{"paths": [PATH]}]}
    pipeline = {"kind": "Pipeline", "name": "p", "filters": [MOCK]}
    own = {"name": "own", **fields, "kind": kind}
    if kind == "HTTPServer":
        objects = [{**server, **fields}, pipeline]
    elif kind in OBJECT_KINDS:
        objects = [own] if kind == "Pipeline" else [server, pipeline, own]
    else:
        behind = [] if kind == "WebSocketProxy" else [PROXY]
        objects = [server, {**pipeline, "filters": [own, *behind]}]
    return yaml.safe_dump_all(objects, sort_keys=False)


@pytest.mark.parametrize("kind", [*OBJECT_KINDS, *KINDS])
def test_what_the_example_of_a_kind_shows_is_a_config_again(kind: str) -> None:
    for example in kind_schema(kind, KINDS)["examples"]:
        bare = {name: it for name, it in example.items() if name != "rules" or kind == "Mock"}
        assert not again(config_with(kind, bare if kind == "HTTPServer" else example), {})


@pytest.mark.parametrize("asks_clients", [False, True])
def test_what_a_server_with_tls_shows_is_a_config_again(tmp_path: Path, asks_clients: bool) -> None:
    authority = Authority(tmp_path)
    fields = authority.fields("localhost")
    if asks_clients:
        fields |= {"caCertFile": str(authority.file), "tls": {"clientCertificate": "optional"}}
    assert not again(config_with("HTTPServer", fields), {})
