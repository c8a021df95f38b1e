"""What is told at the start: who listens where, and how filters were built."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator

from ..addresses import UNIX, Address
from ..config.model import Config
from ..plugins import build_notes
from .serving.gateway import Gateway
from .serving.renewal import told

log: logging.Logger = logging.getLogger("easews")


def announce(line: str) -> None:
    """Print the line, in one piece: others may write there, too."""
    try:
        print(f"{line}\n", end="", flush=True)
    except BrokenPipeError:  # nobody reads it, which is no reason not to serve
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def where(scheme: str, host: str, port: int) -> str:
    """An address as people open it: a URL, or the path of a unix socket."""
    if host.startswith(UNIX):
        return host if scheme == "http" else f"{host} with TLS"
    if host in ("::", "0.0.0.0"):
        return f"{scheme}://localhost:{port} (every interface)"
    return f"{scheme}://{Address(host, port)}"


def announcement(gateway: Gateway) -> Iterator[str]:
    """The lines that say where it listens, and which certificates it has."""
    for name, listener in gateway.listeners.items():
        tls = gateway.tls.get(name)
        scheme = "https" if tls else "http"
        for address in listener.addresses:
            yield f"{name} listens on {where(scheme, *address)}"
        for pair in tls.pairs if tls else ():
            yield told(name, pair)


def log_builds(config: Config) -> None:
    """Log how the filters of a config were built, as far as there is something to say."""
    for note in build_notes(entry.kind for spec in config.pipelines for entry in spec.filters):
        log.info("%s", note)
