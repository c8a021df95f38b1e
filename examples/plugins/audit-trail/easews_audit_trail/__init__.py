"""AuditTrail for easews: writes to SQLite who opened which session when, and how it ended."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from time import time
from types import TracebackType
from typing import Any, Self

import anyio
from anyio import to_thread
from anyio.streams.memory import MemoryObjectReceiveStream
from easews import Ending, Filter, Session, hookimpl

log = logging.getLogger("easews.audit")

#: Rows that wait while the disk is slow. More are lost, which the log says.
WAITING = 10_000
TABLE = """CREATE TABLE IF NOT EXISTS sessions (
    id TEXT, user TEXT, client TEXT, path TEXT, backend TEXT, opened REAL,
    closed REAL, ended_by TEXT, code INTEGER, cause TEXT, seconds REAL,
    from_client INTEGER, from_backend INTEGER
)"""
OPENED = "INSERT INTO sessions (id, user, client, path, backend, opened) VALUES (?, ?, ?, ?, ?, ?)"
ENDED = """UPDATE sessions SET closed = ?, ended_by = ?, code = ?, cause = ?, seconds = ?,
    from_client = ?, from_backend = ? WHERE id = ? AND opened = ?"""
SCHEMA = {
    "type": "object",
    "properties": {
        "file": {
            "type": "string",
            "x-file": True,
            "description": "The SQLite file; it is made if it is not there.",
            "examples": ["/var/lib/easews/audit.db"],
        },
        "label": {
            "type": "string",
            "description": "The label of the session that names its user.",
            "default": "user",
            "examples": ["tenant"],
        },
    },
    "required": ["file"],
    "additionalProperties": False,
    "examples": [{"file": "audit.db"}],
}


class AuditTrail(Filter):
    """Writes to an SQLite file who opened which session when, and how it ended."""

    kind = "AuditTrail"
    api = 1
    schema = SCHEMA

    async def __aenter__(self) -> Self:
        self._db = await to_thread.run_sync(self._connect)
        self._rows, rows = anyio.create_memory_object_stream[tuple[str, Sequence[Any]]](WAITING)
        self._tasks = await anyio.create_task_group().__aenter__()
        self._tasks.cancel_scope.shield = True  # what waits is written whatever happens
        self._tasks.start_soon(self._write_all, rows)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._rows.close()  # `_write_all` returns when it has written the rest
        await self._tasks.__aexit__(None, None, None)
        self._db.close()

    # It reads no messages: these sessions keep the fast relay, which counts them.
    def on_open(self, session: Session) -> None:
        it = session.opening
        user = it.labels.get(self.spec["label"], "")
        self._put(OPENED, it.id, user, it.client, it.path, it.backend, it.opened)

    def on_close(self, session: Session, ending: Ending) -> None:
        it, counts = session.opening, (ending.from_client.messages, ending.from_backend.messages)
        how = ending.by, ending.code, ending.cause, ending.duration
        self._put(ENDED, time(), *how, *counts, it.id, it.opened)

    def _put(self, statement: str, *values: Any) -> None:
        """Leave it to the thread: a disk that stalls must not hold the event loop."""
        try:
            self._rows.send_nowait((statement, values))
        except anyio.WouldBlock:
            log.error("the audit trail %s is too slow: a row is lost", self.spec["file"])

    async def _write_all(self, rows: MemoryObjectReceiveStream[tuple[str, Sequence[Any]]]) -> None:
        async with rows:
            async for row in rows:
                batch = [row]
                while rows.statistics().current_buffer_used:
                    batch.append(rows.receive_nowait())
                await to_thread.run_sync(self._write, batch)

    def _write(self, batch: Sequence[tuple[str, Sequence[Any]]]) -> None:
        """In a thread: all that has come meanwhile, in one transaction."""
        try:
            with self._db:
                for statement, values in batch:
                    self._db.execute(statement, values)
        except sqlite3.Error:
            log.exception("the audit trail %s has lost %d rows", self.spec["file"], len(batch))

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.spec["file"], check_same_thread=False)  # one at a time uses it
        db.execute(TABLE)
        return db


@hookimpl
def easews_filters() -> list[type[Filter]]:
    return [AuditTrail]
