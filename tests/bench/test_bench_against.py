"""What another commit can be measured under."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.against import able
from bench.subjects import Subject

#: A program that refuses a config with TLS to clients.
OLD = """\
import sys
assert sys.argv[1] == "validate"
sys.exit("https: true" in open(sys.argv[2]).read())
"""


def test_what_a_commit_refuses_it_is_not_measured_under(tmp_path: Path) -> None:
    program = tmp_path / "old.py"
    program.write_text(OLD)
    command = (sys.executable, str(program), "run", "easews.yaml")
    old = Subject("old", (), command, configs=("easews.yaml",))
    before = able(old, {"ws", "tls", "http"})
    assert "tls" not in before.does
    assert {"ws", "http"} <= before.does
