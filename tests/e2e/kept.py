"""A gateway that is upgraded in place: its pid stays."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.conftest import AS_PROCESS_1, need
from tests.e2e.gateway import LOOPBACK, PATIENCE, Gateway, Route, proxied
from tests.e2e.streams_of_frames import Sessions

PROGRAM = Path(__file__).with_name("new_program.py")
PYTHON = (sys.executable, "-W", "always::ResourceWarning")


class Kept:
    """A gateway that is upgraded in place. `pid` is its pid here; it sees itself as `own_pid`."""

    def __init__(self, folder: Path, *options: str, is_first: bool) -> None:
        self.folder = folder
        self.version = 1
        self.helpers: set[int] = set()
        self._write_version()
        prefix = AS_PROCESS_1 if is_first else ()
        easews = (*prefix, *PYTHON, str(PROGRAM), str(folder))
        self.gateway = Gateway(folder / "config.yaml", *options, easews=easews)
        self.gateway.wait_until_it_listens()
        self.pid = self.gateway.process.pid
        if is_first:
            (self.pid,) = children(self.pid)
        self.own_pid = 1 if is_first else self.pid

    def ask(self) -> None:
        """Install another version, and ask for it."""
        self.version += 1
        self._write_version()
        self.tell(signal.SIGUSR2)

    def upgrade(self) -> str:
        """Do it, and return what the log says of the way back."""
        self.ask()
        return self.wait_until_it_is_back()

    def wait_until_it_is_back(self) -> str:
        log, texts = self.gateway.log, ("INFO handed over", f" pid={self.own_pid} ")
        log.wait_for(f"new process {self.own_pid}: version {self.version}")
        wait_until(lambda: len(log.having(*texts)) == self.version - 1)
        return log.having(*texts)[-1]

    def tell(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def helper(self) -> int:
        """The pid, here, of the helper that serves, or drains."""
        wait_until(lambda: len(programs(self.pid)) == 1)
        self.helpers |= {*programs(self.pid)}
        return programs(self.pid)[0]

    @contextmanager
    def held(self, role: str, place: str) -> Iterator[None]:
        """Whoever has this role waits in this place until the block ends."""
        file = self.folder / f"{role} {place}"
        file.touch()
        try:
            self.ask()
            self.gateway.log.wait_for(f"{role} process", f"waits at {place}")
            yield
        finally:
            file.unlink()

    def write(self, text: str) -> None:
        (self.folder / "config.yaml").write_text(text)

    def _write_version(self) -> None:
        (self.folder / "version").write_text(str(self.version))


def children(pid: int) -> list[int]:
    """Also those that have ended, if nobody has waited for them."""
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        with suppress(OSError):  # it has ended
            found += map(int, (thread / "children").read_text().split())
    return found


def programs(pid: int) -> list[int]:
    """The children that are no workers."""
    return [child for child in children(pid) if str(PROGRAM) in command_line(child)]


def command_line(pid: int) -> str:
    """Empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


@contextmanager
def kept(
    text: str, folder: Path, *options: str, is_first: bool = False, ends: int = 0
) -> Iterator[Kept]:
    """One that has to stop with the status `ends` at SIGTERM, and all others with it; it may have
    stopped by then.
    """
    if is_first:
        need("process namespaces")
    (folder / "config.yaml").write_text(text)
    options = options if is_first else (*options, "--keep-pid")
    kept = None
    try:
        kept = Kept(folder, *options, is_first=is_first)
        yield kept
        with suppress(ProcessLookupError):
            kept.tell(signal.SIGTERM)
        status = kept.gateway.wait()
        log = kept.gateway.log.all()  # until the last process has closed it
        assert status == ends, log
        assert "Traceback" not in log, log
        assert "ResourceWarning" not in log, log
    finally:
        if kept is not None:
            for pid in {*children(kept.pid), *kept.helpers, kept.pid}:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            kept.gateway.close()


def unpinged(behind: int) -> Route:
    """Leads to the server of `upgraded_under_load`."""
    return proxied("/", f"ws://{LOOPBACK}:{behind}", keepAlive={"interval": "0s"})


async def upgraded_under_load(it: Kept, behind: int, count: int, upgrades: int) -> None:
    """Upgrade it so often, while so many sessions go on with a server at the port `behind`."""
    sessions = Sessions()
    server = await sessions.serve(behind)
    try:
        await _upgrade(it, sessions, count, upgrades)
    finally:
        sessions.stopping = True
        await sessions.close()
        server.close()
    assert not sessions.faults


async def _upgrade(it: Kept, sessions: Sessions, count: int, upgrades: int) -> None:
    port = it.gateway.port
    await sessions.open(port, count)
    newcomers = [asyncio.create_task(sessions.come_and_go(port)) for _ in range(2)]
    for _ in range(upgrades):
        line = await asyncio.to_thread(it.upgrade)
        assert int(line.partition("moved=")[2].split()[0]) >= count, line
        assert not sessions.faults
        assert not any(newcomer.done() for newcomer in newcomers)
    sessions.stopping = True
    await asyncio.gather(*newcomers)
    await sessions.stop()
