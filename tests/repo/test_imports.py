"""Who imports whom: no circles, and the page on the architecture shows the layers as they are.

The layers stand in `pyproject.toml`, where `lint-imports` reads them.
"""

from __future__ import annotations

import tomllib
from collections import deque
from collections.abc import Iterator, Mapping

import grimp
import pytest
from tests.repo.pages import ROOT, blocks_of

ARCHITECTURE = ROOT / "docs" / "explanation" / "architecture.md"
PACKAGES = ("easews", "easews_headers", "easews_httpproxy", "easews_messages", "easews_wsproxy")
Graph = Mapping[str, set[str]]


@pytest.fixture(scope="module")
def imports() -> Graph:
    """Each of our modules, and what it imports: for type checkers and inside functions, too."""
    graph = grimp.build_graph(
        *PACKAGES,
        exclude_type_checking_imports=False,
        cache_dir=None,
    )
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def reachable(graph: Graph, start: str) -> set[str]:
    """The modules that `start` imports, directly or through others."""
    found: set[str] = set()
    queue = deque(graph[start])
    while queue:
        module = queue.popleft()
        if module not in found:
            found.add(module)
            queue.extend(graph[module])
    return found


def circles(graph: Graph) -> Iterator[list[str]]:
    """Each set of modules that import each other, directly or through others."""
    below = {module: reachable(graph, module) for module in graph}
    seen: set[str] = set()
    for module in sorted(graph):
        if module in below[module] and module not in seen:
            circle = sorted(other for other in below[module] if module in below[other])
            seen.update(circle)
            yield circle


def test_a_circle_is_found_with_all_its_modules() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"a", "d"}}
    assert list(circles(graph)) == [["a", "b", "c"]]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_import_each_other(package: str, imports: Graph) -> None:
    found = [circle for circle in circles(imports) if circle[0].partition(".")[0] == package]
    assert not found


def layers() -> list[set[str]]:
    """The layers of the engine, top first, each with the rooms that stand side by side in it."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = [one for one in contracts["contracts"] if one.get("containers") == ["easews"]]
    return [set(layer.split(" | ")) for layer in contract["layers"]]


def drawn_layers() -> list[set[str]]:
    """The layers on the page: a block that begins with `cli`, a line for each layer."""
    texts = [block.text for block in blocks_of(ARCHITECTURE)]
    (drawing,) = [text for text in texts if text.split()[:1] == ["cli"]]
    return [set(line.replace("|", " ").split()) for line in drawing.splitlines()]


def test_the_page_on_the_architecture_shows_the_layers() -> None:
    assert drawn_layers() == [layer for layer in layers() if layer != {"__main__"}]
