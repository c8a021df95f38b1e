"""The Python library `websockets` on both ends: a backend that does as its path says, a client."""

from __future__ import annotations

import socket
import ssl
from http import HTTPStatus
from queue import Queue
from threading import Condition, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.e2e.gateway import LOOPBACK, PATIENCE
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as library_connect
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

#: What /refuse/NUMBER answers besides its status.
REFUSAL_BODY = b"not you\n"


class LibraryBackend:
    """Serves on a port of its own: what a client asks for is in the last parts of its path.

    `/close?code=…&reason=…` closes at once, `/no-code` closes without a code, `/vanish` drops
    the connection, `/ping` pings and tells when the pong came, `/parts` sends a message back
    in the frames that it came in, `/refuse/NUMBER` refuses, anything else echoes.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        #: The Close code and reason that each session has ended with, as the backend saw it.
        self.endings: Queue[tuple[int | None, str | None]] = Queue()
        self.sessions: set[ServerConnection] = set()  # those that are open
        self._ended = Condition()
        self._server = serve(
            self._handle,
            LOOPBACK,
            0,
            process_request=_refuse,
            select_subprotocol=_first_offered,
            ping_interval=None,
            max_size=None,
            ssl=tls,
        )
        self.scheme = "wss" if tls else "ws"
        self.port: int = self._server.socket.getsockname()[1]
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{self.scheme}://{LOOPBACK}:{self.port}"

    def ending(self) -> tuple[int | None, str | None]:
        """How the session that ended next has ended."""
        return self.endings.get(timeout=PATIENCE)

    def forget_endings(self, before: set[ServerConnection]) -> None:
        """Wait until only sessions of `before` are open, and forget how the others have ended."""
        with self._ended:
            self._ended.wait_for(lambda: self.sessions <= before, PATIENCE)
        while not self.endings.empty():
            self.endings.get()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(PATIENCE)

    def _handle(self, ws: ServerConnection) -> None:
        assert ws.request is not None
        target = urlsplit(ws.request.path)
        act = {
            "close": _close_as_asked,
            "no-code": _close_without_code,
            "vanish": _vanish,
            "ping": _ping,
            "parts": _send_back_in_parts,
        }.get(target.path.rpartition("/")[2], _echo)
        self.sessions.add(ws)
        try:
            act(ws, {name: values[0] for name, values in parse_qs(target.query).items()})
        except ConnectionClosed:
            pass
        finally:
            ws.close()
            with self._ended:
                self.endings.put((ws.close_code, ws.close_reason))
                self.sessions.discard(ws)
                self._ended.notify_all()


Query = dict[str, str]


def _echo(ws: ServerConnection, _: Query) -> None:
    for message in ws:
        ws.send(message)


def _send_back_in_parts(ws: ServerConnection, _: Query) -> None:
    ws.send(list(ws.recv_streaming()))


def _close_as_asked(ws: ServerConnection, query: Query) -> None:
    ws.close(int(query["code"]), query.get("reason", ""))


def _close_without_code(ws: ServerConnection, _: Query) -> None:
    with ws.send_context():
        ws.protocol.send_close()
    ws.recv(PATIENCE)


def _vanish(ws: ServerConnection, _: Query) -> None:
    ws.socket.shutdown(socket.SHUT_RDWR)


def _ping(ws: ServerConnection, _: Query) -> None:
    answered = ws.ping(b"from the backend").wait(PATIENCE)
    ws.send("answered" if answered else "not answered")


def _refuse(ws: ServerConnection, request: Request) -> Response | None:
    parts = urlsplit(request.path).path.split("/")
    if "refuse" not in parts:
        return None
    status = HTTPStatus(int(parts[-1]))
    fields = {"Content-Length": str(len(REFUSAL_BODY)), "X-Reason": "closed today"}
    fields["Connection"] = "close"  # as the library does; a proxy might use the connection again
    if status == HTTPStatus.FOUND:
        fields["Location"] = "https://elsewhere.test/"
    if status == HTTPStatus.UNAUTHORIZED:
        fields["WWW-Authenticate"] = 'Basic realm="backend"'
    return Response(status, status.phrase, Headers(fields), REFUSAL_BODY)


def _first_offered(_: ServerConnection, offered: Any) -> Subprotocol | None:
    return next(iter(offered), None)


def connect(url: str, **options: Any) -> ClientConnection:
    """A client with no pings of its own and no proxy of the environment's."""
    options = {"proxy": None, "ping_interval": None, "max_size": None, **options}
    connection: ClientConnection
    try:
        connection = library_connect(url, **options)
    except TimeoutError:
        # Over TLS about one handshake of this client in 300 hears nothing, behind HAProxy as well:
        # one thread of it reads the connection while another one writes to it.
        if not url.startswith("wss:"):
            raise
        connection = library_connect(url, **options)
    return connection
