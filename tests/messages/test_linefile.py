"""A file of lines: it rotates, and who writes into it never waits for the disk."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from easews_messages.linefile import Limits, LineFile

PATIENCE = 10.0


@contextmanager
def opened(file: Path, size: int = 1000, keep: int = 2, waiting: int = 100) -> Iterator[LineFile]:
    """The file is complete behind the block."""
    made = LineFile(str(file), Limits(size, keep, waiting))
    made.open()
    try:
        yield made
    finally:
        made.close(PATIENCE)


class Disk:
    """A disk that takes a write when the test lets it; `fails` is raised in place of one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self.goes = Event(), Event()
        self.fails: OSError | None = None
        self._write = os.write
        monkeypatch.setattr("easews_messages.linefile.os.write", self.write)

    def write(self, file: int, data: bytes) -> int:
        self.asked.set()
        assert self.goes.wait(PATIENCE)
        if self.fails is not None:
            self._write(file, data[:1])  # what a full disk has taken already
            raise self.fails
        return self._write(file, data[:3])


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_lines_are_added_to_those_that_are_there(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text("old\n")
    with opened(file) as lines:
        lines.put("one")
        lines.put("ü")
    assert file.read_text("utf-8") == "old\none\nü\n"


def test_the_owner_alone_may_read_it(tmp_path: Path) -> None:
    with opened(tmp_path / "log"):
        pass
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600


def test_it_rotates_by_size_and_keeps_so_many(tmp_path: Path) -> None:
    with opened(tmp_path / "log", size=8) as lines:
        for number in range(9):
            lines.put(f"{number:03}")
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {"log": "008\n", "log.1": "006\n007\n", "log.2": "004\n005\n"}


def test_a_line_that_is_too_large_has_a_file_of_its_own(tmp_path: Path) -> None:
    with opened(tmp_path / "log", size=8) as lines:
        for line in ("a", "b" * 20, "c"):
            lines.put(line)
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {"log": "c\n", "log.1": "b" * 20 + "\n", "log.2": "a\n"}


def test_a_slow_disk_costs_lines_which_are_counted(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path / "log", waiting=2) as lines:
        lines.put("first")
        assert disk.asked.wait(PATIENCE)  # the thread is in the middle of it
        for number in range(5):
            lines.put(str(number))
        disk.goes.set()
    *written, told = (tmp_path / "log").read_text().splitlines()
    assert written == ["first", "0", "1"]
    assert json.loads(told)["lost"] == 3
    assert caplog.messages == [f"{tmp_path / 'log'}: 3 lines are lost: the disk is too slow"]


def test_a_full_disk_is_told_once_and_tried_again(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    disk.fails = OSError(errno.ENOSPC, "No space left on device")
    file = tmp_path / "log"
    with opened(file) as lines:
        disk.goes.set()
        lines._write_all(["a", "b"], 0)
        lines._write_all(["c"], 0)
        assert file.read_text() == ""  # no half of a line
        disk.fails = None
        lines.put("d")
    written, told = file.read_text().splitlines()
    assert written == "d"
    assert json.loads(told)["lost"] == 3
    assert caplog.messages == [f"{file}: 2 lines are lost: No space left on device"]


def test_a_file_that_cannot_be_opened_again_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path / "log", size=1) as lines:
        lines._write_all(["a"], 0)
        with monkeypatch.context() as patch:
            patch.setattr("easews_messages.linefile.os.open", refuses)
            lines._write_all(["b"], 0)
            lines._write_all(["c"], 0)
        lines.put("d")
    assert (tmp_path / "log.1").read_text() == "d\n"
    assert json.loads((tmp_path / "log").read_text())["lost"] == 2
    assert caplog.messages == [f"{tmp_path / 'log'}: 1 lines are lost: OSError"]


def refuses(path: str, flags: int, mode: int) -> int:
    raise OSError


def test_a_disk_that_does_not_end_is_not_waited_for(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    lines = LineFile(str(tmp_path / "log"), Limits(10, 1, 1))
    lines.open()
    lines.put("a")
    assert disk.asked.wait(PATIENCE)
    lines.close(0.0)
    assert "the last lines: they are lost" in caplog.text
    disk.goes.set()
    lines._thread.join(PATIENCE)
    assert not lines._thread.is_alive()


def test_the_last_who_uses_it_ends_it(tmp_path: Path) -> None:
    with opened(tmp_path / "log") as lines:
        lines.open()
        lines.close(0.0)
        lines.put("a")
    assert (tmp_path / "log").read_text() == "a\n"
    assert not lines._thread.is_alive()
