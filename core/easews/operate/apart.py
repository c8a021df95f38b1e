"""A config read in a process of its own, so that reading it takes nothing from this one.

A thread would not do: whenever the event loop waits for a socket, a thread that computes takes
the interpreter for 5 ms, so for as long as it reads every message would wait several times.
"""

from __future__ import annotations

import io
import os
import pickle
import sys
from collections.abc import Sequence
from contextlib import suppress
from subprocess import DEVNULL
from types import MappingProxyType
from typing import Any

import anyio
from anyio import to_thread

from ..config import Config
from ..config.sources import STDIN
from ..errors import ConfigError, EasewsError
from ..plugins import Kind, Kinds, discover

_CODE = "import sys; sys.path[:] = {path!r}; from easews.operate.apart import main; main()"


class ReadingFailed(EasewsError):
    """The process that reads a config has not done so."""


async def read_apart(files: Sequence[str], kinds: Kinds) -> Config:
    """The config in these files, whose filters are of these kinds.

    ConfigError when it cannot be used, another EasewsError when it could not be read.
    """
    if STDIN in files:
        raise ReadingFailed("standard input cannot be read again; run easews with a file")
    command = [sys.executable, "-c", _CODE.format(path=sys.path), *files]
    try:
        done = await anyio.run_process(
            command, stdin=DEVNULL, stderr=None, check=False, start_new_session=True
        )
    except OSError as error:
        raise ReadingFailed(f"no process can be started to read the config: {error}") from None
    if done.returncode:
        wrong = f"the process that read the config has ended with status {done.returncode}"
        raise ReadingFailed(f"{wrong}; standard error may tell why")
    found: Config | ConfigError = await to_thread.run_sync(unpacked, done.stdout, kinds)
    if isinstance(found, ConfigError):
        raise found
    return found


def main() -> None:
    """Read the files that the command line names, and write what they mean to standard output."""
    from ..config import load  # with what reads YAML, which workers do not need

    out = os.dup(1)
    os.dup2(2, 1)  # plugins may print
    with suppress(OSError):
        os.nice(5)  # whoever serves comes first
    found: Config | ConfigError
    try:
        found = load(sys.argv[1:], discover())
    except ConfigError as error:
        found = error
    with open(out, "wb") as answer:
        answer.write(packed(found))


def packed(found: Config | ConfigError) -> bytes:
    """A config, or what is wrong with it, as bytes for `unpacked`."""
    answer = io.BytesIO()
    _Pickler(answer, pickle.HIGHEST_PROTOCOL).dump(found)
    return answer.getvalue()


def unpacked(answer: bytes, kinds: Kinds) -> Any:
    """What was packed. ReadingFailed when it needs a kind that is not among `kinds`."""
    return _Unpickler(io.BytesIO(answer), kinds).load()


class _Pickler(pickle.Pickler):
    """Kinds are sent by name: their classes are those that this process has loaded."""

    def persistent_id(self, obj: Any) -> Any:
        return (obj.name, obj.distribution, obj.version) if isinstance(obj, Kind) else None

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, MappingProxyType):
            return MappingProxyType, (dict(obj),)
        if isinstance(obj, ConfigError):
            return ConfigError, (obj.problems,)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(self, answer: io.BytesIO, kinds: Kinds) -> None:
        super().__init__(answer)
        self._kinds = kinds

    def persistent_load(self, pid: Any) -> Kind:
        name, distribution, version = pid
        kind = self._kinds.get(name)
        if kind is None or (kind.distribution, kind.version) != (distribution, version):
            wrong = f"{name} of {distribution} {version} was installed since easews was started"
            raise ReadingFailed(f"{wrong}; restart easews to use it")
        return kind
