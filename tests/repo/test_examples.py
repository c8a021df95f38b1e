"""The packages in examples/plugins: what is said of them holds. Their own tests are beside them."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.repo.pages import ROOT, blocks_of, without_blocks

from easews import Filter
from easews.testing import load_config

PLUGINS = ROOT / "examples" / "plugins"
INDEX = ROOT / "docs" / "how-to" / "example-filters.md"
PACKAGES = sorted(path.parent for path in PLUGINS.glob("*/tests"))
ENVIRON = {"MODEL_API_KEY": "secret"}

_link = re.compile(r"\]\(([^)#\s]+)")


def project(package: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    return found


def kind(package: Path) -> type[Filter]:
    """The class that easews finds by the package's entry point."""
    (module,) = project(package)["entry-points"]["easews"].values()
    found: list[type[Filter]] = import_module(module).easews_filters()
    return found[0]


each_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)


def test_every_package_has_tests_and_is_tested_here() -> None:
    packages = {path.parent for path in PLUGINS.glob("*/pyproject.toml")}
    assert packages - {*PACKAGES} == {PLUGINS / "page"}  # tests/e2e/test_demo.py


@each_package
def test_its_config_is_valid(package: Path) -> None:
    config = load_config((package / "gateway.yaml").read_text(), kind(package), environ=ENVIRON)

    entries = config.pipelines[0].filters
    assert kind(package).kind in {entry.kind.name for entry in entries}


@each_package
def test_the_fields_that_its_readme_shows_are_valid(package: Path) -> None:
    blocks = [block for block in blocks_of(package / "README.md") if block.language == "yaml"]
    assert blocks
    for block in blocks:
        entry = {"kind": block.marks["fields of"], "name": "f", **yaml.safe_load(block.text)}
        pipeline = {"kind": "Pipeline", "name": "p", "filters": [entry]}
        load_config(yaml.safe_dump(pipeline), kind(package))


@each_package
def test_the_links_of_its_readme_lead_somewhere(package: Path) -> None:
    for link in _link.findall(without_blocks(package / "README.md")):
        assert (package / link).exists(), link


@each_package
def test_it_can_be_copied_as_it_is(package: Path) -> None:
    about, module = project(package), "easews_" + package.name.replace("-", "_")

    assert about["name"] == f"easews-{package.name}"
    assert about["description"].startswith(f"{kind(package).kind} for easews: ")
    assert (package / module / "py.typed").exists()
    assert (package / "README.md").read_text().startswith(f"# easews-{package.name}\n")


@each_package
def test_the_page_of_examples_has_it(package: Path) -> None:
    assert f"`examples/plugins/{package.name}`" in INDEX.read_text()
