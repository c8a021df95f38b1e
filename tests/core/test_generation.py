"""Filters live as long as somebody uses their generation, in whatever order generations end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import anyio
import pytest

from easews import Filter, FilterError
from easews.config import Config, FilterSpec, PipelineSpec
from easews.pipeline.generation import Generation
from easews.plugins import Kind
from easews.testing import load_config

EVENTS: list[str] = []


class Lives(Filter):
    """Tells when it is entered and left."""

    kind = "Lives"

    async def handle(self, ctx: Any) -> None: ...

    async def __aenter__(self) -> Self:
        # A task group of a filter's own is what makes the order of leaving matter.
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(anyio.sleep_forever)
        EVENTS.append(f"{self.name} entered")
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(*exc_info)
        EVENTS.append(f"{self.name} left")


class Fails(Filter):
    """Cannot start."""

    kind = "Fails"

    async def handle(self, ctx: Any) -> None: ...

    async def __aenter__(self) -> Self:
        raise OSError("no such database")


class FailsLate(Lives):
    """Fails when it is left."""

    async def __aexit__(self, *exc_info: Any) -> None:
        await super().__aexit__(*exc_info)
        raise OSError("the database is gone")


class Inherits(Lives):
    """Tells whom it replaces."""

    kind = "Inherits"

    def inherit(self, previous: Filter) -> None:
        EVENTS.append(f"{self.name} {self.spec} inherits from {previous.spec}")


def make_config(*filters: tuple[str, type[Filter]], **spec: Any) -> Config:
    entries = tuple(
        FilterSpec(name, Kind(cls.kind, cls, {}, "pkg", "1"), spec) for name, cls in filters
    )
    empty = load_config("{kind: Gateway, name: g}")
    return replace(empty, pipelines=(PipelineSpec("p", entries, (), {}),))


@pytest.fixture(autouse=True)
def no_events() -> None:
    EVENTS.clear()


async def test_filters_are_left_when_the_last_holder_lets_go() -> None:
    generation = Generation(make_config(("a", Lives), ("b", Lives)))
    async with anyio.create_task_group() as tasks:
        await generation.start(tasks)
        assert EVENTS == ["a entered", "b entered"]
        pipeline = generation.pipelines["p"]
        pipeline.hold()
        pipeline.hold()
        generation.retire()
        pipeline.release()
        await anyio.wait_all_tasks_blocked()
        assert len(EVENTS) == 2
        assert generation.in_use
        pipeline.release()
        await generation.wait_unused()
    assert sorted(EVENTS[2:]) == ["a left", "b left"]
    assert not generation.in_use


async def test_generations_may_end_in_any_order() -> None:
    older, newer = (Generation(make_config((name, Lives))) for name in "ab")
    async with anyio.create_task_group() as tasks:
        await older.start(tasks)
        await newer.start(tasks)
        newer.retire()
        await anyio.wait_all_tasks_blocked()
        older.retire()
    assert EVENTS == ["a entered", "b entered", "b left", "a left"]


async def test_an_instance_with_an_equal_spec_is_kept() -> None:
    config = make_config(("a", Lives), limit=1)
    older = Generation(config)
    async with anyio.create_task_group() as tasks:
        await older.start(tasks)
        newer = Generation(config, older)
        await newer.start(tasks)
        older.retire()
        await anyio.wait_all_tasks_blocked()
        assert EVENTS == ["a entered"]
        assert newer.number == 2
        newer.retire()
    assert EVENTS == ["a entered", "a left"]


async def test_a_changed_instance_inherits_while_the_one_before_it_goes_on() -> None:
    older = Generation(make_config(("a", Inherits), limit=1))
    async with anyio.create_task_group() as tasks:
        await older.start(tasks)
        session = older.pipelines["p"]
        session.hold()
        newer = Generation(make_config(("a", Inherits), limit=2), older)
        await newer.start(tasks)
        older.retire()
        await anyio.wait_all_tasks_blocked()
        inherits = "a {'limit': 2} inherits from {'limit': 1}"
        assert ["a entered", inherits, "a entered"] == EVENTS
        session.release()
        await anyio.wait_all_tasks_blocked()
        assert EVENTS[3:] == ["a left"]
        newer.retire()


async def test_another_kind_under_the_same_name_inherits_nothing() -> None:
    older = Generation(make_config(("a", Lives)))
    async with anyio.create_task_group() as tasks:
        await older.start(tasks)
        newer = Generation(make_config(("a", Inherits)), older)
        await newer.start(tasks)
        assert EVENTS == ["a entered", "a entered"]
        older.retire()
        newer.retire()


async def test_a_filter_that_cannot_start_is_named_and_the_new_ones_are_left() -> None:
    older = Generation(make_config(("a", Lives)))
    async with anyio.create_task_group() as tasks:
        await older.start(tasks)
        newer = Generation(make_config(("a", Lives), ("b", Lives), ("db", Fails)), older)
        with pytest.raises(FilterError, match=r"filter db of p .* OSError: no such database"):
            await newer.start(tasks)
        await anyio.wait_all_tasks_blocked()
        assert EVENTS == ["a entered", "b entered", "b left"]
        older.retire()
    assert EVENTS[-1] == "a left"


async def test_a_filter_that_fails_when_it_is_left_stops_nobody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    generation = Generation(make_config(("a", FailsLate), ("b", Lives)))
    async with anyio.create_task_group() as tasks:
        await generation.start(tasks)
        generation.retire()
    assert "filter a of p (package pkg) raised when it was left" in caplog.text
    assert sorted(EVENTS[2:]) == ["a left", "b left"]
