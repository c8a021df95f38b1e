"""A filter by itself: contexts, instances as the engine makes them, configs from text."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from ..config import Config, Source, from_sources
from ..filters import Context, Filter
from ..http import Headers, Request
from ..plugins import Classes, Found, Kinds, discover, installed

F = TypeVar("F", bound=Filter)


def make_context(
    target: str = "/", headers: Iterable[tuple[str, str]] = (), *, method: str = "GET"
) -> Context:
    """A context for a request without a body, as the engine passes it to a filter."""
    fields = Headers([("Host", "gateway.example"), *headers])
    return Context(Request(method, target, fields), id="test")


def make_filter(filter_class: type[F], /, **spec: Any) -> F:
    """An instance as the engine makes it: `spec` is checked, and defaults are filled in.

    Values are written as in a config, such as ``every="5s"``. ConfigError when one is not valid.
    """
    kind = filter_class.kind
    entry = {"kind": kind, "name": kind.lower(), **_literal(spec)}
    config = {"kind": "Pipeline", "name": "made", "filters": [entry]}
    (made,) = load_config(json.dumps(config, ensure_ascii=False), filter_class).pipelines
    return filter_class(made.filters[0].name, made.filters[0].spec)


def _literal(value: Any) -> Any:
    """`value` as a config has it: there, $ begins a variable, and $$ is the character."""
    if isinstance(value, Mapping):
        return {key: _literal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_literal(item) for item in value]
    return value.replace("$", "$$") if isinstance(value, str) else value


def kinds_with(*filters: type[Filter]) -> Kinds:
    """The installed kinds of filter, and these classes as if a package brought them.

    A class replaces an installed one of the same kind. PluginError when it is not a valid filter.
    """
    there = discover(installed())
    local = discover([Found("the-test", "0", Classes("the-test", filters))])
    for error in local.broken:
        raise error
    return there.with_kinds(local.values())


def load_config(
    text: str, *filters: type[Filter], environ: Mapping[str, str] = os.environ
) -> Config:
    """The config in the YAML `text`, for which `filters` count as installed.

    ConfigError when it has faults.
    """
    return from_sources([Source("test.yaml", text)], kinds_with(*filters), environ)
