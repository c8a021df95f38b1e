"""Each page with commands is read from top to bottom, and what it says is done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.repo.pages import PAGES, ROOT, Block, blocks_of
from tests.repo.reader import Reader, reader


def runs(block: Block) -> bool:
    return block.language == "sh" and not block.is_shown_only


WALKS = [page for page in PAGES if any(map(runs, blocks_of(page)))]


@pytest.mark.parametrize("page", WALKS, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_does_what_it_says(
    page: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for program in ("curl", "openssl"):
        if any(f"{program} " in block.text for block in blocks_of(page) if runs(block)):
            request.getfixturevalue(program)
    with reader(tmp_path) as somebody:
        for block in blocks_of(page):
            step(somebody.do, block)


def step(do: Callable[[Block], None], block: Block) -> None:
    """`do(block)`; a failure names the block."""
    try:
        do(block)
    except Exception as error:
        error.add_note(f"at {block}")
        raise


@pytest.fixture
def somebody(tmp_path: Path) -> Reader:
    return Reader(tmp_path, tmp_path)


def block(language: str, text: str, **marks: str) -> Block:
    return Block(ROOT / "README.md", 1, language, text, marks)


def test_a_command_that_fails_is_noticed(somebody: Reader) -> None:
    with pytest.raises(AssertionError, match="false: 1"):
        somebody.do(block("sh", "false\n"))


def test_a_command_may_be_meant_to_fail(somebody: Reader) -> None:
    somebody.do(block("sh", "true\nfalse\n", exits="1"))


def test_output_that_never_came_is_noticed(
    somebody: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.repo.reader.PATIENCE", 0.0)
    somebody.do(block("sh", "echo one; echo two words\n"))
    somebody.do(block("text", "one\ntwo ...\n"))

    with pytest.raises(AssertionError, match="three"):
        somebody.do(block("text", "three\n"))


def test_a_file_is_there_for_the_commands_behind_it(somebody: Reader) -> None:
    somebody.do(block("toml", "x = 1\n", file="a/b.toml"))
    somebody.do(block("sh", "cd a\ngrep x b.toml\n"))
    somebody.do(block("text", "x = 1\n"))
