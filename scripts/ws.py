"""A WebSocket client in one line: `python scripts/ws.py ws://127.0.0.1:8080/ws hello`.

Sends each word as a message and prints what comes back; without words, a line of the
terminal is a message. Speaks through wsproto. Ctrl-D or Ctrl-C ends it.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable
from urllib.parse import urlsplit

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.utilities import RemoteProtocolError


class Client:
    """One connection to a WebSocket server, one event at a time."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "ws" or not parts.hostname:
            sys.exit(f"ws: {url} is no address such as ws://127.0.0.1:8080/ws")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self.sock = socket.create_connection((parts.hostname, parts.port or 80), timeout=30)
        self.ws = WSConnection(ConnectionType.CLIENT)
        self.send(Request(host=parts.netloc, target=target))

    def send(self, event: Event) -> None:
        self.sock.sendall(self.ws.send(event))

    def next_event(self) -> Event:
        """The next event that is not a ping; pings get their pong."""
        while True:
            for event in self.ws.events():
                if not isinstance(event, Ping):
                    return event
                self.send(event.response())
            # Empty bytes are the end of the stream, which wsproto turns into a close, 1006.
            self.ws.receive_data(self.sock.recv(65536) or None)

    def open(self) -> None:
        """Wait for the 101; any other answer ends the program with it."""
        event = self.next_event()
        if isinstance(event, AcceptConnection):
            return
        if not isinstance(event, RejectConnection):
            sys.exit("ws: the server left without an answer")
        text, more = b"", event.has_body
        while more and isinstance(body := self.next_event(), RejectData):
            text += body.data
            more = not body.body_finished
        sys.exit(f"ws: the server answered {event.status_code}: {text.decode(errors='replace')}")

    def ask(self, message: str) -> str:
        """Send a message and return the next one, however many frames it comes in."""
        self.send(TextMessage(data=message))
        answer = ""
        while True:
            match self.next_event():
                case TextMessage() as part:
                    answer += part.data
                    if part.message_finished:
                        return answer
                case BytesMessage() as binary:
                    answer += f"<{len(binary.data)} bytes>"
                    if binary.message_finished:
                        return answer
                case CloseConnection() as close:
                    sys.exit(f"ws: closed with {close.code}: {close.reason or 'no reason given'}")

    def close(self) -> None:
        self.send(CloseConnection(code=1000))
        while not isinstance(self.next_event(), CloseConnection):
            pass
        self.sock.close()


def main(url: str, messages: Iterable[str]) -> None:
    try:
        client = Client(url)
        client.open()
        for message in messages:
            print(client.ask(message), flush=True)
        client.close()
    except OSError as error:
        sys.exit(f"ws: {url}: {error.strerror or error}")
    except RemoteProtocolError as error:
        sys.exit(f"ws: {url}: the server left, or does not speak WebSocket ({error})")
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python scripts/ws.py URL [MESSAGE ...]")
    main(sys.argv[1], sys.argv[2:] or (line.rstrip("\n") for line in sys.stdin))
