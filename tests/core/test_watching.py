"""Filters in a single file: loaded, and loaded again when they are saved."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from easews import PluginError
from easews.config import Config, load
from easews.config.sources import source_files
from easews.operate.watching import (
    ConfigWatch,
    Saves,
    Settled,
    Stamp,
    Watch,
    stamp_of,
)
from easews.plugins import Kinds, load_file
from easews.testing import gateway
from easews.testing.running import Running

GREET = """
from dataclasses import dataclass
from easews import Context, Filter, Response
import easews

@dataclass
class Word:
    text: str

class Greet(Filter):
    kind = "Greet"

    async def handle(self, ctx: Context) -> None:
        ctx.response = Response(200, content=Word("hello").text)
"""
CONFIG = """
{kind: HTTPServer, name: s, port: 1, rules: [{paths: [{backend: p}]}]}
---
{kind: Pipeline, name: p, filters: [{kind: Greet, name: greet}]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "greet.py"
    path.write_text(GREET)
    return path


@pytest.fixture(autouse=True)
def _modules() -> Iterator[None]:
    yield
    for name in [name for name in sys.modules if name.startswith("watched_")]:
        del sys.modules[name]


# -- loading -------------------------------------------------------------------------------------


def test_a_files_filters_are_the_classes_written_in_it(file: Path) -> None:
    (kind,) = load_file(file)
    assert (kind.name, kind.distribution, kind.version) == ("Greet", "greet.py", "file")


def test_each_load_makes_new_classes(file: Path) -> None:
    (before,), (after,) = load_file(file), load_file(file)
    assert before.filter_class is not after.filter_class


def test_what_is_saved_within_the_same_moment_is_seen(file: Path) -> None:
    before = stamp_of(file)
    load_file(file)
    file.write_text(GREET.replace("Greet", "Groan"))
    assert before is not None
    os.utime(file, ns=(before[0], before[0]))
    assert [kind.name for kind in load_file(file)] == ["Groan"]


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("x = 1\nx = = 1\n", "greet.py: SyntaxError: invalid syntax (FILE:2); correct it"),
        ("\nimport nowhere\n", "greet.py: ModuleNotFoundError: No module named 'nowhere' (FILE:2)"),
        ("def f():\n    1 / 0\nf()\n", "greet.py: ZeroDivisionError: division by zero (FILE:2)"),
        ("raise SystemExit('bye')", "greet.py: SystemExit: bye (FILE:1)"),
        ("from easews import Filter\n", "greet.py: it has no filter: no subclass of easews.Filter"),
        (GREET.replace('"Greet"', '"a b"'), "greet.py: Greet.kind is 'a b'"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_with_its_line(
    file: Path, code: str, fault: str
) -> None:
    load_file(file)
    before = sys.modules["watched_greet"]
    file.write_text(code)
    with pytest.raises(PluginError) as caught:
        load_file(file)
    assert fault.replace("FILE", str(file)) in str(caught.value)
    assert sys.modules["watched_greet"] is before


def test_a_schema_in_a_file_is_in_schemas_beside_it(tmp_path: Path) -> None:
    code = GREET.replace('kind = "Greet"', 'kind = "Greet"; schema = "Greet.json"')
    file = tmp_path / "__init__.py"
    file.write_text(code)
    with pytest.raises(PluginError, match=rf"{tmp_path}/schemas/Greet\.json"):
        load_file(file)
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "Greet.json").write_text('{"title": "beside"}')
    (kind,) = load_file(file)
    assert kind.schema["title"] == "beside"


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"gone\.py: FileNotFoundError"):
        load_file(tmp_path / "gone.py")
    assert "watched_gone" not in sys.modules


# -- noticing ------------------------------------------------------------------------------------


class Clock:
    """The stamps of one file, as the test sets them."""

    def __init__(self) -> None:
        self.now: Stamp | None = (1,)
        self.saves = Saves([Path("f.py")], lambda _: self.now)

    def look(self, now: Stamp | None) -> int:
        self.now = now
        return len(self.saves.look())


def test_a_save_is_noticed_once_and_when_it_is_over() -> None:
    clock = Clock()
    stamps: list[Stamp | None] = [(1,), (2,), (3,), (3,), (3,)]
    assert [clock.look(stamp) for stamp in stamps] == [0, 0, 0, 1, 0]


def test_a_file_that_an_editor_replaces_is_noticed_when_it_is_back() -> None:
    clock = Clock()
    stamps: list[Stamp | None] = [None, None, (2,), (2,), None, (2,), (2,)]
    assert [clock.look(stamp) for stamp in stamps] == [0, 0, 0, 1, 0, 0, 0]


def test_a_stamp_differs_when_a_file_is_replaced(file: Path, tmp_path: Path) -> None:
    before = stamp_of(file)
    (tmp_path / "new").write_text(GREET)
    (tmp_path / "new").rename(file)
    assert stamp_of(file) != before
    assert stamp_of(tmp_path / "new") is None


A, B = Path("a.yaml"), Path("b.yaml")


@pytest.mark.parametrize(
    ("looks", "changed"),
    [
        ([{A: (2,)}, {A: (3,)}, {A: (3,)}, {A: (3,)}], [[], [], [A], []]),
        ([{A: None}, {A: None}, {A: (2,)}, {A: (2,)}], [[], [], [], [A]]),
        ([{A: (2,)}, {A: (1,)}, {A: (1,)}], [[], [], []]),
        ([{A: (1,), B: (1,)}, {A: (1,), B: (1,)}, {A: (1,)}, {A: (1,)}], [[], [B], [], [B]]),
    ],
)
def test_a_set_of_files_has_changed_when_two_looks_agree(
    looks: list[dict[Path, Stamp | None]], changed: list[list[Path]]
) -> None:
    settled = Settled({A: (1,)})
    assert [settled.changed(look) for look in looks] == changed


def test_the_files_of_a_folder_are_those_that_are_there_now(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("")
    (tmp_path / "notes.txt").write_text("")
    paths = [str(tmp_path), "-", "/gone.yaml"]
    assert source_files(paths) == [tmp_path / "a.yaml", Path("/gone.yaml")]
    (tmp_path / "b.yml").write_text("")
    assert len(source_files(paths)) == 3


async def test_a_saved_config_is_asked_for(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG)
    (tmp_path / "greet.py").write_text(GREET)
    kinds = Kinds([]).with_kinds(load_file(tmp_path / "greet.py"))
    asked, heard = [], anyio.Event()

    def ask(why: str) -> None:
        asked.append(why)
        heard.set()

    watch = ConfigWatch([str(config)], ask)
    async with gateway(load([str(config)], kinds)) as running, anyio.create_task_group() as tasks:
        (tmp_path / "new").write_text(CONFIG + "# saved")
        (tmp_path / "new").rename(config)
        tasks.start_soon(watch.run, running.gateway)
        with anyio.fail_after(60):
            await heard.wait()
        tasks.cancel_scope.cancel()
    assert asked == ["config.yaml"]


# -- serving -------------------------------------------------------------------------------------


class Watched:
    """A gateway with a watched file, and how to save that."""

    def __init__(self, running: Running, watch: Watch, file: Path) -> None:
        self._running = running
        self._watch = watch
        self._file = file

    async def save(self, code: str) -> None:
        self._file.write_text(code)
        await self._watch.reload([self._file], self._running.gateway)

    async def ask(self) -> str:
        async with await anyio.connect_tcp(*self._running.address) as client:
            await client.send(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
            answer = b"".join([part async for part in client])
        return answer.rpartition(b"\r\n")[2].decode()


@asynccontextmanager
async def watched(file: Path) -> AsyncIterator[Watched]:
    config = file.with_name("config.yaml")
    config.write_text(CONFIG)

    def read(kinds: Kinds) -> Config:
        found = load([str(config)], kinds)
        servers = [replace(spec, address="127.0.0.1", port=0) for spec in found.servers]
        return replace(found, servers=tuple(servers))

    watch = Watch([file], Kinds([]), read)
    async with gateway(read(watch.kinds)) as running:
        yield Watched(running, watch, file)


async def test_a_saved_filter_serves_the_next_request(file: Path) -> None:
    async with watched(file) as it:
        assert await it.ask() == "hello"
        await it.save(GREET.replace("hello", "good morning"))
        assert await it.ask() == "good morning"


async def test_an_error_leaves_the_filter_of_before(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "easews")
    async with watched(file) as it:
        await it.save("x = = 1")
        assert await it.ask() == "hello"
        fault = f"greet.py: SyntaxError: invalid syntax ({file}:1); correct it, and save it"
        told = f"greet.py: not loaded, and the filters of before stay: {fault}"
        assert told in caplog.messages
        await it.save(GREET.replace("hello", "again"))
        assert await it.ask() == "again"
        assert "greet.py: loaded again; open sessions keep what they have (0)" in caplog.messages


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        (GREET.replace('"Greet"', '"Groan"'), "no kind of filter 'Greet' is installed"),
        (GREET + "    async def __aenter__(self):\n        1 / 0\n", "cannot start: ZeroDivision"),
        (GREET + "    @classmethod\n    def check(cls, spec):\n        1 / 0\n", "ZeroDivision"),
    ],
)
async def test_a_filter_that_the_config_cannot_have_is_told_and_the_old_one_stays(
    file: Path, caplog: pytest.LogCaptureFixture, code: str, wrong: str
) -> None:
    async with watched(file) as it:
        await it.save(code)
        assert await it.ask() == "hello"
        assert wrong in caplog.messages[-1]
        await it.save(GREET)


async def test_a_file_that_failed_is_tried_again_with_the_next_one(tmp_path: Path) -> None:
    files = [tmp_path / "a.py", tmp_path / "b.py"]
    for file in files:
        file.write_text(GREET.replace("Greet", file.stem.upper()))
    served: list[Kinds] = []

    class Fake:
        sessions = ()

        async def replace(self, _: object) -> None: ...

    def read(kinds: Kinds) -> Config:
        served.append(kinds)
        return None  # type: ignore[return-value]

    watch = Watch(files, Kinds([]), read)
    assert list(watch.kinds) == ["A", "B"]
    files[0].write_text("x = = 1")
    await watch.reload(files[:1], Fake())  # type: ignore[arg-type]
    files[0].write_text(GREET.replace("Greet", "C"))
    await watch.reload(files[1:], Fake())  # type: ignore[arg-type]
    assert list(served[-1]) == ["B", "C"]
    assert list(watch.kinds) == ["B", "C"]
