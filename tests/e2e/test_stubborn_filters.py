"""A stop always comes to an end, whatever a filter does with its cancellation."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import pytest

PROGRAM = """
import sys
import anyio
from easews import Filter
from easews.operate.process import run
from easews.operate.reloading import Reloader
from easews.operate.handover.upgrading import Upgrader
from easews.testing import load_config

class Stubborn(Filter):
    \"\"\"Does not let itself be cancelled.\"\"\"
    kind = "Stubborn"
    async def handle(self, ctx):
        print("here", flush=True)
        while True:
            try:
                await anyio.sleep(0.05)
            except BaseException:
                pass

port, backend = sys.argv[1:]
config = load_config(f\"\"\"
kind: Pipeline
name: p
filters: [{{kind: Stubborn, name: s}}]
---
kind: HTTPServer
name: server
address: 127.0.0.1
port: {port}
rules: [{{paths: [{{path: /, backend: p}}]}}]
\"\"\", Stubborn)


async def read():
    return config

sys.exit(run(config, Reloader(read), Upgrader(), backend=backend))
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_filter_that_swallows_its_cancellation_ends_with_the_process(backend: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", PROGRAM, str(port), backend]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as gateway:
        assert gateway.stdout is not None
        assert "listens on" in gateway.stdout.readline()
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert gateway.stdout.readline() == "here\n"
            gateway.send_signal(signal.SIGTERM)
            gateway.send_signal(signal.SIGINT)
            _, log = gateway.communicate(timeout=30)
        assert gateway.returncode == 1
        assert "a filter goes on although it was cancelled" in log
