"""What `easews init` writes is served, with a real backend behind it."""

from __future__ import annotations

from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from tests.e2e.gateway import PATIENCE, free_port, running
from tests.e2e.library import LibraryBackend, connect

from easews.cli.starter import starter


def test_the_starter_of_an_application_leads_to_its_pages_and_its_sockets(
    loop: str, backend: LibraryBackend, tmp_path: Path
) -> None:
    """The page is the library's answer to a request that is no handshake."""
    text = starter(backend.url.replace("ws:", "http:"), "easews.yaml").text
    served = text.replace("port: 8080", f"port: {free_port()}")
    with running(served, tmp_path, "--backend", loop) as gateway:
        with connect(gateway.ws("/chat")) as ws:
            ws.send("hello")
            assert ws.recv(PATIENCE) == "hello"
        assert backend.ending() == (1000, "")
        with pytest.raises(HTTPError) as refused:
            urlopen(gateway.ws("/").replace("ws:", "http:"), timeout=PATIENCE)
        with refused.value as error:
            assert error.code == 426
            assert b"Failed to open a WebSocket connection" in error.read()


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
