"""One `Context` through a flow of filters, and the answer back past those that were asked.

A flow is compiled once into nodes whose targets are positions; running it is a loop. What a
filter may do wrong (raise, block the event loop, return what it did not declare) is caught
and logged here, with the filter's name and package, and never stops the server.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio

from ..config.model import PipelineSpec, StepSpec
from ..errors import MessageError
from ..filters import END, INTERNAL_ERROR, Context, Filter, overrides
from ..http import Response
from ..http.problems import problem
from ..plugins import Kind
from ..sessions import Upgrade
from .blocking import Timed
from .collector import PAUSES
from .hooks import SessionHooks
from .hooksteps import HookStep, step_of
from .isolation import driven, isolated, must_go_on

log: logging.Logger = logging.getLogger("easews.pipeline")

#: Seconds that the closing of an answer may take.
CLOSE_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class _Node:
    """One step of a flow; `targets` maps a result to the position that it jumps to."""

    name: str
    filter: Filter
    title: str  # how logs call the filter
    results: frozenset[str]
    targets: Mapping[str, int]
    routed: frozenset[str]
    sees_answers: bool
    has_on_answer: bool
    hooks: HookStep | None


class Pipeline:
    """A flow of filter instances; `filters` holds one for each name of the spec."""

    def __init__(self, spec: PipelineSpec, filters: Mapping[str, Filter]) -> None:
        PAUSES.watch()
        self.name: str = spec.name
        self.data: Mapping[str, Any] = spec.data
        kinds = {entry.name: entry.kind for entry in spec.filters}
        positions = {step.alias: index for index, step in enumerate(spec.flow)}
        positions[END] = len(spec.flow)
        self._nodes = [
            _node(step, filters[step.filter], kinds[step.filter], positions) for step in spec.flow
        ]
        self._hooks: dict[tuple[HookStep, ...], SessionHooks] = {}

    def hooks_for(self, ctx: Context) -> SessionHooks | None:
        """The hooks of the filters that `ctx` has passed; None when they have none."""
        steps = tuple(ctx.hooked)
        if not steps:
            return None
        hooks = self._hooks.get(steps)
        if hooks is None:
            hooks = self._hooks[steps] = SessionHooks(steps)
        return hooks

    @property
    def hook_steps(self) -> list[tuple[str, HookStep]]:
        """The filters with hooks for sessions, by their names in the flow."""
        return [(node.name, node.hooks) for node in self._nodes if node.hooks is not None]

    async def run(self, ctx: Context) -> None:
        """Run the flow; afterwards `ctx.response` is the answer, if a filter gave one.

        MessageError passes through: what the client sent cannot be read to its end.
        """
        nodes = self._nodes
        position = 0
        jumped = False
        while position < len(nodes):
            node = nodes[position]
            if ctx.response is not None and not (node.sees_answers or jumped):
                position += 1
                continue
            if ctx.line is not None and ctx.line.rests:  # an earlier filter had timeouts of its own
                ctx.line.go_on()
            ctx.routed_results = node.routed
            result = await self._step(node, ctx)
            ctx.trace.append((node.name, result))
            jumped = bool(result)
            position = node.targets.get(result, len(nodes)) if jumped else position + 1

    async def _step(self, node: _Node, ctx: Context) -> str:
        ctx.step = node.title
        if node.has_on_answer and all(node.filter is not entered for _, entered in ctx.entered):
            ctx.entered.append((node.title, node.filter))
        if node.hooks is not None and node.hooks not in ctx.hooked:
            ctx.hooked.append(node.hooks)
        try:
            result: object = await driven(
                node.filter.handle(ctx), Timed("request", ctx.id, node.title)
            )
        except MessageError:
            ctx.trace.append((node.name, "clientError"))
            raise
        except BaseException as error:
            if must_go_on(error):
                ctx.trace.append((node.name, "cancelled"))
                raise
            log.exception("request %s: %s raised", ctx.id, node.title)
            result = _failed(ctx)
        else:
            result = _judged(node, ctx, result)
        finally:
            ctx.step = ""
        if ctx.replaced:
            await close_replaced(ctx)
        return result


def _node(step: StepSpec, filter: Filter, kind: Kind, positions: Mapping[str, int]) -> _Node:
    title = f"filter {step.alias} ({filter.kind}, package {kind.distribution})"
    return _Node(
        name=step.alias,
        filter=filter,
        title=title,
        results=frozenset(kind.results),
        targets={result: positions[goal] for result, goal in step.jump_if.items()},
        routed=frozenset(step.jump_if),
        sees_answers=filter.sees_answers,
        has_on_answer=overrides(type(filter), "on_answer"),
        hooks=step_of(filter, title),
    )


def _judged(node: _Node, ctx: Context, result: object) -> str:
    """The result that a filter has returned, or `internalError` for one that it did not declare."""
    if not result:
        return ""
    if isinstance(result, str) and result in node.results:
        return result
    log.error(
        "request %s: %s returned %r, which is none of its `results` (%s): add it there",
        *(ctx.id, node.title, result, ", ".join(sorted(node.results))),
    )
    return _failed(ctx)


def _failed(ctx: Context) -> str:
    ctx.response = problem(
        ctx.request, 500, "a filter failed; the log says more under this id", id=ctx.id
    )
    return INTERNAL_ERROR


async def ask_on_answer(ctx: Context) -> None:
    """The flow is over: call `on_answer` of the filters that were entered, the last one first."""
    while ctx.entered and ctx.response is not None:
        title, entered = ctx.entered.pop()
        ctx.step = title
        try:
            await driven(entered.on_answer(ctx), Timed("request", ctx.id, title))
        except BaseException as error:
            if must_go_on(error):
                raise
            log.exception("request %s: on_answer of %s raised", ctx.id, title)
            _failed(ctx)
        finally:
            ctx.step = ""
        if ctx.replaced:
            await close_replaced(ctx)


async def close_replaced(ctx: Context) -> None:
    """Close the answers that others have replaced."""
    while ctx.replaced:
        made_by, answer = ctx.replaced.pop()
        await close_answer(answer, f"request {ctx.id}: the answer of {made_by or 'the engine'}")


async def close_answer(answer: Response | Upgrade, title: str) -> None:
    """Let go of what an answer holds, whatever happens to the request. Raises nothing of it."""
    if not answer.held:
        return
    with anyio.move_on_after(CLOSE_TIMEOUT, shield=True) as closing:
        try:
            await isolated(answer.aclose())
        except BaseException as error:
            if must_go_on(error):
                raise
            log.exception("%s could not be closed", title)
    if closing.cancelled_caught:
        log.error("%s was not closed within %g s", title, CLOSE_TIMEOUT)
