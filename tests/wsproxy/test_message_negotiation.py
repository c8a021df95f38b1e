"""A filter in a gateway that rewrites every message, whatever compression the peers agree on.

Client and backend are on `websockets`. A case has what the one offers, what the other would agree
to, and the parameters that come of it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import Thread
from typing import Any, NamedTuple

import pytest
from anyio import to_thread
from tests.wsproxy.deflating import KINDS
from websockets.extensions import ClientExtensionFactory, ServerExtensionFactory
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import CTRL_OPCODES, Frame
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve
from websockets.typing import ExtensionName

from easews import Data, Filter, Message, Session
from easews.testing import gateway

pytestmark = pytest.mark.slow  # on one Python is enough

CONFIG = """
kind: Pipeline
name: pipeline
filters:
- {{kind: Rewrites, name: rewrites}}
- kind: WebSocketProxy
  name: proxy
  pools:
  - servers: [{{url: 'ws://127.0.0.1:{port}'}}]
---
kind: HTTPServer
name: server
port: 80
rules: [{{paths: [{{pathPrefix: /, clientMaxBodySize: -1, backend: pipeline}}]}}]
"""


class Rewrites(Filter):
    """Encodes each message anew."""

    kind = "Rewrites"

    def on_message(self, session: Session, message: Message) -> Message:
        return message.with_data(message.data)


class SmallWindow(PerMessageDeflate):
    """Compresses in a window of 8 bits, which zlib does not have: 200 bytes at a time."""

    def encode(self, frame: Frame) -> Frame:
        if frame.opcode in CTRL_OPCODES:
            return frame
        encoder, data = zlib.compressobj(wbits=-9), b""
        for at in range(0, max(len(frame.data), 1), 200):
            data += encoder.compress(frame.data[at : at + 200]) + encoder.flush(zlib.Z_FULL_FLUSH)
        return replace(frame, data=data[:-4], rsv1=True)


class OffersSmall(ClientExtensionFactory):
    """A client that offers, and uses, a window of 8 bits."""

    name = ExtensionName("permessage-deflate")

    def get_request_params(self) -> Any:
        return [("client_max_window_bits", "8")]

    def process_response_params(self, params: Any, accepted_extensions: Any) -> PerMessageDeflate:
        assert dict(params)["client_max_window_bits"] == "8"
        return SmallWindow(False, False, int(dict(params).get("server_max_window_bits", 15)), 9)


class AnswersSmall(ServerExtensionFactory):
    """A backend that uses a window of 8 bits, and has the client do so."""

    name = ExtensionName("permessage-deflate")

    def process_request_params(self, params: Any, accepted_extensions: Any) -> Any:
        answer = [("server_max_window_bits", "8")]
        bits = 15
        if dict(params).get("client_max_window_bits") == "8":
            bits = 8
            answer.append(("client_max_window_bits", "8"))
        return answer, SmallWindow(False, False, bits, 9)


class Case(NamedTuple):
    offers: Sequence[ClientExtensionFactory]
    backend: Sequence[ServerExtensionFactory]
    agreed: str | None  # parameters of the answer


Offer, Backend = ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
CASES = {
    "nothing is offered": Case([], [Backend()], None),
    "the backend declines": Case([Offer()], [], None),
    "no parameters": Case([Offer()], [Backend()], ""),
    "the backend forgets": Case(
        [Offer()], [Backend(server_no_context_takeover=True)], "server_no_context_takeover"
    ),
    "the client forgets": Case(
        [Offer()], [Backend(client_no_context_takeover=True)], "client_no_context_takeover"
    ),
    "the client asks the backend to forget": Case(
        [Offer(server_no_context_takeover=True)], [Backend()], "server_no_context_takeover"
    ),
    "9 bits, and both forget": Case(
        [Offer(True, True, 9, 9)],
        [Backend()],
        "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9;"
        " client_max_window_bits=9",
    ),
    "each window of its own": Case(
        [Offer(client_max_window_bits=True)],
        [Backend(server_max_window_bits=9, client_max_window_bits=12)],
        "server_max_window_bits=9; client_max_window_bits=12",
    ),
    "the second offer": Case(
        [Offer(True, client_max_window_bits=None), Offer(client_max_window_bits=11)],
        [Backend(client_max_window_bits=11, require_client_max_window_bits=True)],
        "client_max_window_bits=11",
    ),
    "8 bits of the backend": Case([Offer()], [AnswersSmall()], "server_max_window_bits=8"),
    "8 bits of both": Case(
        [OffersSmall()], [AnswersSmall()], "server_max_window_bits=8; client_max_window_bits=8"
    ),
}
#: Some of them large, others that repeat what was before them.
MESSAGES: list[Data] = [
    "",
    "hello",
    *(str(KINDS["json"])[at : at + 3000] for at in range(0, 9000, 700)),
]
MESSAGES += [str(KINDS["html"])[:100_000], "hello", b"hello", KINDS["bitmap"]] * 2


@contextmanager
def backend(extensions: Sequence[ServerExtensionFactory]) -> Iterator[int]:
    """The port of a server that echoes."""

    def echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    with serve(echo, "127.0.0.1", 0, compression=None, extensions=extensions) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("case", CASES)
async def test_messages_pass_whatever_was_agreed_on(case: str) -> None:
    offers, accepts, agreed = CASES[case]

    def talk(port: int) -> tuple[list[Any], str | None]:
        url = f"ws://127.0.0.1:{port}"
        with connect(url, compression=None, extensions=offers) as client:
            heard = []
            for message in MESSAGES:
                client.send(message)
                heard.append(client.recv())
            assert client.response is not None
            answer = client.response.headers.get("Sec-WebSocket-Extensions")
            return heard, answer and answer.removeprefix("permessage-deflate").lstrip("; ")

    with backend(accepts) as port:
        async with gateway(CONFIG.format(port=port), Rewrites) as running:
            heard, answer = await to_thread.run_sync(talk, running.address[1])
    assert heard == MESSAGES
    assert answer == agreed
