from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import anyio
import anyio.to_thread
import pytest
from easews import Filter, Opening
from easews.testing import FilterConformance, OpenSession, conversation, make_filter

from easews_audit_trail import AuditTrail


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "audit.db")


def rows(file: str, columns: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file)) as db:
        return db.execute(f"SELECT {columns} FROM sessions ORDER BY rowid").fetchall()


class TestConformance(FilterConformance):
    @pytest.fixture(autouse=True)
    def somewhere(self, file: str) -> None:
        self.file = file

    def make(self) -> Filter:
        return make_filter(AuditTrail, file=self.file)


async def test_it_says_who_opened_what_and_how_it_ended(file: str) -> None:
    trail = make_filter(AuditTrail, file=file)
    async with conversation(trail, target="/chat?x=1", labels={"user": "ada"}) as talk:
        await talk.client.sends("one", "two")
        await talk.backend.sends("three")
        await talk.ends(4000)

    assert rows(file, "user, client, path, ended_by, code, cause, from_client, from_backend") == [
        ("ada", "192.0.2.1", "/chat", "client", 4000, "closed", 2, 1)
    ]


async def test_it_says_when(file: str) -> None:
    async with conversation(make_filter(AuditTrail, file=file)) as talk:
        await talk.clock.advance(90)
        opened = talk.session.opening.opened

    [(began, seconds)] = rows(file, "opened, seconds")
    assert (began, seconds) == (opened, 90.0)


async def test_a_tenant_may_stand_for_the_user(file: str) -> None:
    trail = make_filter(AuditTrail, file=file, label="tenant")
    async with conversation(trail, labels={"user": "ada", "tenant": "blue"}):
        pass

    assert rows(file, "user") == [("blue",)]


async def test_a_second_run_adds_to_the_file(file: str) -> None:
    for code in (4001, 4002):
        async with conversation(make_filter(AuditTrail, file=file)) as talk:
            await talk.ends(code)

    assert rows(file, "id, code") == [("test-1", 4001), ("test-1", 4002)]


async def test_what_waits_is_written_although_easews_is_to_stop_at_once(file: str) -> None:
    with anyio.CancelScope() as scope:
        async with make_filter(AuditTrail, file=file) as trail:
            trail.on_open(OpenSession(Opening("1")))
            scope.cancel()

    assert rows(file, "id") == [("1",)]


async def test_a_disk_that_stalls_costs_rows_and_no_session(
    file: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stalled, goes_on = Event(), Event()
    trail = make_filter(AuditTrail, file=file)
    write = trail._write

    def stall(batch: Sequence[Any]) -> None:
        stalled.set()
        goes_on.wait()
        write(batch)

    monkeypatch.setattr("easews_audit_trail.WAITING", 1)
    monkeypatch.setattr(trail, "_write", stall)
    async with conversation(trail) as talk:
        await anyio.to_thread.run_sync(stalled.wait)
        await talk.another()
        await (await talk.another()).client.sends("hi")
        goes_on.set()

    assert "too slow: a row is lost" in caplog.text
    assert rows(file, "id") == [("test-1",), ("test-2",)]


async def test_a_file_that_cannot_be_written_costs_no_session(
    file: str, caplog: pytest.LogCaptureFixture
) -> None:
    trail = make_filter(AuditTrail, file=file)
    async with conversation(trail) as talk:
        with closing(sqlite3.connect(file)) as db, db:
            db.execute("DROP TABLE sessions")
        await talk.client.sends("hi")
        await talk.backend.receives("hi")

    assert "has lost" in caplog.text


async def test_a_folder_that_is_not_there_is_told_at_the_start(tmp_path: Path) -> None:
    trail = make_filter(AuditTrail, file=str(tmp_path / "nowhere" / "audit.db"))
    with pytest.raises(sqlite3.OperationalError):
        async with trail:
            pass
