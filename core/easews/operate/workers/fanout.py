"""`Control` over several workers: each is asked, and their answers are made one."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from importlib import metadata
from typing import Any

import anyio

from ...errors import EasewsError
from ...upstream.drained import drain, is_drained, undrain
from ..control import (
    NOT_OPEN,
    NotAvailable,
    PoolState,
    Query,
    Refused,
    ReloadResult,
    SessionPage,
    SessionState,
    State,
    Status,
    UpgradeResult,
    WorkerReplaced,
)
from ..handover.upgrading import Upgrader
from ..reloading import Reloader
from .calls import Gone
from .ending import ANSWER_PATIENCE
from .merging import merged_pages, merged_pools, merged_status
from .workerprocess import WorkerProcess
from .workers import Workers

#: Answers of workers, each with its worker.
Answers = list[tuple[WorkerProcess, Any]]


_NONE_ANSWERS = "no worker serves, or none answers"


class WorkersControl:
    """The workers as one gateway. One that does not answer in time is left out, and not asked
    again until it gives a sign of life.
    """

    def __init__(
        self,
        workers: Workers,
        reloader: Reloader,
        combine: Callable[[Mapping[tuple[int, int], bytes]], Awaitable[bytes]] | None = None,
        upgrader: Upgrader | None = None,
    ) -> None:
        """`combine` makes one text of the metrics of the workers; it gets them by the number and
        the process id of each.
        """
        self._workers = workers
        self._reloader = reloader
        self._combine = combine
        self._upgrader = upgrader
        self._started = time.time()

    async def state(self) -> State:
        """What the workers are at, as long as one gives signs of life. None is asked, so that one
        that hangs does not have whoever asks wait.
        """
        self._answering()
        return self._workers.state

    async def status(self) -> Status:
        """The gateway as a whole."""
        answers = await self._ask("status")
        found = merged_status([status for _, status in answers])
        sessions: Counter[int] = Counter()
        for process, status in answers:
            sessions[process.number] += status["sessions"]
        found["version"] = metadata.version("easews")
        found["state"] = state = self._workers.state
        found["ready"] = state == "ready"
        found["pid"], found["started"] = os.getpid(), self._started
        found["generation"] = self._workers.generation
        found["workers"] = self._workers.states(sessions)
        return found

    async def config(self) -> list[object]:
        """The objects that are served."""
        answers = await self._ask("config")
        objects: list[object] = answers[0][1]
        return objects

    async def pools(self) -> list[PoolState]:
        """The pools of all filters; a server is as well as in the worker where it is worst."""
        return merged_pools([pools for _, pools in await self._ask("pools")])

    async def sessions(self, query: Query) -> SessionPage:
        """Some of the open sessions."""
        answers = await self._ask("sessions", query)
        pages = [_numbered_page(page, process.number) for process, page in answers]
        return merged_pages(pages, query)

    async def session(self, id: str) -> SessionState | None:
        """An open session."""
        for process, found in await self._ask("session", id):
            state: SessionState | None = found
            if state is not None:
                return {**state, "worker": process.number}
        return None

    async def close(self, query: Query, code: int, reason: str) -> int:
        """Have sessions closed."""
        return sum(count for _, count in await self._ask("close", query, code, reason))

    async def ping(self, id: str) -> bool:
        """Ping both sides of a session."""
        return any(found for _, found in await self._ask("ping", id))

    async def drain_server(self, url: str) -> int:
        """Drain a server in all workers, and in those that start meanwhile or later."""
        was_drained = is_drained(url)
        with suppress(ValueError):  # the workers refuse it
            drain(url)  # before they are asked: a worker that begins to serve now is told of it
        try:
            answers = await self._ask("drain_server", url)
        except EasewsError:
            if not was_drained:
                undrain(url)
            raise
        return sum(count for _, count in answers)

    async def undrain_server(self, url: str) -> bool:
        """Use a server again in all workers."""
        undrain(url)
        return any(found for _, found in await self._ask("undrain_server", url))

    async def reload(self) -> ReloadResult:
        """Read the config again, and serve it."""
        return await self._reloader.reload(self._workers, "the admin interface")

    async def upgrade(self) -> UpgradeResult:
        """Have a new process take over."""
        if self._upgrader is None:
            raise NotAvailable("this gateway cannot be upgraded while it runs")
        return await self._upgrader.upgrade("the admin interface")

    async def replace_worker(self, number: int) -> WorkerReplaced | None:
        """Have a new process take the place of a worker."""
        return await self._workers.replacements.replace(number, "the admin interface")

    async def metrics(self) -> bytes:
        """The metrics of all workers."""
        if self._combine is None:
            raise NotAvailable("nothing is measured")
        answers = await self._ask("metrics")
        texts = {(process.number, process.pid): text.encode() for process, text in answers}
        return await self._combine(texts)

    async def tap(self, id: str) -> AsyncGenerator[dict[str, Any], None]:
        """The frames of a session. It ends with its worker."""
        found = (process for process, it in await self._ask("session", id) if it is not None)
        if (process := next(found, None)) is None:
            raise Refused(NOT_OPEN)
        try:
            async with aclosing(process.calls.items("tap", id)) as frames:
                async for frame in frames:
                    yield frame
        except Gone as gone:
            yield {"ended": {"by": "proxy", "code": 1006, "cause": str(gone)}}

    async def _ask(self, name: str, *args: Any) -> Answers:
        """What each worker answers, in the order of their numbers. What all of them refuse is
        refused. NotAvailable when none answers.
        """
        answers: Answers = []
        refusals: list[EasewsError] = []

        async def ask(process: WorkerProcess) -> None:
            try:
                with anyio.move_on_after(ANSWER_PATIENCE):
                    answers.append((process, await process.calls.call(name, *args)))
            except EasewsError as error:
                refusals.append(error)

        asked = self._answering()
        async with anyio.create_task_group() as tasks:
            for process in asked:
                tasks.start_soon(ask, process)
        if not answers:
            raise refusals[0] if refusals else NotAvailable(_NONE_ANSWERS)
        return sorted(answers, key=lambda answer: answer[0].number)

    def _answering(self) -> list[WorkerProcess]:
        """Those that serve, and give signs of life. NotAvailable when there is none."""
        found = [process for process in self._workers.reachable() if not process.is_silent]
        if not found:
            raise NotAvailable(_NONE_ANSWERS)
        return found


def _numbered_page(page: SessionPage, number: int) -> SessionPage:
    return {**page, "sessions": [{**state, "worker": number} for state in page["sessions"]]}
