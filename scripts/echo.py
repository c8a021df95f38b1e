"""A WebSocket echo backend: `python scripts/echo.py [PORT [HOST]]`. Speaks through wsproto.

One thread a connection, which is plenty for a demo and keeps the code straight.
"""

from __future__ import annotations

import socket
import socketserver
import sys

from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import AcceptConnection, CloseConnection, Event, Message, Ping, Request
from wsproto.utilities import RemoteProtocolError


class EchoHandler(socketserver.BaseRequestHandler):
    """One connection: agrees to the handshake, then sends every message back."""

    def setup(self) -> None:
        # A message at once, not when the one before has been acknowledged.
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self.ws = WSConnection(ConnectionType.SERVER)

    def handle(self) -> None:
        try:
            while self.ws.state is not ConnectionState.CLOSED and (
                data := self.request.recv(65536)
            ):
                self.receive(data)
        except (ConnectionError, RemoteProtocolError):
            pass  # the other side is gone, or speaks something else: nothing is left to say

    def receive(self, data: bytes) -> None:
        self.ws.receive_data(data)
        for event in self.ws.events():
            self.answer(event)

    def answer(self, event: Event) -> None:
        """Parts of a message go back as they come."""
        match event:
            case Request():
                self.send(AcceptConnection(subprotocol=next(iter(event.subprotocols), None)))
            case Message():
                self.send(event)
            case Ping() | CloseConnection():
                self.send(event.response())

    def send(self, event: Event) -> None:
        self.request.sendall(self.ws.send(event))


class EchoServer(socketserver.ThreadingTCPServer):
    """Listens from its making on; `serve_forever` serves. OSError when the port is taken."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128
    handler: type[EchoHandler] = EchoHandler

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        super().__init__((host, port), self.handler)


if __name__ == "__main__":
    try:
        port = int(sys.argv[1]) if len(sys.argv) > 1 else 12345
        host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
        with EchoServer(port, host) as server:
            print(f"echoing on ws://{host}:{server.server_address[1]}/", flush=True)
            server.serve_forever()
    except OSError as error:
        sys.exit(f"echo: {error.strerror}")
    except KeyboardInterrupt:
        pass
