"""`check_kind`: each thing that a good kind has is missed where it is not there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from easews import Filter, Message, Reads, Session, SpecFault
from easews.plugins import Kind, discover
from easews.testing import check_kind, kind_findings
from easews.testing.imports import private_imports

FIELD = {"type": "string", "description": "What it adds to messages.", "examples": ["!"]}


def schema_with(**field: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"mark": {**FIELD, "default": "!", **field}},
        "additionalProperties": False,
        "examples": [{"mark": "?"}],
    }


class Good(Filter):
    """Adds a mark to each message."""

    kind = "Good"
    api = 1
    schema = schema_with()
    reads = Reads(senders=("client",))

    @classmethod
    def check(cls, spec: Mapping[str, Any]) -> Iterable[SpecFault]:
        return [SpecFault(("mark",), "is too long")] if len(spec["mark"]) > 5 else []

    def on_message(self, session: Session, message: Message) -> Any:
        return message


OURS = ("easews-wsproxy", "easews-headers", "easews-httpproxy")


def without(schema: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in keys}


def raises(self: object, name: str, spec: object) -> None:
    raise KeyError("oh")


async def yields(self: object, session: object, message: object) -> Any:
    yield message


NO_EXAMPLE = {"mark": without({**FIELD, "default": "!"}, "examples")}
NO_DEFAULT = {"mark": FIELD}
FINDINGS = [
    ({"kind": ""}, "Bad.kind is ''"),
    ({"api": 99}, "99"),
    ({"__doc__": None}, "it has no docstring"),
    ({"__doc__": "adds a mark"}, "no short sentence"),
    ({"__doc__": f"Adds {'x' * 100}."}, "no short sentence"),
    ({"cache": {}}, "cache is shared by all its instances"),
    ({"on_message": lambda self, session: session}, "on_message cannot be called"),
    ({"on_message": yields}, "on_message is an async generator"),
    ({"on_close": lambda self, session: None}, "on_close cannot be called"),
    ({"__aenter__": lambda self: self}, "__aenter__ is no coroutine"),
    ({"reads": ("client",)}, "reads is ('client',)"),
    ({"reads": Reads(senders=())}, "reads.senders is ()"),
    ({"reads": Reads(senders=("server",))}, "reads.senders is ('server',)"),  # type: ignore[arg-type]
    ({"reads": Reads(text=False, binary=False)}, "reads leaves no message"),
    ({"reads": Reads(max_size=0)}, "reads leaves no message"),
    ({"tick": 2.0}, "tick is set, but there is no on_tick"),
    ({"tick": 0.0, "on_tick": lambda self, session: None}, "tick is 0.0"),
    ({"hook_timeout": -1}, "hook_timeout is -1"),
    ({"schema": without(schema_with(), "additionalProperties")}, "accepts misspelt fields"),
    ({"schema": without(schema_with(), "examples")}, "no example of an entry"),
    (
        {"schema": schema_with(description="Mark.")},
        "the field mark has no description of three words or more",
    ),
    ({"schema": {**schema_with(), "properties": NO_EXAMPLE}}, "the field mark has no example"),
    ({"schema": {**schema_with(), "properties": NO_DEFAULT}}, "what happens without it"),
    ({"schema": schema_with(examples=[7])}, "an example of the field mark is not valid"),
    ({"schema": {**schema_with(), "examples": [{"mark": 7}]}}, "the example {'mark': 7} is not"),
    ({"schema": {**schema_with(), "examples": [{"mark": "?" * 9}]}}, "is too long"),
    ({"__init__": raises}, "__init__ raises KeyError for the example"),
]


def test_a_good_kind_is_in_order() -> None:
    assert kind_findings(Good) == []
    check_kind(Good)


@pytest.mark.parametrize(("changed", "text"), FINDINGS, ids=[text for _, text in FINDINGS])
def test_what_is_missing_is_told_with_its_remedy(changed: dict[str, Any], text: str) -> None:
    bad = type("Bad", (Good,), {"__doc__": Good.__doc__, **changed})
    with pytest.raises(AssertionError, match=r"^the kind Bad is not in order:\n- ") as raised:
        check_kind(bad)
    (line,) = str(raised.value).splitlines()[1:]
    assert text in line
    assert ": " in line.split(text)[1] or "; " in line


@pytest.mark.parametrize(
    "kind",
    [kind for kind in discover().values() if kind.distribution in OURS],
    ids=lambda it: it.name,
)
def test_our_own_kinds_are_in_order(kind: Kind) -> None:
    check_kind(kind.filter_class)
    assert not private_imports(kind.filter_class)


def test_a_kind_says_for_which_contract_it_was_written() -> None:
    silent = type("Silent", (Filter,), {**vars(Good)})
    del silent.api  # type: ignore[attr-defined]
    assert [finding.remedy for finding in kind_findings(silent)] == ["write `api = 1`"]


SOURCE = """\
import easews.upstream
from easews import Filter, Message, lowlevel
from easews.testing import make_filter, conversation
from json import dumps
from . import own
import easews.config
def late():
    from easews.http import Headers
    from easews import schema
    from easews.upstream.pool import Pool
    from easews.upstream import nothing
"""


def test_internal_names_of_easews_are_found(tmp_path: Path, monkeypatch: Any) -> None:
    package = tmp_path / "easews_secret" / "inner"
    package.mkdir(parents=True)
    (tmp_path / "easews_secret" / "__init__.py").write_text("")
    (package / "__init__.py").write_text("from easews import Filter\nclass Mine(Filter): ...\n")
    (package / "other.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    from easews_secret.inner import Mine  # type: ignore[import-not-found]

    assert private_imports(Mine) == [
        "other.py:6: easews.config",
        "other.py:8: easews.http.Headers",
        "other.py:9: easews.schema",
        "other.py:10: easews.upstream.pool.Pool",
        "other.py:11: easews.upstream.nothing",
    ]


def test_a_module_outside_of_a_package_is_looked_at_by_itself() -> None:
    found = [name.rpartition(" ")[2] for name in private_imports(Good)]
    assert found == [
        "easews.plugins.Kind",
        "easews.plugins.discover",
        "easews.testing.imports.private_imports",
    ]
