"""The command line: what it prints where, its exit status, and never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner, Result

from easews import Context, Filter, PluginError
from easews.cli import app as cli
from easews.cli.editors import files
from easews.cli.report import problems_text
from easews.errors import Problem
from easews.plugins import Kind, Kinds, discover

ROOT = Path(__file__).parents[2]
GOOD = "{kind: HTTPServer, name: w, port: 1}"
BROKEN = PluginError("easews-broken", "it fails with ImportError", "update it")


class Stamp(Filter):
    """Stamps requests."""

    kind = "Stamp"
    results = ("stamped",)

    async def handle(self, ctx: Context) -> None:
        pass


KINDS = Kinds([Kind("Stamp", Stamp, {"type": "object"}, "easews-stamp", "1.5")])


@pytest.fixture
def easews(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the command in this process, with Stamp as the only installed kind."""

    def run(*arguments: str, kinds: Kinds = KINDS, input: str = "") -> Result:
        monkeypatch.setattr(cli, "discover", lambda: kinds)
        return CliRunner().invoke(cli.app, arguments, input=input)

    return run


@pytest.fixture
def good(tmp_path: Path) -> str:
    (tmp_path / "good.yaml").write_text(GOOD)
    return str(tmp_path / "good.yaml")


def test_a_clean_config_is_told_in_one_line(easews: Callable[..., Result], good: str) -> None:
    result = easews("validate", good)
    assert (result.exit_code, result.stdout) == (0, "No problems: 1 server, 0 pipelines\n")


def test_problems_are_a_line_each_when_piped(easews: Callable[..., Result]) -> None:
    result = easews("validate", "-", input="kind: HTTPServer\nname: w\nprot: 1\n")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "<stdin>:1:1: w: 'port' is missing",
        "<stdin>:3:1: w.prot: unknown key 'prot'; did you mean 'port'?",
    ]


def test_problems_as_json_have_every_part(easews: Callable[..., Result], good: str) -> None:
    result = easews("validate", "--format", "json", "-", input="kind: X\nname: w")
    assert result.exit_code == 1
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem == {
        "file": "<stdin>",
        "line": 1,
        "column": 7,
        "path": "w.kind",
        "wrong": "'X' is no kind of object",
        "accepted": "expected HTTPServer or Pipeline",
    }
    assert json.loads(easews("validate", "--format=json", good).stdout) == {"problems": []}


def test_on_a_terminal_problems_stand_aligned_under_their_file() -> None:
    problems = [
        Problem("f", 9, 1, "w.a", "is wrong", "do this"),
        Problem("f", 10, 12, "", "is worse"),
        Problem("g", 1, 1, "p", "is bad"),
    ]
    text = problems_text(problems, terminal=True, colour=False)
    assert text.splitlines() == [
        "f",
        "    9:1  w.a: is wrong",
        "         do this",
        "  10:12  is worse",
        "",
        "g",
        "  1:1  p: is bad",
        "",
        "3 problems",
    ]
    assert "\x1b[31mis worse\x1b[0m" in problems_text(problems, terminal=True, colour=True)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["validate", "/no/such/file"], 1),
        (["run", "/no/such/file"], 1),
        (["validate"], 2),
        (["validate", "--format", "xml", "x"], 2),
        (["run", "--backend", "curio", "x"], 2),
        (["schema", "Stmap"], 2),
        (["schema", "Stamp", "--all", "x"], 2),
        (["schema", "--all", "/dev/null/x"], 2),
        (["serve"], 2),
        ([], 2),
        (["--help"], 0),
        (["--version"], 0),
    ],
)
def test_the_exit_status(easews: Callable[..., Result], arguments: list[str], status: int) -> None:
    result = easews(*arguments)
    assert result.exit_code == status
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output


def test_run_tells_problems_on_stderr(easews: Callable[..., Result]) -> None:
    result = easews("run", "-", input="kind: X")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "<stdin>:1:7: document 1.kind: 'X' is no kind of object" in result.stderr


def test_a_missing_trio_is_told_with_its_remedy(
    easews: Callable[..., Result], good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = easews("run", "--backend", "trio", good)
    assert result.exit_code == 2
    assert "pip install 'easews[trio]'" in result.stderr


def test_run_hands_the_config_to_the_supervisor(
    easews: Callable[..., Result], good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []

    def run(config: object, **options: Any) -> int:
        calls.append({"config": config, **options})
        return 7

    monkeypatch.setattr("easews.supervisor.run", run)
    result = easews("run", "--backend", "asyncio", "--log-format", "json", good)
    assert result.exit_code == 7
    (call,) = calls
    assert (call["backend"], call["log_format"]) == ("asyncio", "json")
    assert call["config"].servers[0].name == "w"


def test_kinds_are_listed_with_package_and_results(easews: Callable[..., Result]) -> None:
    result = easews("kinds")
    assert result.exit_code == 0
    heading, *rows = result.stdout.splitlines()
    assert heading.split() == ["KIND", "PACKAGE", "VERSION", "RESULTS", "WHAT", "IT", "IS"]
    assert [row.split()[0] for row in rows] == ["HTTPServer", "Pipeline", "Stamp"]
    assert rows[2].split(maxsplit=5) == [
        *["Stamp", "easews-stamp", "1.5", "stamped,", "internalError", "Stamps requests."]
    ]
    assert rows[0].index("Listens") == heading.index("WHAT")


def test_broken_plugins_are_listed_and_make_kinds_fail(easews: Callable[..., Result]) -> None:
    result = easews("kinds", kinds=Kinds(KINDS.values(), [BROKEN]))
    assert result.exit_code == 1
    assert "BROKEN  easews-broken: it fails with ImportError; update it" in result.stdout


def test_a_broken_plugin_that_is_not_needed_is_a_warning(
    easews: Callable[..., Result], good: str
) -> None:
    result = easews("validate", good, kinds=Kinds(KINDS.values(), [BROKEN]))
    assert result.exit_code == 0
    assert "warning: a plugin is left out" in result.stderr
    assert "easews-broken" in result.stderr


def test_the_schema_of_a_kind_stands_alone(easews: Callable[..., Result]) -> None:
    for kind in ("HTTPServer", "Pipeline", "Stamp"):
        schema = json.loads(easews("schema", kind).stdout)
        Draft202012Validator.check_schema(schema)
        assert schema["title"] == kind
    assert "urn:easews:common#" not in easews("schema", "HTTPServer").stdout


def test_the_bundle_checks_any_document(easews: Callable[..., Result]) -> None:
    validator = Draft202012Validator(json.loads(easews("schema").stdout))
    entry = {"kind": "Stamp", "name": "s"}
    pipeline: dict[str, Any] = {"kind": "Pipeline", "name": "p", "filters": [entry]}
    assert validator.is_valid(pipeline)
    assert validator.is_valid({"kind": "HTTPServer", "name": "w", "port": 80})
    assert not validator.is_valid({"kind": "HTTPServer", "name": "w", "port": "80"})
    assert not validator.is_valid({"kind": "Stamp", "name": "w"})
    assert not validator.is_valid({**pipeline, "filters": [{**entry, "txt": 1}]})
    assert not validator.is_valid({**pipeline, "filters": [{**entry, "kind": "Other"}]})


def test_the_schemas_for_editors_are_not_stale() -> None:
    ours = [kind for kind in discover().values() if kind.distribution.startswith("easews-")]
    fresh = dict(files(Kinds(ours)))
    stored = {file.name: file.read_text("utf-8") for file in (ROOT / "schemas").glob("*.json")}
    assert stored == fresh, "run: easews schema --all schemas"


def test_the_design_note_is_clean() -> None:
    result = CliRunner().invoke(cli.app, ["validate", str(ROOT / "examples/design-note.yaml")])
    assert result.stdout == "No problems: 1 server, 1 pipeline\n"


@pytest.mark.parametrize("arguments", [["validate", "-"], ["schema", "Stmap\udcff"]])
def test_what_a_terminal_cannot_show_is_escaped(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "easews", *arguments],
        input='kind: "\\uD800é"'.encode(),
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert done.returncode in (1, 2)
    assert b"Traceback" not in done.stderr


def test_the_version_is_that_of_the_package(easews: Callable[..., Result]) -> None:
    assert easews("--version").stdout == f"easews {metadata.version('easews')}\n"
