"""What `scripts/demo` runs: the design note's config in front of an echo backend.

Both live in this one process: the echo in a thread, easews as `easews run` would be.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from threading import Thread

from easews.cli import main as easews
from echo import EchoServer

CONFIG = Path(__file__).parent.parent / "examples" / "design-note.yaml"
# As the config has them.
GATEWAY, BACKEND = 8080, 12345

HINT = f"""\
An echo backend is on ws://127.0.0.1:{BACKEND}/, easews in front of it. In another terminal:

  .venv/bin/python scripts/ws.py ws://127.0.0.1:{GATEWAY}/ws hello    says hello through easews
  .venv/bin/python scripts/ws.py ws://127.0.0.1:{GATEWAY}/ws          line after line
  curl -i http://127.0.0.1:{GATEWAY}/ws                       what a plain request is told
  .venv/bin/easews validate examples/design-note.yaml         the config behind all this
  .venv/bin/easews kinds                                      what a pipeline can hold

Ctrl-C ends it all.
"""


def refuse_taken_port(port: int, who: str) -> None:
    """Exit with one line when somebody listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            sys.exit(f"scripts/demo: {who} cannot have port {port}: {error.strerror}")


def main(arguments: list[str]) -> None:
    refuse_taken_port(GATEWAY, "easews")
    refuse_taken_port(BACKEND, "the echo backend")
    Thread(target=EchoServer(BACKEND).serve_forever, daemon=True).start()
    print(HINT, flush=True)
    sys.argv = ["easews", "run", str(CONFIG), *arguments]
    easews()


if __name__ == "__main__":
    main(sys.argv[1:])
