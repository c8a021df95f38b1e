"""What `scripts/demo` runs: a page and a chat behind easews, as examples/demo.yaml has it.

The chat's backend is a thread of this process, easews runs as `easews run` would. PORT and
BACKEND_PORT in the environment name other ports than the usual ones.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread

from chat import ChatServer
from easews.cli import main as easews

CONFIG = Path(__file__).parent.parent / "examples" / "demo.yaml"

HINT = """\
Open http://127.0.0.1:{port}/ in a browser, and once more in a second tab. Without a browser:

{commands}

Ctrl-C ends it all.
"""
#: What to try, and what that shows.
COMMANDS = {
    ".venv/bin/python scripts/ws.py ws://127.0.0.1:{port}/ws hello": "says hello through easews",
    "curl -i http://127.0.0.1:{port}/ws": "what a plain request is told",
    ".venv/bin/easews validate examples/demo.yaml": "the config behind all this",
    ".venv/bin/easews kinds": "what may stand in a config",
}


def hint(port: int) -> str:
    commands = {command.format(port=port): shows for command, shows in COMMANDS.items()}
    width = max(map(len, commands))
    lines = [f"  {command:{width}}  {shows}" for command, shows in commands.items()]
    return HINT.format(port=port, commands="\n".join(lines))


def tell_once_it_listens(port: int) -> None:
    """Print the hint when the gateway is there: nobody should try what cannot work yet."""
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            break
        time.sleep(0.05)
    print(hint(port) + "\n", end="", flush=True)  # in one piece: the gateway writes there, too


def port_of(variable: str, usual: int) -> int:
    """The port that the environment names, one that is free; exits with one line otherwise."""
    text = os.environ.setdefault(variable, str(usual))
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", int(text)))
    except (OSError, OverflowError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "that is no port"
        another = f"{variable}=9000 scripts/demo"
        sys.exit(f"scripts/demo: cannot use port {text}: {reason}; use another: {another}")
    return int(text)


def main(arguments: list[str]) -> None:
    port = port_of("PORT", 8080)
    backend = ChatServer(port_of("BACKEND_PORT", 12345))
    Thread(target=backend.serve_forever, daemon=True).start()
    Thread(target=tell_once_it_listens, args=[port], daemon=True).start()
    sys.argv = ["easews", "run", str(CONFIG), *arguments]
    easews()


if __name__ == "__main__":
    main(sys.argv[1:])
