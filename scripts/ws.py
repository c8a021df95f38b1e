"""A WebSocket client in one line: `python scripts/ws.py ws://127.0.0.1:8080/ws hello`.

usage: python scripts/ws.py URL [MESSAGE ...]

Sends each word as a message, once the one before has an answer, or has had none for 5 seconds. It
prints what comes back, and ends 0.3 seconds after as many messages have come as were sent; or with
a Close of the server, whose code it prints, and status 1.

Without words each line that you type is a message. Ctrl-D ends it, as does Ctrl-C.
It needs wsproto: pip install wsproto
"""

from __future__ import annotations

import os
import socket
import sys
from collections import deque
from collections.abc import Sequence
from select import select
from time import monotonic
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

#: How long a message may go without an answer before that is told, in seconds.
PATIENCE = 5.0
#: How long to go on reading after the last answer.
LINGER = 0.3
STDIN = 0


class Client:
    """One connection to a WebSocket server, one event at a time."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "ws" or not parts.hostname:
            sys.exit(f"ws: {url} is no address such as ws://127.0.0.1:8080/ws")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self.sock = socket.create_connection((parts.hostname, parts.port or 80), timeout=30)
        self.ws = WSConnection(ConnectionType.CLIENT)
        self.sent = self.answers = 0
        self.answer, self.line = "", b""  # what has come, and what was typed, of the next one
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

    def talk(self, words: Sequence[str]) -> None:
        """Send the words one after the other, or what is typed, until each has an answer."""
        self.show()
        sock, typing, told, heard = self.sock.fileno(), not words, False, 0
        waiting = deque(words)
        while typing or waiting or self.missing > 0:
            if waiting and (told or self.missing <= 0 or self.answers > heard):
                heard, told = self.answers, False
                self.say([waiting.popleft()])
            patience = PATIENCE if self.missing > 0 and not told else None
            ready, *_ = select([sock, *[STDIN] * typing], [], [], patience)
            if sock in ready:
                self.read()
            if STDIN in ready:
                typing = self.type()
            told = not ready
            if told:
                self.tell_what_is_missing(self.sent + len(waiting))
        end = monotonic() + LINGER
        while select([sock], [], [], max(0.0, end - monotonic()))[0] and monotonic() < end:
            self.read()

    @property
    def missing(self) -> int:
        """How many messages have no answer yet."""
        return self.sent - self.answers

    def tell_what_is_missing(self, total: int) -> None:
        verb = "has" if self.missing == 1 else "have"
        missing = f"{self.missing} of {total} messages {verb} no answer yet"
        print(f"ws: {missing}; Ctrl-C ends it", file=sys.stderr, flush=True)

    def say(self, messages: Sequence[str]) -> None:
        for message in messages:
            self.send(TextMessage(data=message))
        self.sent += len(messages)

    def type(self) -> bool:
        """Send the lines that were typed; False at the end of the input."""
        typed = os.read(STDIN, 65536)
        *lines, self.line = (self.line + typed).split(b"\n")
        if not typed and self.line:
            lines.append(self.line)
        self.say([line.decode(errors="replace") for line in lines])
        return bool(typed)

    def read(self) -> None:
        self.ws.receive_data(self.sock.recv(65536) or None)
        self.show()

    def show(self) -> None:
        """Print the messages that have come; a Close ends the program."""
        for event in self.ws.events():
            match event:
                case Ping():
                    self.send(event.response())
                case TextMessage() | BytesMessage():
                    self.show_part(event)
                case CloseConnection() as close:
                    sys.exit(f"ws: closed with {close.code}: {close.reason or 'no reason given'}")

    def show_part(self, part: TextMessage | BytesMessage) -> None:
        data = part.data
        self.answer += data if isinstance(data, str) else f"<{len(data)} bytes>"
        if part.message_finished:
            print(self.answer, flush=True)
            self.answer = ""
            self.answers += 1

    def close(self) -> None:
        self.send(CloseConnection(code=1000))
        while not isinstance(self.next_event(), CloseConnection):
            pass
        self.sock.close()


def main(url: str, words: Sequence[str]) -> None:
    try:
        client = Client(url)
        client.open()
        client.talk(words)
        client.close()
    except OSError as error:
        sys.exit(f"ws: {url}: {error.strerror or error}")
    except RemoteProtocolError as error:
        sys.exit(f"ws: {url}: the server left, or does not speak WebSocket ({error})")
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    if {"-h", "--help"} & {*sys.argv[1:2]}:
        print(__doc__)
    elif len(sys.argv) < 2:
        sys.exit("usage: python scripts/ws.py URL [MESSAGE ...]")
    else:
        main(sys.argv[1], sys.argv[2:])
