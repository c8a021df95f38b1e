"""Somebody who reads a page from top to bottom and does what it says, in a folder of their own.

Commands run one after the other, as in a terminal. Programs that go on until they are stopped
(`LONG_RUNNING`) get a terminal of their own and stay until the page ends, or until the page
starts them again. The ports that pages use are exchanged for ports that are free, also in configs
that take them from the environment.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sysconfig
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Thread
from typing import IO

from tests.e2e.gateway import PATIENCE, free_port
from tests.repo.pages import ROOT, Block

#: How such a command begins, and what it prints once it is ready.
LONG_RUNNING = {
    "easews run": " listens on ",
    "python app.py": "application on ",
    "python chat.py": "chat on ",
    "python backend.py": "backend on ",
    "python examples/plugins/backend.py": "backend on ",
    "python server.py": "model on ",
    "python scripts/echo.py": "echoing on ",
}
#: The ports on the pages: of gateways, and of backends.
PORTS = ("8080", "8443", "9000", "9090", "9901", "12345", "12346")
#: Installing a package is the slowest thing that a page asks for.
COMMAND_PATIENCE = 120.0


class Screen:
    """All that is printed, line by line, whichever program does it."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._changed = Condition()

    def read(self, stream: IO[str]) -> None:
        for line in stream:
            self.show(line)

    def show(self, *lines: str) -> None:
        with self._changed:
            self._lines += [line.rstrip("\n") for line in lines]
            self._changed.notify_all()

    def clear(self) -> None:
        with self._changed:
            self._lines.clear()

    def wait_for(self, line: str) -> None:
        """Return when a line was shown that is `line`; ``...`` in it stands for anything."""
        wanted = re.compile(".*".join(map(re.escape, line.strip().split("..."))))

        def is_there() -> bool:
            return any(wanted.fullmatch(shown.strip()) for shown in self._lines)

        with self._changed:
            assert self._changed.wait_for(is_there, PATIENCE), f"{line!r} is not in:\n{self}"

    def __str__(self) -> str:
        return "\n".join(self._lines)


class Program:
    """A program that goes on until it is stopped, as Ctrl-C does."""

    def __init__(self, command: str, ready: str, screen: Screen, cwd: Path, env: dict[str, str]):
        self._command = command
        self._screen = screen
        self._process = subprocess.Popen(
            shlex.split(command, comments=True),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=cwd,
            env=env,
        )
        assert self._process.stdout is not None
        self._stdout = self._process.stdout
        self._reader = Thread(target=screen.read, args=[self._stdout], daemon=True)
        self._reader.start()
        screen.wait_for(f"...{ready}...")

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            status = self._process.wait(PATIENCE)
            assert status == 0, f"{self._command} ended with {status}:\n{self._screen}"
        finally:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._reader.join(PATIENCE)
            self._stdout.close()


class Reader:
    """`folder` is where the reader sits, `bin` has the programs that they have installed."""

    def __init__(self, folder: Path, bin: Path) -> None:
        self._folder = self._cwd = folder
        path = f"{bin}{os.pathsep}{os.environ['PATH']}"
        self._env = {**os.environ, "PATH": path, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
        self._env["PYTEST_ADDOPTS"] = f"--ignore={folder / 'examples'}"  # it has tests of its own
        self._ports = {port: str(free_port()) for port in PORTS}
        self._env["EASEWS_ADMIN"] = f"127.0.0.1:{self._ports['9901']}"
        self._env["PORT"] = self._ports["8080"]
        self._env["BACKEND"] = f"ws://127.0.0.1:{self._ports['9000']}"
        self._screen = Screen()
        self._programs: dict[str, Program] = {}

    def do(self, block: Block) -> None:
        """Do what the block is for, as far as it is for doing."""
        if "given" in block.marks:
            name, _, file = block.marks["given"].partition(" = ")
            self._write(name, (ROOT / file).read_text())
        if "file" in block.marks:
            self._write(block.marks["file"], block.text)
        elif block.is_shown_only:
            return
        elif block.language == "sh":
            self._type(block.text, int(block.marks.get("exits", 0)))
        elif block.language == "text":
            for line in filter(None, block.text.splitlines()):
                self._screen.wait_for(self._here(line))

    def leave(self) -> None:
        """Stop what is still running."""
        for program in self._programs.values():
            program.stop()

    def _here(self, text: str) -> str:
        """`text` with the ports that are ours."""
        pattern = rf"\b({'|'.join(PORTS)})\b"
        return re.sub(pattern, lambda match: self._ports[match[1]], text)

    def _write(self, name: str, text: str) -> None:
        file = self._folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self._here(text))

    def _type(self, text: str, status: int) -> None:
        self._screen.clear()
        commands = [line for line in self._here(text).replace("\\\n", "").splitlines() if line]
        for number, command in enumerate(commands, 1):
            self._run(command, status if number == len(commands) else 0)

    def _run(self, command: str, status: int) -> None:
        words = shlex.split(command, comments=True)
        name = " ".join(words[:2])
        if words[:1] == ["cd"]:
            self._cwd = self._cwd / words[1]
        elif words[:1] == ["export"]:
            name, _, value = words[1].partition("=")
            self._env[name] = value
        elif name in LONG_RUNNING:
            self._start(name, command)
        elif words:
            done = subprocess.run(
                ["sh", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=COMMAND_PATIENCE,
                cwd=self._cwd,
                env=self._env,
            )
            self._screen.show(*done.stdout.splitlines())
            assert done.returncode == status, f"{command}: {done.returncode}\n{done.stdout}"

    def _start(self, name: str, command: str) -> None:
        if name in self._programs:
            self._programs.pop(name).stop()
        ready = LONG_RUNNING[name]
        self._programs[name] = Program(command, ready, self._screen, self._cwd, self._env)


@contextmanager
def reader(folder: Path) -> Iterator[Reader]:
    """A reader who has set easews up; the scripts and examples of the repository are at hand."""
    environment = folder / ".venv"
    make_environment(environment)
    for name in ("scripts", "examples"):
        (folder / name).symlink_to(ROOT / name)
    reader = Reader(folder, environment / "bin")
    try:
        yield reader
    finally:
        reader.leave()


def make_environment(folder: Path) -> None:
    """A virtual environment with everything that ours has; what is installed there stays there."""
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    ours = sysconfig.get_path("purelib")
    (site / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    # What builds a package is there already (the extra `test`): a 0 turns the isolation off.
    pip = "PIP_NO_BUILD_ISOLATION=0 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 "
    scripts = {"easews": "", "pytest": "", "pip": pip}
    for module, settings in scripts.items():
        script = folder / "bin" / module
        script.write_text(f'#!/bin/sh\n{settings}exec "$(dirname "$0")/python" -m {module} "$@"\n')
        script.chmod(0o755)
    assert shutil.which("easews", path=folder / "bin")
