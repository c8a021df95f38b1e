"""The flow of a pipeline: the filters of its steps, and where its jumps lead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence

from ..errors import Problem
from ..filters import END
from ..plugins import Kinds
from ..spelling import did_you_mean
from .documents import Document, Node, Path
from .phrases import choice, listed
from .schemas import kind_of


def check_flow(pipeline: Document, kinds: Kinds) -> Iterator[Problem]:
    """Steps whose filter is not there, and jumps that lead nowhere."""
    filters = _named_filters(pipeline)
    steps = pipeline.root.items("flow")
    for position, (number, step) in enumerate(steps):
        name = step.text("filter")
        if name is None:
            continue
        if name not in filters and None not in filters:
            wanted = step.children["filter"]
            wrong = f"no filter of this pipeline is called {wanted.shown}"
            yield pipeline.problem(
                ("flow", number, "filter"), wrong, choice(wanted, _shown(filters))
            )
        later = [_called(after, filters) for _, after in steps[position + 1 :]]
        yield from _check_jumps(pipeline, number, step, filters.get(name), later, kinds)


def _named_filters(pipeline: Document) -> dict[str | None, Node]:
    """The filters by name; None is among the names when there may be more of them."""
    written = pipeline.root.get("filters")
    filters: dict[str | None, Node] = {
        entry.text("name"): entry for _, entry in pipeline.root.items("filters")
    }
    if written is None or not isinstance(written.value, list):
        filters[None] = pipeline.root
    return filters


def _shown(filters: Mapping[str | None, Node]) -> list[str]:
    return [name for name, node in filters.items() if name and not node.children["name"].hidden]


def _called(step: Node, filters: Container[str | None]) -> str | None:
    """The name that a jump leads to; None when it is not sure."""
    alias = step.get("alias")
    if alias is None and step.text("filter") not in filters:
        return None
    return step.text("filter" if alias is None else "alias")


def _check_jumps(
    pipeline: Document,
    number: int,
    step: Node,
    entry: Node | None,
    later: Sequence[str | None],
    kinds: Kinds,
) -> Iterator[Problem]:
    jumps = step.get("jumpIf")
    kind = kind_of(entry, kinds)
    if jumps is None or not isinstance(jumps.value, dict):
        return
    path: Path = ("flow", number, "jumpIf")
    for result, target in jumps.children.items():
        if kind is not None and result not in kind.results:
            accepted = did_you_mean(str(result), kind.results) or f"it has: {listed(kind.results)}"
            wrong = f"{kind.name} has no result {result!r}"
            yield pipeline.key_problem(path, str(result), wrong, accepted)
        if isinstance(target.value, str) and target.value != END:
            yield from _check_target(pipeline, (*path, result), target, later)


def _check_target(
    pipeline: Document, path: Path, target: Node, later: Sequence[str | None]
) -> Iterator[Problem]:
    times = Counter(later)[target.value]
    if times == 0 and None not in later:
        wrong = f"{target.shown} is no later step of this flow"
        accepted = f"write it behind this step, or jump to: {listed((*filter(None, later), END))}"
        yield pipeline.problem(path, wrong, accepted)
    elif times > 1:
        wrong = f"{target.shown} could be any of {times} later steps"
        yield pipeline.problem(path, wrong, "give each of them an alias of its own")
