"""What `easews init` writes is served, with a real backend behind it."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.gateway import PATIENCE, free_port, running
from tests.e2e.library import LibraryBackend, connect

from easews.cli.starter import starter


def test_the_starter_leads_to_the_backend(
    loop: str, backend: LibraryBackend, tmp_path: Path
) -> None:
    text = starter(f"{backend.url}/chat", "easews.yaml").text
    served = text.replace("port: 8080", f"port: {free_port()}")
    with running(served, tmp_path, "--backend", loop) as gateway:
        with connect(gateway.ws("/chat")) as ws:
            ws.send("hello")
            assert ws.recv(PATIENCE) == "hello"
        assert backend.ending()[0] == 1000
