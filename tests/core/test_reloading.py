"""Who asks for a reload gets one, and the log says what came of it."""

from __future__ import annotations

import logging
from types import MappingProxyType
from typing import Any

import anyio
import pytest

from easews import Context, Filter, Response
from easews.config import Config
from easews.errors import ConfigError, Problem
from easews.observe.logs import FIELDS
from easews.operate import reloading
from easews.operate.reloading import Reloader
from easews.operate.serving.changes import MOST_TOLD, listed
from easews.testing import gateway, load_config
from easews.testing.running import Running, _on_loopback


class Says(Filter):
    """Answers with its text."""

    kind = "Says"
    schema = MappingProxyType(
        {
            "type": "object",
            "properties": {"text": {"type": "string"}},
        }
    )

    async def handle(self, ctx: Context) -> None:
        ctx.response = Response(200, content=self.spec["text"])

    async def __aenter__(self) -> Says:
        if self.spec["text"] == "never":
            await anyio.sleep_forever()
        if self.spec["text"] == "broken":
            raise OSError("no such file")
        return self


def config(text: str) -> Config:
    return load_config(
        "{kind: HTTPServer, name: s, port: 80, rules: [{paths: [{backend: p}]}]}\n---\n"
        f"{{kind: Pipeline, name: p, filters: [{{kind: Says, name: says, text: {text}}}]}}",
        Says,
    )


class Disk:
    """Reads what the test has put there."""

    def __init__(self, found: Config | Exception) -> None:
        self.found = found
        self.reads = 0
        self.go_on = anyio.Event()
        self.go_on.set()

    async def read(self) -> Config:
        found = self.found
        self.reads += 1
        await self.go_on.wait()
        if isinstance(found, Exception):
            raise found
        return _on_loopback(found)


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "easews")
    return caplog


def events(log: pytest.LogCaptureFixture) -> list[Any]:
    """The fields of each event, or its line."""
    own = [it for it in log.records if it.name == "easews"]
    return [getattr(it, FIELDS, None) or it.getMessage() for it in own]


async def reload(running: Running, found: Config | Exception) -> None:
    await Reloader(Disk(found).read).reload(running.gateway, "SIGHUP")


async def test_each_outcome_is_counted() -> None:
    async with gateway(config("one")) as running:
        disk = Disk(config("two"))
        reloader = Reloader(disk.read)
        for found in (config("two"), config("two"), ConfigError([])):
            disk.found = found
            await reloader.reload(running.gateway, "SIGHUP")
        assert reloader.outcomes == {"reloaded": 1, "unchanged": 1, "refused": 1}


async def test_a_reload_that_is_given_up_has_an_end(log: pytest.LogCaptureFixture) -> None:
    async with gateway(config("one")) as running:
        disk = Disk(config("two"))
        disk.go_on = anyio.Event()
        reloader = Reloader(disk.read)
        ends: list[str] = []
        reloader.on_end.append(lambda: ends.append("over"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reloader.reload, running.gateway, "the API")
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert ends == ["over"]
        assert events(log)[1:] == ["not reloaded, generation 1 goes on: given up"]


async def test_what_has_changed_is_logged(log: pytest.LogCaptureFixture) -> None:
    async with gateway(config("one")) as running:
        await reload(running, config("two"))
        assert events(log) == [
            "SIGHUP: the config is read again",
            {
                "generation": 2,
                "changes": "pipeline p: filter says changed (text)",
                "sessions": 0,
                "draining": 0,
                "older": "",
            },
        ]


async def test_an_equal_config_is_told_to_have_changed_nothing(
    log: pytest.LogCaptureFixture,
) -> None:
    async with gateway(config("one")) as running:
        await reload(running, config("one"))
        assert events(log)[1:] == ["nothing has changed: generation 1 goes on"]


PROBLEM = Problem("c.yaml", 3, 7, "s.port", "70000 is more than 65535", "a TCP port")


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (
            ConfigError([PROBLEM]),
            [
                "c.yaml:3:7: s.port: 70000 is more than 65535; a TCP port",
                "not reloaded, generation 1 goes on: it has faults; `easews validate` shows "
                "them, too",
            ],
        ),
        (
            load_config("{kind: Gateway, name: g}"),
            ["not reloaded, generation 1 goes on: there is no HTTPServer in it; write one"],
        ),
        (ValueError("odd"), ["not reloaded: generation 1 goes on"]),
    ],
)
async def test_what_cannot_be_used_is_logged_and_changes_nothing(
    found: Config | Exception, told: list[str], log: pytest.LogCaptureFixture
) -> None:
    async with gateway(config("one")) as running:
        await reload(running, found)
        assert events(log)[1:] == told
        assert running.gateway.generation == 1


async def test_a_filter_that_cannot_start_is_told(log: pytest.LogCaptureFixture) -> None:
    async with gateway(config("one")) as running:
        await reload(running, config("broken"))
        assert "filter says of p (package the-test) cannot start: OSError" in events(log)[-1]
        assert running.gateway.generation == 1


async def test_a_filter_that_does_not_start_is_given_up(
    log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reloading, "PATIENCE", 0.2)
    async with gateway(config("one")) as running:
        await reload(running, config("never"))
        assert events(log)[-1] == "not reloaded, generation 1 goes on: that took more than 0.2 s"
        await reload(running, config("two"))
        assert running.gateway.generation == 2


async def test_all_that_ask_meanwhile_get_one_reload_of_what_is_there_then(
    log: pytest.LogCaptureFixture,
) -> None:
    disk = Disk(config("one"))
    disk.go_on = anyio.Event()
    reloader = Reloader(disk.read)
    async with gateway(config("zero")) as running, anyio.create_task_group() as tasks:
        reloader.ask("before it runs")
        tasks.start_soon(reloader.run, running.gateway)
        await anyio.wait_all_tasks_blocked()
        for text in ("two", "three", "four"):
            disk.found = config(text)
            reloader.ask("SIGHUP")
        disk.go_on.set()
        with anyio.fail_after(60):
            while running.gateway.generation < 3:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        (pipeline,) = running.gateway.config.pipelines
        assert pipeline.filters[0].spec["text"] == "four"
        assert disk.reads == 2
        tasks.cancel_scope.cancel()
    assert [it for it in events(log) if isinstance(it, str)] == [
        "before it runs: the config is read again",
        "SIGHUP: the config is read again",
    ]


async def test_who_asks_when_another_process_serves_is_served_there() -> None:
    disk = Disk(config("one"))
    disk.go_on = anyio.Event()  # never: it is left to the other one while it reads
    reloader = Reloader(disk.read)
    elsewhere: list[str] = []
    async with gateway(config("zero")) as running, anyio.create_task_group() as tasks:
        tasks.start_soon(reloader.run, running.gateway)
        reloader.ask("SIGHUP")
        await anyio.wait_all_tasks_blocked()
        reloader.leave_to(lambda: elsewhere.append("reload"))
        assert elsewhere == ["reload"]
        reloader.ask("SIGHUP")
        assert elsewhere == ["reload"] * 2
    assert running.gateway.generation == 1


async def test_nothing_is_asked_of_the_other_process_if_nobody_waits() -> None:
    reloader = Reloader(Disk(config("one")).read)
    elsewhere: list[str] = []
    reloader.leave_to(lambda: elsewhere.append("reload"))
    assert not elsewhere


def test_of_many_changes_the_first_are_listed() -> None:
    assert listed(range(3)) == "0; 1; 2"
    assert listed(range(MOST_TOLD + 5)).endswith(f"{MOST_TOLD - 1}; and 5 more")
