"""A backend in a process of its own, made with the library `websockets`: `PORT` is its argument.

It sends its port as the first message of each session, and sends messages back after that.
"""

from __future__ import annotations

import sys
from contextlib import suppress

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve


def main() -> None:
    port = int(sys.argv[1])

    def session(ws: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            ws.send(str(port))
            for message in ws:
                ws.send(message)

    with serve(session, "127.0.0.1", port) as server:
        print("ready", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
