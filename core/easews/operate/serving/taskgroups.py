"""A task group from which errors of ours come as they are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup

from ...errors import EasewsError


@asynccontextmanager
async def open_task_group() -> AsyncIterator[TaskGroup]:
    """A task group that raises the EasewsError of its block itself, and not a group of exceptions
    with it. Its tasks are not cancelled by that.
    """
    failure: EasewsError | None = None
    async with anyio.create_task_group() as tasks:
        try:
            yield tasks
        except EasewsError as error:
            failure = error
    if failure is not None:
        raise failure
