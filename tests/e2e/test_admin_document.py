"""The OpenAPI document holds for a gateway that runs: Schemathesis makes requests of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from tests.e2e.gateway import LOOPBACK, PATIENCE, config, free_port, proxied, running
from tests.e2e.library import LibraryBackend, connect

TOKEN = "an-admin-token-4711"
#: What is too long for HTTP is refused as that; what a gateway cannot do is no fault of its own.
SETTINGS = """
[checks]
not_a_server_error.expected-statuses = ["2xx", "4xx", 501, 503]
negative_data_rejection.expected-statuses = ["4xx", 501]
"""
#: Upgrades and replacements make processes, and a tap has no end.
LEFT_OUT = "^(upgrade|tapSession|replaceWorker)$"


@contextmanager
def administered(backend: LibraryBackend, folder: Path, token: str) -> Iterator[str]:
    """The URL of an admin interface, with some sessions open."""
    admin = f"address: '{LOOPBACK}:0'" + (f", token: {token}" if token else "")
    text = config(free_port(), proxied("/echo", backend.url))
    text += f"---\n{{kind: Gateway, name: g, admin: {{{admin}}}}}"
    with running(text, folder) as gateway, ExitStack() as sessions:
        for number in range(3):
            sessions.enter_context(connect(gateway.ws(f"/echo/{number}")))
        yield gateway.admin_url()


def schemathesis(url: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "schemathesis.toml").write_text(SETTINGS)
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/api/v1/openapi.json"]
    command += ["--url", url, "--checks", "all", "--max-examples", "20", "--seed", "1"]
    command += ["--exclude-operation-id-regex", LEFT_OUT, "--no-color", *options]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=10 * PATIENCE, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("token", ["", TOKEN])
def test_all_answers_are_as_the_document_says(
    own_backend: LibraryBackend, tmp_path: Path, token: str
) -> None:
    with administered(own_backend, tmp_path, token) as url:
        shown = ["--header", f"Authorization: Bearer {token}"] if token else []
        done = schemathesis(url, tmp_path, *shown)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Tested: 15" in done.stdout, done.stdout


@pytest.mark.slow
def test_without_the_token_nothing_that_is_asked_gets_in(
    own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with administered(own_backend, tmp_path, TOKEN) as url:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        document = httpx.get(f"{url}/api/v1/openapi.json", headers=headers, timeout=PATIENCE)
        for path, methods in document.json()["paths"].items():
            for method, operation in methods.items():
                body: object = {} if method == "post" else None
                found = httpx.request(method, url + path, json=body, timeout=PATIENCE)
                expected = (401,) if "security" in operation else (200,)
                assert found.status_code in expected, path
