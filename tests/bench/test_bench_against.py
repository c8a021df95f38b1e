"""What another commit can be measured under."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from bench.against import NOW, able
from bench.subjects import Subject

#: A program that refuses a config with TLS to clients, and has the subject's environment.
OLD = """\
import os, sys
assert sys.argv[1] == "validate" and os.environ["WHERE"] == "here"
sys.exit("https: true" in open(sys.argv[2]).read())
"""


def test_what_a_commit_refuses_it_is_not_measured_under(tmp_path: Path) -> None:
    program = tmp_path / "old.py"
    program.write_text(OLD)
    command = (sys.executable, str(program), "run", "easews.yaml")
    old = Subject("old", (), command, configs=("easews.yaml",), environment={"WHERE": "here"})
    before = able(old, {"ws", "tls", "http"})
    assert "tls" not in before.does
    assert {"ws", "http"} <= before.does


def test_easews_finds_the_filter_that_looks_at_messages() -> None:
    python, *rest = NOW.command
    assert python == "@PYTHON@"
    now = replace(NOW, command=(sys.executable, *rest))
    assert "messages" in able(now, {"messages"}).does
    without = able(replace(now, environment={}), {"messages"})
    assert "messages" not in without.does
