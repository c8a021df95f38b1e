"""Signals that come too early to be acted on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from easews.net.channel import pair
from easews.operate.handover.starting import start
from easews.operate.holding import HELD, let_through

#: What a program prints that has signals held back.
MASK = "import signal; print(*sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())))"


@pytest.mark.parametrize(("command", "held"), [("run", HELD), ("validate", ())])
def test_they_wait_before_anything_is_imported(
    tmp_path: Path, command: str, held: tuple[signal.Signals, ...]
) -> None:
    package = tmp_path / "easews"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "cli.py").write_text(f"{MASK}\ndef main(): ...")
    program = "from easews_command import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, command],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(int(it)) for it in sorted(held)]


def test_they_come_once_somebody_listens() -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, _: came.append(number))
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
        signal.raise_signal(signal.SIGHUP)  # it is for this thread: others hold nothing back
        assert not came
        let_through()
        assert came == [signal.SIGHUP]
    finally:
        let_through()
        signal.signal(signal.SIGHUP, before)


async def test_a_process_that_follows_is_started_with_them_held_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "mask"
    program = f"import sys; sys.stdout = open({str(file)!r}, 'w'); {MASK}"
    monkeypatch.setattr(sys, "orig_argv", ["python", "-c", program])
    ours, theirs = pair()
    with ours, theirs:
        process = await start(theirs, {})
        assert "status 0" in await process.end(60.0)
    assert file.read_text().split() == [str(int(it)) for it in sorted(HELD)]
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())
