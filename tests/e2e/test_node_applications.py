"""Applications in node behind easews, which passes their messages on, reads or rewrites them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.certificates import Authority
from tests.e2e.fronts import NODE, READERS, in_front

LONG = "x" * 100_000


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@contextmanager
def served(node: str, program: str) -> Iterator[int]:
    """The port that a program of the folder `node` serves on."""
    command = [node, str(NODE / program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


@pytest.mark.parametrize("messages", READERS)
def test_graphql_ws_asks_and_subscribes(
    node_applications: str, authority: Authority, loop: str, messages: str, tmp_path: Path
) -> None:
    with (
        served(node_applications, "graphql.js") as port,
        in_front(port, authority, tmp_path, loop, messages) as front,
    ):
        seen = front.run_node("graphql.js", {"words": LONG}, node_applications)
    assert seen["answers"] == [LONG, *range(1, 101)]
    assert "permessage-deflate" in seen["extensions"]
    assert seen["closed"] == 1000


@pytest.mark.parametrize("messages", READERS)
def test_two_edit_a_document_by_y_websocket(
    node_applications: str, authority: Authority, loop: str, messages: str, tmp_path: Path
) -> None:
    lines = ["hello", "grüße, 世界", "", LONG, *map(str, range(20))]
    with (
        served(node_applications, "yjs.js") as port,
        in_front(port, authority, tmp_path, loop, messages) as front,
    ):
        seen = front.run_node("yjs.js", {"lines": lines}, node_applications)
    written = [part for line in lines for part in (line, len(line))]
    assert seen["documents"] == [written, written]
    assert "permessage-deflate" in seen["extensions"]
