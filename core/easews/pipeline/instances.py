"""One filter at work, and who holds it.

An instance is made and entered for one entry of a config, and may outlive that config: it is
left when its last holder has let go. Holders are pipelines; a pipeline is held by the generation
that serves it, by requests while they run, and by sessions until they are over.
"""

from __future__ import annotations

import logging

import anyio
from anyio.abc import TaskGroup, TaskStatus

from ..config.model import FilterSpec
from ..errors import FilterError
from ..filters import Filter
from ..owners import OWNER, Owner
from ..plugins import raised_at

log: logging.Logger = logging.getLogger("easews")


class Holders:
    """Counts who uses something; `unused` is set when the last one has let go."""

    def __init__(self) -> None:
        self._count = 0
        self._unused = anyio.Event()

    def hold(self) -> None:
        """One more uses it."""
        self._count += 1

    def release(self) -> None:
        """One less does; the last one ends it."""
        self._count -= 1
        if not self._count:
            self.abandon()

    def abandon(self) -> None:
        """End it now, whoever may still hold it."""
        self._unused.set()

    @property
    def count(self) -> int:
        """How many hold it."""
        return self._count

    @property
    def in_use(self) -> bool:
        """Whether anybody holds it, or has not held it yet."""
        return not self._unused.is_set()

    async def wait_unused(self) -> None:
        """Return when nobody holds it any more."""
        await self._unused.wait()


class Instance(Holders):
    """The filter that `entry` of the pipeline `pipeline` describes.

    owner  lists what the filter has entered
    """

    def __init__(self, pipeline: str, entry: FilterSpec) -> None:
        super().__init__()
        self.entry = entry
        self.owner: Owner = Owner(pipeline, entry.name)
        place = f"{entry.place}: " if entry.place else ""
        package = entry.kind.distribution
        self._title = f"{place}filter {entry.name} of {pipeline} (package {package})"
        self.filter: Filter

    def fits(self, entry: FilterSpec) -> bool:
        """Whether this instance is what `entry` describes, too."""
        return self.entry == entry

    async def start(self, lives: TaskGroup, previous: Instance | None) -> None:
        """Make the filter and enter it in a task of `lives`. FilterError when it cannot start.

        `previous` is the instance that this one replaces.
        """
        kind = self.entry.kind
        try:
            self.filter = kind.filter_class(self.entry.name, self.entry.spec)
            if previous is not None:
                self.filter.inherit(previous.filter)
            await lives.start(self._live)
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
            at = raised_at(error, kind.filter_class.__module__)
            raise FilterError(f"{self._title} cannot start: {fault}{at}") from error

    async def _live(self, *, task_status: TaskStatus[None]) -> None:
        entered = False
        OWNER.set(self.owner)  # in this task, and those that the filter starts
        try:
            async with self.filter:
                entered = True
                task_status.started()
                await self.wait_unused()
        except Exception:
            if not entered:
                raise
            log.exception("%s raised when it was left", self._title)
