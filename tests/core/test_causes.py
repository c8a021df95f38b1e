"""One mistake is one message; two mistakes are two, however near they stand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from easews import ConfigError, Context, Filter
from easews.config import Source, from_sources, load
from easews.filters import schema_of
from easews.plugins import Kind, Kinds


class Relay(Filter):
    """Carries sessions."""

    kind = "Relay"
    results = ("refused",)
    unbounded_body = True
    schema: ClassVar[Mapping[str, Any] | str] = {
        "type": "object",
        "properties": {"to": {"type": "string"}},
        "allOf": [{"properties": {"more": {"type": "string"}}}],
    }

    async def handle(self, ctx: Context) -> None:
        pass


KINDS = Kinds([Kind("Relay", Relay, schema_of(Relay), "the-test", "0")])

CONFIG = """\
kind: HTTPServer
name: web
port: 8080
address: 127.0.0.1
rules:
- host: example.org
  paths:
  - path: /ws
    clientMaxBodySize: -1
    backend: p
---
kind: HTTPServer
name: other
port: 8080
address: 127.0.0.2
---
kind: Pipeline
name: p
filters:
- kind: Relay
  name: a
- kind: Relay
  name: b
flow:
- filter: a
  jumpIf: {refused: again}
- filter: b
- filter: b
  alias: again
"""


def faults(text: str, *others: str) -> list[str]:
    sources = [Source(f"f{number}", text) for number, text in enumerate((text, *others))]
    try:
        from_sources(sources, KINDS, {})
    except ConfigError as error:
        return [f"{problem.path}: {problem.wrong}" for problem in error.problems]
    return []


def changed(*changes: tuple[str, str]) -> str:
    text = CONFIG
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def test_the_config_is_good_as_it_stands() -> None:
    assert not faults(CONFIG)


# What is written in place of what, and the one thing to be told.
CAUSES = [
    # A key or kind with a slip in it, and what would be there without the slip.
    ("port: 8080", "prot: 8080", "unknown key 'prot'"),
    ("clientMaxBodySize: -1", "clientMaxBodysize: -1", "unknown key 'clientMaxBodysize'"),
    ("backend: p", "backed: p", "unknown key 'backed'"),
    ("kind: Pipeline\nname: p", "kind: Pipeline\nnmae: p", "unknown key 'nmae'"),
    ("kind: Pipeline", "kind: Pipelin", "'Pipelin' is no kind of object"),
    ("kind: Pipeline", "kidn: Pipeline", "unknown key 'kidn'"),
    ("kind: Relay", "knd: Relay", "unknown key 'knd'"),
    ("kind: Relay", "sort: Relay", "'kind' is missing"),
    ("filters:", "fliters:", "unknown key 'fliters'"),
    ("kind: Relay\n  name: a", "kind: Relay\n  nmae: a", "unknown key 'nmae'"),
    ("kind: Relay", "kind: Rely", "no kind of filter 'Rely' is installed"),
    ("- filter: a", "- fliter: a", "unknown key 'fliter'"),
    ("alias: again", "alais: again", "unknown key 'alais'"),
    # A value that is none.
    ("clientMaxBodySize: -1", "clientMaxBodySize: 10MB", "'10MB' is no size"),
    ("clientMaxBodySize: -1", "clientMaxBodySize: ${UNSET}", "the variable UNSET is not set"),
    ("address: 127.0.0.2", "address: a..b", "'a..b' is no address"),
    ("name: p", "name: -p", "'-p' is no name"),
    ("name: p", "name: [p]", "a list is not text"),
    ("name: p\n", "", "'name' is missing"),
    ("name: p", "name: ${UNSET}", "the variable UNSET is not set"),
    ("name: a\n", "name: a!\n", "'a!' is no name"),
    ("- kind: Relay\n  name: a", "- kind: Relay", "'name' is missing"),
    ("alias: again", "alias: again!", "'again!' is no name"),
    ("- filter: b\n  alias: again", "- 7", "7 is not a mapping"),
    # A name that leads nowhere, and a jump to it.
    ("- filter: b\n  alias: again", "- filter: again", "no filter of this pipeline is called"),
    # A key on the wrong level.
    (
        "  paths:\n  - path: /ws\n    clientMaxBodySize: -1\n    backend: p",
        "  backend: p\n  paths:\n  - path: /ws\n    clientMaxBodySize: -1",
        "unknown key 'backend'",
    ),
    (
        "  paths:\n  - path: /ws\n    clientMaxBodySize: -1\n",
        "  clientMaxBodySize: -1\n  paths:\n  - path: /ws\n",
        "unknown key 'clientMaxBodySize'",
    ),
    (
        "  - path: /ws\n    clientMaxBodySize: -1\n    backend: p",
        "  path: /ws\n  clientMaxBodySize: -1\n  backend: p",
        "'path', 'clientMaxBodySize' and 'backend' belong in an entry of 'paths', which is empty",
    ),
    # A document that is not read to its end.
    ("kind: Pipeline", "kind: 'Pipeline", "not YAML: this quote is never closed"),
    ("name: p", "name: p: q", "not YAML: a second ': '"),
    ("name: p", "name: !p p", "YAML tags are not accepted"),
    # An alternative of a plugin's schema that is not met.
    ("kind: Relay", "more: 7\n  kind: Relay", "7 is not text"),
]


@pytest.mark.parametrize(("old", "new", "cause"), CAUSES)
def test_the_cause_is_told_and_nothing_that_follows_from_it(old: str, new: str, cause: str) -> None:
    told = faults(changed((old, new)))
    assert [cause in fault for fault in told] == [True], told


def test_a_pipeline_may_be_in_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    server, _, _ = CONFIG.split("---\n")
    (tmp_path / "server.yaml").write_text(server)
    (tmp_path / "pipeline.yaml").write_bytes(b"name: \xff")
    with pytest.raises(ConfigError) as caught:
        load([str(tmp_path)], KINDS)
    (problem,) = caught.value.problems
    assert problem.wrong == "is not UTF-8"


def test_a_fault_of_an_anchor_is_told_once() -> None:
    path = "  - path: /ws\n    clientMaxBodySize: -1\n    backend: p"
    told = faults(changed((path, "  - &x {zone: eu, clientMaxBodySize: -1, backend: p}\n  - *x")))
    assert told == ["web.rules[0].paths[0].zone: unknown key 'zone'"]


# Two changes, each a mistake of its own.
PAIRS = [
    (("port: 8080", "prot: 8080"), ("backend: p", "backend: q"), "no Pipeline is called 'q'"),
    (("clientMaxBodySize: -1", "clientMaxBodysize: 1MiB"), ("", ""), "needs an unlimited body"),
    (("clientMaxBodySize: -1", "clientMaxBodySize: 1MB"), ("backend: p", "backend: q"), "'q'"),
    (("kind: Pipeline\nname: p", "kind: Pipeline\nnmae: p"), ("backend: p", "backend: q"), "'q'"),
    (("alias: again", "alias: again!"), ("- filter: a", "- filter: c"), "called 'c'"),
    (("host: example.org", "hots: x"), ("address: 127.0.0.2", "address: ''"), "are those of web"),
]


@pytest.mark.parametrize(("one", "other", "told"), PAIRS)
def test_mistakes_that_do_not_follow_from_each_other_are_all_told(
    one: tuple[str, str], other: tuple[str, str], told: str
) -> None:
    found = faults(changed(one, other))
    assert len(found) == 2, found
    assert told in found[0] + found[1]


def test_what_stands_before_a_syntax_error_is_checked() -> None:
    path, quote = faults(changed(("/ws", "ws"), ("name: p", "name: 'p")))
    assert "'ws' is no absolute path" in path
    assert "this quote is never closed" in quote
