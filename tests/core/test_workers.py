"""The process that starts workers: what it does when they do not serve, or refuse a config."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from easews import EasewsError
from easews.config import load
from easews.config.model import Config
from easews.operate.workers.calls import Gone
from easews.operate.workers.offer import Offer
from easews.operate.workers.supervision import HOPELESS
from easews.operate.workers.worker import Orders, WorkerArguments
from easews.operate.workers.workers import Workers
from easews.plugins import discover

CONFIG = """
kind: HTTPServer
name: web
port: 80
rules: [{paths: [{path: /ws, backend: p}]}]
---
kind: Pipeline
name: p
filters: [{kind: Mock, name: m, rules: [{code: 200}]}]
"""


def read(folder: Path, text: str) -> Config:
    file = folder / "config.yaml"
    file.write_text(text)
    return load([str(file)], discover())


@dataclass
class FakeProcess:
    """A worker that serves, and answers as the test says."""

    number: int
    offer: Offer | None
    refuses: dict[int, Exception] = field(default_factory=dict)
    served: list[int] = field(default_factory=list)
    answers: bool = True
    was_asked: anyio.Event = field(default_factory=anyio.Event)
    was_killed: bool = False

    @property
    def calls(self) -> FakeProcess:
        return self

    async def call(self, name: str, *args: Any, fds: Sequence[int] = ()) -> Any:
        if name == "status":
            older = [{"generation": 1, "sessions": 2}]
            return {"sessions": 10, "draining": 1, "older": older}
        assert name == "replace"
        if args[0] in self.refuses:
            raise self.refuses[args[0]]
        self.served.append(args[0])
        if not self.answers:
            self.answers = True
            self.was_asked.set()
            await anyio.sleep_forever()
        return None

    def kill(self) -> None:
        self.was_killed = True


class FakeWorkers(Workers):
    fakes: list[Any]

    def serving(self) -> list[Any]:
        return self.fakes


@pytest.fixture
async def workers(tmp_path: Path) -> FakeWorkers:
    offer = Offer(read(tmp_path, CONFIG), {"web": []}, 1)

    def arguments(number: int, place: int, channel: int) -> WorkerArguments:
        raise AssertionError("none is started")

    made = FakeWorkers(offer, arguments, memoryview(array("q", [0] * 6)))
    made.fakes = [FakeProcess(number, offer) for number in (1, 2, 3)]
    return made


CHANGED = CONFIG.replace("code: 200", "code: 204")


async def test_a_reload_goes_from_worker_to_worker(workers: FakeWorkers, tmp_path: Path) -> None:
    plan = await workers.replace(read(tmp_path, CHANGED))
    assert plan.changes
    assert [fake.served for fake in workers.fakes] == [[2], [2], [2]]
    assert (workers.generation, len(workers.sessions), workers.draining) == (2, 30, 3)
    assert workers.older == {1: 6}


async def test_an_equal_config_reaches_no_worker(workers: FakeWorkers, tmp_path: Path) -> None:
    assert not (await workers.replace(read(tmp_path, CONFIG))).changes
    assert [fake.served for fake in workers.fakes] == [[], [], []]


async def test_what_one_worker_refuses_none_serves(workers: FakeWorkers, tmp_path: Path) -> None:
    workers.fakes[1].refuses[2] = EasewsError("its filter does not start")
    with pytest.raises(EasewsError, match="its filter does not start"):
        await workers.replace(read(tmp_path, CHANGED))
    assert [fake.served for fake in workers.fakes] == [[2, 1], [], []]
    assert workers.generation == 1


async def test_a_worker_that_cannot_go_back_is_started_anew(
    workers: FakeWorkers, tmp_path: Path
) -> None:
    workers.fakes[0].refuses[1] = EasewsError("its filter does not start any more")
    workers.fakes[1].refuses[2] = EasewsError("its filter does not start")
    with pytest.raises(EasewsError, match=r"its filter does not start$"):
        await workers.replace(read(tmp_path, CHANGED))
    assert workers.fakes[0].was_killed
    assert not workers.fakes[1].was_killed


async def test_a_worker_whose_answer_nobody_awaits_any_more_goes_back_too(
    workers: FakeWorkers, tmp_path: Path
) -> None:
    workers.fakes[1].answers = False
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(workers.replace, read(tmp_path, CHANGED))
        await workers.fakes[1].was_asked.wait()
        tasks.cancel_scope.cancel()
    assert [fake.served for fake in workers.fakes] == [[2, 1], [2, 1], []]


async def test_a_config_that_ends_the_first_worker_reaches_no_other(
    workers: FakeWorkers, tmp_path: Path
) -> None:
    workers.fakes[0].refuses[2] = Gone("worker 1 has ended")
    with pytest.raises(Gone):
        await workers.replace(read(tmp_path, CHANGED))
    assert [fake.served for fake in workers.fakes] == [[], [], []]


async def test_one_that_dies_later_gets_the_config_when_it_is_started_again(
    workers: FakeWorkers, tmp_path: Path
) -> None:
    workers.fakes[2].refuses[2] = Gone("worker 3 has ended")
    await workers.replace(read(tmp_path, CHANGED))
    assert workers.generation == 2
    assert [fake.served for fake in workers.fakes] == [[2], [2], []]


async def test_new_sockets_are_closed_when_a_worker_refuses(
    workers: FakeWorkers, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    more = f"---\n{{kind: HTTPServer, name: more, address: 127.0.0.1, port: {port}, rules: []}}"
    workers.fakes[0].refuses[2] = EasewsError("no")
    with pytest.raises(EasewsError, match="no"):
        await workers.replace(read(tmp_path, CONFIG + more))
    with socket.create_server(("127.0.0.1", port)):
        pass


async def started_by(code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Workers:
    """Workers that run `code` in place of what they should, until they are given up."""
    monkeypatch.setattr(
        WorkerArguments,
        "command",
        lambda arguments: [sys.executable, "-c", code, str(arguments.channel)],
    )
    offer = Offer(read(folder, CONFIG), {"web": []}, 1)
    with (folder / "shared").open("wb") as shared:

        def arguments(number: int, place: int, channel: int) -> WorkerArguments:
            return WorkerArguments(number, place, 2, "asyncio", "text", channel, shared.fileno())

        workers = Workers(offer, arguments, memoryview(array("q", [0] * 4)))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(workers.supervise)
            with workers.until_failed, anyio.fail_after(60):
                await anyio.sleep_forever()
            put, signals = anyio.create_memory_object_stream[signal.Signals]()
            with put, signals:
                await workers.stop(signals)
            tasks.cancel_scope.cancel()
    return workers


async def test_workers_that_die_again_and_again_are_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easews.operate.workers.supervision.FIRST_PAUSE", 0.01)
    workers = await started_by("raise SystemExit(7)", tmp_path, monkeypatch)
    wrong = f"no worker serves: {HOPELESS} in a row have ended, the last with status 7"
    assert str(workers.failure) == wrong


async def test_one_that_says_why_it_cannot_serve_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import json, socket, sys\n"
        "sock = socket.socket(fileno=int(sys.argv[1]))\n"
        "sock.recv(10000)\n"
        "sock.send(json.dumps({'id': 1, 'error': 'no such key', 'sort': ''}).encode() + b'\\n')\n"
    )
    workers = await started_by(code, tmp_path, monkeypatch)
    assert str(workers.failure) == "no such key"


async def test_only_the_parent_hurries_a_worker(caplog: pytest.LogCaptureFixture) -> None:
    orders = Orders()
    orders.stop()
    orders.stop()
    assert await orders.signals.receive() == signal.SIGTERM
    with pytest.raises(anyio.WouldBlock):
        orders.signals.receive_nowait()
    orders.hurry()
    assert await orders.signals.receive() == signal.SIGTERM
    with caplog.at_level(logging.WARNING, "easews"):
        orders.parent_is_gone()
    with pytest.raises(anyio.WouldBlock):
        orders.signals.receive_nowait()
    orders.close()


def test_a_worker_loads_neither_yaml_nor_json_schema() -> None:
    """They take 5 MiB, and a config is read and checked by the process that starts workers."""
    code = (
        "import sys\n"
        "from easews.operate.workers.worker import discover\n"
        "assert len(discover(checks_schemas=False)) > 3\n"
        "print(sorted({'jsonschema', 'yaml', 'referencing', 'httpcore'} & {*sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
