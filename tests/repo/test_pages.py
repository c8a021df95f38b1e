"""What the pages claim: links lead somewhere, commands exist, configs and filters work.

What commands do is tested in `test_walks`.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import indent
from types import ModuleType

import pytest
import yaml
from tests.repo.pages import MARKS, PAGES, ROOT, Block, blocks, blocks_of, without_blocks
from typer.testing import CliRunner, Result

from easews.cli import app as cli
from easews.plugins import Found, discover

_link = re.compile(r"\]\(([^)\s]+)\)")
_heading = re.compile(r"^#+ (.+)$", re.MULTILINE)
_FILTER = "kind: Pipeline\nname: part\nfilters:\n- kind: {}\n  name: filter\n"
_PIPELINE = "---\n" + _FILTER.format("XForwarded").replace("part", "websocket-pipeline")
#: What stands before a block that is only a part of a config, its depth, and what stands behind.
FRAMES = {
    "HTTPServer": ("", 0, _PIPELINE),
    "Pipeline": ("", 0, ""),
    "Gateway": ("", 0, ""),
    **{kind: (_FILTER.format(kind), 2, "") for kind in discover()},
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


def easews(*arguments: str, text: str = "") -> Result:
    """The command, run in this process: to start another would take most of the time."""
    return CliRunner().invoke(cli.app, arguments, input=text)


def nothing_to_check(block: Block) -> None:
    pass


def check_output(block: Block) -> None:
    """Output is looked for where a command runs; anywhere else nobody would."""
    runs = any(
        other.language == "sh" and not other.is_shown_only for other in blocks_of(block.page)
    )
    assert runs or block.is_shown_only, "nothing is run on this page: <!-- not run: ... -->"


def check_shown_only(block: Block) -> None:
    assert block.is_shown_only, f"say why {block.language} is not run: <!-- not run: ... -->"


def check_yaml(block: Block) -> None:
    """A config, or the part of one that a mark says; a file is one that the page validates."""
    assert list(yaml.safe_load_all(block.text))
    if "file" in block.marks:
        name = Path(block.marks["file"]).name
        typed = [other.text for other in blocks_of(block.page) if other.language == "sh"]
        assert re.search(rf"easews (run|validate) .*\b{name}\b", "".join(typed))
    elif not block.is_shown_only:
        before, depth, behind = FRAMES[block.marks.get("fields of", "Pipeline")]
        run = easews("validate", "-", text=before + indent(block.text, " " * depth) + behind)
        assert run.exit_code == 0, run.output


def check_python(block: Block) -> None:
    """It compiles; a whole plugin brings its kind. Files are for the page's commands to run."""
    module = ModuleType("page")
    code = compile(block.text, str(block.page), "exec")
    if "file" in block.marks or "def easews_filters" not in block.text:
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
    "text": check_output,
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
        assert easews(argument, "--help").exit_code == 0


class Loaded:
    """An entry point whose module is there already."""

    name = "page"
    value = "page"

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def load(self) -> ModuleType:
        return self._module
