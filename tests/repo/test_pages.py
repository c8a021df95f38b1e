"""What the pages claim: links lead somewhere, commands exist, configs and filters work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from easews.plugins import Found, discover

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")])

_block = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_link = re.compile(r"\]\(([^)\s]+)\)")
_heading = re.compile(r"^#+ (.+)$", re.MULTILINE)


class Block(NamedTuple):
    page: Path
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}-{self.text.splitlines()[0]}"


def blocks(*languages: str) -> list[Block]:
    found = (Block(page, *match) for page in PAGES for match in _block.findall(page.read_text()))
    return [block for block in found if block.language in languages]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the forges make them."""
    titles = _heading.findall(_block.sub("", page.read_text()))
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def links() -> list[tuple[Path, str]]:
    """The links to files and headings of ours, each with its page."""
    found = [(page, _link.findall(_block.sub("", page.read_text()))) for page in PAGES]
    pairs = [(page, link) for page, of_page in found for link in of_page]
    return [(page, link) for page, link in pairs if not link.startswith(("http://", "https://"))]


@pytest.mark.parametrize(("page", "link"), links(), ids=lambda item: getattr(item, "name", item))
def test_a_link_leads_somewhere(page: Path, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    assert target.exists()
    assert not anchor or anchor in anchors(target)


def commands() -> Iterator[str]:
    """The first two words of every line of a shell block, continuation lines joined."""
    for block in blocks("sh"):
        for line in block.text.replace("\\\n", "").split("\n"):
            for command in re.split(r"&&", line.partition("#")[0]):
                if words := command.split()[:2]:
                    yield " ".join(words)


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_a_command_exists(command: str) -> None:
    program, _, argument = command.partition(" ")
    if "/" in program and not program.startswith(".venv/"):
        assert os.access(ROOT / program, os.X_OK)
    if argument.startswith(("scripts/", "bench/")):
        assert (ROOT / argument).is_file()
    if program.rpartition("/")[2] == "easews":
        assert easews(argument, "--help").returncode == 0


def easews(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "easews", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)


def configs() -> list[Block]:
    """The whole configs, but for those of a kind that only e2e/test_third_party.py installs."""
    whole = [block for block in blocks("yaml") if "kind: HTTPServer" in block.text]
    return [block for block in whole if "kind: Tenant" not in block.text]


@pytest.mark.parametrize("block", configs(), ids=str)
def test_a_whole_config_is_valid(block: Block) -> None:
    run = easews("validate", "-", text=block.text)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize(
    "block", [block for block in blocks("python") if "easews_filters" in block.text], ids=str
)
def test_a_whole_plugin_brings_its_kind(block: Block) -> None:
    module = ModuleType("page")
    exec(compile(block.text, str(block.page), "exec"), module.__dict__)
    kinds = discover([Found("page", "1", Loaded(module))])
    assert not kinds.broken
    assert kinds


class Loaded:
    """An entry point whose module is there already."""

    name = "page"
    value = "page"

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def load(self) -> ModuleType:
        return self._module
