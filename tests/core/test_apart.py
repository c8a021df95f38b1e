"""A config that another process reads: it is the one that this process would have read."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.certificates import Authority

from easews import ConfigError
from easews.config import load
from easews.operate.apart import ReadingFailed, packed, read_apart, unpacked
from easews.plugins import Kinds, discover

FOLDER = Path(__file__).parents[2] / "examples"
#: But for the one whose kind of filter is not installed.
EXAMPLES = sorted({*FOLDER.glob("*.yaml")} - {FOLDER / "demo.yaml"})
CONFIG = """
kind: HTTPServer
name: s
port: 80
rules: [{paths: [{path: /ws, backend: p, clientMaxBodySize: -1}]}]
---
kind: Pipeline
name: p
filters: [{kind: WebSocketProxy, name: w, pools: [{servers: [{url: "ws://127.0.0.1:9"}]}]}]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


def edit(file: Path, old: str, new: str) -> None:
    file.write_text(CONFIG.replace(old, new))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_a_config_arrives_as_it_was_sent(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in re.findall(r"\$\{(\w+)", example.read_text()):
        monkeypatch.setenv(name, "1")
    kinds = discover()
    config = load([str(example)], kinds)
    assert unpacked(packed(config), kinds) == config


def test_so_does_one_with_tls(file: Path, tmp_path: Path) -> None:
    tls = Authority(tmp_path).fields("localhost")
    lines = "".join(f"\n{key}: {str(value).lower()}" for key, value in tls.items())
    edit(file, "port: 80", f"port: 80{lines}")
    config = load([str(file)], discover())
    assert config.servers[0].tls is not None
    assert unpacked(packed(config), discover()) == config


async def test_a_process_reads_what_this_one_would(file: Path) -> None:
    kinds = discover()
    config = await read_apart([str(file)], kinds)
    assert config == load([str(file)], kinds)
    (entry,) = config.pipelines[0].filters
    assert entry.kind.filter_class is kinds["WebSocketProxy"].filter_class


async def test_its_environment_counts(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", "/from-the-environment")
    edit(file, "path: /ws", "path: '${WHERE}'")
    (server,) = (await read_apart([str(file)], discover())).servers
    assert server.rules[0].paths[0].path == "/from-the-environment"


async def test_problems_arrive_with_their_places(file: Path) -> None:
    edit(file, "path: /ws", "pat: /ws")
    with pytest.raises(ConfigError) as here:
        load([str(file)], discover())
    with pytest.raises(ConfigError) as there:
        await read_apart([str(file)], discover())
    assert there.value.problems == here.value.problems


async def test_a_kind_that_was_installed_meanwhile_is_told(file: Path) -> None:
    with pytest.raises(ReadingFailed, match=r"WebSocketProxy of easews-wsproxy .* restart easews"):
        await read_apart([str(file)], Kinds([]))
    old = replace(discover()["WebSocketProxy"], version="0.0.1")
    with pytest.raises(ReadingFailed, match="restart easews"):
        await read_apart([str(file)], Kinds([old]))


async def test_standard_input_cannot_be_read_again() -> None:
    with pytest.raises(ReadingFailed, match="standard input"):
        await read_apart(["-"], discover())


async def test_a_process_that_fails_is_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(ReadingFailed, match="ended with status 1"):
        await read_apart([str(file)], discover())
    monkeypatch.setattr("sys.executable", str(file.parent / "gone"))
    with pytest.raises(ReadingFailed, match="no process can be started"):
        await read_apart([str(file)], discover())
