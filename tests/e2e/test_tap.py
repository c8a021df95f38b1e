"""The frames of real sessions, as the admin interface tells them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.gateway import LOOPBACK, PATIENCE, Gateway, config, free_port, proxied, running
from tests.e2e.library import LibraryBackend
from websockets.sync.client import ClientConnection, connect

LARGE = 1024 * 1024
#: A message; one in parts is a list.
Sent = str | bytes | list[str]


@contextmanager
def administered(
    loop: str, backend: LibraryBackend, folder: Path, tap: str
) -> Iterator[tuple[Gateway, httpx.Client]]:
    """A gateway of which frames may be seen as `tap` says, and a client of its admin interface."""
    text = config(free_port(), proxied("/", backend.url))
    text += f"---\n{{kind: Gateway, name: g, admin: {{address: '{LOOPBACK}:0', tap: '{tap}'}}}}"
    with running(text, folder, "--backend", loop) as gateway:
        url = gateway.admin_url()
        with httpx.Client(base_url=url, timeout=PATIENCE) as client:
            yield gateway, client


def only_session(admin: httpx.Client) -> str:
    (session,) = admin.get("/api/v1/sessions").json()["sessions"]
    name: str = session["id"]
    return name


def spoken(ws: ClientConnection, *messages: Sent) -> None:
    """Each message comes back as it was sent, one in parts as a whole."""
    for message in messages:
        ws.send(message)
        assert ws.recv(PATIENCE) == ("".join(message) if isinstance(message, list) else message)


def told(admin: httpx.Client, ws: ClientConnection, *messages: Sent) -> list[dict[str, Any]]:
    """What a tap tells while these are sent, and then a Close."""
    with admin.stream("GET", f"/api/v1/sessions/{only_session(admin)}/tap") as answer:
        lines = map(json.loads, answer.iter_lines())
        first = next(lines)
        assert "tapping" in first, first
        spoken(ws, *messages)
        ws.close(4000)
        return list(lines)


@pytest.mark.parametrize("tap", ["headers", "payload"])
def test_frames_are_told_from_the_first_to_the_close(
    loop: str, own_backend: LibraryBackend, tmp_path: Path, tap: str
) -> None:
    with (
        administered(loop, own_backend, tmp_path, tap) as (gateway, admin),
        connect(gateway.ws("/echo"), compression=None, max_size=None) as ws,
    ):
        spoken(ws, "before anybody looks")
        *frames, end = told(admin, ws, "grüße", ["in ", "parts"], os.urandom(LARGE))
        ours = [frame for frame in frames if frame["from"] == "client"]
        shapes = [(it["type"], it["fin"], it["size"], it["masked"]) for it in ours]
        assert shapes == [
            ("text", True, 7, True),
            ("text", False, 3, True),
            ("continuation", False, 5, True),
            ("continuation", True, 0, True),
            ("binary", True, LARGE, True),
            ("close", True, 2, True),
        ]
        shown = ["grüße", "in ", "parts", "", None, None] if tap == "payload" else [None] * 6
        assert [it["payload"] for it in ours] == shown
        assert ours[-1]["code"] == 4000
        theirs = [frame for frame in frames if frame["from"] == "backend"]
        assert sum(it["size"] for it in theirs if it["opcode"] < 8) == 15 + LARGE
        assert end == {"ended": {"by": "client", "code": 4000, "cause": "closed"}}


def test_compressed_frames_are_told_with_their_size_on_the_wire(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with (
        administered(loop, own_backend, tmp_path, "payload") as (gateway, admin),
        connect(gateway.ws("/echo")) as ws,
    ):
        frame, *_ = told(admin, ws, "a" * 1000)
        assert (frame["compressed"], frame["payload"]) == (True, None)
        assert frame["size"] < 100


def test_a_session_goes_on_when_nobody_looks_any_more(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with (
        administered(loop, own_backend, tmp_path, "headers") as (gateway, admin),
        connect(gateway.ws("/echo"), compression=None, max_size=None) as ws,
    ):
        for _ in range(3):
            with admin.stream("GET", f"/api/v1/sessions/{only_session(admin)}/tap") as answer:
                next(answer.iter_lines())
                spoken(ws, "hello")
            spoken(ws, os.urandom(LARGE), "and on")


def test_a_tap_that_the_config_forbids_is_refused(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with (
        administered(loop, own_backend, tmp_path, "off") as (gateway, admin),
        connect(gateway.ws("/echo")),
    ):
        answer = admin.get(f"/api/v1/sessions/{only_session(admin)}/tap")
        assert answer.status_code == 501
        assert "tap" in answer.json()["detail"]
