"""The process that is to follow this one: the same command line, with one end of a channel."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import Protocol

from anyio import to_thread

from ..holding import HELD, holding
from .protocol import VARIABLE, variable


class Successor(Protocol):
    """A process that was started to follow this one."""

    pid: int

    async def end(self, grace: float) -> str:
        """Return when it has ended, after `grace` seconds by force, and say how."""

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""

    def leave(self) -> None:
        """It lives longer than this process, which is no fault."""


class Process:
    """The new process itself."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._left = False
        self.pid: int = process.pid

    async def end(self, grace: float) -> str:
        """See `Successor`."""
        return await to_thread.run_sync(self._end, grace)

    def _end(self, grace: float) -> str:
        try:
            status = self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return "it was killed"
        if status < 0:
            return f"it was ended by signal {-status}"
        return f"it has ended with status {status}; standard error may tell why"

    def send_signal(self, number: int) -> None:
        """See `Successor`."""
        if self._left:
            os.kill(self.pid, number)  # nobody has waited for it, so it is still this one
        else:
            self._process.send_signal(number)

    def leave(self) -> None:
        """See `Successor`."""
        if self._process.poll() is None:
            self._left = True
            self._process.returncode = 0  # else Python warns that nobody waits for it


class Predecessor:
    """The process that a helper hands back to, as the successor that it becomes. It is no child,
    and if it is process 1, nobody can kill it.
    """

    def __init__(self, pid: int) -> None:
        self.pid: int = pid

    async def end(self, grace: float) -> str:
        """It gets nothing more."""
        return f"process {self.pid} is left to itself"

    def send_signal(self, number: int) -> None:
        """Ask it to reload. It is not this process's to stop."""
        if number == signal.SIGHUP:
            os.kill(self.pid, number)

    def leave(self) -> None:
        """It is no child."""


async def start(channel: socket.socket, environment: Mapping[str, str]) -> Process:
    """Start the program that this process was started with, as it is installed now, with this end
    of a channel. OSError when it cannot be started.
    """
    descriptor = channel.fileno()
    settings = {**os.environ, **environment, VARIABLE: variable(descriptor)}
    command = [sys.executable, *sys.orig_argv[1:]]

    def run() -> subprocess.Popen[bytes]:
        with holding(*HELD):
            return subprocess.Popen(command, env=settings, pass_fds=[descriptor])

    return Process(await to_thread.run_sync(run))
