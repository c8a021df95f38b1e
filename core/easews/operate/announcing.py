"""What is told on standard output at the start: who listens where."""

from __future__ import annotations

import os
import sys

from ..addresses import UNIX, Address


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
