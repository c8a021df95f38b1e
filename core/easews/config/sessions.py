"""Filters of messages that no message reaches: nothing opens sessions, or it stands before them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..errors import Problem
from ..filters import END, overrides
from ..plugins import Kind, Kinds
from .documents import Document, Node, Path
from .schemas import kind_of


class _Step(NamedTuple):
    """A step of a flow: where it is written, the name that jumps lead to, and its own jumps."""

    path: Path
    name: str
    kind: Kind
    targets: frozenset[object]

    @property
    def opens(self) -> bool:
        return self.kind.filter_class.opens_sessions

    @property
    def reads(self) -> bool:
        return overrides(self.kind.filter_class, "on_message")


def check_readers(pipeline: Document, served: bool, kinds: Kinds) -> Iterator[Problem]:
    """Each filter that reads messages in vain. Nothing is said of a flow that is not all known.

    A pipeline that is not `served` may lack what opens sessions: tests have such.
    """
    steps = _steps(pipeline, kinds)
    readers = [step for step in steps if step.reads]
    if served and readers and not any(step.opens for step in steps):
        first = readers[0]
        wrong = f"{first.kind.name} reads messages, but no filter of the pipeline opens sessions"
        yield pipeline.problem(first.path, wrong, "add a WebSocketProxy as the last one")
        return
    for step, proxy in _behind(steps):
        if step.reads:
            wrong = (
                f"{step.kind.name} reads messages, but stands behind {proxy.name} "
                f"({proxy.kind.name}), which answers, so no message reaches it"
            )
            yield pipeline.problem(step.path, wrong, f"put it before {proxy.name}")


def _steps(pipeline: Document, kinds: Kinds) -> Sequence[_Step]:
    """The steps of the flow, which without one is that of the filters; none if one is unknown."""
    entries = {entry.text("name"): entry for _, entry in pipeline.root.items("filters")}
    field = "filters" if pipeline.root.get("flow") is None else "flow"
    steps = []
    for number, node in pipeline.root.items(field):
        filter_name = node.text("filter" if field == "flow" else "name")
        kind = kind_of(entries.get(filter_name), kinds)
        if filter_name is None or kind is None:
            return ()
        name = node.text("alias") if field == "flow" else None
        steps.append(_Step((field, number), name or filter_name, kind, _targets(node)))
    return steps


def _targets(step: Node) -> frozenset[object]:
    jumps = step.get("jumpIf")
    written = jumps.children.values() if jumps is not None else ()
    return frozenset(node.value for node in written) - {END}


def _behind(steps: Sequence[_Step]) -> Iterator[tuple[_Step, _Step]]:
    """Each step that is skipped for certain, and the one that has answered before it."""
    targets: set[object] = set()
    answering: _Step | None = None
    for step in steps:
        if step.name in targets or step.kind.filter_class.sees_answers:
            answering = None  # it may withdraw the answer
        if answering is not None:
            yield step, answering
            continue
        targets |= step.targets
        if step.opens:
            answering = step
