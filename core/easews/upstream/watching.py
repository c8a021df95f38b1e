"""The tasks that a pool needs, which run for as long as it is used."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import anyio
from anyio.abc import TaskGroup

Job = Callable[[], Coroutine[Any, Any, None]]


class Watching:
    """Runs its jobs from `__aenter__` to `__aexit__`. Without jobs it costs nothing."""

    def __init__(self) -> None:
        self._jobs: list[Job] = []
        self._tasks: TaskGroup | None = None

    def add(self, job: Job) -> None:
        """Run `job`, too. To be called before it is entered."""
        self._jobs.append(job)

    async def __aenter__(self) -> None:
        if self._jobs:
            self._tasks = await anyio.create_task_group().__aenter__()
            for job in self._jobs:
                self._tasks.start_soon(job)

    async def __aexit__(self, *raised: Any) -> None:
        if self._tasks is not None:
            tasks, self._tasks = self._tasks, None
            tasks.cancel_scope.cancel()
            await tasks.__aexit__(*raised)
