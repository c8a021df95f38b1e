"""What the pages claim: links lead somewhere, commands exist, configs and filters work.

What commands do is tested in `test_walks`.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from tests.repo.pages import MARKS, PAGES, ROOT, Block, blocks, without_blocks

from easews.plugins import Found, discover

_link = re.compile(r"\]\(([^)\s]+)\)")
_heading = re.compile(r"^#+ (.+)$", re.MULTILINE)
#: What surrounds a block that is only a part of a config. `{}` has the block, indented.
FRAMES = {
    "HTTPServer": "kind: HTTPServer\nname: server\n{0}",
    "WebSocketProxy": "kind: Pipeline\nname: part\nfilters:\n- kind: WebSocketProxy\n  name: proxy\n{2}",
    "pool": "kind: Pipeline\nname: part\nfilters:\n- kind: WebSocketProxy\n  name: proxy\n"
    "  pools:\n  - servers: [{{url: ws://127.0.0.1:12345}}]\n{4}",
    "XForwarded": "kind: Pipeline\nname: part\nfilters:\n- kind: XForwarded\n  name: forwarded\n{2}",
}


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the forges make them."""
    titles = _heading.findall(without_blocks(page))
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def links() -> list[tuple[Path, str]]:
    """The links to files and headings of ours, each with its page."""
    pairs = [(page, link) for page in PAGES for link in _link.findall(without_blocks(page))]
    return [(page, link) for page, link in pairs if not link.startswith(("http://", "https://"))]


@pytest.mark.parametrize(("page", "link"), links(), ids=lambda item: getattr(item, "name", item))
def test_a_link_leads_somewhere(page: Path, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    assert target.exists()
    assert not anchor or anchor in anchors(target)


def easews(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "easews", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)


def nothing_to_check(block: Block) -> None:
    pass


def check_shown_only(block: Block) -> None:
    assert block.is_shown_only, f"say why {block.language} is not run: <!-- not run: ... -->"


def check_yaml(block: Block) -> None:
    """A config, or the part of one that a mark says; `test_walks` validates those with a name."""
    assert list(yaml.safe_load_all(block.text))
    part = block.marks.get("fields of")
    if block.is_shown_only or "file" in block.marks:
        return
    text = FRAMES[part].format(*indented(block.text)) if part else block.text
    run = easews("validate", "-", text=text)
    assert run.returncode == 0, run.stdout + run.stderr


def indented(text: str) -> list[str]:
    """The text indented by 0, 1, 2 ... 4 spaces."""
    return [re.sub("^", " " * depth, text.rstrip(), flags=re.MULTILINE) + "\n" for depth in range(5)]


def check_python(block: Block) -> None:
    """It compiles; a whole plugin brings its kind. Tests run when the page says so."""
    module = ModuleType("page")
    code = compile(block.text, str(block.page), "exec")
    if "def easews_filters" not in block.text:
        return
    exec(code, module.__dict__)
    kinds = discover([Found("page", "1", Loaded(module))])
    assert not kinds.broken
    assert kinds


def check_unit(block: Block) -> None:
    """A file of systemd's, as far as that shows without systemd."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read_string(block.text)
    assert {"Unit", "Service", "Install"} >= {*parser.sections()}


def check_json(block: Block) -> None:
    json.loads(block.text)


def check_toml(block: Block) -> None:
    tomllib.loads(block.text)


#: What holds for a block of each language. One that is not here is an error: nobody checks it.
RULES: dict[str, Callable[[Block], None]] = {
    "": nothing_to_check,  # a drawing
    "text": nothing_to_check,  # output, which test_walks looks for
    "sh": nothing_to_check,  # done in test_walks
    "{toctree}": nothing_to_check,  # Sphinx does
    "yaml": check_yaml,
    "python": check_python,
    "json": check_json,
    "toml": check_toml,
    "ini": check_unit,
    "nginx": check_shown_only,
    "caddyfile": check_shown_only,
}


@pytest.mark.parametrize("block", blocks(), ids=str)
def test_a_block_holds_what_its_language_promises(block: Block) -> None:
    assert block.language in RULES, f"no rule checks blocks in {block.language!r}"
    assert {*block.marks} <= {*MARKS}, "a mark that nobody knows"
    RULES[block.language](block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_a_page_is_found(page: Path) -> None:
    """A fence that is indented, or longer, or of tildes would be read past."""
    assert not re.findall(r"^\s*(?:```|~~~|\t| {4}\S)", without_blocks(page), re.MULTILINE)


def commands() -> Iterator[str]:
    """The first two words of every command that is only shown: those that run are run."""
    for block in blocks("sh"):
        for line in block.text.replace("\\\n", "").split("\n"):
            for command in re.split(r"&&", line.partition("#")[0]):
                if words := command.split()[:2]:
                    yield " ".join(words)


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_a_command_exists(command: str) -> None:
    program, _, argument = command.partition(" ")
    if program.startswith(("scripts/", ".ci/")):
        assert os.access(ROOT / program, os.X_OK)
    if argument.startswith(("scripts/", "bench/")):
        assert (ROOT / argument).is_file()
    if program.rpartition("/")[2] == "easews":
        assert easews(argument, "--help").returncode == 0


class Loaded:
    """An entry point whose module is there already."""

    name = "page"
    value = "page"

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def load(self) -> ModuleType:
        return self._module
