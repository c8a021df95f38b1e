"""`examples/one-origin.yaml`: pages and sockets through one path, with one application behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from tests.e2e.gateway import PATIENCE, Lines, free_port, running
from tests.e2e.library import connect
from tests.repo.pages import blocks_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "one-origin.md"


@contextmanager
def application(folder: Path) -> Iterator[int]:
    """The application of the page; its port."""
    (text,) = (block.text for block in blocks_of(PAGE) if block.marks.get("file") == "app.py")
    port = free_port()
    (folder / "app.py").write_text(text.replace("12345", str(port)))
    command = [sys.executable, "app.py"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        Lines(process.stdout).wait_for("application on ")
        try:
            yield port
        finally:
            process.kill()


def test_the_example_serves_pages_and_sockets(loop: str, tmp_path: Path) -> None:
    example = (ROOT / "examples" / "one-origin.yaml").read_text()
    with application(tmp_path) as port:
        text = example.replace("${BACKEND_PORT:-9095}", str(port))
        text = text.replace("${PORT:-8080}", f"{free_port()}\naddress: 127.0.0.1")
        with running(text, tmp_path, "--backend", loop) as gateway:
            for number in range(3):
                with urlopen(gateway.http("/"), timeout=PATIENCE) as answer:
                    assert answer.read().startswith(b"a page for 127.0.0.1")
                with connect(gateway.ws("/ws")) as ws:
                    ws.send(f"hello {number}")
                    assert ws.recv(PATIENCE) == f"hello {number}"
