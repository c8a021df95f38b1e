"""`examples/canary.yaml`: two releases of an application behind several pools."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from tests.e2e.gateway import PATIENCE, Gateway, Lines, free_port, running
from tests.e2e.library import connect
from tests.e2e.test_curl import ask
from tests.repo.pages import blocks_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "canaries.md"


@contextmanager
def releases(folder: Path) -> Iterator[tuple[str, str]]:
    """The application of the page; the ports of its old and its new release."""
    (text,) = (block.text for block in blocks_of(PAGE) if block.marks.get("file") == "app.py")
    old, new = str(free_port()), str(free_port())
    (folder / "app.py").write_text(text.replace("12345", old).replace("12346", new))
    command = [sys.executable, "app.py"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        Lines(process.stdout).wait_for("application on ")
        try:
            yield old, new
        finally:
            process.kill()


@contextmanager
def gateway(folder: Path, loop: str, permil: int) -> Iterator[Gateway]:
    """The example with its ports, and with another share."""
    text = (ROOT / "examples" / "canary.yaml").read_text()
    with releases(folder) as (old, new):
        text = text.replace("${BACKEND_PORT:-9095}", old).replace("${CANARY_PORT:-9096}", new)
        text = text.replace("${PORT:-8080}", f"{free_port()}\naddress: 127.0.0.1")
        text = text.replace("permil: 50", f"permil: {permil}")
        with running(text, folder, "--backend", loop) as gateway:
            yield gateway


def test_testers_get_the_canary_and_others_do_not(curl: str, loop: str, tmp_path: Path) -> None:
    with gateway(tmp_path, loop, permil=0) as running:
        _, page = ask(curl, running.http("/"))
        assert page == "old release\n"
        _, page = ask(curl, running.http("/"), "-H", "X-Canary: yes")
        assert page == "new release\n"
        with connect(running.ws("/")) as ws:
            assert ws.recv(PATIENCE) == "old release"
        with connect(running.ws("/"), additional_headers={"X-Canary": "yes"}) as ws:
            assert ws.recv(PATIENCE) == "new release"


def test_with_a_full_share_all_clients_get_the_canary(loop: str, tmp_path: Path) -> None:
    with gateway(tmp_path, loop, permil=1000) as running:
        assert httpx.get(running.http("/"), trust_env=False).text == "new release\n"
        with connect(running.ws("/")) as ws:
            assert ws.recv(PATIENCE) == "new release"
