"""Filters live as long as somebody uses their generation, in whatever order generations end."""

from __future__ import annotations

from typing import Any, Self

import anyio
import pytest

from easews import Filter, FilterError
from easews.config import Config, FilterSpec, PipelineSpec
from easews.pipeline.generation import Generation
from easews.plugins import Kind

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


def make_generation(*filters: tuple[str, type[Filter]]) -> Generation:
    EVENTS.clear()
    entries = tuple(FilterSpec(name, Kind(name, cls, {}, "pkg", "1"), {}) for name, cls in filters)
    return Generation(Config(pipelines=(PipelineSpec("p", entries, (), {}),)))


async def test_filters_are_left_when_retired_and_the_last_lease_is_released() -> None:
    generation = make_generation(("a", Lives), ("b", Lives))
    async with anyio.create_task_group() as tasks:
        await tasks.start(generation.run)
        assert EVENTS == ["a entered", "b entered"]
        first, second = generation.lease(), generation.lease()
        generation.retire()
        first()
        await anyio.wait_all_tasks_blocked()
        assert len(EVENTS) == 2
        second()
        await generation.wait_unused()
    assert sorted(EVENTS[2:]) == ["a left", "b left"]


async def test_an_older_generation_may_end_under_a_newer_one() -> None:
    older, newer = make_generation(("a", Lives)), make_generation(("b", Lives))
    async with anyio.create_task_group() as tasks:
        await tasks.start(older.run)
        await tasks.start(newer.run)
        older.retire()
        await anyio.wait_all_tasks_blocked()
        assert EVENTS == ["a entered", "b entered", "a left"]
        newer.retire()
    assert EVENTS[-1] == "b left"


async def test_a_newer_generation_may_end_before_an_older_one() -> None:
    older, newer = make_generation(("a", Lives)), make_generation(("b", Lives))
    async with anyio.create_task_group() as tasks:
        await tasks.start(older.run)
        await tasks.start(newer.run)
        newer.retire()
        await anyio.wait_all_tasks_blocked()
        older.retire()
    assert EVENTS == ["a entered", "b entered", "b left", "a left"]


async def test_a_filter_that_cannot_start_is_named_and_the_others_are_left() -> None:
    generation = make_generation(("a", Lives), ("db", Fails))
    with pytest.raises(FilterError, match=r"filter db of p .* OSError: no such database"):
        await generation.run()
    assert EVENTS == ["a entered", "a left"]


async def test_a_filter_that_fails_when_it_is_left_stops_nobody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    generation = make_generation(("a", FailsLate), ("b", Lives))
    async with anyio.create_task_group() as tasks:
        await tasks.start(generation.run)
        generation.retire()
    assert "filter a of p (package pkg) raised when it was left" in caplog.text
    assert sorted(EVENTS[2:]) == ["a left", "b left"]
