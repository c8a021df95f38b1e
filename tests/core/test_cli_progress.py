"""What a command is doing is shown on a terminal once it takes long, and nowhere else."""

from __future__ import annotations

import sys
from io import StringIO
from threading import Event, active_count

import pytest

from easews.cli import configs, progress
from easews.cli.configs import read
from easews.cli.progress import Progress
from easews.plugins import discover

CLEAR = "\r\x1b[K"


class Terminal(StringIO):
    """Tells of each line that is shown on it."""

    def __init__(self) -> None:
        super().__init__()
        self.shown = Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        count = super().write(text)
        if text.endswith(" s)"):
            self.shown.set()
        return count


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setattr(progress, "PATIENCE", 0.001)
    monkeypatch.setattr(progress, "STEP", 0.001)
    return Terminal()


def test_the_step_is_shown_and_cleared_in_the_end(terminal: Terminal) -> None:
    with Progress("reading a.yaml", terminal):
        assert terminal.shown.wait(60)
    shown = terminal.getvalue()
    assert shown.startswith(f"{CLEAR}reading a.yaml (0 s)")
    assert shown.endswith(CLEAR)


def test_the_next_step_takes_its_place(terminal: Terminal) -> None:
    with Progress("hop 1", terminal) as shown:
        assert terminal.shown.wait(60)
        shown.step("hop 2")
        terminal.shown.clear()
        assert terminal.shown.wait(60)
        terminal.shown.clear()
        assert terminal.shown.wait(60)
    assert f"{CLEAR}hop 2 (0 s)" in terminal.getvalue()


def test_what_does_not_take_long_shows_nothing() -> None:
    terminal = Terminal()
    with Progress("reading a.yaml", terminal):
        pass
    assert terminal.getvalue() == ""


def test_nothing_is_shown_in_a_pipe_and_no_thread_runs(terminal: Terminal) -> None:
    pipe, before = StringIO(), active_count()
    with Progress("reading a.yaml", pipe):
        assert active_count() == before
    assert pipe.getvalue() == ""


def test_a_terminal_that_is_gone_harms_nobody(terminal: Terminal) -> None:
    def write(text: str) -> int:
        terminal.shown.set()
        raise OSError

    terminal.write = write  # type: ignore[method-assign]
    with Progress("reading a.yaml", terminal):
        assert terminal.shown.wait(60)


def test_it_is_not_shown_while_somebody_types_a_config(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)
    shown: list[bool] = []

    def load(files: list[str], _: object) -> None:
        shown.append(terminal.shown.wait(0.1 if files == ["-"] else 60))

    monkeypatch.setattr(configs, "load", load)
    read(["-"], discover())
    read(["a.yaml"], discover())
    assert shown == [False, True]
