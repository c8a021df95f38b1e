"""A config at work: its filters entered, its pipelines ready, until the last user is gone.

Generations overlap: at a reload the new one serves while sessions of the old one go on. So
each filter instance lives in a task of its own, and can end in any order. Whoever uses a
generation holds a lease: a request while it runs, a session until it is over.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio
from anyio.abc import TaskGroup, TaskStatus

from ..config.model import Config, FilterSpec, PipelineSpec
from ..errors import FilterError
from ..filters import Filter
from ..plugins import raised_at
from .flow import Pipeline

log = logging.getLogger("easews")


class Generation:
    """`run` is its life; `pipelines` may be used, by holders of a lease, once that has started."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.pipelines: dict[str, Pipeline] = {}
        self._leases = 0
        self._retired = False
        self._unused = anyio.Event()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Enter every filter, report `started`, and leave them when retired and unused.

        FilterError when one cannot be entered; the others are left again.
        """
        failure: FilterError | None = None
        async with anyio.create_task_group() as lives:
            try:
                await self._enter_all(lives)
                task_status.started()
            except FilterError as error:  # raised below: a task group would wrap it up
                failure = error
                self._unused.set()
        if failure is not None:
            raise failure

    async def _enter_all(self, lives: TaskGroup) -> None:
        for spec in self.config.pipelines:
            filters = {entry.name: await self._enter(lives, spec, entry) for entry in spec.filters}
            self.pipelines[spec.name] = Pipeline(spec, filters)

    async def _enter(self, lives: TaskGroup, spec: PipelineSpec, entry: FilterSpec) -> Filter:
        place = f"{entry.place}: " if entry.place else ""
        where = f"{place}filter {entry.name} of {spec.name} (package {entry.kind.distribution})"
        try:
            made = entry.kind.filter_class(entry.name, entry.spec)
            await lives.start(self._live, made, where)
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
            at = raised_at(error, entry.kind.filter_class.__module__)
            raise FilterError(f"{where} cannot start: {fault}{at}") from error
        return made

    async def _live(self, filter: Filter, where: str, *, task_status: TaskStatus[None]) -> None:
        entered = False
        try:
            async with filter:
                entered = True
                task_status.started()
                await self._unused.wait()
        except Exception:
            if not entered:
                raise
            log.exception("%s raised when it was left", where)

    def lease(self) -> Callable[[], None]:
        """Keep the filters entered until the returned function is called, once."""
        self._leases += 1
        return self._release

    def _release(self) -> None:
        self._leases -= 1
        self._leave_if_unused()

    def retire(self) -> None:
        """No new leases will come: leave the filters when the last one is released."""
        self._retired = True
        self._leave_if_unused()

    def abandon(self) -> None:
        """Leave the filters now, whoever may still hold a lease."""
        self._unused.set()

    async def wait_unused(self) -> None:
        """Return when it is retired and the last lease was released."""
        await self._unused.wait()

    def _leave_if_unused(self) -> None:
        if self._retired and not self._leases:
            self._unused.set()
