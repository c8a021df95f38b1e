"""The demo's page in Chromium: two tabs chat through the proxy.

With EASEWS_SCREENSHOTS=1 the pictures of the docs are taken, too.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.demo import ROOT, install_page, running_demo

VISITOR = Path(__file__).parent / "node" / "browser.js"
IMAGES = ROOT / "docs" / "images"
WORDS = ["hello from the first tab", "and hello from the second", "<b>grüße</b>"]


@pytest.fixture(scope="module")
def seen(browser: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """What the visitor saw."""
    node, chromium = browser
    plugins = tmp_path_factory.mktemp("plugins")
    install_page(plugins)
    takes_pictures = os.environ.get("EASEWS_SCREENSHOTS") == "1"
    with running_demo(plugins, port=8080 if takes_pictures else None) as demo:
        images = str(IMAGES) if takes_pictures else None
        wish = {"url": demo.page, "chromium": chromium, "images": images}
        done = subprocess.run(
            [node, str(VISITOR), json.dumps(wish)], capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr + done.stdout
    told: dict[str, Any] = json.loads(done.stdout)
    return {**told, "page": demo.page, "ws": demo.ws}


def test_two_tabs_chat_through_the_proxy(seen: Mapping[str, Any]) -> None:
    said = [line.splitlines() for line in seen["log"]]
    assert [words for words, _ in said] == WORDS
    assert [by.split(",")[0] for _, by in said] == ["you", "guest 2", "you"]
    assert seen["sockets"] == [seen["ws"]] * 3


def test_the_page_tells_how_the_handshake_went(seen: Mapping[str, Any]) -> None:
    lines = seen["facts"].splitlines()
    facts = dict(zip(lines[::2], lines[1::2], strict=True))
    assert facts["URL"] == seen["ws"]
    assert facts["Answer"].startswith("101 Switching Protocols, after ")
    assert facts["Subprotocol"] == "easews.demo"
    assert facts["Extensions"].startswith("none")
    assert facts["Round trip"].count(" ms") == 2


def test_the_page_shows_the_head_as_the_backend_got_it(seen: Mapping[str, Any]) -> None:
    caption, _, *rows = seen["head"].splitlines()
    assert caption.endswith("GET /ws HTTP/1.1")
    assert rows[0] == "X-Forwarded-For\t127.0.0.1"
    assert f"Origin\t{seen['page'].rstrip('/')}" in rows


def test_every_frame_is_shown_with_its_size(seen: Mapping[str, Any]) -> None:
    text = WORDS[0]
    # RFC 6455 §5.2: two bytes, and the four of a client's mask.
    assert ["↑ sent", f"{len(text)} B", f"{len(text) + 6} B", text] in seen["frames"]
    got = [row[1:3] for row in seen["frames"] if row[0] == "↓ got"]
    sizes = [(int(size[:-2]), int(wire[:-2])) for size, wire in got]
    assert all(wire == size + (2 if size < 126 else 4) for size, wire in sizes)
    assert len(sizes) == 6


def test_nothing_is_wider_than_the_screen(seen: Mapping[str, Any]) -> None:
    assert sorted(view["width"] for view in seen["views"]) == [320, 390, 1180, 1180]
    assert [view["scrollWidth"] for view in seen["views"]] == [
        view["width"] for view in seen["views"]
    ]


def test_light_and_dark_are_both_easy_to_read(seen: Mapping[str, Any]) -> None:
    assert len({view["background"] for view in seen["views"]}) == 2
    assert min(view["contrast"] for view in seen["views"]) >= 4.5  # WCAG 2, level AA


def test_a_session_can_be_closed_and_opened_again(seen: Mapping[str, Any]) -> None:
    assert seen["closed"] == "closed with 1000: bye"


def test_the_console_stays_empty_and_nobody_else_is_asked(seen: Mapping[str, Any]) -> None:
    assert seen["console"] == []
    assert set(seen["requests"]) == {seen["page"]}


@pytest.mark.parametrize("image", sorted(IMAGES.glob("*.png")), ids=lambda image: image.name)
def test_a_picture_of_the_docs_is_small(image: Path) -> None:
    assert image.stat().st_size < 150_000
