"""Files that are loaded again when they are saved: configs, and filters in single files, which is
for development only.

The times of a few files are looked at several times a second: that costs microseconds, needs no
package, and works on every file system.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import anyio
from anyio import to_thread

from ..config.model import Config
from ..config.sources import source_files
from ..errors import EasewsError
from ..plugins import Kind, Kinds, load_file
from .reloading import Served

log: logging.Logger = logging.getLogger("easews")

#: Seconds from one look to the next.
INTERVAL = 0.2

Stamp = tuple[int, ...]
Stamps = Mapping[Path, Stamp | None]


def stamp_of(path: Path) -> Stamp | None:
    """What differs when the file has been saved; None while it is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def stamps_of(files: Iterable[Path]) -> Stamps:
    """The stamp of each file."""
    return {file: stamp_of(file) for file in files}


class Saves:
    """Which files have been saved. One that changes from look to look is still being written."""

    def __init__(
        self, paths: Sequence[Path], stamp: Callable[[Path], Stamp | None] = stamp_of
    ) -> None:
        self._stamp = stamp
        self._known = {path: stamp(path) for path in paths}
        self._seen = dict(self._known)

    def look(self) -> list[Path]:
        """The files that have been saved since they were last returned."""
        return [path for path in self._known if self._is_saved(path)]

    def _is_saved(self, path: Path) -> bool:
        now, before = self._stamp(path), self._seen[path]
        self._seen[path] = now
        if now is None or now != before or now == self._known[path]:
            return False
        self._known[path] = now
        return True


class Settled:
    """Whether a set of files has changed, and is not being changed any more: two looks agree.
    `known` is what they were at first, or when they had last changed.

    A file that is not there is about to be written: editors put a new one in its place.
    """

    def __init__(self, now: Stamps) -> None:
        self.known: Stamps = now
        self._seen = now

    def changed(self, now: Stamps) -> list[Path]:
        """The files that were saved, have come or are gone since this was last not empty."""
        before, self._seen = self._seen, now
        if None in now.values() or now != before or now == self.known:
            return []
        known, self.known = self.known, now
        return [path for path in {**known, **now} if known.get(path) != now.get(path)]


class ConfigWatch:
    """Asks for a reload when a file of the config has changed: those that `paths` lead to, and
    those whose content counts for a filter.

    Make it before the config is read, so that no save is missed.
    """

    def __init__(self, paths: Sequence[str], ask: Callable[[str], None]) -> None:
        self._paths = paths
        self._ask = ask
        self._own = Settled(stamps_of(source_files(paths)))

    async def run(self, gateway: Served) -> None:
        """Look several times a second, until cancelled."""
        others, read = gateway.config.files, Settled({})
        while True:
            own_now, now = await to_thread.run_sync(self._look, others)  # the disk may be slow
            if now.keys() != read.known.keys():
                read = Settled(now)
            if changed := [*self._own.changed(own_now), *read.changed(now)]:
                self._ask(", ".join(sorted(path.name for path in changed)))
            await anyio.sleep(INTERVAL)
            others = gateway.config.files

    def _look(self, others: Iterable[str]) -> tuple[Stamps, Stamps]:
        return stamps_of(source_files(self._paths)), stamps_of(map(Path, others))


class Watch:
    """The filters of `paths`, beside the installed ones.

    `read` reads the config again, with the kinds that there are then. PluginError when a file
    cannot be used.
    """

    def __init__(
        self, paths: Sequence[Path], installed: Kinds, read: Callable[[Kinds], Config]
    ) -> None:
        self._saves = Saves(paths)  # before they are read, so that no save is missed
        self._installed = installed
        self._read = read
        self._loaded: Mapping[Path, list[Kind]] = {path: load_file(path) for path in paths}
        self._pending: set[Path] = set()

    @property
    def kinds(self) -> Kinds:
        """The installed kinds and those of the files, which replace some of the same name."""
        return self._with(self._loaded)

    def _with(self, loaded: Mapping[Path, list[Kind]]) -> Kinds:
        return self._installed.with_kinds(kind for kinds in loaded.values() for kind in kinds)

    async def reread(self) -> Config:
        """The config as it is now, read in a thread: no other process has these kinds."""
        return await to_thread.run_sync(self._read, self.kinds)

    async def run(self, gateway: Served) -> None:
        """Load what is saved, and have `gateway` serve it, until cancelled."""
        names = ", ".join(path.name for path in self._loaded)
        log.warning("for development only: %s: loaded again whenever it is saved", names)
        while True:
            await anyio.sleep(INTERVAL)
            if saved := self._saves.look():
                await self.reload(saved, gateway)

    async def reload(self, saved: Sequence[Path], gateway: Served) -> None:
        """Serve the filters of these files, and of those that could not be served before.

        What is wrong is logged, and then nothing changes.
        """
        self._pending |= {*saved}
        names = ", ".join(sorted(path.name for path in self._pending))
        try:
            loaded = {**self._loaded, **{path: load_file(path) for path in self._pending}}
            await gateway.replace(self._read(self._with(loaded)))
        except EasewsError as error:
            log.error("%s: not loaded, and the filters of before stay: %s", names, error)
        except Exception:
            log.exception("%s: not loaded, and the filters of before stay", names)
        else:
            self._loaded, self._pending = loaded, set()
            count = len(gateway.sessions)
            log.info("%s: loaded again; open sessions keep what they have (%d)", names, count)
