"""The command line: what it prints where, its exit status, and never a traceback."""

from __future__ import annotations

import dataclasses
import json
import os
import re
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
from easews.cli.kinds import overview
from easews.cli.page import kind_page
from easews.operate.reloading import Reloader
from easews.plugins import Kind, Kinds
from editor_schemas import published

ROOT = Path(__file__).parents[2]
GOOD = "{kind: HTTPServer, name: w, port: 1}"
BROKEN = PluginError("easews-broken", "it fails with ImportError", "update it")


class Stamp(Filter):
    """Stamps requests."""

    kind = "Stamp"
    results = ("stamped",)
    build_note = "ink: dry"

    async def handle(self, ctx: Context) -> None:
        pass


KINDS = Kinds([Kind("Stamp", Stamp, {"type": "object"}, "easews-stamp", "1.5")])


@pytest.fixture
def easews(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the command in this process, with Stamp as the only installed kind."""

    def run(*arguments: str, kinds: Kinds = KINDS, input: str = "") -> Result:
        for module in ("app", "run", "kinds", "schema"):
            monkeypatch.setattr(f"easews.cli.{module}.discover", lambda: kinds)
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
        "accepted": "expected HTTPServer, Pipeline or Gateway",
        "endLine": 1,
        "endColumn": 8,
    }
    assert json.loads(easews("validate", "--format=json", good).stdout) == {"problems": []}


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["validate", "/no/such/file"], 1),
        (["run", "/no/such/file"], 1),
        (["validate"], 2),
        (["validate", "--format", "xml", "x"], 2),
        (["run", "--backend", "curio", "x"], 2),
        (["run", "--watch-plugins", "/no/such/file.py", "x"], 2),
        (["schema", "Stmap"], 2),
        (["kinds", "Stmap"], 2),
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


def test_run_hands_the_config_to_the_supervisor(
    easews: Callable[..., Result], good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []

    def run(config: object, _: Reloader, *rest: object, **options: Any) -> int:
        calls.append({"config": config, **options})
        return 7

    monkeypatch.setattr("easews.cli.serving.serve_alone", run)
    result = easews("run", "--backend", "uvloop", "--log-format", "json", good)
    assert result.exit_code == 7
    easews("run", good)
    call, other = calls
    assert (call["backend"], call["log_format"]) == ("uvloop", "json")
    assert other["log_format"] is None
    assert call["config"].servers[0].name == "w"


def test_a_watched_file_needs_a_config_that_can_be_read_again(
    easews: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "f.py").touch()
    result = easews("run", "--watch-plugins", str(tmp_path / "f.py"), "-", input=GOOD)
    assert result.exit_code == 2
    assert "save it to a file" in " ".join(result.stderr.split())


def test_kinds_are_listed_with_package_and_results(easews: Callable[..., Result]) -> None:
    result = easews("kinds")
    assert result.exit_code == 0
    heading, *rows = result.stdout.splitlines()
    assert heading.split() == ["KIND", "PACKAGE", "VERSION", "RESULTS", "DESCRIPTION"]
    assert [row.split()[0] for row in rows] == ["HTTPServer", "Pipeline", "Gateway", "Stamp"]
    assert rows[3].split(maxsplit=5) == [
        *["Stamp", "easews-stamp", "1.5", "stamped,", "internalError"],
        "Stamps requests. (ink: dry)",
    ]
    assert rows[0].index("Listens") == heading.index("DESCRIPTION")


def test_broken_plugins_are_listed_and_make_kinds_fail(easews: Callable[..., Result]) -> None:
    result = easews("kinds", kinds=Kinds(KINDS.values(), [BROKEN]))
    assert result.exit_code == 1
    assert "BROKEN  easews-broken: it fails with ImportError; update it" in result.stdout


@pytest.mark.parametrize("columns", [80, 130])
def test_on_a_terminal_the_kinds_are_as_wide_as_that(columns: int) -> None:
    lines = overview(KINDS, width=columns, colour=False).splitlines()
    assert max(map(len, lines)) <= columns
    told = " ".join(" ".join(lines).split())
    assert "Stamps requests. (ink: dry) Results: stamped, internalError" in told


def test_a_kind_is_told_field_by_field(easews: Callable[..., Result]) -> None:
    lines = easews("kinds", "HTTPServer").stdout.splitlines()
    assert lines[0].startswith("HTTPServer, a kind of object of easews ")
    (heading,) = (line for line in lines if line.startswith("FIELD"))
    assert heading.split() == ["FIELD", "TYPE", "DEFAULT", "DESCRIPTION"]
    rows = {line.split()[0]: line.split(maxsplit=3) for line in lines if line.strip()}
    assert rows["name"][1:3] == ["name", "required"]
    assert rows["port"][1:3] == ["port", "-"]
    assert rows["headerTimeout"][1:3] == ["timeout", "10s"]
    assert rows["rules[].paths[].clientMaxBodySize"][1:3] == ["size", "-"]


def test_a_field_that_is_not_supported_is_no_row(easews: Callable[..., Result]) -> None:
    lines = easews("kinds", "HTTPServer").stdout.splitlines()
    (missing,) = (line for line in lines if line.startswith("Not supported yet"))
    fields = missing.partition(": ")[2].split(", ")
    assert fields
    assert not [line for line in lines if line.split(" ")[0] in fields]


@pytest.mark.parametrize("columns", [80, 130])
def test_on_a_terminal_a_kinds_page_is_as_wide_as_that(columns: int) -> None:
    narrow = kind_page("HTTPServer", KINDS, width=columns, colour=True)
    plain = kind_page("HTTPServer", KINDS, width=None, colour=False)
    lines = re.sub("\x1b\\[[0-9]*m", "", narrow).splitlines()
    assert max(map(len, lines)) <= columns
    assert {*plain.split()} - {"DESCRIPTION"} <= {*" ".join(lines).split()}
    assert "\x1b[1mFIELD" in narrow


@pytest.mark.parametrize(
    "command", ["validate", "run", "init", "explain", "new", "kinds", "schema"]
)
def test_help_has_examples_and_the_exit_status(easews: Callable[..., Result], command: str) -> None:
    told = easews(command, "--help").stdout
    assert f"  Examples:\n    easews {command}" in told
    assert "Exit status: 0 when" in told
    assert "2 for a wrong command line." in " ".join(told.split())


def complete(shell: str, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "easews"],
        capture_output=True,
        text=True,
        env={**os.environ, "_EASEWS_COMPLETE": shell, **environ},
        check=False,
    )
    assert not done.stderr
    return done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_completion_script(shell: str) -> None:
    script = complete(f"source_{shell}")
    assert f"_EASEWS_COMPLETE=complete_{shell}" in script


@pytest.mark.parametrize(
    ("words", "candidates"),
    [
        ("va", ["validate"]),
        ("kinds HT", ["HTTPServer"]),
        ("schema Pip", ["Pipeline"]),
        ("run --backend ", ["asyncio", "uvloop", "trio"]),
        ("run --log-format j", ["json"]),
    ],
)
def test_a_shell_is_told_what_may_follow(words: str, candidates: list[str]) -> None:
    typed = f"easews {words}"
    last = str(len(typed.split(" ")) - 1)
    assert complete("complete_bash", COMP_WORDS=typed, COMP_CWORD=last).split() == candidates


def test_a_broken_plugin_that_is_not_needed_is_a_warning(
    easews: Callable[..., Result], good: str
) -> None:
    result = easews("validate", good, kinds=Kinds(KINDS.values(), [BROKEN]))
    assert result.exit_code == 0
    assert "warning: a plugin is left out" in result.stderr
    assert "easews-broken" in result.stderr


@pytest.mark.parametrize("command", ["validate", "run"])
def test_a_broken_plugin_is_told_once(easews: Callable[..., Result], command: str) -> None:
    broken = PluginError("easews-headers", "it fails with ImportError", "update it")
    text = "{kind: Pipeline, name: p, filters: [{kind: XForwarded, name: s}]}"
    result = easews(command, "-", kinds=Kinds(KINDS.values(), [broken]), input=text)
    assert result.exit_code == 1
    assert result.output.count("it fails with ImportError") == 1


def test_a_config_without_a_server_is_told_so(easews: Callable[..., Result]) -> None:
    text = "{kind: Pipeline, name: p, filters: [{kind: Stamp, name: s}]}"
    result = easews("validate", "-", input=text)
    assert (result.exit_code, result.stdout) == (
        0,
        "No problems: 0 servers, 1 pipeline; to be run it needs an HTTPServer, too\n",
    )


def test_a_value_that_an_option_does_not_take_is_told_with_those_that_it_does(
    easews: Callable[..., Result], good: str
) -> None:
    near, far = easews("run", "--backend", "trioo", good), easews("run", "--backend", "x", good)
    assert "'trioo' is none of its values; did you mean 'trio'?" in near.stderr
    assert "choose one of asyncio, uvloop, trio" in " ".join(far.stderr.split())


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
    fresh = dict(files(published()))
    stored = {file.name: file.read_text("utf-8") for file in (ROOT / "schemas").glob("*.json")}
    assert stored == fresh, "run: python scripts/editor_schemas.py"


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


def test_versions_are_told_with_the_build_notes_of_plugins(easews: Callable[..., Result]) -> None:
    other = dataclasses.replace(KINDS["Stamp"], name="OtherStamp")
    result = easews("--version", kinds=Kinds([*KINDS.values(), other], [BROKEN]))
    version = metadata.version("easews")
    assert result.stdout == f"easews {version}\neasews-stamp 1.5 (ink: dry)\n"


def test_a_page_shows_the_build_note() -> None:
    page = kind_page("Stamp", KINDS, width=None, colour=False)
    assert page.startswith("Stamp, a kind of filter of easews-stamp 1.5 (ink: dry)\n")


@pytest.mark.parametrize("pure", [False, True])
def test_it_is_told_whether_the_relay_is_compiled(compiled_loop: object, pure: bool) -> None:
    environ = {**os.environ, "EASEWS_PURE": "1" if pure else ""}
    command = [sys.executable, "-m", "easews", "--version"]
    told = subprocess.run(command, capture_output=True, env=environ, text=True, check=True).stdout
    assert f"(relay: {'pure Python' if pure else 'compiled'})" in told
