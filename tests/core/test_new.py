"""`easews new`: a package that passes its own tests, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from easews.cli import app as cli
from easews.cli.newpackage import LONGEST, Package, checked_name, normalized, requirement

SHORT, LONG = "a", "-".join(["long"] * 8)
KINDS_OF = ["messages", "requests"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def easews(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["new", *arguments])


def test_it_says_what_it_has_written_and_what_to_do_next(folder: Path) -> None:
    result = easews("my-filter")
    assert result.exit_code == 0
    first, *_ = result.stdout.splitlines()
    assert first == "my-filter/ has the package my-filter with the filter MyFilter. Next:"
    readme = (folder / "my-filter" / "README.md").read_text()
    for command in ("pip install -e '.[dev]'", "pytest", "easews run example.yaml"):
        assert f"  {command}  " in result.stdout
        assert f"\n{command}  " in readme
    written = {str(path.relative_to(folder / "my-filter")) for path in _files(folder)}
    assert written == {
        *(".github/workflows/ci.yml", ".gitignore", "README.md", "example.yaml", "pyproject.toml"),
        *("my_filter/__init__.py", "my_filter/py.typed", "my_filter/schemas/MyFilter.json"),
        *("tests/conftest.py", "tests/test_my_filter.py"),
    }


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("of", KINDS_OF)
def test_its_own_tests_pass(folder: Path, of: str) -> None:
    easews("my-filter", f"--{of}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder / "my-filter",
        env={**os.environ, "PYTHONPATH": str(folder / "my-filter")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("of", KINDS_OF)
def test_logs_call_the_filter_by_the_name_of_its_package(of: str) -> None:
    files = dict(Package("spam-limit", "SpamLimit", of).files("0.1.0"))
    assert "- kind: SpamLimit\n  name: spam-limit\n" in files["example.yaml"]
    (example,) = json.loads(files["spam_limit/schemas/SpamLimit.json"])["examples"]
    assert example["name"] == "spam-limit"


def test_its_ci_says_that_it_needs_a_release_of_easews() -> None:
    ci = dict(Package("spam-limit", "SpamLimit", "messages").files("0.1.0"))
    assert "needs a release of easews" in ci[".github/workflows/ci.yml"]


@pytest.mark.parametrize("name", [SHORT, LONG])
@pytest.mark.parametrize("of", KINDS_OF)
def test_no_mark_is_left_and_no_line_is_too_long(name: str, of: str) -> None:
    package = Package(name, "K" * LONGEST if name == LONG else "K", of)
    for path, text in package.files("0.1.0"):
        assert not re.search(r"@\w+@", path + text)
        if path.endswith(".py"):
            assert max(map(len, text.splitlines())) <= 100


def test_the_entry_point_leads_to_the_module(folder: Path) -> None:
    easews("easews-word-list", "--directory", "words", "--requests")
    project = tomllib.loads((folder / "words" / "pyproject.toml").read_text())["project"]
    assert project["name"] == "easews-word-list"
    assert project["entry-points"]["easews"] == {"easews-word-list": "easews_word_list"}
    assert project["dependencies"] == ["easews>=0.1,<0.2"]
    assert "class WordList(Filter):" in (folder / "words/easews_word_list/__init__.py").read_text()


def test_the_kind_may_be_named() -> None:
    result = easews("easews-3d", "--kind", "Depth")
    assert "the package easews-3d with the filter Depth" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["My Filter"], "did you mean my-filter?"),
        (["MyFilter"], "did you mean my-filter?"),
        (["my_filter"], "did you mean my-filter?"),
        (["3d-words"], "did you mean d-words?"),
        (["-"], "such as my-filter"),
        (["x" * (LONGEST + 1)], "did you mean " + "x" * LONGEST),
        (["json"], "try easews-json"),
        (["import"], "try easews-import"),
        (["tests"], "try easews-tests"),
        (["yaml"], "the module yaml is one of an installed package"),
        (["pytest"], "the package pytest is installed, and yours would replace it; choose another"),
        (["easews-wsproxy"], "the package easews-wsproxy is installed"),
        (["easews-3d"], "name one with --kind, such as MyFilter"),
        (["filter"], "Filter means something else in easews; name another with --kind"),
        (["pipeline"], "Pipeline means something else"),
        (["mine", "--kind", "WebSocketProxy"], "is one of easews-wsproxy; name another"),
        (["mine", "--kind", "my-kind"], "'my-kind' is no name of a kind"),
    ],
)
def test_a_bad_name_is_refused_with_what_to_write(
    folder: Path, arguments: list[str], hint: str
) -> None:
    result = easews(*(["--", *arguments] if arguments == ["-"] else arguments))
    assert (result.exit_code, result.stdout) == (2, "")
    assert hint in " ".join(result.stderr.split())
    assert not _files(folder)


def test_nothing_is_overwritten(folder: Path) -> None:
    (folder / "my-filter").mkdir()
    (folder / "my-filter" / "notes").touch()
    (folder / "file").touch()
    for arguments in (["my-filter"], ["other", "--directory", "file"]):
        result = easews(*arguments)
        assert result.exit_code == 2
        assert "name another folder with --directory" in " ".join(result.stderr.split())
    assert len(_files(folder)) == 2


def test_an_empty_folder_will_do_and_one_that_cannot_be_written_is_told(folder: Path) -> None:
    (folder / "here").mkdir()
    assert easews("my-filter", "--directory", "here").exit_code == 0
    result = easews("my-filter", "--directory", "/dev/null/x")
    assert result.exit_code == 2
    assert "cannot be written: Not a directory" in " ".join(result.stderr.split())


def test_names_of_packages_are_compared_as_pip_does() -> None:
    assert normalized("My_Filter.x") == "my-filter-x"
    assert checked_name("my-filter", {"json5"}, {"other"}) == "my-filter"


@pytest.mark.parametrize(
    ("version", "asked"),
    [("0.1.0", "easews>=0.1,<0.2"), ("0.12.3", "easews>=0.12,<0.13"), ("1.4.2", "easews>=1.4,<2")],
)
def test_which_easews_it_asks_for(version: str, asked: str) -> None:
    assert requirement(version) == asked
