"""The engine proper: one `Context` through a flow of filters. No I/O happens here.

A flow is compiled once into nodes whose targets are positions; running it is a loop. What a
filter may do wrong (raise, block the event loop, return what it did not declare) is caught
and logged here, with the filter's name and package, and never stops the server.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from .answers import problem
from .collector import PAUSES
from .config.model import PipelineSpec
from .containment import Action, driven, must_go_on
from .errors import MessageError
from .filters import END, INTERNAL_ERROR, Context, Filter

log = logging.getLogger("easews.pipeline")

#: Seconds for which a filter may hold the event loop before it is told on.
BLOCKING = 0.05


@dataclass(frozen=True, slots=True)
class _Node:
    """One step of a flow; `targets` maps a result to the position that it jumps to."""

    name: str
    filter: Filter
    package: str
    results: frozenset[str]
    targets: Mapping[str, int]
    routed: frozenset[str]


class Pipeline:
    """A flow of filter instances; `filters` holds one for each name of the spec."""

    def __init__(self, spec: PipelineSpec, filters: Mapping[str, Filter]) -> None:
        PAUSES.watch()
        self.name = spec.name
        self.data = spec.data
        kinds = {entry.name: entry.kind for entry in spec.filters}
        positions = {step.alias: index for index, step in enumerate(spec.flow)}
        positions[END] = len(spec.flow)
        self._nodes = [
            _Node(
                name=step.alias,
                filter=filters[step.filter],
                package=kinds[step.filter].distribution,
                results=frozenset(kinds[step.filter].results),
                targets={result: positions[goal] for result, goal in step.jump_if.items()},
                routed=frozenset(step.jump_if),
            )
            for step in spec.flow
        ]

    async def run(self, ctx: Context) -> None:
        """Run the flow; afterwards `ctx.response` is the answer, if a filter gave one.

        MessageError passes through: what the client sent cannot be read to its end.
        """
        nodes = self._nodes
        position = 0
        while position < len(nodes):
            node = nodes[position]
            ctx.routed_results = node.routed
            result = await self._step(node, ctx)
            ctx.trace.append((node.name, result))
            position = node.targets.get(result, len(nodes)) if result else position + 1

    async def _step(self, node: _Node, ctx: Context) -> str:
        try:
            result: object = await driven(node.filter.handle(ctx), _Timed(node, ctx))
        except MessageError:
            ctx.trace.append((node.name, "clientError"))
            raise
        except BaseException as error:
            if must_go_on(error):
                ctx.trace.append((node.name, "cancelled"))
                raise
            log.exception("request %s: %s raised", ctx.id, _called(node))
            return _failed(ctx)
        if not result:
            return ""
        if not isinstance(result, str) or result not in node.results:
            log.error(
                "request %s: %s returned %r, which is none of its `results` (%s): add it there",
                ctx.id,
                _called(node),
                result,
                ", ".join(sorted(node.results)),
            )
            return _failed(ctx)
        return result


def _failed(ctx: Context) -> str:
    ctx.response = problem(
        ctx.request, 500, "a filter failed; the log says more under this id", id=ctx.id
    )
    return INTERNAL_ERROR


def _called(node: _Node) -> str:
    return f"filter {node.name} ({node.filter.kind}, package {node.package})"


@dataclass(slots=True)
class _Timed:
    """Takes a filter's steps, and tells on one that holds the event loop."""

    node: _Node
    ctx: Context

    def __call__(self, action: Action, value: Any) -> Any:
        began, paused = perf_counter(), PAUSES.seconds
        try:
            return action(value)
        except GeneratorExit as error:
            if isinstance(value, GeneratorExit):
                raise  # it was thrown in from outside, and went through
            raise RuntimeError("it raised GeneratorExit") from error
        finally:
            del value  # see `driven`
            held = perf_counter() - began
            if held > BLOCKING and (held := held - PAUSES.seconds + paused) > BLOCKING:
                log.warning(
                    "request %s: %s held the event loop for %d ms: await, or use a thread",
                    self.ctx.id,
                    _called(self.node),
                    held * 1000,
                )
