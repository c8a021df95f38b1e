"""The engine: where results lead, and what becomes of a filter that misbehaves."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from easews import Context, Filter, Headers, MessageError, Response, Upgrade
from easews.config import FilterSpec, PipelineSpec, StepSpec
from easews.pipeline import Pipeline, ask_on_answer
from easews.pipeline.collector import PAUSES
from easews.plugins import Kind
from easews.testing import make_context

Handle = Callable[[Context], Awaitable[str | None]]


class Acts(Filter):
    """Does what the test says."""

    kind = "Acts"
    results = ("busy", "done")
    act: Handle

    async def handle(self, ctx: Context) -> str | None:
        return await self.act(ctx)


class Decorates(Acts):
    """Is asked when there is an answer, too, and notes each answer that goes out."""

    sees_answers = True
    seen: list[tuple[str, int]]

    async def on_answer(self, ctx: Context) -> None:
        assert ctx.response is not None
        self.seen.append((self.name, ctx.response.status))
        if self.name == "fails":
            raise ValueError("secret")


KIND = Kind("Acts", Acts, {}, "easews-acts", "1")


def flow(**filters: Handle) -> list[tuple[str, dict[str, str], Handle]]:
    return [(name, {}, handle) for name, handle in filters.items()]


def make_pipeline(
    *steps: tuple[str, dict[str, str], Handle],
    decorators: Mapping[str, list[tuple[str, int]]] = MappingProxyType({}),
) -> Pipeline:
    """A pipeline of filters that act; `decorators` see answers, and note them in these lists."""
    instances: dict[str, Filter] = {}
    for name, _, handle in steps:
        acts = Decorates(name, {}) if name in decorators else Acts(name, {})
        if isinstance(acts, Decorates):
            acts.seen = decorators[name]
        acts.act = handle
        instances[name] = acts
    spec = PipelineSpec(
        "pipeline",
        filters=tuple(FilterSpec(name, KIND, {}) for name, _, _ in steps),
        flow=tuple(StepSpec(name, name, jumps) for name, jumps, _ in steps),
        data={},
    )
    return Pipeline(spec, instances)


def gives(result: str | None) -> Handle:
    async def handle(ctx: Context) -> str | None:
        return result

    return handle


async def names_of(pipeline: Pipeline) -> list[str]:
    """The filters that a context came by."""
    ctx = make_context()
    await pipeline.run(ctx)
    return [name for name, _ in ctx.trace]


async def test_filters_run_in_the_order_of_the_flow() -> None:
    pipeline = make_pipeline(*flow(a=gives(None), b=gives(""), c=gives(None)))
    assert await names_of(pipeline) == ["a", "b", "c"]


async def test_a_result_jumps_forward() -> None:
    steps = flow(a=gives("busy"), b=gives(None), c=gives(None))
    steps[0][1]["busy"] = "c"
    assert await names_of(make_pipeline(*steps)) == ["a", "c"]


@pytest.mark.parametrize("jumps", [{}, {"done": "END"}, {"busy": "c"}])
async def test_a_result_without_a_jump_ends_the_flow(jumps: dict[str, str]) -> None:
    steps = flow(a=gives("done"), b=gives(None), c=gives(None))
    steps[0][1].update(jumps)
    assert await names_of(make_pipeline(*steps)) == ["a"]


async def test_a_filter_knows_which_results_lead_somewhere() -> None:
    seen = []

    async def look(ctx: Context) -> None:
        seen.append((ctx.routes("busy"), ctx.routes("done")))

    steps = flow(a=look, b=look)
    steps[0][1]["busy"] = "b"
    await make_pipeline(*steps).run(make_context())
    assert seen == [(True, False), (False, False)]


class Odd(BaseException):
    """What nobody should raise, and somebody does."""


@pytest.mark.parametrize(
    "fault",
    [
        ValueError("no such thing"),
        SystemExit(3),
        Odd("no such thing"),
        GeneratorExit(),
        BaseExceptionGroup("no such thing", [Odd()]),
        asyncio.CancelledError(),
    ],
)
async def test_a_filter_that_raises_answers_500_and_tells_only_the_log(
    fault: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def raise_it(ctx: Context) -> None:
        raise fault

    ctx = make_context()
    await make_pipeline(*flow(a=raise_it, b=gives(None))).run(ctx)
    assert ctx.trace == [("a", "internalError")]
    assert isinstance(ctx.response, Response)
    assert ctx.response.status == 500
    body = b"".join([piece async for piece in ctx.response.body])
    assert b"no such thing" not in body
    assert b"request test" in body
    assert "request test: filter a (Acts, package easews-acts) raised" in caplog.text


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_of_a_filters_own_that_is_cancelled_cancels_nothing_else() -> None:
    async def wait_for_a_cancelled_task(ctx: Context) -> None:
        task = asyncio.ensure_future(asyncio.sleep(9))
        task.cancel()
        await task

    ctx = make_context()
    await make_pipeline(*flow(a=wait_for_a_cancelled_task)).run(ctx)
    assert ctx.trace == [("a", "internalError")]


async def test_what_is_no_answer_is_refused_where_it_is_set() -> None:
    async def answer(ctx: Context) -> None:
        ctx.response = "hello"  # type: ignore[assignment]

    ctx = make_context()
    await make_pipeline(*flow(a=answer)).run(ctx)
    assert ctx.response is not None
    assert ctx.response.status == 500


async def test_a_result_that_is_no_text_is_a_fault_of_the_filter() -> None:
    ctx = make_context()
    await make_pipeline(*flow(a=gives(["done"]))).run(ctx)  # type: ignore[arg-type]
    assert ctx.trace == [("a", "internalError")]


async def test_an_internal_error_can_be_routed() -> None:
    async def raise_it(ctx: Context) -> None:
        raise ValueError

    steps = flow(a=raise_it, b=gives(None), rescue=gives(None))
    steps[0][1]["internalError"] = "rescue"
    assert await names_of(make_pipeline(*steps)) == ["a", "rescue"]


async def test_an_undeclared_result_is_a_fault_of_the_filter(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ctx = make_context()
    await make_pipeline(*flow(a=gives("bsuy"), b=gives(None))).run(ctx)
    assert ctx.trace == [("a", "internalError")]
    assert ctx.response is not None
    assert ctx.response.status == 500
    assert "returned 'bsuy', which is none of its `results` (busy, done, internal" in caplog.text


async def test_what_is_wrong_with_the_clients_body_is_no_fault_of_the_filter() -> None:
    async def read(ctx: Context) -> None:
        raise MessageError(413, "too much")

    ctx = make_context()
    with pytest.raises(MessageError):
        await make_pipeline(*flow(a=read)).run(ctx)
    assert ctx.trace == [("a", "clientError")]


async def test_a_filter_that_blocks_is_told_on(caplog: pytest.LogCaptureFixture) -> None:
    async def block(ctx: Context) -> None:
        await anyio.lowlevel.checkpoint()
        time.sleep(0.06)  # noqa: ASYNC251  # the fault itself

    await make_pipeline(*flow(slow=block)).run(make_context())
    assert "filter slow (Acts, package easews-acts) held the event loop" in caplog.text


@pytest.fixture
def slow_collector() -> Iterator[None]:
    """Collections take longer than a filter may."""

    def take_time(phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            time.sleep(0.06)

    PAUSES.watch()  # goes before us
    gc.callbacks.append(take_time)
    yield
    gc.callbacks.remove(take_time)


@pytest.mark.usefixtures("slow_collector")
async def test_a_filter_is_not_blamed_for_the_collector(caplog: pytest.LogCaptureFixture) -> None:
    async def collect(ctx: Context) -> None:
        gc.collect()

    await make_pipeline(*flow(unlucky=collect)).run(make_context())
    assert not caplog.records


@pytest.mark.usefixtures("slow_collector")
async def test_a_filter_that_blocks_is_told_on_in_spite_of_the_collector(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def block(ctx: Context) -> None:
        gc.collect()
        time.sleep(0.06)  # noqa: ASYNC251  # the fault itself

    await make_pipeline(*flow(slow=block)).run(make_context())
    assert "filter slow (Acts, package easews-acts) held the event loop" in caplog.text


async def test_a_filter_that_waits_is_not_told_on(caplog: pytest.LogCaptureFixture) -> None:
    async def wait(ctx: Context) -> str:
        await anyio.sleep(0.06)
        return "done"

    assert await names_of(make_pipeline(*flow(patient=wait))) == ["patient"]
    assert not caplog.records


async def test_a_cancelled_filter_can_clean_up_and_is_in_the_trace() -> None:
    cleaned = []

    async def wait(ctx: Context) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cleaned.append(True)

    ctx = make_context()
    with anyio.move_on_after(0.01) as scope:
        await make_pipeline(*flow(waiting=wait)).run(ctx)
    assert scope.cancelled_caught
    assert cleaned == [True]
    assert ctx.trace == [("waiting", "cancelled")]


async def test_an_exception_thrown_into_a_filter_can_be_handled_there() -> None:
    async def outlast(ctx: Context) -> str:
        with anyio.move_on_after(0.01):
            await anyio.sleep_forever()
        return "done"

    assert await names_of(make_pipeline(*flow(a=outlast))) == ["a"]


def answers(status: int, on_close: Any = None) -> Handle:
    async def handle(ctx: Context) -> None:
        ctx.response = Response(status, on_close=on_close)

    return handle


async def test_of_two_filters_that_answer_the_first_stands() -> None:
    ctx = make_context()
    await make_pipeline(*flow(a=answers(401), b=answers(200), c=gives("done"))).run(ctx)
    assert ctx.response is not None
    assert ctx.response.status == 401
    assert ctx.trace == [("a", "")]


async def test_a_filter_that_sees_answers_may_replace_one() -> None:
    ctx = make_context()
    await make_pipeline(*flow(a=answers(401), b=answers(403)), decorators={"b": []}).run(ctx)
    assert ctx.response is not None
    assert ctx.response.status == 403


async def test_the_step_that_a_jump_leads_to_is_asked_whatever_the_answer() -> None:
    async def refuse(ctx: Context) -> str:
        ctx.response = Response(502)
        return "busy"

    steps = flow(a=refuse, b=answers(500), fallback=answers(200), c=answers(400))
    steps[0][1]["busy"] = "fallback"
    ctx = make_context()
    await make_pipeline(*steps).run(ctx)
    assert ctx.response is not None
    assert ctx.response.status == 200
    assert ctx.trace == [("a", "busy"), ("fallback", "")]


async def test_answers_go_back_past_the_filters_that_were_entered_the_last_one_first() -> None:
    seen: list[tuple[str, int]] = []
    steps = flow(a=gives(None), b=answers(401), c=gives(None), d=gives(None))
    decorators = dict.fromkeys("abd", seen)
    ctx = make_context()
    await make_pipeline(*steps, decorators=decorators).run(ctx)
    await ask_on_answer(ctx)
    assert seen == [("d", 401), ("b", 401), ("a", 401)]


async def test_a_filter_whose_on_answer_raises_is_answered_with_500(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[tuple[str, int]] = []
    pipeline = make_pipeline(
        *flow(a=gives(None), fails=answers(200)), decorators={"a": seen, "fails": seen}
    )
    ctx = make_context()
    await pipeline.run(ctx)
    await ask_on_answer(ctx)
    assert seen == [("fails", 200), ("a", 500)]
    assert "on_answer of filter fails (Acts, package easews-acts) raised" in caplog.text


@pytest.mark.parametrize("is_async", [True, False])
async def test_an_answer_that_is_replaced_is_closed_after_the_step(is_async: bool) -> None:
    closed: list[str] = []

    async def close() -> None:
        await anyio.lowlevel.checkpoint()
        closed.append("closed")

    async def replace(ctx: Context) -> None:
        ctx.response = Response(403)
        assert closed == []

    on_close = close if is_async else lambda: closed.append("closed")
    pipeline = make_pipeline(*flow(a=answers(200, on_close), b=replace), decorators={"b": []})
    await pipeline.run(make_context())
    assert closed == ["closed"]


async def test_the_fault_of_an_answer_that_is_replaced_is_its_makers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> None:
        raise ValueError("secret")

    ctx = make_context()
    steps = flow(maker=answers(200, fail), replacer=answers(418))
    await make_pipeline(*steps, decorators={"replacer": []}).run(ctx)
    assert ctx.response is not None
    assert ctx.response.status == 418
    assert "the answer of filter maker (Acts, package easews-acts) could not be closed" in (
        caplog.text
    )


@pytest.mark.parametrize("replace", [True, False])
async def test_an_upgrade_that_a_later_filter_spoils_is_discarded_once(replace: bool) -> None:
    discarded = []

    def start(connection: Any) -> None:
        raise AssertionError("nobody may start it")

    async def upgrade(ctx: Context) -> None:
        ctx.response = Upgrade(Headers(), "x", "", start, lambda: discarded.append(True))

    async def spoil(ctx: Context) -> None:
        if not replace:
            raise ValueError
        ctx.response = Response(403)

    ctx = make_context()
    await make_pipeline(*flow(a=upgrade, b=spoil), decorators={"b": []}).run(ctx)
    assert ctx.response is not None
    assert ctx.response.status == (403 if replace else 500)
    assert discarded == [True]
