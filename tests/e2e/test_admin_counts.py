"""After a random run the admin API, the metrics and the log agree with what clients have done."""

from __future__ import annotations

import json
import os
import random
import signal
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from tests.e2e.gateway import LOOPBACK, PATIENCE, config, free_port, proxied, running
from tests.e2e.library import LibraryBackend, connect
from tests.exposition import Scrape
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

STEPS = 120


class Crowd:
    """Clients that open, send and leave at random; each has a path of its own.

    sent   how many messages each has sent, by its path
    codes  how often sessions were closed with which code
    """

    def __init__(self, url: str, admin: httpx.Client, stack: ExitStack, seed: int) -> None:
        self._stack = stack
        self._url = url
        self._admin = admin
        self._random = random.Random(seed)
        self.open: dict[str, ClientConnection] = {}
        self.sent: Counter[str] = Counter()
        self.codes: Counter[int] = Counter()

    def step(self) -> None:
        """Something that a client or an operator does."""
        if not self.open or self._random.random() < 0.3:
            path = f"/echo/{len(self.sent)}"
            self.open[path] = self._stack.enter_context(connect(self._url + path))
            self.sent[path] = 0
        else:
            choices = [self._send, self._send, self._send, self._leave, self._is_closed]
            self._random.choice(choices)(self._random.choice([*self.open]))

    def _send(self, path: str) -> None:
        for _ in range(self._random.randint(1, 5)):
            self.open[path].send("x" * self._random.randint(0, 3000))
            self.open[path].recv(PATIENCE)
            self.sent[path] += 1

    def _leave(self, path: str) -> None:
        self.open.pop(path).close(4001)
        self.codes[4001] += 1

    def _is_closed(self, path: str) -> None:
        body = {"path": path, "code": 4002}
        assert self._admin.post("/api/v1/sessions/close", json=body).json() == {"closed": 1}
        with pytest.raises(ConnectionClosed) as ending:
            self.open.pop(path).recv(PATIENCE)
        assert ending.value.rcvd is not None
        self.codes[ending.value.rcvd.code] += 1


class Past(NamedTuple):
    """What the process before has counted: sessions opened and closed, messages of clients."""

    opened: int = 0
    closed: int = 0
    sent: int = 0


@pytest.mark.parametrize(("seed", "upgrades"), [(1, False), (2, True)])
def test_api_metrics_and_log_agree_after_a_random_run(
    loop: str, own_backend: LibraryBackend, tmp_path: Path, seed: int, upgrades: bool
) -> None:
    text = config(free_port(), proxied("/echo", own_backend.url))
    text += f"---\n{{kind: Gateway, name: g, admin: {{address: '{LOOPBACK}:{free_port()}'}}}}"
    options = ("--backend", loop, "--log-format", "json")
    with running(text, tmp_path, *options) as gateway, ExitStack() as stack:
        url = gateway.admin_url()
        with httpx.Client(base_url=url, timeout=PATIENCE) as admin:
            crowd = Crowd(gateway.ws(""), admin, stack, seed)
            for _ in range(STEPS):
                crowd.step()
            pid, moved, past = gateway.process.pid, 0, Past()
            if upgrades:
                settled(admin, len(crowd.open))
                past = Past(len(crowd.sent), sum(crowd.codes.values()), sum(crowd.sent.values()))
                told_of_upgrade = admin.post("/api/v1/upgrade", json={}).json()
                pid, moved = told_of_upgrade["pid"], told_of_upgrade["moved"]
                stack.callback(end, pid)
                assert moved == len(crowd.open)
                for _ in range(STEPS):
                    crowd.step()
            told = settled(admin, len(crowd.open))
            metrics = Scrape(admin.get("/metrics").content)
        open_now = {path: crowd.sent[path] for path in crowd.open}
        assert {it["path"]: it["messages_in"] for it in told} == open_now
        assert {it["path"]: it["messages_out"] for it in told} == open_now
        assert metrics.sum("easews_sessions_open") == len(open_now)
        assert metrics.sum("easews_sessions_taken_over_total") == moved
        assert metrics.sum("easews_sessions_opened_total") == len(crowd.sent) - past.opened
        closed = sum(crowd.codes.values()) - past.closed
        assert metrics.sum("easews_sessions_closed_total") == closed
        sent_by_clients = metrics.sum("easews_session_messages_total", sender="client")
        assert sent_by_clients == sum(crowd.sent.values()) - past.sent
        for client in crowd.open.values():
            client.close(4001)
            crowd.codes[4001] += 1
        os.kill(pid, signal.SIGTERM)
        gateway.wait()
        lines = [json.loads(line) for line in gateway.log.all().splitlines()]
    sessions = [line for line in lines if line["event"] == "session"]
    assert {it["path"]: it["messages_in"] for it in sessions} == crowd.sent
    assert Counter(it["code"] for it in sessions) == crowd.codes
    assert [it["moved"] for it in lines if it["event"] == "handed over"] == [moved] * upgrades


def end(pid: int) -> None:
    """End the process if it has not ended: it has the streams of the first one."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def settled(admin: httpx.Client, wanted: int) -> list[dict[str, Any]]:
    """The open sessions, once those are over that have got their Close."""
    while True:
        found: list[dict[str, Any]] = admin.get("/api/v1/sessions?limit=1000").json()["sessions"]
        if len(found) <= wanted:
            return found
