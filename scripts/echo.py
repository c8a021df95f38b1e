"""A WebSocket echo backend: `python scripts/echo.py [PORT]`. Speaks through wsproto.

One thread a connection, which is plenty for a demo and keeps the code straight.
"""

from __future__ import annotations

import socketserver
import sys
from collections.abc import Iterator

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Event, Message, Ping, Request
from wsproto.utilities import RemoteProtocolError


class EchoHandler(socketserver.BaseRequestHandler):
    """One connection: agrees to the handshake, then sends every message back."""

    def handle(self) -> None:
        ws = WSConnection(ConnectionType.SERVER)
        while data := self.request.recv(65536):
            try:
                ws.receive_data(data)
                for answer in answers(ws):
                    self.request.sendall(ws.send(answer))
                    if isinstance(answer, CloseConnection):
                        return
            except RemoteProtocolError:
                return


def answers(ws: WSConnection) -> Iterator[Event]:
    """What to send for what has come in. Parts of a message go back as they come."""
    for event in ws.events():
        match event:
            case Request():
                yield AcceptConnection(subprotocol=next(iter(event.subprotocols), None))
            case Message():
                yield event
            case Ping() | CloseConnection():
                yield event.response()


class EchoServer(socketserver.ThreadingTCPServer):
    """Listens from its making on; `serve_forever` serves. OSError when the port is taken."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), EchoHandler)


if __name__ == "__main__":
    try:
        with EchoServer(int(sys.argv[1]) if len(sys.argv) > 1 else 12345) as server:
            print(f"echoing on ws://127.0.0.1:{server.server_address[1]}/", flush=True)
            server.serve_forever()
    except OSError as error:
        sys.exit(f"echo: {error.strerror}")
    except KeyboardInterrupt:
        pass
