"""The dashboard in Chromium, in front of a gateway with sessions.

With EASEWS_SCREENSHOTS=1 the pictures of the docs are taken, too.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import yaml
from tests.e2e.demo import ROOT
from tests.e2e.gateway import LOOPBACK, Gateway, config, free_port, proxied, running
from tests.e2e.library import LibraryBackend
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

VISITOR = Path(__file__).parent / "node" / "dashboard.js"
IMAGES = ROOT / "docs" / "images"
TOKEN = "a-token-for-the-tests"
TEXT = "<b>grüße</b>"
VICTIM = "/chat/ann"
#: More than the shortest page of the table has.
PATHS = [VICTIM, *(f"/chat/{number}" for number in range(24)), *(f"/feed/{n}" for n in range(6))]


def speak(gateway: Gateway, path: str, opened: Event, leave: Event) -> int | None:
    """Echo now and then, until `leave` or a Close; the code of that."""
    with connect(gateway.ws(path), compression=None, ping_interval=None) as ws:
        opened.set()
        try:
            while not leave.wait(0.05):
                ws.send(TEXT)
                ws.recv()
        except ConnectionClosed:
            pass
        return ws.close_code


@contextmanager
def spoken(gateway: Gateway) -> Iterator[Future[int | None]]:
    """All of them speak; the one of `VICTIM`."""
    leave, opened = Event(), [Event() for _ in PATHS]
    with ThreadPoolExecutor(len(PATHS)) as threads:
        codes = [
            threads.submit(speak, gateway, path, each, leave)
            for path, each in zip(PATHS, opened, strict=True)
        ]
        try:
            assert all(each.wait(60) for each in opened)
            yield codes[0]
        finally:
            leave.set()


@pytest.fixture(scope="module")
def seen(
    browser: tuple[str, str],
    backend: LibraryBackend,
    tmp_path_factory: pytest.TempPathFactory,
) -> Mapping[str, Any]:
    """What the visitor saw."""
    node, chromium = browser
    takes_pictures = os.environ.get("EASEWS_SCREENSHOTS") == "1"
    address, spare = f"{LOOPBACK}:{free_port()}", f"ws://{LOOPBACK}:{free_port()}"
    admin = {"address": address, "token": TOKEN, "tap": "payload"}
    objects = config(
        free_port(),
        proxied("/chat", backend.url, loadBalance={"policy": "roundRobin"}),
        proxied("/feed", backend.url),
        proxied("/spare", spare),
    )
    text = yaml.safe_dump({"kind": "Gateway", "name": "gateway", "admin": admin})
    folder = tmp_path_factory.mktemp("dashboard")
    with running(f"{text}---\n{objects}", folder) as gateway, spoken(gateway) as victim:
        url = f"http://{address}/"
        wish = {
            "url": url,
            "token": TOKEN,
            "chromium": chromium,
            "victim": VICTIM,
            "spare": spare,
            "config": str(folder / "config.yaml"),
            "images": str(IMAGES) if takes_pictures else None,
        }
        done = subprocess.run(
            [node, str(VISITOR), json.dumps(wish)], capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done.stderr + done.stdout
        told: dict[str, Any] = json.loads(done.stdout)
        return {**told, "url": url, "spare": spare, "code": victim.result(60)}


def test_the_token_is_asked_for_once_and_kept_by_the_tab(seen: Mapping[str, Any]) -> None:
    assert seen["kept"] == [{"easews-token": TOKEN}, {}]


def test_live_numbers_move(seen: Mapping[str, Any]) -> None:
    assert [label.partition(":")[0] for label in seen["charts"]] == [
        "Messages",
        "Bytes",
        "Open sessions",
        "Held for slow readers",
        "Memory",
    ]
    assert seen["charts"][2].startswith(f"Open sessions: {len(PATHS)}.")
    assert f"Sessions\n{len(PATHS)}" in seen["facts"]


def test_pools_and_pipelines_are_shown(seen: Mapping[str, Any]) -> None:
    assert "chat / proxy, pool 0" in seen["pools"]
    assert seen["spare"] in seen["pools"]
    (chat,) = [way for way in seen["pipelines"] if way.startswith("/chat")]
    assert "WebSocketProxy" in chat
    assert "up" in chat


def test_the_table_is_paged_searched_and_sorted(seen: Mapping[str, Any]) -> None:
    assert (seen["firstPage"], seen["secondPage"]) == (25, len(PATHS) - 25)
    direction, ascending, descending = seen["sorted"]
    assert direction == "descending"
    assert ascending == [f"/feed/{number}" for number in range(6)]
    assert descending == ascending[::-1]


def test_the_keyboard_is_enough_and_escape_leads_back(seen: Mapping[str, Any]) -> None:
    assert seen["outline"] == "solid"
    assert seen["escaped"] == [False, True]


def test_the_frames_of_a_session_are_shown_as_text(seen: Mapping[str, Any]) -> None:
    size = str(len(TEXT.encode()))
    frames = [frame for _, *frame in seen["frames"]]
    assert ["client", "text", size, "masked", TEXT] in frames
    assert ["backend", "text", size, "", TEXT] in frames


def test_a_session_is_closed_with_a_code_after_a_question(seen: Mapping[str, Any]) -> None:
    assert seen["keptOpen"]
    assert seen["code"] == 4321


def test_a_reload_tells_what_has_come_of_it(seen: Mapping[str, Any]) -> None:
    unchanged, refused, reloaded = seen["reloads"]
    assert unchanged.startswith("Nothing has changed.")
    assert refused.startswith("Refused")
    assert "nonsense" in refused
    assert reloaded.startswith("Reloaded: generation 2 is served.")


def test_a_server_is_drained_and_used_again(seen: Mapping[str, Any]) -> None:
    assert "drained" in seen["drained"]


def test_a_drain_is_shown_as_it_goes_on_and_told(seen: Mapping[str, Any]) -> None:
    assert seen["progress"] == [5 / 8, "draining", "The state is now draining."]


def test_what_is_hostile_stays_text(seen: Mapping[str, Any]) -> None:
    assert seen["hostile"] == [True, 0, True]
    assert seen["poisoned"] == []


def test_a_hidden_page_asks_nothing(seen: Mapping[str, Any]) -> None:
    assert seen["askedWhileHidden"] == 0


def test_axe_finds_nothing_serious(seen: Mapping[str, Any]) -> None:
    assert len(seen["axe"]) == 6
    assert {what: found for what, found in seen["axe"].items() if found} == {}


def test_light_and_dark_are_both_easy_to_read(seen: Mapping[str, Any]) -> None:
    light, dark, phone = (view["background"] for view in seen["views"])
    assert light == phone != dark
    assert seen["switched"] == dark
    assert min(view["contrast"] for view in seen["views"]) >= 4.5  # WCAG 2, level AA


def test_nothing_is_wider_than_the_screen(seen: Mapping[str, Any]) -> None:
    assert [view["scrollWidth"] for view in seen["views"]] == [1280, 1280, 390]


def test_the_console_is_empty_and_nobody_else_is_asked(seen: Mapping[str, Any]) -> None:
    # Chromium logs each answer that refuses: here that to the session that is over.
    assert [line for line in seen["console"] if "status of 404" not in line] == []
    assert seen["violations"] == []
    assert set(seen["requests"]) == {seen["url"].rstrip("/")}
