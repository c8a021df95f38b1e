"""easews in front of an application, over TLS, with or without filters that read its messages."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

from tests.certificates import Authority
from tests.e2e.gateway import LOOPBACK, PATIENCE, running
from tests.e2e.peers import easews_config

FOLDER = Path(__file__).parent
APPS, NODE = FOLDER / "apps", FOLDER / "node"

#: What may become of an application's messages: the kind of the filter that does it.
READERS = {"unread": "", "looked at": "LooksAtMessages", "rewritten": "RewritesMessages"}


@dataclass(frozen=True, slots=True)
class Front:
    """easews in front of an application, and who trusts its certificate."""

    port: int
    authority: Authority

    @property
    def url(self) -> str:
        return f"https://{LOOPBACK}:{self.port}"

    def connection(self) -> HTTPSConnection:
        context = self.authority.client()
        return HTTPSConnection(LOOPBACK, self.port, timeout=PATIENCE, context=context)

    def run_node(self, program: str, wish: Mapping[str, Any], node: str) -> Mapping[str, Any]:
        """What a program of the folder `node` prints, which trusts the authority."""
        wish, trusted = {"url": self.url, **wish}, str(self.authority.file)
        return run(node, NODE / program, json.dumps(wish), NODE_EXTRA_CA_CERTS=trusted)


@contextmanager
def in_front(
    backend: int, authority: Authority, folder: Path, loop: str, messages: str = "unread"
) -> Iterator[Front]:
    """An easews in front of a port. `messages`: one of `READERS`, which must have read some."""
    reader, options = READERS[messages], ["--backend", loop]
    before = [{"kind": reader, "name": "reader"}] if reader else []
    if reader:
        options += ["--watch-plugins", str(APPS / "message_filters.py")]
    text = easews_config(backend, *before, **authority.fields(LOOPBACK))
    with running(text, folder, *options) as gateway:
        yield Front(gateway.port, authority)
        if reader:
            gateway.out.wait_for(f"{reader} has read messages")


def run(*command: str | Path, **env: str) -> Mapping[str, Any]:
    """What the program prints, which is JSON."""
    environment = {**os.environ, **env}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr + done.stdout
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen
