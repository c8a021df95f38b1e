"""A backend that records the requests it reads, with h11 as their reader, and tells them back."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from queue import Queue
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import NamedTuple

import h11
from tests.e2e.raw import LOOPBACK, PATIENCE


class Seen(NamedTuple):
    """A whole request, as the backend has read it."""

    method: str
    target: str
    body: bytes = b""
    host: str = "example.test"
    upgrade: str = ""


#: In place of a method: what came is no request.
MALFORMED = "malformed"


class Recorder(ThreadingTCPServer):
    """Serves on a port of its own, answers all but CONNECT with 200, and keeps what it has read.

    A request counts once all of it is there.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), _Connection)
        self.seen: Queue[Seen] = Queue()
        self.port: int = self.server_address[1]
        self._thread = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def take(self) -> list[Seen]:
        """The requests since the last call."""
        return [self.seen.get() for _ in range(self.seen.qsize())]

    def close(self) -> None:
        self.shutdown()
        self._thread.join(PATIENCE)
        self.server_close()


class _Connection(BaseRequestHandler):
    request: socket.socket
    server: Recorder

    def handle(self) -> None:
        self.request.settimeout(PATIENCE)
        reader = h11.Connection(h11.SERVER)
        try:
            for seen in _requests(self.request, reader):
                self.server.seen.put(seen)
                self._answer(reader, seen)
        except h11.RemoteProtocolError as error:
            self.server.seen.put(Seen(MALFORMED, str(error)))
        except OSError:
            pass  # whoever sent this gave up

    def _answer(self, reader: h11.Connection, seen: Seen) -> None:
        body = f"{seen.method} {seen.target} {len(seen.body)} bytes\n".encode()
        # A 2xx would make a tunnel of a connection with CONNECT, and of what stands behind it.
        status = 405 if seen.method == "CONNECT" else 200
        answer = h11.Response(status_code=status, headers=[("Content-Length", str(len(body)))])
        events = [answer, h11.Data(data=body), h11.EndOfMessage()]
        if seen.method == "HEAD":
            del events[1]
        self.request.sendall(b"".join(reader.send(event) or b"" for event in events))


def _requests(sock: socket.socket, reader: h11.Connection) -> Iterator[Seen]:
    while (head := _next(sock, reader)) is not None:
        assert isinstance(head, h11.Request)
        body = b""
        while isinstance(part := _next(sock, reader), h11.Data):
            body += part.data
        if part is None:
            return
        yield _seen(head, body)
        if reader.our_state is h11.MUST_CLOSE:
            return
        reader.start_next_cycle()


def _next(sock: socket.socket, reader: h11.Connection) -> h11.Event | None:
    """The next event; None when the connection has ended, in the middle of a request, too."""
    while (event := reader.next_event()) in (h11.NEED_DATA, h11.PAUSED):
        if reader.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[])
            sock.sendall(reader.send(go_on) or b"")
        if not (data := sock.recv(65536)):
            return None
        reader.receive_data(data)
    assert isinstance(event, h11.Event)
    return event


def _seen(head: h11.Request, body: bytes) -> Seen:
    fields = {name: value.decode("latin-1") for name, value in head.headers}
    target = head.target.decode()
    host = fields.get(b"host", "")
    if absolute := re.fullmatch("https?://([^/?]*)(.*)", target, re.IGNORECASE):
        host, target = absolute[1], absolute[2] or "/"  # RFC 9112 §3.2.2
    return Seen(head.method.decode(), target, body, host, fields.get(b"upgrade", ""))
