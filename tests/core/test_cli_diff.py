"""`easews diff`: what a reload would change, and its exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from easews.cli import app as cli
from easews.cli.diff import text
from easews.operate.serving.changes import Change

OLD = "{kind: HTTPServer, name: web, port: 80, rules: [{paths: [{path: /ws, backend: p}]}]}\n---\n"
PIPELINE = "{kind: Pipeline, name: p, filters: [{kind: Mock, name: m, rules: [{code: 200}]}]}"


@pytest.fixture
def easews(tmp_path: Path) -> Callable[..., Result]:
    """Compares two texts."""

    def run(old: str, new: str, *options: str) -> Result:
        (tmp_path / "old.yaml").write_text(old)
        (tmp_path / "new.yaml").write_text(new)
        files = [str(tmp_path / name) for name in ("old.yaml", "new.yaml")]
        return CliRunner().invoke(cli.app, ["diff", *files, *options])

    return run


def test_the_changes_are_listed_with_status_1(easews: Callable[..., Result]) -> None:
    result = easews(OLD + PIPELINE, OLD.replace("/ws", "/new") + PIPELINE)
    assert (result.exit_code, result.stdout) == (
        1,
        "+ server web: path /new added (leads to p)\n"
        "- server web: path /ws removed; its sessions are drained\n"
        "2 changes; 1 of them ends sessions\n",
    )


def test_no_difference_has_status_0(easews: Callable[..., Result]) -> None:
    result = easews(OLD + PIPELINE, "# another comment\n" + OLD + PIPELINE)
    assert (result.exit_code, result.stdout) == (0, "No difference: a reload changes nothing\n")


def test_a_config_with_problems_has_status_2(easews: Callable[..., Result]) -> None:
    result = easews(OLD + PIPELINE, OLD)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "new.yaml:1:" in result.stderr


def test_json_has_the_same(easews: Callable[..., Result]) -> None:
    result = easews(OLD + PIPELINE, OLD.replace("80", "81") + PIPELINE, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["changes"][1] == {
        "change": "removed",
        "of": "server web",
        "part": "",
        "detail": "no longer listens on *:80",
        "drains": True,
    }


def test_colours_tell_what_comes_and_goes() -> None:
    shown = text([Change("added", "pipeline p"), Change("removed", "pipeline q")], colour=True)
    green, red, last = shown.splitlines()
    assert (green[:5], red[:5]) == ("\x1b[32m", "\x1b[31m")
    assert last == "2 changes; no session ends because of them"
