"""What holds for the repository as a whole."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(
    [*ROOT.glob("core/**/__init__.py"), *ROOT.glob("plugins/*/easews_*/**/__init__.py")]
)
PROJECTS = sorted([ROOT / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")])
#: Somebody's home, or another folder that only one machine has.
MACHINE_PATH = re.compile(r"(?<![\w.~}])/(?:home|root|work|Users)/\w")
TEXT = {".json", ".md", ".py", ".sh", ".svg", ".toml", ".txt", ".yaml", ".yml", ".js", ".c", ""}


def texts() -> Iterator[Path]:
    """The files that belong to the project, as far as they are text."""
    for path in ROOT.rglob("*"):
        inside = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part != ".ci" for part in inside)
        made = {"node_modules", "__pycache__", "build"} & {*inside}
        if path.is_file() and path.suffix in TEXT and not hidden and not made:
            yield path


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def on_the_map(package: Path) -> set[str]:
    """What the docstring of a package names first in a line, before its explanation."""
    text = ast.get_docstring(ast.parse(package.read_text())) or ""
    return set(re.findall(r"^ *(\w+)/? {2,}\S", text, re.MULTILINE))


def parts_of(package: Path) -> set[str]:
    """The modules and packages inside a package."""
    beside = {path.stem for path in package.parent.glob("*.py")} - {"__init__", "__main__"}
    return beside | {path.parent.name for path in package.parent.glob("*/__init__.py")}


@pytest.mark.parametrize("package", PACKAGES, ids=relative)
def test_a_package_opens_with_the_map_of_its_modules(package: Path) -> None:
    data = {path.name for path in package.parent.iterdir() if path.is_dir()}
    assert parts_of(package) <= on_the_map(package) <= parts_of(package) | data


def test_no_file_names_a_path_of_one_machine() -> None:
    found = [relative(path) for path in texts() if MACHINE_PATH.search(path.read_text())]
    assert not found


@pytest.mark.parametrize("project", PROJECTS, ids=relative)
def test_the_changelog_has_every_distributions_version(project: Path) -> None:
    version = tomllib.loads(project.read_text())["project"]["version"]
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


def test_every_distribution_carries_the_license() -> None:
    for project in PROJECTS:
        assert tomllib.loads(project.read_text())["project"]["license"] == {"text": "Apache-2.0"}
    assert "Apache License" in (ROOT / "LICENSE").read_text()
